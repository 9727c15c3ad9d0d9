"""`tttrain index`: the strokes of whole videos, a page each."""

import logging
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
from ttdata.video.times import frame_times
from ttflow.shards.layout import digest
from tttrain.indexing.detector import Detector, stored
from tttrain.indexing.document import IndexedStroke, VideoIndex
from tttrain.indexing.exports import write_exports
from tttrain.indexing.scorer import VideoScorer
from tttrain.report.video_page import Film, write_overview, write_video_page
from tttrain.run import Run

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1


def index(
    run_folder: str | Path, source: str | Path, out: str | Path, *, device: str = "auto"
) -> str:
    """Find and name the strokes of a video, of a folder of videos, or of a dataset's videos.

    What is finished is kept: the same call goes on after a stop, and computes again only what
    another network, decoder or video changes. A video that cannot be read is named and left out.

    Args:
        run_folder: with a detector (`tttrain fit-detector`).
        source: of the videos.
        out: gets `index.html`, `strokes.csv`, `activitynet.json`, `mediaeval/`, `elan/`, and a
            folder per video in `videos/` with `index.html` and `strokes.json`.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Returns:
        How many strokes of how many videos, and where they stand.

    Raises:
        InputError: if the run has no detector or nothing is to be read.
        TTError: if a video failed; the others are finished.
    """
    run_folder, source, out = Path(run_folder), Path(source), Path(out)
    check_lasting(source, "INPUT")
    videos, problems = _videos(source)
    check_output_folder(out, "an index", [run_folder, source, *videos["path"].drop_nulls()])
    run = Run(run_folder.absolute())
    detector = stored(run)
    scorer = VideoScorer(
        run, detector.negative, device, stride_frames=detector.decoder.stride_frames
    )
    write_json(out / "index.json", {"schema_version": SCHEMA_VERSION, "run": str(run.folder)})
    done: list[tuple[VideoIndex, Path]] = []
    for number, row in enumerate(videos.iter_rows(named=True), start=1):
        logger.info("video %d of %d: %s", number, videos.height, row["video_id"])
        page = path_below(out / "videos", f"{row['video_id']}/index", ".html")
        try:
            done.append((_indexed(row, page, run, detector, scorer), page))
        except (VideoError, InputError) as error:
            problems.append(str(error))
    indexes = [item for item, _ in done]
    write_exports(out, indexes)
    write_overview(out / "index.html", done)
    count = sum(len(item.strokes) for item in indexes)
    summary = f"{count} strokes of {len(done)} videos: {out / 'index.html'}"
    if problems:
        raise TTError(f"{summary}; {len(problems)} videos failed: {'; '.join(problems)}")
    return summary


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


def _indexed(
    row: dict[str, Any], page: Path, run: Run, detector: Detector, scorer: VideoScorer
) -> VideoIndex:
    """The index of a video: as it stands, or computed and written, the JSON file last."""
    location, folder = str(row["path"]), page.parent
    scores_key = scorer.key(location)
    key = digest([scores_key, detector.model_dump(mode="json"), row["video_id"]])[:16]
    found = _finished(folder / "strokes.json", key)
    if found is not None and page.is_file():
        return found
    kept = folder / "scores.npz"
    curve = scorer.curve(row["video_id"], location, kept, scores_key, row["num_frames"])
    strokes = detector.decoder.decode([curve]).sort("start_frame", "end_frame")
    times = frame_times(row)
    made = VideoIndex(
        video_id=row["video_id"],
        video=location,
        fps=row["fps"],
        num_frames=curve.num_frames,
        video_seconds=float(times.seconds_at(curve.num_frames)),
        classes=curve.stroke_labels,
        model=f"{run.folder} {detector.weights_sha256[:12]}",
        decoder=detector.decoder.chosen.kind,
        key=key,
        strokes=tuple(
            IndexedStroke(
                start_frame=item["start_frame"],
                end_frame=item["end_frame"],
                start_seconds=float(times.seconds_at(item["start_frame"])),
                end_seconds=float(times.seconds_at(item["end_frame"])),
                label=item["label"],
                score=min(max(item["score"], 0.0), 1.0),
            )
            for item in strokes.iter_rows(named=True)
        ),
    )
    write_video_page(page, made, Film(Path(location)))
    write_json(folder / "strokes.json", made.model_dump(mode="json"))
    return made


def _finished(path: Path, key: str) -> VideoIndex | None:
    """What a file holds, if it was computed from the same."""
    try:
        found = VideoIndex.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if found.key == key else None
