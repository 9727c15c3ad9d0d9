"""The videos of a dataset that lie wholly in one split, with what is true of them."""

from dataclasses import dataclass

import polars as pl

from ttdata.errors import InputError
from ttdata.storage.dataset import Dataset


@dataclass(frozen=True)
class SplitVideos:
    """Whole videos of one split."""

    videos: pl.DataFrame
    """Rows as Video, by id."""
    truths: pl.DataFrame
    """`video_id, start_frame, end_frame, label` of their strokes."""
    annotated: pl.DataFrame
    """`video_id, start_frame, end_frame`: what people have covered of them."""


def videos_of_split(dataset: Dataset, split: str) -> SplitVideos:
    """The videos whose every stroke has this split, and that have a file.

    A video with strokes in several splits was partly learned from, so it is in none.

    Raises:
        InputError: if there is none, saying why.
    """
    strokes = dataset.clips.filter(kind="stroke")
    own = strokes.group_by("video_id").agg(
        whole=pl.col("split").is_not_null().all() & (pl.col("split") == split).all(),
        some=(pl.col("split") == split).any(),
    )
    chosen = own.filter("whole").select("video_id")
    videos = dataset.videos.join(chosen, on="video_id", how="semi").sort("video_id")
    videos = videos.filter(pl.col("path").is_not_null())
    if videos.is_empty():
        mixed = own.filter("some").height
        raise InputError(
            f"{dataset.path}: no whole video of the split {split!r} with a file at hand ({mixed} "
            "have strokes of it beside others); `ttdata split --strategy grouped` keeps videos "
            "together"
        )
    names = ["video_id", "start_frame", "end_frame"]
    return SplitVideos(
        videos=videos,
        truths=strokes.join(videos, on="video_id", how="semi").select(*names, "label").sort(names),
        annotated=dataset.annotated_spans.join(videos, on="video_id", how="semi").select(names),
    )
