"""`tttrain index`: the strokes of whole videos, a page each."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ttdata.errors import InputError, TTError, VideoError
from ttdata.schema import Video
from ttdata.sources.formats.beside import path_below
from ttdata.sources.videos import SUFFIXES, files_table, find_videos, probe_videos
from ttdata.storage.atomic import write_json
from ttdata.storage.dataset import load_dataset
from ttdata.storage.job_folder import check_lasting
from ttdata.storage.outputs import check_output_folder
from ttdata.storage.tables import conform
from ttflow.roi import Region
from tttrain.commands.video_indexer import PASSES, VideoIndexer, finished
from tttrain.indexing.document import VideoIndex
from tttrain.indexing.exports import write_exports
from tttrain.indexing.jobs.items import Parallel, VideoItem
from tttrain.indexing.jobs.run import run_videos
from tttrain.indexing.split_videos import regions_by_video
from tttrain.indexing.tracks import HALVES
from tttrain.report.video_page import write_overview
from tttrain.run import clean_folder, lock_folder

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
Job = tuple[dict[str, Any], Sequence[Region | None], Path]
"""A video's row, the regions of its players, its page."""


def index(
    run_folder: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    players: int = 1,
    device: str = "auto",
    workers: int | None = None,
    videos_per_gpu: int = Parallel.videos_per_gpu,
) -> str:
    """Find and name the strokes of a video, of a folder of videos, or of a dataset's videos.

    What is finished is kept: the same call goes on after a stop, and computes again only what
    another network, decoder or video changes. A video that cannot be read is named and left out.

    Args:
        run_folder: with a detector (`tttrain fit-detector`).
        source: of the videos.
        out: gets `index.html`, `strokes.csv`, `activitynet.json`, `mediaeval/`, `elan/`, and a
            folder per video in `videos/` with `index.html`, `stills/` and `strokes.json`, and
            `film.mp4` where browsers cannot play the video.
        players: in view, 1 or 2; of two, one plays in the left half of the picture, one in the
            right. Where the strokes of a dataset's video have regions, these are taken instead.
        device: "auto", "cpu", "cuda" or "cuda:N".
        workers: videos at once; None: one per core. The result does not depend on it.
        videos_per_gpu: that share a GPU.

    Returns:
        How many strokes of how many videos, and where they stand.

    Raises:
        InputError: if the run has no detector or nothing is to be read.
        TTError: if a video failed; the others are finished.
    """
    run_folder, source, out = Path(run_folder), Path(source), Path(out)
    check_lasting(run_folder, "RUN")
    check_lasting(source, "INPUT")
    check_lasting(out)
    videos, problems = _videos(source)
    check_output_folder(out, "an index", [run_folder, source, *videos["path"].drop_nulls()])
    if players not in (1, 2):
        raise InputError(f"players is {players}, expected 1 or 2")
    indexer, regions = VideoIndexer(run_folder, device), _regions(source)
    others: Sequence[Region | None] = HALVES if players == 2 else (None,)
    parallel = Parallel(workers, videos_per_gpu)
    jobs = [
        (row, regions.get(row["video_id"], others), _page(out, row["video_id"]))
        for row in videos.iter_rows(named=True)
    ]
    with lock_folder(out, "index"), clean_folder(out):
        write_json(
            out / "index.json", {"schema_version": SCHEMA_VERSION, "run": str(indexer.run.folder)}
        )
        done, failed = _indexed(indexer, jobs, out.absolute(), parallel)
        write_exports(out, [item for item, _ in done])
        write_overview(out / "index.html", done)
    problems += failed
    count = sum(len(item.strokes) for item, _ in done)
    summary = f"{count} strokes of {len(done)} videos: {out / 'index.html'}"
    if problems:
        raise TTError(f"{summary}; {len(problems)} videos failed: {'; '.join(problems)}")
    return summary


def _page(out: Path, video_id: str) -> Path:
    """Of a video; absolute, as a worker's folder is another one."""
    return path_below(out.absolute() / "videos", f"{video_id}/index", ".html")


def _indexed(
    indexer: VideoIndexer, jobs: Sequence[Job], out: Path, parallel: Parallel
) -> tuple[list[tuple[VideoIndex, Path]], list[str]]:
    """The indexes with their pages, and a line per video that failed."""
    keys, items, errors = {}, [], {}
    for row, regions, page in jobs:
        video_id = row["video_id"]
        try:
            keys[video_id] = indexer.key(row, regions)
        except VideoError as error:
            errors[video_id] = str(error)
            continue
        if finished(page, keys[video_id]) is None:
            expected, arguments = PASSES * row["num_frames"], (row, regions, page)
            items.append(VideoItem(video_id, str(row["path"]), expected, arguments))
    logger.info("%d videos to index, %d unchanged", len(items), len(keys) - len(items))
    errors |= run_videos(
        items, indexer.work, indexer.ready, out, parallel=parallel, device=indexer.scorer.device
    )
    done = []
    for row, _, page in jobs:
        video_id = row["video_id"]
        if video_id in errors:
            continue
        if (found := finished(page, keys[video_id])) is not None:
            done.append((found, page))
        else:
            errors[video_id] = f"{row['path']}: changed meanwhile; run the same command again"
    return done, [errors[row["video_id"]] for row, *_ in jobs if row["video_id"] in errors]


def _videos(source: Path) -> tuple[pl.DataFrame, list[str]]:
    """Rows as Video, and a line per video that cannot be read."""
    if (source / "dataset.json").is_file():
        table = load_dataset(source).videos
        lacking = table.filter(pl.col("path").is_null())["video_id"]
        problems = [f"{video_id}: no file at hand" for video_id in lacking]
        return table.filter(pl.col("path").is_not_null()).sort("video_id"), problems
    if not source.exists():
        raise InputError(f"{source}: no such video, folder or dataset")
    root = source.absolute() if source.is_dir() else source.absolute().parent
    paths = find_videos(root) if source.is_dir() else [source.absolute()]
    if not paths:
        raise InputError(f"{source}: holds no video; expected {', '.join(sorted(SUFFIXES))}")
    videos, problems = probe_videos(files_table(root, paths))
    return conform(videos, Video), list(problems)


def _regions(source: Path) -> dict[str, list[Region | None]]:
    """By video, the regions of a dataset's strokes; a video without any is left out."""
    if not (source / "dataset.json").is_file():
        return {}
    found = regions_by_video(load_dataset(source).clips.filter(kind="stroke"))
    return {video_id: own for video_id, own in found.items() if any(own)}
