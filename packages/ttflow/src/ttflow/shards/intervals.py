"""Pure integer rules on frames: windows, stored intervals, segments (specification 2.4, 3.1).

Frames are 0-based, intervals half-open.
"""

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ttflow.schema import FlowConfig

Interval = tuple[int, int]


@dataclass(frozen=True)
class ClipSpec:
    """What extraction needs to know of a clip: its frames and, with two players, its region."""

    clip_id: str
    start_frame: int
    end_frame: int
    region: tuple[float, float, float, float] | None = None
    """x_min, y_min, x_max, y_max as fractions of the frame."""


@dataclass(frozen=True)
class VideoPlan:
    """Which frames of a video are stored (one interval per clip) and which get flow."""

    stored: tuple[Interval, ...]
    segments: tuple[Interval, ...]


def central_window(
    start_frame: int, end_frame: int, num_frames: int, total_frames: int
) -> Interval:
    """The window of `num_frames` frames in the middle of a clip, clamped into the video.

    In a video shorter than the window it starts at 0 and its end lies beyond the video.

    >>> central_window(50, 175, 100, 1000)
    (62, 162)
    >>> central_window(0, 80, 100, 1000)
    (0, 100)
    >>> central_window(950, 1000, 100, 1000)
    (900, 1000)
    >>> central_window(5, 20, 100, 30)
    (0, 100)

    Args:
        start_frame: of the clip.
        end_frame: of the clip, exclusive.
        num_frames: T, of the window.
        total_frames: of the video.
    Source: specification 3.1.
    """
    start = (start_frame + end_frame - num_frames) // 2
    start = max(0, min(start, total_frames - num_frames))
    return start, start + num_frames


def stored_interval(
    start_frame: int,
    end_frame: int,
    total_frames: int,
    *,
    window_frames: int = 100,
    margin_frames: int = 10,
) -> Interval:
    """The frames stored of a clip: widened to at least T, plus a margin, inside the video.

    Holds the clip, its central window after clamping, and the margin where the video has it.

    >>> stored_interval(50, 175, 1000)
    (40, 185)
    >>> stored_interval(50, 130, 1000)
    (30, 150)
    >>> stored_interval(960, 1000, 1000)
    (890, 1000)

    Raises:
        ValueError: if the clip is empty or not inside the video.
    """
    if not 0 <= start_frame < end_frame <= total_frames:
        raise ValueError(
            f"clip [{start_frame}, {end_frame}) is empty or outside the video's "
            f"{total_frames} frames"
        )
    window_start, window_end = central_window(start_frame, end_frame, window_frames, total_frames)
    low = min(start_frame, window_start) - margin_frames
    high = max(end_frame, window_end) + margin_frames
    return max(0, low), min(total_frames, high)


def unions(intervals: Iterable[Interval], gap_frames: int = 0) -> list[Interval]:
    """The maximal unions of intervals that overlap, touch, or lie at most `gap_frames` apart.

    >>> unions([(10, 20), (15, 30), (30, 40), (50, 60)])
    [(10, 40), (50, 60)]
    """
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1] + gap_frames:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def inside(index: int, intervals: Sequence[Interval]) -> bool:
    """Whether a frame lies in one of the intervals, which are sorted and apart as of `unions`.

    >>> inside(10, [(0, 10), (20, 30)]), inside(20, [(0, 10), (20, 30)])
    (False, True)
    """
    position = bisect.bisect_right(intervals, index, key=lambda interval: interval[0])
    return position > 0 and index < intervals[position - 1][1]


def flow_segments(
    stored: Iterable[Interval], total_frames: int, widen_frames: int = 20
) -> list[Interval]:
    """The segments for which flow is computed: unions of widened intervals, inside the video.

    >>> flow_segments([(100, 220), (230, 350), (500, 620)], 630)
    [(80, 370), (480, 630)]

    Source: specification 2.4.
    """
    return unions(
        (max(0, start - widen_frames), min(total_frames, end + widen_frames))
        for start, end in stored
    )


def plan_video(clips: Sequence[ClipSpec], config: FlowConfig, total_frames: int) -> VideoPlan:
    """Stored intervals, in the order of the clips, and flow segments of one video.

    Raises:
        ValueError: if a clip is empty or not inside the video.
    """
    stored = tuple(
        stored_interval(
            clip.start_frame,
            clip.end_frame,
            total_frames,
            window_frames=config.window_frames,
            margin_frames=config.margin_frames,
        )
        for clip in clips
    )
    segments = flow_segments(stored, total_frames, config.smooth_taps // 2)
    return VideoPlan(stored, tuple(segments))


def regions_of_segments(
    clips: Sequence[ClipSpec], plan: VideoPlan
) -> list[list[tuple[float, float, float, float] | None]]:
    """The regions to follow in each segment of a plan: those of the clips stored from it, sorted.

    >>> clips = [ClipSpec("a", 0, 9), ClipSpec("b", 90, 99, (0.0, 0.0, 0.5, 1.0))]
    >>> regions_of_segments(clips, VideoPlan(((0, 9), (90, 99)), ((0, 29), (70, 100))))
    [[None], [(0.0, 0.0, 0.5, 1.0)]]
    """
    starts = [start for start, _ in plan.segments]
    found: list[set[tuple[float, float, float, float] | None]] = [set() for _ in starts]
    for clip, (first, _) in zip(clips, plan.stored, strict=True):
        found[bisect.bisect_right(starts, first) - 1].add(clip.region)
    return [sorted(regions, key=lambda region: region or ()) for regions in found]


def padded_indices(
    start_frame: int, num_frames: int, stored: Interval, video_frames: int
) -> tuple[list[int], int]:
    """Positions inside a stored interval of the frames of a window, and how many are real.

    Past the end of the video the last frame repeats; the start is clamped into the interval.

    >>> padded_indices(28, 4, (20, 30), 30)
    ([6, 7, 8, 9], 4)
    >>> padded_indices(0, 5, (0, 3), 3)
    ([0, 1, 2, 2, 2], 3)

    Returns:
        positions relative to the stored start, and the number of leading ones that exist.

    Raises:
        ValueError: if the window leaves the stored frames although the video goes on there.
    """
    first, last = stored
    latest = max(first, last - num_frames)
    start = min(max(start_frame, first), latest)
    real = min(num_frames, last - start)
    if real < num_frames and (first > 0 or last < video_frames):
        raise ValueError(
            f"a window of {num_frames} frames does not fit the stored frames [{first}, {last}) "
            f"of a video of {video_frames}: extract with a larger window_frames"
        )
    return [min(start + step, last - 1) - first for step in range(num_frames)], real
