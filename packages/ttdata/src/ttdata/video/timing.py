"""When each frame of a video file is shown, read from its container without decoding."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ttdata.video.container import best_stream, clock_start, open_container

Floats = NDArray[np.float64]

_SMALLEST_TICK_SECONDS = 1e-3
_LARGEST_SHARE = 0.25
"""A frame this share of its duration off the even grid is not rounding any more."""
_SAME_RATE = 0.005
"""A stated rate this close to the measured average is it, in round numbers."""
_JUMP_SECONDS = 1.0
"""Reordering of frames takes times back by less."""


@dataclass(frozen=True, eq=False)
class Timing:
    """The number of frames of a stream and when they are shown."""

    fps: float
    """Average frames per second; 0 where nothing tells it."""
    num_frames: int
    seconds: Floats | None
    """(num_frames,), ascending, fewer of a file that was cut short; None where frame i is shown at
    i / fps."""


def read_timing(path: Path, container: Any, stream: Any) -> Timing:
    """The timing of an opened stream.

    The table of frames in an MP4, MOV or AVI tells an even rate at once. Everything else takes a
    pass over the packets, which is where the number of frames comes from, too.

    Args:
        path: of the video, which is opened a second time for that pass.
        container: the opened video.
        stream: its best video stream.
    """
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    tick = float(stream.time_base or 0)
    listed = _listed(container, stream)
    if listed is None:
        count, seconds = _of_packets(path)
    elif _is_even(listed, rate, tick) and stream.start_time is not None:
        count, seconds = len(listed), listed - listed[0] + stream.start_time * tick
        seconds = seconds - clock_start(container)
    else:
        # A file that was cut short has fewer packets, and times, than its table promises frames.
        count, seconds = len(listed), _of_packets(path)[1]
    return _settled(count, seconds, rate, tick)


def _listed(container: Any, stream: Any) -> Floats | None:
    """Decoding times of the frames that a container's own table lists; None without a whole one."""
    entries = stream.index_entries
    is_mov, is_avi = "mov" in container.format.name, container.format.name == "avi"
    # An AVI counts the frames that were dropped, too; its table does not.
    whole = len(entries) >= stream.frames if is_mov else is_avi and len(entries) == stream.frames
    if not (whole and stream.frames):
        return None
    ticks = [entry.timestamp for entry in entries if entry.size and not entry.is_discard]
    return np.sort(np.array(ticks, np.float64)) * float(stream.time_base) if ticks else None


def _of_packets(path: Path) -> tuple[int, Floats | None]:
    """How many frames the packets hold, and when they are shown, None where packets do not say."""
    with open_container(path.absolute()) as container:
        stream = best_stream(container)
        if stream is None:
            return 0, None
        # AVI has no presentation times: frames have places, and dropped ones leave theirs empty.
        name = "dts" if container.format.name == "avi" else "pts"
        ticks = [
            getattr(packet, name)
            for packet in container.demux(stream)
            if packet.size and not packet.is_discard
        ]
        if not ticks or None in ticks:
            return len(ticks), None
        times = np.array(ticks, np.float64) * float(stream.time_base)
        if np.any(np.maximum.accumulate(times) - times > _JUMP_SECONDS):
            return len(ticks), None  # recordings joined end to end: the clock starts again
        return len(ticks), np.sort(times) - clock_start(container)


def _settled(count: int, seconds: Floats | None, rate: float, tick: float) -> Timing:
    """The timing with no more numbers than it takes."""
    if seconds is None or not len(seconds):
        return Timing(rate, count, None)
    seconds = seconds - min(0.0, float(seconds[0]))
    if len(seconds) > 1 and seconds[-1] == seconds[0]:
        return Timing(rate, count, None)
    late = seconds[0] > _tolerance(rate, tick)
    mean = (len(seconds) - 1) / float(seconds[-1] - seconds[0]) if len(seconds) > 1 else rate
    for fps in (rate, mean):
        if _is_even(seconds, fps, tick):
            return Timing(fps, count, seconds if late else None)
    average = len(seconds) / float(2 * seconds[-1] - seconds[-2] - seconds[0])
    trusted = rate and abs(rate / average - 1) <= _SAME_RATE
    return Timing(rate if trusted else average, count, seconds)


def _is_even(seconds: Floats, fps: float, tick: float) -> bool:
    if not fps:
        return False
    even = seconds[0] + np.arange(len(seconds)) / fps
    return bool(np.all(np.abs(seconds - even) <= _tolerance(fps, tick)))


def _tolerance(fps: float, tick: float) -> float:
    """What rounding to the ticks of a container's clock may do to a time."""
    most = _LARGEST_SHARE / fps if fps else np.inf
    return float(min(max(tick, _SMALLEST_TICK_SECONDS) * 1.01, most))
