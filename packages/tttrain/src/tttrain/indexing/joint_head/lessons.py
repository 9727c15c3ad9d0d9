"""Tracks with their targets, and the crops of them that an epoch goes through."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ttdata.errors import InputError
from tttrain.data.rng import generator
from tttrain.indexing.joint_head.config import HeadConfig
from tttrain.indexing.joint_head.targets import CellTargets, cell_targets
from tttrain.indexing.joint_head.tracks import FeatureTrack, check_together, own_rows

_NAME = "joint head"
_LEAST_SHARE = 0.1
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Lesson:
    """A track and its targets."""

    track: FeatureTrack
    targets: CellTargets


@dataclass(frozen=True, eq=False)
class Crop:
    """Cells [first, last) of a lesson, and the factor (values,) of each of its features."""

    lesson: Lesson
    first: int
    last: int
    factor: np.ndarray


def lessons_of(
    tracks: Sequence[FeatureTrack],
    strokes: pl.DataFrame,
    annotated: pl.DataFrame | None,
    classes: Sequence[str],
    config: HeadConfig,
) -> list[Lesson]:
    """The tracks with their targets.

    Raises:
        InputError: if a table does not suit, a label is no class, or no stroke is in annotated
            spans.
    """
    check_together(tracks)
    if "label" not in strokes.columns:
        raise InputError(f"strokes: no column 'label' among {', '.join(strokes.columns)}")
    by_track = own_rows(strokes, tracks, "strokes")
    spans: list[pl.DataFrame | None] = [None] * len(tracks)
    if annotated is not None:
        spans[:] = own_rows(annotated, tracks, "annotated")
    lessons = [
        Lesson(track, _targets(track, rows, own, classes, config))
        for track, rows, own in zip(tracks, by_track, spans, strict=True)
    ]
    if not any(lesson.targets.positive.any() for lesson in lessons):
        raise InputError(
            f"{_NAME}: no stroke in the annotated spans of {len(tracks)} tracks, expected at least "
            "one; annotate training videos"
        )
    return lessons


def _targets(
    track: FeatureTrack,
    rows: pl.DataFrame,
    spans: pl.DataFrame | None,
    classes: Sequence[str],
    config: HeadConfig,
) -> CellTargets:
    known = {label: number for number, label in enumerate(classes)}
    for label in rows["label"]:
        if label not in known:
            raise InputError(
                f"strokes: {track.video_id}: label {label!r} is no class, expected one of "
                f"{', '.join(classes)}"
            )
    names = ["start_frame", "end_frame"]
    rows = rows.sort([*names, "label"])
    whole = np.array([[0, track.num_frames]])
    return cell_targets(
        rows.select(names).cast(pl.Int64).to_numpy().reshape(-1, 2),
        np.array([known[label] for label in rows["label"]], dtype=np.int64),
        whole if spans is None else spans.select(names).cast(pl.Int64).to_numpy(),
        track.num_frames,
        config,
    )


def moments(lessons: Sequence[Lesson]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (values,) float64 of features over the cells that count.

    A deviation is at least a tenth of the median one, so that a feature that hardly ever stirs in
    training does not drown the others where it does.
    """
    count, values = 0, lessons[0].track.features.shape[1]
    sums, squares = np.zeros(values), np.zeros(values)
    for block in _blocks(lessons):
        count, sums = count + len(block), sums + block.sum(axis=0)
    mean = sums / count
    for block in _blocks(lessons):
        squares += ((block - mean) ** 2).sum(axis=0)
    deviation = np.sqrt(squares / count)
    stirring = deviation[deviation > 0]
    least = _LEAST_SHARE * float(np.median(stirring)) if len(stirring) else 0.0
    return mean, np.maximum(deviation, least)


def _blocks(lessons: Sequence[Lesson]) -> Iterator[np.ndarray]:
    """The features of cells that count, float64, not many at once."""
    for lesson in lessons:
        for first in range(0, len(lesson.track), _BLOCK):
            counts = lesson.targets.counts[first : first + _BLOCK]
            yield lesson.track.features[first : first + _BLOCK][counts].astype(np.float64)


def crops_of_epoch(lessons: Sequence[Lesson], config: HeadConfig, epoch: int) -> list[list[Crop]]:
    """The crops of each step of an epoch: every cell that counts is in one crop.

    Each track is cut every `crop_cells` cells from a drawn place on; crops without a cell that
    counts are left out, the others shuffled. What is drawn depends on seed and epoch alone.
    """
    order = generator(config.seed, epoch, "order", _NAME)
    places: list[tuple[Lesson, int, int]] = []
    for lesson in lessons:
        cells = len(lesson.track)
        cuts = np.arange(order.integers(1, config.crop_cells + 1), cells, config.crop_cells)
        for first, last in zip([0, *cuts], [*cuts, cells], strict=True):
            if lesson.targets.counts[first:last].any():
                places.append((lesson, int(first), int(last)))
    draws = generator(config.seed, epoch, "dropout", _NAME)
    values, share = lessons[0].track.features.shape[1], config.feature_dropout
    crops = []
    for number in order.permutation(len(places)):
        lesson, first, last = places[number]
        kept = np.asarray(draws.random(values) >= share)
        factor = kept.astype(np.float32) / np.float32(1 - share)
        crops.append(Crop(lesson, first, last, factor))
    return [crops[first : first + config.batch] for first in range(0, len(crops), config.batch)]
