"""Annotations from one format to another; nothing that a format cannot hold goes unsaid."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ttdata.errors import InputError, TTError
from ttdata.schema import Video
from ttdata.sources.annotations import REGION
from ttdata.sources.formats import activitynet, crowd, eaf, mediaeval, mediaeval_xml, read_source
from ttdata.sources.formats.events import EventWindow
from ttdata.sources.rates import at_video_rates
from ttdata.sources.videos import probe_videos
from ttdata.storage.outputs import (
    check_output,
    check_output_file,
    check_output_folder,
    source_inputs,
)
from ttdata.storage.tables import empty
from ttdata.video.times import frames_at, seconds_at

_FRAMES = ("start_frame", "end_frame")
_SECONDS = ("start_seconds", "end_seconds")


@dataclass(frozen=True)
class Target:
    """A format we write, and what it can hold."""

    write: Callable[[Path, pl.DataFrame], None]
    holds: frozenset[str]
    """Of `label, annotator_id, player_id` and the region's columns."""
    bounds: tuple[str, ...] = ()
    """The columns of the interval that it needs; none if it holds unusable ones, too."""
    required: tuple[str, ...] = ()
    """Further columns that it needs."""
    forward_only: bool = False
    """Whether an interval may not begin before 0 or end where it begins."""
    whole_files: bool = False
    """Whether it names whole files only."""


TARGETS: dict[str, Target] = {
    crowd.NAME: Target(
        crowd.write, frozenset({"label", "annotator_id", "player_id", "annotation_id", *REGION})
    ),
    mediaeval_xml.NAME: Target(mediaeval_xml.write, frozenset({"label"}), _FRAMES),
    "mediaeval-detection": Target(mediaeval_xml.write_detection, frozenset(), _FRAMES),
    mediaeval.NAME: Target(mediaeval.write, frozenset({"label"}), whole_files=True),
    eaf.NAME: Target(
        eaf.write,
        frozenset({"label", "annotator_id", "player_id"}),
        _SECONDS,
        forward_only=True,
    ),
    activitynet.NAME: Target(activitynet.write, frozenset({"label"}), _SECONDS, ("label",)),
}
"""The formats we write, by name."""


@dataclass(frozen=True)
class Converted:
    """A summary of what was written, and notes on what was left out."""

    summary: str
    notes: tuple[str, ...]


def convert_source(
    source: Path,
    out: Path,
    to: str,
    *,
    source_format: str | None = None,
    window: EventWindow | None = None,
) -> Converted:
    """Read a source and write its annotations in another format.

    Frames become seconds, or seconds frames, only where the target needs the other one, once, by
    the video's own presentation times, to the nearest frame.

    Args:
        source: a file or folder in any format we read.
        out: the file or folder to write.
        to: a name of `TARGETS`.
        source_format: a format's name; by default recognised by the content.
        window: what a single event stands for.

    Raises:
        InputError: if the source cannot be read, the target is unknown, or is, holds or lies in
            what is read, or the source holds no annotation that the target can hold.
        TTError: if the target cannot be written.
    """
    if to not in TARGETS:
        raise InputError(f"--to {to}: expected one of {', '.join(TARGETS)}")
    _check_place(out, source_inputs(source))
    read = read_source(source, source_format, window=window, need_videos=False)
    check_output(out, read.files["path"].drop_nulls())
    videos, warnings = probe_videos(read.files) if read.files.height else (empty(Video), [])
    placed, rate_notes = at_video_rates(read, videos)
    annotations = timed_annotations(placed, videos)
    target = TARGETS[to]
    usable, left_out = _usable(annotations, target)
    if usable.is_empty():
        raise InputError(f"{source}: no annotation that {to} can hold ({'; '.join(left_out)})")
    _write(target, out, usable.sort("video_id", *_FRAMES, *_SECONDS, maintain_order=True))
    # A video that cannot be read matters only where its rate was missed.
    unread = [f"video not read: {warning}" for warning in warnings] if left_out else []
    notes = [
        *read.notes,
        *rate_notes,
        *unread,
        *left_out,
        *_not_held(usable, target, to),
    ]
    summary = (
        f"{usable.height} of {annotations.height} annotations of "
        f"{usable['video_id'].n_unique()} videos, {read.format} to {to}: {out}"
    )
    return Converted(summary, tuple(notes))


def _check_place(out: Path, inputs: list[Path]) -> None:
    if out.is_dir():
        check_output_folder(out, "a source", inputs)
    else:
        check_output_file(out, inputs)


def _write(target: Target, out: Path, annotations: pl.DataFrame) -> None:
    try:
        target.write(out, annotations)
    except OSError as error:
        raise TTError(f"{out}: cannot be written ({error.strerror})") from error


def timed_annotations(annotations: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """The annotations with frames and seconds wherever the video or the source tells them.

    Seconds become frames to the nearest, half up, as in curation; a whole file is from frame 0 to
    its end. What a source gives is kept as it is.

    Args:
        annotations: rows as ANNOTATION_COLUMNS.
        videos: rows as Video.

    Returns:
        The annotations in their order, with `fps, num_frames, path, given_split` of their videos
        and `video_seconds`, when the video ends.
    """
    facts = videos.select("video_id", "fps", "num_frames", "path", "given_split")
    joined = annotations.join(facts, on="video_id", how="left", maintain_order="left")
    whole = pl.col("whole_file")
    filled = joined.with_columns(
        start_frame=pl.when(whole).then(pl.lit(0, pl.Int64)).otherwise("start_frame"),
        end_frame=pl.when(whole).then("num_frames").otherwise("end_frame"),
    )
    # Frames go before seconds where a source gives both, as in curation.
    pairs = list(zip(_FRAMES, _SECONDS, strict=True))
    return filled.with_columns(
        *(
            pl.coalesce(frame, frames_at(filled, videos, time)).alias(frame)
            for frame, time in pairs
        ),
        *(
            pl.coalesce(seconds_at(filled, videos, frame), time).alias(time)
            for frame, time in pairs
        ),
        video_seconds=seconds_at(filled, videos, "num_frames"),
    )


def _usable(annotations: pl.DataFrame, target: Target) -> tuple[pl.DataFrame, list[str]]:
    """The annotations that the target can hold, and how many it cannot and why."""
    start, end = target.bounds or _FRAMES
    checks: list[tuple[pl.Expr, str]] = []
    if target.whole_files:
        checks.append((pl.col("whole_file"), "that are no whole file"))
    if target.bounds:
        bounded = pl.col(start).is_not_null() & pl.col(end).is_not_null()
        checks.append((bounded, f"without {start} and {end}, or a video that tells its rate"))
    if target.forward_only:
        forward = (pl.col(start) >= 0) & (eaf.milliseconds("end") > eaf.milliseconds("start"))
        checks.append((forward, "that begin before 0 or end where they begin"))
    checks += [(pl.col(name).is_not_null(), f"without {name}") for name in target.required]
    notes = []
    for keep, problem in checks:
        kept = annotations.filter(keep)
        if kept.height < annotations.height:
            notes.append(f"left out: {annotations.height - kept.height} annotations {problem}")
        annotations = kept
    return annotations, notes


def _not_held(annotations: pl.DataFrame, target: Target, to: str) -> list[str]:
    """A line that names the columns of the annotations that the target format cannot hold."""
    told = ("label", "annotator_id", "player_id", *REGION)
    lost = [
        name
        for name in told
        if name not in target.holds
        and annotations[name].drop_nulls().cast(pl.String).str.len_chars().sum() > 0
    ]
    return [f"{to} does not hold: {', '.join(lost)}"] if lost else []
