"""Where a video is: a plain path, or any URL that fsspec opens."""

import re
from pathlib import Path
from typing import BinaryIO

from ttdata.errors import VideoError

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]+(?=://|::)")
_FILE = re.compile(r"(file|local):/*(?=/)")


def is_url(location: str | Path) -> bool:
    """Whether a location is a URL and no path.

    >>> is_url("s3://bucket/match.mp4"), is_url("zip://match.mp4::s3://bucket/all.zip")
    (True, True)
    >>> is_url("/videos/a://b.mp4"), is_url("data:1.mp4")
    (False, False)
    """
    return _URL.match(str(location)) is not None


def local(location: str | Path) -> str:
    """A location as given, a `file://` URL as the path it means.

    >>> local("file:///videos/match.mp4"), local("videos/match.mp4")
    ('/videos/match.mp4', 'videos/match.mp4')
    """
    return _FILE.sub("", str(location))


def open_binary(location: str | Path) -> BinaryIO:
    """Open a file for reading, whatever it is behind.

    Raises:
        OSError: if a plain file cannot be opened.
        VideoError: if a URL cannot; fsspec's file systems raise errors of many libraries.
    """
    if not is_url(plain := local(location)):
        return Path(plain).open("rb")
    try:
        import fsspec
    except ImportError as error:
        raise VideoError(
            f"{plain}: a URL is opened by fsspec, which is not installed; "
            "pip install 'ttdata[urls]'"
        ) from error
    try:
        opened: BinaryIO = fsspec.open(plain, "rb").open()
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise VideoError(f"{plain}: cannot be opened ({reason})") from error
    return opened
