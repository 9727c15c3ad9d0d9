"""Which locations are URLs and which are paths: the one rule of reading, writing and refusing."""

import os
import re
from pathlib import Path

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]+(?:://|::(?=.*://))")
"""A scheme, also in a chain of fsspec (`simplecache::s3://...`); `a::1.mp4` has none."""
_FILE = re.compile(r"(file|local):/*(?=/)")


def is_url(location: str | Path) -> bool:
    """Whether a location is a URL and no path; a file or folder that exists is none.

    >>> is_url("s3://bucket/match.mp4"), is_url("zip://match.mp4::s3://bucket/all.zip")
    (True, True)
    >>> is_url("/videos/a://b.mp4"), is_url("data:1.mp4"), is_url("match::1.mp4")
    (False, False, False)
    """
    return _URL.match(str(location)) is not None and not os.path.exists(location)


def local(location: str | Path) -> str:
    """A location as given, a `file://` URL as the path it means.

    >>> local("file:///videos/match.mp4"), local("videos/match.mp4")
    ('/videos/match.mp4', 'videos/match.mp4')
    """
    return _FILE.sub("", str(location))
