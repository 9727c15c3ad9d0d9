"""The least score of a joint head's strokes, chosen on validation videos (specification 6.10)."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from ttdata.errors import InputError
from ttmodels import DetectionHead
from tttrain.indexing.decoders.fitting import Measure
from tttrain.indexing.joint_head.config import HeadConfig
from tttrain.indexing.joint_head.decoding import head_strokes
from tttrain.indexing.joint_head.tracks import FeatureTrack, check_together
from tttrain.indexing.measures.scores import detection_scores

STEPS = 40
"""Scores are tried at each 40th of 1."""


def choose_min_score(
    head: DetectionHead,
    tracks: Sequence[FeatureTrack],
    truths: pl.DataFrame,
    videos: pl.DataFrame,
    annotated: pl.DataFrame | None,
    classes: Sequence[str],
    config: HeadConfig,
    measure: Measure = "pxr",
) -> float:
    """The least score with the largest measure on validation videos.

    Tried are `config.min_score` and the multiples of 1/40 above it; of several that do equally well
    the one in their middle is taken, which is the furthest from doing worse.

    Args:
        head: from `train_head`.
        tracks: of the validation videos.
        truths: `video_id, start_frame, end_frame, label` of their strokes.
        videos: `video_id, num_frames` of them.
        annotated: `video_id, start_frame, end_frame` of the spans that people have covered; None:
            every video is covered whole.
        classes: labels of the head's outputs.
        config: for the suppression and the least score tried.
        measure: of `tttrain.detection_scores`.

    Raises:
        InputError: if there is no track or no stroke, or a table does not suit.
    """
    check_together(tracks)
    own = pl.col("video_id").is_in([track.video_id for track in tracks])
    truths, videos = truths.filter(own), videos.filter(own)
    annotated = annotated if annotated is None else annotated.filter(own)
    if truths.is_empty():
        raise InputError(
            f"joint head: no stroke in {len(tracks)} validation tracks, expected at least one; "
            "annotate validation videos"
        )
    found = pl.concat(
        [head_strokes(head, track, classes, config, config.min_score) for track in tracks]
    )
    tried = [config.min_score]
    tried += [step / STEPS for step in range(1, STEPS) if step / STEPS > config.min_score]
    values = []
    for least in tried:
        rows = found.filter(pl.col("score") >= least)
        scores = detection_scores(truths, rows, videos, annotated=annotated, resamples=0)
        values.append(float(np.nan_to_num(getattr(scores, measure))))
    best = [least for least, value in zip(tried, values, strict=True) if value == max(values)]
    return best[len(best) // 2]
