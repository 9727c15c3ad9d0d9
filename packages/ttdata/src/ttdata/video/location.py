"""Opening of a video wherever it is: a plain path, or any URL that fsspec opens."""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from ttdata.errors import VideoError
from ttdata.urls import is_url, local

_MIB = 1 << 20


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


def fingerprint(location: Path | str) -> tuple[int, str]:
    """Size in bytes of a file or of what a URL names, and SHA-256 of its first and last MiB.

    Raises:
        VideoError: if it cannot be read.
    """
    try:
        with open_binary(location) as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(0)
            found = hashlib.sha256(handle.read(_MIB))
            handle.seek(max(_MIB, size - _MIB))
            found.update(handle.read(_MIB))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(f"{location}: cannot be read ({reason})") from error
    return size, found.hexdigest()
