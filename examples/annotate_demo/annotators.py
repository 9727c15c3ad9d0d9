"""Simulated annotators: the marks of a crowd as what their pages send, at a human's pace.

Nothing here waits or sends: `paced_acts` says what a person does, and how long after what was
before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ttdata.synth.crowd import CrowdAnnotation, annotate
from ttdata.synth.plan import VideoPlan
from ttdata.taxonomy import TTSTROKE21

Kind = Literal["mark_made", "bounds_changed", "label_set", "undone", "seen", "done"]

SEEN_SECONDS = 5.0
"""A page tells this often which frames were shown."""
_KEY_SECONDS = 0.25
_LOOK_SECONDS = (0.8, 2.0)
"""From seeing that a stroke begins to having found its frame."""
_NAME_SECONDS = (1.0, 2.5)
_SLIP_SHARE, _NUDGE_SHARE = 0.1, 0.25


@dataclass(frozen=True)
class Stroke:
    """What somebody thinks happens in `[start_frame, end_frame)`."""

    start_frame: int
    end_frame: int
    label: str


@dataclass(frozen=True)
class Act:
    """One event of a person's page."""

    wait_seconds: float
    """Since the act before, of a person in no hurry."""
    kind: Kind
    mark: int | None = None
    """Which mark of the video it speaks of, from 0."""
    body: dict[str, Any] = field(default_factory=dict)
    """What the event says besides its kind; of `undone` the event is the last one of the mark."""


def crowd_strokes(plan: VideoPlan) -> tuple[tuple[Stroke, ...], ...]:
    """What each annotator of a synthetic video would mark, errors included, in the order of names.

    Errors that the page makes impossible (a start left at frame 0, an end after the video, no
    label) are not made; labels are spelt as the taxonomy does.

    Args:
        plan: of the video; its configuration holds the crowd's rates.
    """
    by_name: dict[str, list[Stroke]] = {}
    for annotation in annotate(plan):
        strokes = by_name.setdefault(annotation.annotator_id, [])
        if annotation.start_frame is not None:
            strokes.append(_possible(annotation, plan.num_frames))
    return tuple(
        tuple(sorted(by_name[name], key=lambda s: (s.start_frame, s.end_frame)))
        for name in sorted(by_name)
    )


def _possible(annotation: CrowdAnnotation, num_frames: int) -> Stroke:
    truth = annotation.stroke
    start, end = annotation.start_frame or 0, annotation.end_frame or 0
    if annotation.planted_error == "starts_at_first_frame":
        start = truth.start_frame
    if end > num_frames:
        end = truth.end_frame
    label = str(truth.label)
    if annotation.planted_error == "wrong_label":
        label = str(TTSTROKE21.canonical(annotation.label))
    return Stroke(start, end, label)


def paced_acts(
    strokes: Sequence[Stroke], num_frames: int, fps: float, draw: np.random.Generator
) -> Iterator[Act]:
    """All that a person does in one video, from the first frame to "done".

    He watches at full speed, stops where a stroke begins, sets its start, watches on, sets its end,
    names it; now and then he undoes a name or moves a bound.

    Args:
        strokes: that he finds, by their start.
        num_frames: of the video; all are seen before "done".
        fps: frames per second.
        draw: random numbers; the same give the same acts.
    """
    place = 0
    for number, stroke in enumerate(strokes):
        yield from _watched(place, stroke.start_frame + 1, fps)
        yield from _marked(number, stroke, fps, draw)
        place = max(place, stroke.end_frame)
    yield from _watched(place, num_frames, fps)
    yield Act(float(draw.uniform(*_LOOK_SECONDS)), "done")


def _watched(start: int, end: int, fps: float) -> Iterator[Act]:
    """Frames that are played, told in pieces."""
    piece = max(1, round(SEEN_SECONDS * fps))
    for first in range(start, end, piece):
        last = min(first + piece, end)
        yield Act((last - first) / fps, "seen", body={"spans": [[first, last]]})


def _marked(number: int, stroke: Stroke, fps: float, draw: np.random.Generator) -> Iterator[Act]:
    look, name = float(draw.uniform(*_LOOK_SECONDS)), float(draw.uniform(*_NAME_SECONDS))
    start, end = stroke.start_frame, stroke.end_frame
    # He looks closely at the first frame that he set, and may find that it was another one.
    first = start + 1 if draw.random() < _NUDGE_SHARE and start + 2 < end else start
    yield Act(look, "mark_made", number, _bounds(first, None) | {"label": None})
    if first != start:
        yield Act(_KEY_SECONDS, "bounds_changed", number, _bounds(start, None))
    yield from _watched(start, end, fps)
    yield Act(look, "bounds_changed", number, _bounds(start, end))
    yield Act(name, "label_set", number, {"label": stroke.label})
    if draw.random() < _SLIP_SHARE:
        yield Act(_KEY_SECONDS, "undone", number)
        yield Act(name, "label_set", number, {"label": stroke.label})


def _bounds(start: int, end: int | None) -> dict[str, Any]:
    return {"start_frame": start, "end_frame": end, "from_first_frame": start == 0}
