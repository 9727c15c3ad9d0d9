"""Where videos may be: plain paths, file:// URLs, what fsspec opens."""

import sys
from pathlib import Path

import pytest

from ttdata.errors import VideoError
from ttdata.video.decode import frames
from ttdata.video.location import is_url, local, open_binary


@pytest.mark.parametrize("path", ["data:1.mp4", "/a://b.mp4", "C", "ü://x", "1://x", "file.mp4"])
def test_paths_are_no_urls(path: str) -> None:
    assert not is_url(path)
    assert local(path) == path


def test_a_file_url_is_its_path(write_video, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 5)
    assert local(path.as_uri()) == str(path)
    assert sum(1 for _ in frames(path.as_uri())) == 5


def test_an_unknown_protocol_is_named() -> None:
    pytest.importorskip("fsspec", reason="an extra of ttdata")
    with pytest.raises(VideoError, match=r"nowhere://x: .*[Pp]rotocol"):
        open_binary("nowhere://x")


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(VideoError, match=r"pip install 'ttdata\[urls\]'"):
        open_binary("s3://bucket/match.mp4")
