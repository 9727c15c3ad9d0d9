"""Where datasets and shards may be: folders under a mounted path."""

from pathlib import Path

from ttdata.errors import InputError
from ttdata.urls import is_url, local


def folder(text: str | Path) -> Path:
    """The path of a dataset or shards folder: plain, or as a `file://` URL.

    Shards are committed by atomic renames and locks, which object stores do not have.

    Raises:
        InputError: for a URL of anything else.
    """
    if not is_url(plain := local(text)):
        return Path(plain)
    raise InputError(
        f"{text}: datasets and shards need a mounted file system (NFS, Lustre, a local disk); "
        "only videos may be behind other URLs"
    )
