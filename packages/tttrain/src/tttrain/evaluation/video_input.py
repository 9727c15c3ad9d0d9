"""A video with localised strokes becomes shards in a temporary folder, by `ttflow extract`."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl

from ttdata.errors import InputError
from ttdata.schema import Action, Annotation, Clip, CurationConfig, DatasetInfo, Video
from ttdata.sources.annotations import REGION, Source
from ttdata.sources.conversion import timed_annotations
from ttdata.sources.formats import read_source
from ttdata.sources.rates import at_video_rates
from ttdata.sources.videos import files_table, probe_videos
from ttdata.storage.dataset import write_dataset
from ttdata.storage.tables import conform, empty
from ttdata.taxonomy import Taxonomy
from ttflow.jobs.job import Workers
from ttflow.jobs.pose_run import estimate_poses
from ttflow.jobs.run import extract
from ttflow.pose.config import PoseConfig
from ttflow.pose.runtime import check_runtime
from ttflow.pose.weights import read_weights
from ttflow.schema import FlowConfig

logger = logging.getLogger(__name__)


@contextmanager
def extracted(
    video: Path,
    strokes: Path,
    config: FlowConfig,
    classes: tuple[str, ...],
    workers: Workers | None = None,
    pose: PoseConfig | None = None,
) -> Iterator[Path]:
    """Shards of the strokes of one video, in a folder that is gone afterwards.

    Args:
        video: the file.
        strokes: annotations in any format that ttdata reads; labels do not matter.
        config: how the network's own shards were extracted.
        classes: labels that the shards' taxonomy must have.
        workers: what the extraction may use; None: every core, and a GPU if there is one.
        pose: how landmarks are estimated; None: they are not.

    Raises:
        InputError: if the video or the annotations cannot be read, an interval does not fit, or
            weights or runtime of the landmarks are missing.
        ExtractError: if the extraction failed.
    """
    if pose is not None:
        check_runtime()  # and weights: what is missing is missed before the extraction
        read_weights()
    facts = _facts(video)
    taxonomy = Taxonomy.infer(classes)
    clips = _clips(strokes, facts, taxonomy.classes[0])
    info = DatasetInfo(
        source=str(video), taxonomy=taxonomy, config=CurationConfig(), counts={"clips": len(clips)}
    )
    with tempfile.TemporaryDirectory(prefix="tttrain-predict-") as scratch:
        dataset, shards = Path(scratch) / "dataset", Path(scratch) / "shards"
        nothing = {"annotations": empty(Annotation), "actions": empty(Action)}
        write_dataset(dataset, info, videos=facts, clips=clips, **nothing)
        extract(dataset, shards, config, workers)
        if pose is not None:
            estimate_poses(shards, pose, dataset, Workers(device="cpu"))
        yield shards


def _facts(video: Path) -> pl.DataFrame:
    """The row of `videos.parquet`."""
    if not video.is_file():
        raise InputError(f"{video}: no such video")
    videos, problems = probe_videos(files_table(video.absolute().parent, [video.absolute()]))
    if problems:
        raise InputError(problems[0])
    return conform(videos, Video)


def _of_video(strokes: Path, video_id: str) -> Source:
    """The annotations of this video; a source that speaks of one video only speaks of it."""
    source = read_source(strokes, need_videos=False)
    names = sorted(source.annotations["video_id"].unique())
    if video_id in names:
        named = source.annotations.filter(pl.col("video_id") == video_id)
        return replace(source, annotations=named)
    if len(names) != 1:
        known = ", ".join(names[:3])
        raise InputError(f"{strokes}: has no stroke of {video_id!r}; it names {known}")
    named = source.annotations.with_columns(video_id=pl.lit(video_id))
    rate = source.rates.get(names[0])
    return replace(source, annotations=named, rates={} if rate is None else {video_id: rate})


def _clips(strokes: Path, facts: pl.DataFrame, label: str) -> pl.DataFrame:
    """Rows of `clips.parquet` from the annotations of this video, each interval once."""
    video_id, num_frames = facts["video_id"][0], facts["num_frames"][0]
    named, notes = at_video_rates(_of_video(strokes, video_id), facts)
    for note in notes:
        logger.warning("%s: %s", strokes, note)
    columns = ["video_id", "start_frame", "end_frame", *REGION]
    timed = timed_annotations(named, facts).select(columns).unique().sort(columns[1:])
    for row in timed.iter_rows(named=True):
        start, end = row["start_frame"], row["end_frame"]
        if start is None or end is None or not 0 <= start < end <= num_frames:
            raise InputError(
                f"{strokes}: {video_id}: frames [{start}, {end}), expected an interval inside "
                f"[0, {num_frames})"
            )
    name = pl.format("{}@{}-{}", "video_id", "start_frame", "end_frame")
    count = pl.int_range(1, pl.len() + 1).over("start_frame", "end_frame")
    clip_id = pl.when(count == 1).then(name).otherwise(pl.format("{}#{}", name, count))
    return conform(
        timed.with_columns(clip_id=clip_id, label=pl.lit(label), kind=pl.lit("stroke")), Clip
    )
