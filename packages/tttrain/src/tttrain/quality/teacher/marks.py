"""The file of marked references: by clip, or by their places in videos; errors name the line."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ttdata.errors import InputError
from ttdata.sources.annotations import read_text_table, require_columns
from ttdata.storage.spreadsheet import unescape_formula
from tttrain.quality.teacher.lines import frame_number, lines
from tttrain.quality.timing.moments import MARKS

logger = logging.getLogger(__name__)

BY_CLIP = ("clip_id", *MARKS)
BY_PLACE = ("video_id", "start_frame", "end_frame", "label", *MARKS)
"""As `ttdata annotate PROJECT export` writes it."""
SAME_STROKE_IOU = 0.5
"""Two intervals that overlap so far are of the same stroke, as in curation."""
Clip = Mapping[str, Any]
"""A row of `clips.parquet`, or of the strokes that an index found."""


@dataclass(frozen=True)
class Marks:
    """The three moments that a person marked, in frames of the video."""

    ready: int
    """The last frame before the player moves towards the ball."""
    contact: int
    """The first frame in which the bat meets the ball."""
    end: int
    """The last frame of the follow-through."""
    line: int
    """Of the file, for messages."""
    bounds: tuple[int, int] | None = None
    """Of the stroke where its place was marked, too, the end exclusive; None: as the clip's."""


def read_marks(path: Path, clips: Mapping[str, Clip]) -> dict[str, Marks]:
    """The marked references by clip.

    Of rows by place, as of an export, those without a stroke here and further ones of a stroke are
    left out, with a warning.

    Args:
        path: CSV or Parquet with the columns `clip_id, ready, contact, end`, or `video_id,
            start_frame, end_frame, label, ready, contact, end`; others are ignored.
        clips: by clip_id.

    Raises:
        InputError: naming file, line, what was found and what is expected.
    """
    table = read_text_table(path)
    by_place = "clip_id" not in table.columns and "video_id" in table.columns
    require_columns(path, table, BY_PLACE if by_place else BY_CLIP)
    table = unescape_formula(table, ["clip_id", "video_id", "label"])
    clip_of: Callable[[str, Mapping[str, str]], str] = _Places(clips) if by_place else _Ids(clips)
    found: dict[str, Marks] = {}
    left_out: list[str] = []
    for line, row in lines(table):
        where = f"{path}, line {line}"
        try:
            clip_id = clip_of(where, row)
        except _NoStroke as error:
            left_out.append(str(error))
            continue
        if clip_id in found:
            first = f"clip {clip_id!r} is there twice, first in line {found[clip_id].line}"
            if not by_place:
                raise InputError(f"{where}: {first}; expected one mark of each")
            left_out.append(f"{where}: {first}")
            continue
        found[clip_id] = _marks(where, line, row, clips[clip_id], by_place=by_place)
    if left_out and not found:
        raise InputError(left_out[0])
    for problem in left_out:
        logger.warning("%s; left out", problem)
    if not found:
        raise InputError(f"{path}: no reference; expected a row per marked stroke")
    return found


class _NoStroke(InputError):
    """A marked place where no stroke is: nothing was found there, or it is of another folder."""


class _Ids:
    """Finds the clip of a row by its name."""

    def __init__(self, clips: Mapping[str, Clip]) -> None:
        self._clips = clips

    def __call__(self, where: str, row: Mapping[str, str]) -> str:
        clip_id = row["clip_id"]
        if (clip := self._clips.get(clip_id)) is None:
            raise InputError(
                f"{where}: no clip {clip_id!r}; expected a clip_id of what is measured"
            )
        if clip["kind"] != "stroke":
            raise InputError(f"{where}: clip {clip_id!r} is a {clip['kind']}, expected a stroke")
        return clip_id


class _Places:
    """Finds the clip of a row by video and frames."""

    def __init__(self, clips: Mapping[str, Clip]) -> None:
        self._of_video: dict[str, list[tuple[str, Clip]]] = {}
        for clip_id, clip in clips.items():
            if clip["kind"] == "stroke":
                self._of_video.setdefault(clip["video_id"], []).append((clip_id, clip))

    def __call__(self, where: str, row: Mapping[str, str]) -> str:
        place = [frame_number(where, name, row[name]) for name in ("start_frame", "end_frame")]
        clips = self._of_video.get(row["video_id"], [])
        if not clips:
            raise _NoStroke(
                f"{where}: no stroke of video {row['video_id']!r} in what is measured; "
                f"expected one of {_some(self._of_video)}"
            )
        fits = [
            (clip["label"] == row["label"], _iou(place, clip), clip_id) for clip_id, clip in clips
        ]
        able = [fit for fit in fits if fit[1] >= SAME_STROKE_IOU]
        if not able:
            _, most, nearest = max(fits, key=lambda fit: fit[1])
            near = f"the nearest, {nearest!r}, by {most:.2f}" if most > 0 else "none does at all"
            raise _NoStroke(
                f"{where}: no stroke of video {row['video_id']!r} overlaps frames {place[0]} to "
                f"{place[1]} by {SAME_STROKE_IOU} (intersection over union); {near}"
            )
        # Two players at once: the one who plays what was marked.
        same, _, clip_id = max(able, key=lambda fit: fit[:2])
        if not same:
            label = next(clip["label"] for name, clip in clips if name == clip_id)
            raise InputError(
                f"{where}: label {row['label']!r}, but clip {clip_id!r} there is {label!r}; "
                "expected the same class: mend the row, or leave it out"
            )
        return clip_id


def _some(video_ids: Iterable[str]) -> str:
    names = [repr(name) for name in video_ids]
    return ", ".join([*names[:3], *["..."][: len(names) > 3]])


def same_stroke(one: Clip, other: Clip) -> bool:
    """Whether two clips are of the same stroke: they overlap in one video."""
    place = [one["start_frame"], one["end_frame"]]
    return one["video_id"] == other["video_id"] and _iou(place, other) >= SAME_STROKE_IOU


def _iou(place: list[int], clip: Clip) -> float:
    """Intersection over union of two half-open intervals."""
    start, end = place
    shared = min(end, clip["end_frame"]) - max(start, clip["start_frame"])
    whole = max(end, clip["end_frame"]) - min(start, clip["start_frame"])
    return max(shared, 0) / whole if whole > 0 else 0.0


def _marks(where: str, line: int, row: Mapping[str, str], clip: Clip, *, by_place: bool) -> Marks:
    ready, contact, end = (frame_number(where, name, row[name]) for name in MARKS)
    if not ready < contact < end:
        raise InputError(f"{where}: ready {ready}, contact {contact}, end {end}; expected an order")
    bounds = (int(row["start_frame"]), int(row["end_frame"])) if by_place else None
    first, stop = bounds or (clip["start_frame"], clip["end_frame"])
    if ready < first or end >= stop:
        raise InputError(
            f"{where}: frames {ready} to {end}, expected frames inside of the "
            f"{'mark' if by_place else 'clip'}'s, {first} to {stop - 1} "
            "(frames are those of the video, not counted from the clip's first)"
        )
    return Marks(ready, contact, end, line, bounds)
