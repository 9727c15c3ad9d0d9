"""All measures of a set of detections, with their intervals (specification 6.1)."""

from typing import Annotated

import numpy as np
import polars as pl
from pydantic import BeforeValidator, Field

from ttdata.settings import FrozenModel
from tttrain.indexing.measures.counts import summed
from tttrain.indexing.measures.evidence import Evidence, collect
from tttrain.indexing.measures.overlap import THRESHOLDS
from tttrain.indexing.measures.ratios import class_precisions, mean_known, ratios, resampled
from tttrain.indexing.measures.tables import read_tables

Number = Annotated[float, BeforeValidator(lambda value: float("nan") if value is None else value)]
"""A float; null in JSON stands for what is not a number."""


class ErrorBreakdown(FrozenModel):
    """Each truth, each detection in one group at IoU .5 (specification 6.2).

    truths = correct + wrong_names + boundaries + missed; detections = correct + wrong_names +
    boundaries + duplicates + false_alarms.
    """

    correct: int = Field(ge=0, description="pairs of one label with IoU >= .5")
    wrong_names: int = Field(ge=0, description="other pairs with IoU >= .5")
    boundaries: int = Field(ge=0, description="other pairs with IoU >= .1")
    duplicates: int = Field(ge=0, description="lone detections with IoU >= .1 with a truth")
    false_alarms: int = Field(ge=0, description="lone detections away from every truth")
    missed: int = Field(ge=0, description="lone truths")

    def f1_if_mended(self) -> dict[str, float]:
        """F1 as it would be without one kind of error: how much each kind costs."""
        detections = self.correct + self.wrong_names + self.boundaries
        truths, detections = detections + self.missed, detections + self.duplicates
        detections += self.false_alarms
        changes = {
            "wrong_names": (self.wrong_names, 0),
            "boundaries": (self.boundaries, 0),
            "duplicates": (0, -self.duplicates),
            "false_alarms": (0, -self.false_alarms),
            "missed": (self.missed, self.missed),
        }
        return {
            name: _f1(self.correct + correct, truths + detections + shown)
            for name, (correct, shown) in changes.items()
        }


class ClassScores(FrozenModel):
    """One label: counts at IoU .5, its average precision."""

    truths: int = Field(ge=0, description="distinct true strokes of the label")
    detections: int = Field(ge=0, description="detections of the label")
    correct: int = Field(ge=0, description="one-to-one pairs of this label with IoU >= .5")
    average_precision: Number = Field(
        description="mean over the thresholds; not a number without a truth"
    )


class DetectionScores(FrozenModel):
    """How well detections agree with truths; what cannot be computed is not a number."""

    map: Number = Field(description="mean average precision, mean over IoU .5, .55, ..., .95")
    map_by_iou: dict[float, Number] = Field(description="mean average precision by threshold")
    pxr: Number = Field(description="MediaEval's precision x recall, class-blind, in given order")
    global_iou: Number = Field(description="IoU of all true frames with all found frames")
    f1: Number = Field(description="at IoU .5, labels must agree")
    precision: Number = Field(description="share of detections with a truth of their own label")
    recall: Number = Field(description="share of truths with a detection of their own label")
    f1_class_blind: Number = Field(description="at IoU .5, whatever the labels")
    boundary_error_frames: Number = Field(
        description="mean absolute error of starts, ends of the class-blind pairs"
    )
    boundary_error_seconds: Number = Field(
        description="the same in seconds; not a number where the fps of a video is unknown"
    )
    false_alarms_per_minute: Number = Field(
        description="detections away from every truth per minute of scored video"
    )
    errors: ErrorBreakdown = Field(description="every truth, every detection in one group")
    by_class: dict[str, ClassScores] = Field(description="the labels, in the order of the alphabet")
    num_videos: int = Field(description="n of the intervals")
    num_truths: int = Field(description="distinct true strokes that are scored")
    num_detections: int = Field(description="detections that are scored")
    intervals: dict[str, tuple[Number, Number]] = Field(
        description="95 % bootstrap intervals over videos, by measure"
    )


def detection_scores(
    truths: pl.DataFrame,
    detections: pl.DataFrame,
    videos: pl.DataFrame,
    *,
    annotated: pl.DataFrame | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> DetectionScores:
    """Compare found strokes with true ones, over all videos together (specification 6.1).

    Args:
        truths: `video_id, start_frame, end_frame, label`; frames are integers, ends exclusive.
        detections: the same with `score`, larger is surer; the order of rows matters to `pxr`.
        videos: `video_id, num_frames`, and `fps` where seconds and minutes are wanted.
        annotated: `video_id, start_frame, end_frame` of the spans that people have covered; a
            video without a span is not scored at all. None: every video is covered whole.
        resamples: draws of videos for the intervals; 0 leaves them out (not a number).
        seed: of the draws.

    Raises:
        InputError: if a table lacks a column or has a value that does not fit.
    """
    evidence = collect(read_tables(truths, detections, videos, annotated))
    once = np.ones((1, len(evidence.per_video)), dtype=np.int64)
    precisions = class_precisions(list(evidence.rankings.values()), once)[..., 0]
    by_iou = mean_known(precisions)
    sums = summed(evidence.per_video, once)
    return DetectionScores(
        map=float(by_iou.mean()),
        map_by_iou=dict(zip(THRESHOLDS, map(float, by_iou), strict=True)),
        **{name: float(value[0]) for name, value in ratios(sums).items()},
        errors=ErrorBreakdown(**{name: int(sums[name][0]) for name in ErrorBreakdown.model_fields}),
        by_class=_by_class(evidence, precisions, sums["correct_by_label"][0]),
        num_videos=len(evidence.per_video),
        num_truths=len(evidence.truths),
        num_detections=len(evidence.detections),
        intervals=resampled(evidence.per_video, list(evidence.rankings.values()), resamples, seed),
    )


def _by_class(
    evidence: Evidence, precisions: np.ndarray, correct: np.ndarray
) -> dict[str, ClassScores]:
    size = len(evidence.labels)
    truths = np.bincount(evidence.truths.label, minlength=size)
    detections = np.bincount(evidence.detections.label, minlength=size)
    means = np.full(size, np.nan)
    means[list(evidence.rankings)] = precisions.mean(axis=1)
    return {
        label: ClassScores(
            truths=int(truths[number]),
            detections=int(detections[number]),
            correct=int(correct[number]),
            average_precision=float(means[number]),
        )
        for number, label in enumerate(evidence.labels)
    }


def _f1(correct: int, both: int) -> float:
    return 2 * correct / both if both else float("nan")
