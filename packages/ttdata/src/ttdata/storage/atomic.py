"""Atomic writing: a file is there whole or not at all, also when several processes write it."""

import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_OS_ERROR = re.compile(r"(?:\bos error |\berrno )(?P<number>\d+)", re.IGNORECASE)


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder, renamed to the target on success.

    The temporary name is `.<name>.<random>.tmp`, so that two jobs writing the same target never
    meet; it is removed when the block raises.

    Args:
        target: the final path; its folder is made when missing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.tmp")
    with operating_system_errors(target):
        temporary.open("xb").close()  # a folder that cannot be written says so here
    try:
        with operating_system_errors(target):
            yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def operating_system_errors(path: Path) -> Iterator[None]:
    """Raise an error of the operating system that a library wraps as the OSError that it was.

    Polars, PyArrow and others keep only the text, "... (os error 28)" or "[errno 28] ...".

    Args:
        path: what was being written, for the message.
    """
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is not None and not _is_temporary(getattr(error, "filename", None), path):
            raise
        if number is None:
            if (found := _OS_ERROR.search(str(error))) is None:
                raise
            number = int(found["number"])
        raise OSError(number, os.strerror(number), str(path)) from error


def _is_temporary(name: object, target: Path) -> bool:
    """Whether an error names the target's temporary file, which tells a user nothing."""
    return isinstance(name, str) and Path(name).name.startswith(f".{target.name}.")


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write JSON atomically, as `json_text` puts it."""
    write_text(target, json_text(value))


def json_text(value: Any) -> str:
    """A value as JSON: indented, keys in the given order, no NaN."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
