"""Facts read from files: ordinary, odd, broken."""

import os
from pathlib import Path

import av
import pytest

from ttdata.errors import VideoError
from ttdata.video.probe import VideoMetadata, probe

# Frames, rate and size as shown of the odd files; independent counts by decoding every frame.
ODD = {
    "decord/flipping_a_pancake.mkv": VideoMetadata(30.0, 310, 426, 240),
    "decord/unordered.mov": VideoMetadata(32.0, 4, 50, 50),
    "decord/video_90.mov": VideoMetadata(30.0, 3, 320, 568),
    "decord/video_180.mov": VideoMetadata(30.0, 3, 568, 320),
    "decord/video_270.mov": VideoMetadata(30.0, 3, 320, 568),
    "moviepy/-video-with-dash-.mp4": VideoMetadata(1.0, 5, 1, 1),
    "moviepy/no_duration.webm": VideoMetadata(15000 / 1001, 74, 1280, 720),
    "mmaction2/test.avi": VideoMetadata(25.0, 164, 320, 240),
    "torchcodec/nasa_13013.mp4": VideoMetadata(30000 / 1001, 390, 480, 270),
}


@pytest.mark.parametrize("name", ["a.mp4", "-dash.mp4", "with space é.mkv", "50%:x.mov"])
def test_ordinary_video_under_any_name(tmp_path, write_video, name) -> None:
    path = write_video(tmp_path / name, 7, fps=120, size_hw=(64, 96))
    assert probe(path) == VideoMetadata(120.0, 7, 96, 64)


@pytest.mark.parametrize("name", ["-i.mp4", "match::1.mp4", "data:1.mp4"])
def test_relative_names_that_look_like_options_or_urls(
    tmp_path, write_video, monkeypatch, name
) -> None:
    write_video(tmp_path / name, 3)
    monkeypatch.chdir(tmp_path)
    assert probe(Path(name)).num_frames == 3


def test_count_without_a_header(tmp_path, write_video) -> None:
    # Matroska states no number of frames: packets are counted.
    assert probe(write_video(tmp_path / "a.mkv", 50)).num_frames == 50


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_frames_that_an_edit_list_hides_do_not_count(tmp_path, write_video, suffix) -> None:
    """As a cut without new encoding leaves them; what is counted is what decodes."""
    path = write_video(tmp_path / f"a{suffix}", 20, hidden=7)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 20
        assert sum(1 for _ in container.decode(video=0)) == 13
    assert probe(path).num_frames == 13


@pytest.mark.parametrize("content", [b"", b"no video" * 100])
def test_broken_file(tmp_path, content) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"a.mp4: cannot be read as a video"):
        probe(path)


def test_truncated_and_missing_file(tmp_path, write_video) -> None:
    path = write_video(tmp_path / "a.mp4", 50)
    path.write_bytes(path.read_bytes()[:500])
    for broken in (path, tmp_path / "none.mp4", tmp_path):
        with pytest.raises(VideoError, match=str(broken)):
            probe(broken)


@pytest.mark.real
@pytest.mark.parametrize("name", ODD)
def test_odd_files(name: str) -> None:
    folder = os.environ.get("TT_REAL_DATA")
    if not folder:
        pytest.skip("TT_REAL_DATA does not name a folder of real videos")
    assert probe(Path(folder) / "video" / name) == ODD[name]
