"""Choice of a decoder on validation videos (specification 6.7)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import numpy as np
import polars as pl
from pydantic import Field

from ttdata.errors import InputError
from ttdata.settings import FrozenModel
from tttrain.indexing.decoders.curves import ScoreCurve, strokes_of
from tttrain.indexing.decoders.segments import Segments, fit_name_radius, to_table
from tttrain.indexing.decoders.tag import TagDecoder, tag_candidates
from tttrain.indexing.decoders.template import TemplateDecoder, template_candidates
from tttrain.indexing.decoders.threshold import ThresholdDecoder, threshold_candidates
from tttrain.indexing.measures.scores import detection_scores
from tttrain.indexing.tracks import video_of

Measure = Literal["pxr", "map", "f1"]
Kind = Literal["threshold", "tag", "template"]
Candidate = ThresholdDecoder | TagDecoder | TemplateDecoder
Fitted = tuple[Candidate, list[Segments]]
"""A decoder and the segments that it finds, by video."""
Candidates = Callable[[Sequence[ScoreCurve], list[np.ndarray], float, int], Iterator[Fitted]]
_CANDIDATES: dict[Kind, Candidates] = {
    "threshold": threshold_candidates,
    "tag": tag_candidates,
    "template": template_candidates,
}
LEAST_STROKES = 30
"""With fewer validation strokes only the threshold is fitted: templates would be chance."""
FOLDS = 2


class Decoder(FrozenModel):
    """A decoder with all its numbers, and how it was chosen."""

    schema_version: Literal[1] = 1
    chosen: Annotated[Candidate, Field(discriminator="kind")] = Field(description="the decoder")
    stride_frames: int = Field(ge=1, description="frames of a cell of the curves it was fitted to")
    measure: Measure = Field(description="the measure that chose")
    values: dict[Kind, float] = Field(
        description="the measure of each kind on validation videos that it was not fitted to; "
        "with one video, on that one"
    )
    num_videos: int = Field(ge=1, description="validation videos")
    num_strokes: int = Field(ge=1, description="their true strokes")

    @property
    def value(self) -> float:
        """The measure of the chosen kind on validation videos that it was not fitted to."""
        return self.values[self.chosen.kind]

    def decode(self, curves: Sequence[ScoreCurve]) -> pl.DataFrame:
        """The strokes of videos, `video_id, start_frame, end_frame, label, score`.

        Rows come by video in the order of the curves, then in the order of time.

        Raises:
            InputError: if a curve has another stride than the decoder was fitted to.
        """
        for curve in curves:
            if curve.stride_frames != self.stride_frames:
                raise InputError(
                    f"{curve.video_id}: a score every {curve.stride_frames} frames, but the "
                    f"decoder was fitted to one every {self.stride_frames}; fit it again"
                )
        return decoded(self.chosen, curves)


def decoded(decoder: Candidate, curves: Sequence[ScoreCurve]) -> pl.DataFrame:
    """The strokes that a decoder finds in videos, as rows of detections."""
    if not curves:
        raise InputError("no video to decode; expected at least one score curve")
    return pl.concat([to_table(curve, decoder.segments(curve)) for curve in curves])


def fit_decoder(
    curves: Sequence[ScoreCurve],
    truths: pl.DataFrame,
    *,
    annotated: pl.DataFrame | None = None,
    measure: Measure = "pxr",
    temperature: float = 1.0,
    kinds: Sequence[Kind] = ("threshold", "tag", "template"),
) -> Decoder:
    """The decoder that does best on validation videos, fitted to all of them.

    Each kind is fitted to one half of the videos and measured on the other, both ways; the kind
    with the larger measure (ties: the first in `kinds`) is fitted again to all. With fewer than 30
    strokes it is the threshold.

    Args:
        curves: of the validation videos, all with one stride.
        truths: `video_id, start_frame, end_frame, label` of these videos.
        annotated: `video_id, start_frame, end_frame` of the spans in which strokes are known; None:
            everywhere.
        measure: by which settings and kinds are chosen.
        temperature: divides the logs of the scores (specification 5.4).
        kinds: which decoders may be chosen.

    Raises:
        InputError: if there is no stroke in these videos, or strides differ.
    """
    strides = sorted({curve.stride_frames for curve in curves})
    own = strokes_in(truths, curves)
    if len(strides) != 1 or own.is_empty():
        raise InputError(
            f"decoder: {len(curves)} validation videos with strides {strides} and {len(own)} "
            "strokes; expected one stride and at least one stroke: annotate validation videos"
        )
    tried = tuple(kinds) if len(own) >= LEAST_STROKES else ("threshold",)
    how = Fit(measure=measure, temperature=temperature, annotated=annotated)
    values = {kind: _held_out(kind, curves, own, how) for kind in tried}
    best = max(tried, key=lambda kind: values[kind])
    return Decoder(
        chosen=fit_kind(best, curves, own, how),
        stride_frames=strides[0],
        measure=measure,
        values=values,
        num_videos=len({video_of(curve.video_id) for curve in curves}),
        num_strokes=len(own),
    )


@dataclass(frozen=True)
class Fit:
    """By what settings are chosen."""

    measure: Measure = "pxr"
    temperature: float = 1.0
    annotated: pl.DataFrame | None = None
    """The spans in which strokes are known; None: everywhere."""


def fit_kind(
    kind: Kind, curves: Sequence[ScoreCurve], truths: pl.DataFrame, how: Fit | None = None
) -> Candidate:
    """The settings of one kind of decoder with the largest measure; ties: the first."""
    how = how or Fit()
    strokes = [strokes_of(curve, truths) for curve in curves]
    best, best_value = None, -1.0
    radius = fit_name_radius(curves, truths, how.temperature)
    for candidate, found in _CANDIDATES[kind](curves, strokes, how.temperature, radius):
        detections = pl.concat(map(to_table, curves, found))
        value = measured(detections, curves, truths, how)
        if best is None or value > best_value:
            best, best_value = candidate, value
    assert best is not None
    return best


def folds_of(track_ids: Sequence[str]) -> list[list[int]]:
    r"""The places of tracks in each fold; those of one video are in one.

    >>> folds_of(["a", "b\tleft", "b\tright", "c"])
    [[0, 3], [1, 2]]
    """
    videos = list(dict.fromkeys(map(video_of, track_ids)))
    fold = {video_id: number % FOLDS for number, video_id in enumerate(videos)}
    return [
        [place for place, track in enumerate(track_ids) if fold[video_of(track)] == number]
        for number in range(FOLDS)
    ]


def _held_out(kind: Kind, curves: Sequence[ScoreCurve], truths: pl.DataFrame, how: Fit) -> float:
    """The measure over all videos, each decoded by what was fitted to the other fold.

    Where a fold has no video or no stroke, all videos are decoded by what was fitted to them.
    """
    folds = [
        [curves[place] for place in places]
        for places in folds_of([curve.video_id for curve in curves])
    ]
    if any(strokes_in(truths, fold).is_empty() for fold in folds):
        found = [decoded(fit_kind(kind, curves, truths, how), curves)]
    else:
        found = [
            decoded(fit_kind(kind, other, strokes_in(truths, other), how), fold)
            for fold, other in zip(folds, folds[::-1], strict=True)
        ]
    return measured(pl.concat(found), curves, truths, how)


class _Track(Protocol):
    """A score curve or a track of features."""

    @property
    def video_id(self) -> str: ...

    @property
    def num_frames(self) -> int: ...


def strokes_in(truths: pl.DataFrame, tracks: Sequence[_Track]) -> pl.DataFrame:
    """The true strokes of these tracks."""
    return truths.filter(pl.col("video_id").is_in([track.video_id for track in tracks]))


def lengths_of(tracks: Sequence[_Track]) -> pl.DataFrame:
    """`video_id, num_frames` of tracks."""
    return pl.DataFrame(
        {
            "video_id": [track.video_id for track in tracks],
            "num_frames": [track.num_frames for track in tracks],
        }
    )


def measured(
    detections: pl.DataFrame, tracks: Sequence[_Track], truths: pl.DataFrame, how: Fit
) -> float:
    """The measure; 0 where it is not a number, as where nothing is found."""
    videos, annotated = lengths_of(tracks), how.annotated
    if annotated is not None:
        annotated = annotated.join(videos, on="video_id", how="semi")
    scores = detection_scores(truths, detections, videos, annotated=annotated, resamples=0)
    value = float(getattr(scores, how.measure))
    return 0.0 if np.isnan(value) else value
