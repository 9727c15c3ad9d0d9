"""Where videos may be: plain paths, file:// URLs, what fsspec opens."""

import sys
from pathlib import Path

import pytest

from ttdata.errors import InputError, VideoError
from ttdata.storage.outputs import check_output
from ttdata.urls import is_url, local
from ttdata.video.decode import frames
from ttdata.video.location import open_binary


@pytest.mark.parametrize(
    "path", ["data:1.mp4", "a::1.mp4", "/a://b.mp4", "C", "ü://x", "1://x", "file.mp4"]
)
def test_paths_are_no_urls(path: str) -> None:
    assert not is_url(path)
    assert local(path) == path


@pytest.mark.parametrize("name", ["match::1.mp4", "zip::a.mp4", "s3:/a.mp4"])
def test_what_exists_is_no_url(
    write_video, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One rule decides what is read and what may be written."""
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / name, 5)
    spelt = name.replace(":/", "://")
    assert not is_url(spelt)
    assert sum(1 for _ in frames(spelt)) == 5
    with pytest.raises(InputError, match="is what is read"):
        check_output(tmp_path / name, [spelt])


@pytest.mark.parametrize(
    "url", ["s3://a/b.mp4", "simplecache::s3://a/b.mp4", "git+ssh://a/b.mp4", "zip://a::/b/c.zip"]
)
def test_urls_are_no_paths(url: str, tmp_path: Path) -> None:
    assert is_url(url)
    check_output(tmp_path / "out", [url])


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
