"""When the frames of real files are shown: read without decoding, and as they decode."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import ttdata.video.timing as timing_module
from ttdata.video.decode import frames
from ttdata.video.probe import probe
from ttdata.video.times import FrameTimes

SLOW_THEN_FAST = [*range(0, 400, 67), *range(400, 700, 33)]
"""About 15, then about 30 frames a second, in milliseconds."""
B_FRAMES = {"preset": "medium", "bf": "2"}


def shown(path: Path) -> tuple[list[float] | None, list[float]]:
    """The probe's times, and those of the decoded frames."""
    found = probe(path)
    decoded = [round(time, 3) for _, time, _ in frames(path, (16, 16))]
    assert found.num_frames == len(decoded)
    seconds = found.frame_seconds
    return None if seconds is None else [round(float(t), 3) for t in seconds], decoded


@pytest.mark.parametrize("options", [{"preset": "ultrafast"}, B_FRAMES])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
def test_variable_rates(tmp_path, write_timed_video, suffix: str, options) -> None:
    path = write_timed_video(tmp_path / f"a.{suffix}", SLOW_THEN_FAST, options=options)
    seconds, decoded = shown(path)
    np.testing.assert_allclose(seconds, np.array(SLOW_THEN_FAST) / 1000, atol=1.1e-3)
    np.testing.assert_allclose(decoded, seconds, atol=1.1e-3)
    # 16 frames, the last one shown for 33 ms as the one before it.
    assert probe(path).fps == pytest.approx(16 / 0.73, rel=0.01)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "avi"])
def test_a_constant_rate_takes_no_pass_over_the_packets(
    tmp_path, write_video, monkeypatch, suffix: str
) -> None:
    monkeypatch.setattr(timing_module, "_of_packets", lambda path: pytest.fail("scanned"))
    found = probe(write_video(tmp_path / f"a.{suffix}", 40, fps=30))
    assert (found.fps, found.num_frames, found.frame_seconds) == (30.0, 40, None)


def test_rounding_to_milliseconds_is_a_constant_rate(tmp_path, write_timed_video) -> None:
    path = write_timed_video(tmp_path / "a.mkv", [round(i * 1000 / 30) for i in range(40)])
    assert probe(path).frame_seconds is None
    assert probe(path).fps == 30.0


def test_a_rate_that_the_header_has_wrong_is_measured(tmp_path, write_timed_video) -> None:
    """The stream says 30; its frames are 40 ms apart."""
    found = probe(write_timed_video(tmp_path / "a.mkv", range(0, 800, 40)))
    assert found.fps == pytest.approx(25.0)
    assert found.frame_seconds is None


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("audio", [True, False])
def test_a_picture_that_comes_late(tmp_path, write_timed_video, suffix: str, audio: bool) -> None:
    """These containers count from zero themselves, with an edit list in MP4, sound or none."""
    times = range(500, 1500, 50)
    seconds, decoded = shown(write_timed_video(tmp_path / f"a.{suffix}", times, audio=audio))
    np.testing.assert_allclose(seconds, np.array(times) / 1000, atol=1e-3)
    assert decoded == seconds


def test_a_picture_that_comes_late_in_a_transport_stream(tmp_path, write_timed_video) -> None:
    """Its clock starts anywhere; a player shows 0 where the sound begins."""
    times = np.arange(500, 1500, 50)
    path = write_timed_video(tmp_path / "a.ts", times.tolist(), audio=True)
    seconds, decoded = shown(path)
    assert seconds is not None
    # The sound begins before 0, by what the encoder needs to start: 1024 samples at 8 kHz.
    np.testing.assert_allclose(seconds, times / 1000 + 0.128, atol=2e-3)
    assert decoded == seconds
    alone, decoded = shown(write_timed_video(tmp_path / "b.ts", times.tolist()))
    assert alone is None
    np.testing.assert_allclose(decoded, (times - 500) / 1000, atol=1e-3)


def test_frames_hidden_by_an_edit_list_take_no_time(tmp_path, write_video) -> None:
    seconds, decoded = shown(write_video(tmp_path / "a.mp4", 20, hidden=7))
    assert seconds is None
    np.testing.assert_allclose(decoded, np.arange(13) / 30, atol=2e-3)


def test_missing_frames_of_an_avi(tmp_path, write_timed_video) -> None:
    """The header counts 12; two were dropped, which leaves their place empty but no frame."""
    places = [0, 1, 2, 5, 6, 7, 8, 9, 10, 11]
    times = [place * 1000 / 30 for place in places]
    path = write_timed_video(tmp_path / "a.avi", times, "mpeg4", tick=Fraction(1, 30))
    seconds, decoded = shown(path)
    np.testing.assert_allclose(seconds, np.array(places) / 30, atol=1e-3)
    assert decoded == seconds


def test_a_raw_stream_has_no_times(tmp_path, write_timed_video) -> None:
    seconds, decoded = shown(write_timed_video(tmp_path / "a.h264", SLOW_THEN_FAST))
    assert seconds is None
    assert decoded[:3] == [0.0, 0.04, 0.08]


def test_a_table_longer_than_the_file(tmp_path, write_timed_video) -> None:
    """A recording that was cut short: its header promises more; what is there keeps its times."""
    path = write_timed_video(tmp_path / "a.mp4", SLOW_THEN_FAST, muxer={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-100])
    found = probe(path)
    assert found.num_frames == 16
    assert found.frame_seconds is not None
    assert 8 < len(found.frame_seconds) < 16
    times = FrameTimes(found.fps, found.frame_seconds)
    assert times.seconds_at([2, 7]).tolist() == pytest.approx([0.134, 0.433], abs=1e-3)
    assert times.frames_at(times.seconds_at(16)) == 16


def test_a_clock_that_starts_again_is_not_sorted(tmp_path, write_timed_video) -> None:
    """Two recordings joined end to end keep their order, at the rate that the stream states."""
    one = write_timed_video(tmp_path / "a.ts", range(0, 4000, 67)).read_bytes()
    two = write_timed_video(tmp_path / "b.ts", range(0, 4000, 67)).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(one + two)
    assert probe(path).frame_seconds is None
    assert probe(path).num_frames == 120
