"""Proxies: frame i of the copy is frame i of the source, at i / fps."""

import os
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ttdata.annotate.proxies import make
from ttdata.annotate.proxies.make import Proxy, make_proxy, nominal_rate, proxy_path, read_proxy
from ttdata.annotate.proxies.queue import make_proxies, remove_abandoned
from ttdata.annotate.proxies.strip import read_strip, strip_height
from ttdata.errors import VideoError
from ttdata.video.decode import frames

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from numbered import B_FRAMES, four_sources, read_burnt, write_numbered

ONE = 1 << 16
A_QUARTER = [0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30]
SMALL = {"preset": "ultrafast"}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2))))


def pictures(proxy: Proxy) -> Iterator[tuple[int, np.ndarray]]:
    """Strip's number and picture of every frame of a proxy, at its own time."""
    for number, seconds, image in frames(proxy.path):
        assert seconds == pytest.approx(number / float(proxy.fps), abs=1e-5)
        assert image.shape == (proxy.height + strip_height(proxy.width), proxy.width, 3)
        found = read_strip(image)
        assert found is not None
        yield found, image[: proxy.height]


def assert_same_frames(source: Path, proxy: Proxy, least_psnr: float) -> None:
    count, size_hw = 0, (proxy.height, proxy.width)
    for (number, _, wanted), (strip, shown) in zip(
        frames(source, size_hw), pictures(proxy), strict=True
    ):
        assert strip == number
        assert psnr(shown, wanted) >= least_psnr, number
        count += 1
    assert proxy.num_frames == count


@pytest.fixture
def at_crf_32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "_ENCODER", make._ENCODER | {"crf": "32"})


@pytest.mark.usefixtures("at_crf_32")
@pytest.mark.parametrize("name", ["constant", "119.88", "variable", "edited"])
def test_every_frame_comes_back_with_its_number(tmp_path: Path, name: str) -> None:
    source = four_sources(tmp_path, 60, (90, 162))[name]
    proxy = make_proxy(source, tmp_path / "proxies")
    assert_same_frames(source, proxy, 25)
    count = 53 if name == "edited" else 60
    assert proxy.num_frames == count
    burnt = [read_burnt(shown) for _, shown in pictures(proxy)]
    assert burnt == list(range(60 - count, 60))


@pytest.mark.usefixtures("at_crf_32")
@pytest.mark.parametrize("size_hw", [(48, 36), (38, 22), (100, 390), (66, 1400)])
def test_odd_sizes(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    source = write_numbered(tmp_path / "a.mp4", 20, size_hw=size_hw, options=B_FRAMES)
    proxy = make_proxy(source, tmp_path)
    assert_same_frames(source, proxy, 22)
    assert proxy.width == min(size_hw[1], 1280)


def test_a_turned_film_stands_upright(tmp_path: Path) -> None:
    source = write_numbered(tmp_path / "a.mp4", 12, matrix=A_QUARTER, size_hw=(64, 96))
    proxy = make_proxy(source, tmp_path)
    assert (proxy.height, proxy.width) == (96, 64)
    assert_same_frames(source, proxy, 25)


def test_what_the_file_is_like(tmp_path: Path) -> None:
    odd = Fraction(120_000, 1001)
    source = write_numbered(tmp_path / "a.mp4", 40, fps=odd, options=SMALL)
    proxy = make_proxy(source, tmp_path)
    assert (proxy.fps, proxy.num_frames, proxy.width, proxy.height) == (odd, 40, 160, 90)
    assert read_proxy(proxy.path) == proxy
    data = proxy.path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(proxy.path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert [number for number, packet in enumerate(packets) if packet.is_keyframe] == [
            0,
            12,
            24,
            36,
        ]
        assert [packet.pts for packet in packets] == [packet.dts for packet in packets]
        tick = packets[0].time_base
        assert [packet.pts * tick for packet in packets] == [number / odd for number in range(40)]


def test_a_finished_proxy_stays_and_the_same_bytes_share_one(tmp_path: Path) -> None:
    source = write_numbered(tmp_path / "a.mp4", 8, options=SMALL)
    first = make_proxy(source, tmp_path / "p")
    stamp = first.path.stat().st_mtime_ns
    other = tmp_path / "copy.mp4"
    other.write_bytes(source.read_bytes())
    assert make_proxy(other, tmp_path / "p") == first
    assert first.path.stat().st_mtime_ns == stamp
    write_numbered(source, 9, options=SMALL)
    assert make_proxy(source, tmp_path / "p").path != first.path


def test_a_proxy_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    source, told = write_numbered(tmp_path / "a.mp4", 30, options=SMALL), list[tuple[int, int]]()

    def stop(done: int, promised: int) -> None:
        told.append((done, promised))
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_proxy(source, tmp_path / "p", stop)
    assert list((tmp_path / "p").iterdir()) == []
    assert told == [(number, 30) for number in range(1, 11)]
    assert make_proxy(source, tmp_path / "p").num_frames == 30


def test_a_damaged_proxy_is_made_again(tmp_path: Path) -> None:
    source = write_numbered(tmp_path / "a.mp4", 8, options=SMALL)
    target = proxy_path(source, tmp_path)
    target.write_bytes(b"no film")
    assert read_proxy(target) is None
    assert make_proxy(source, tmp_path).num_frames == 8


def test_a_queue_names_what_cannot_be_read_and_goes_on(tmp_path: Path) -> None:
    good = write_numbered(tmp_path / "a.mp4", 8, options=SMALL)
    bad = tmp_path / "b.mp4"
    bad.write_bytes(b"no film")
    told: list[tuple[str, int, int]] = []
    made = {
        done.source: done
        for done in make_proxies(
            [bad, good, good], tmp_path / "p", lambda path, *at: told.append((path.name, *at)), 2
        )
    }
    assert set(made) == {good, bad}
    assert made[good].proxy is not None
    assert made[good].proxy.num_frames == 8
    assert made[bad].proxy is None
    assert made[bad].problem is not None
    assert made[bad].problem.startswith(f"{bad}: cannot be read as a video")
    assert told == [("a.mp4", number, 8) for number in range(1, 9)]


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    old, new = tmp_path / ".ab.mp4.0123.tmp", tmp_path / ".cd.mp4.4567.tmp"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_a_video_that_the_strip_cannot_count_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_numbered(tmp_path / "a.mp4", 20, options=SMALL)
    monkeypatch.setattr(make, "NUMBER_BITS", 4)
    with pytest.raises(VideoError, match=r"a\.mp4: more than 16 frames, the most .* cut the"):
        make_proxy(source, tmp_path / "p")


def test_rates_are_fractions() -> None:
    assert nominal_rate(30000 / 1001) == Fraction(30000, 1001)
    assert nominal_rate(60.0) == 60


REAL = {
    "decord/flipping_a_pancake.mkv": 310,
    "decord/unordered.mov": 4,
    "decord/video_90.mov": 3,
    "decord/video_270.mov": 3,
    "moviepy/-video-with-dash-.mp4": 5,
    "moviepy/fire2.mp4": None,
    "mmaction2/test.avi": 164,
    "torchcodec/nasa_13013.mp4": 390,
}


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_odd_files(tmp_path: Path, name: str) -> None:
    folder = os.environ.get("TT_REAL_DATA")
    if not folder:
        pytest.skip("TT_REAL_DATA does not name a folder of real videos")
    source = Path(folder) / "video" / name
    proxy = make_proxy(source, tmp_path)
    assert_same_frames(source, proxy, 24)
    assert REAL[name] in (None, proxy.num_frames)


@pytest.mark.real
def test_a_broken_film_leaves_no_proxy(tmp_path: Path) -> None:
    folder = os.environ.get("TT_REAL_DATA")
    if not folder:
        pytest.skip("TT_REAL_DATA does not name a folder of real videos")
    with pytest.raises(VideoError, match="frame 28 cannot be decoded"):
        make_proxy(Path(folder) / "video" / "decord" / "corrupted.mp4", tmp_path)
    assert list(tmp_path.iterdir()) == []
