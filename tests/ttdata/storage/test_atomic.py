"""Atomic writing: what libraries make of the operating system's errors."""

import errno
from pathlib import Path

import pytest

from ttdata.storage.atomic import atomic_path, write_text


@pytest.mark.parametrize(
    "wrapped",
    [
        RuntimeError("parquet: underlying IO error: No space left on device (os error 28)"),
        OSError("Error writing bytes to file. Detail: [errno 28] No space left on device"),
    ],
)
def test_wrapped_errors_become_those_of_the_system(tmp_path: Path, wrapped: Exception) -> None:
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(tmp_path / "a"):
        raise wrapped
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_temporary_file_name_the_target(tmp_path: Path) -> None:
    target = tmp_path / ("a" * 250)
    with pytest.raises(OSError, match="too long") as caught:
        write_text(target, "")
    assert caught.value.filename == str(target)


def test_other_errors_stay(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such label"), atomic_path(tmp_path / "a"):
        raise ValueError("no such label")
