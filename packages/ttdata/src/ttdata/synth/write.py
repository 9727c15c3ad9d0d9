"""Writes a synthetic source: videos, the crowd's annotations, and the truth."""

import csv
import io
import json
import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from ttdata.console import track
from ttdata.errors import InputError, TTError
from ttdata.machine import available_cores
from ttdata.storage.atomic import write_json, write_text
from ttdata.synth.config import SynthConfig
from ttdata.synth.graded.joints import write_poses
from ttdata.synth.graded.truth import quality_csv
from ttdata.synth.plan import VideoPlan, plan_video

logger = logging.getLogger(__name__)

SYNTH_VERSION = 1
SOURCE_FILES = (
    *("synth.json", "taxonomy.json", "videos", "videos.csv"),
    *("annotations.csv", "truth.csv", "truth_events.csv", "events.csv", "covered.csv"),
    *("quality_truth.csv", "quality_poses"),
)
"""Names of what is written in a source folder."""
_STALE_SECONDS = 3600
_REGION = ("x_min", "y_min", "x_max", "y_max")


def write_source(out: Path, config: SynthConfig, num_workers: int | None = None) -> None:
    """Write a source folder: `videos/`, `videos.csv`, `annotations.csv`, truth and settings.

    Files: `synth.json` (configuration, versions), `taxonomy.json`, `videos.csv`,
    `annotations.csv` (what the crowd says), `truth.csv` (what happened), `truth_events.csv` (what
    each annotator did with each stroke, see `crowd.PlantedError`), `videos/<video_id>.mp4`; of
    matches `events.csv` (what else happened), of half-annotated videos `covered.csv` (the spans
    that people annotated), of graded sessions `quality_truth.csv` (what became of each grade).
    Videos that are there are kept, so a broken run continues; each appears whole or not at all.
    The same configuration gives the same tables and pixels with any number of processes.

    Args:
        out: the folder; made when missing.
        config: what to make.
        num_workers: processes that render; None: one per core.

    Raises:
        InputError: if the folder holds a source of another configuration, or other files.
        TTError: if a rendering process dies.
    """
    _claim(out, config)
    plans = [plan_video(config, index) for index in range(config.num_videos)]
    _write_tables(out, config, plans)
    _remove_stale(out)
    missing = [plan.index for plan in plans if not _video_path(out, plan).is_file()]
    if len(missing) < len(plans):
        logger.info("%d of %d videos are there already", len(plans) - len(missing), len(plans))
    workers = min(num_workers or available_cores(), len(missing))
    if workers <= 1:
        for index in track(missing, "rendering videos"):
            _render_video(out, config, index)
    else:
        _render_parallel(out, config, missing, workers)


def _claim(out: Path, config: SynthConfig) -> None:
    """Make the folder ours, or refuse one that holds something else."""
    marker = out / "synth.json"
    wanted = config.recorded()
    if not marker.exists():
        if out.is_dir() and any(not item.name.endswith(".tmp") for item in out.iterdir()):
            raise InputError(f"{out}: not empty, and no source that synth wrote; name a new folder")
        versions = {name: _version(name) for name in ("ttdata", "av", "numpy", "opencv")}
        record = {"schema_version": SYNTH_VERSION, "config": wanted, "versions": versions}
        write_json(marker, record)
        return
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
        version, stored = found["schema_version"], found["config"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{marker}: not a readable synth.json ({error})") from error
    if version != SYNTH_VERSION:
        raise InputError(f"{marker}: schema version {version}, expected {SYNTH_VERSION}")
    if stored != wanted:
        raise InputError(
            f"{out}: made with another configuration ({'; '.join(_differences(stored, wanted))}); "
            "name a new folder, or remove this one"
        )


def _differences(stored: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    names = sorted(stored.keys() | wanted.keys())
    found = []
    for name in names:
        old, new = stored.get(name), wanted.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += [f"{name}.{item}" for item in _differences(old, new)]
        elif old != new:
            found.append(f"{name}: there {old!r}, now {new!r}")
    return found


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    if name == "opencv":
        import cv2

        return str(cv2.__version__)
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _remove_stale(out: Path) -> None:
    """Remove what an interrupted run left half written, unless another may still be writing it."""
    for folder in (out, out / "videos", out / "quality_poses"):
        for leftover in folder.glob(".*.tmp"):
            try:
                if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                    leftover.unlink()
            except FileNotFoundError:
                continue


def _video_path(out: Path, plan: VideoPlan) -> Path:
    return out / "videos" / f"{plan.video_id}.mp4"


def _render_video(out: Path, config: SynthConfig, index: int) -> None:
    import cv2

    from ttdata.synth.encode import encode
    from ttdata.synth.render import render

    plan = plan_video(config, index)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        frames = (frame.rgb for frame in render(plan, with_truth=False))
        encode(_video_path(out, plan), frames, config)
    finally:
        cv2.setNumThreads(threads)


def _render_parallel(out: Path, config: SynthConfig, missing: Sequence[int], workers: int) -> None:
    # Fresh processes: a fork would copy the locks of whatever threads are running here.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_follow_parent) as pool:
        jobs = [pool.submit(_render_video, out, config, index) for index in missing]
        try:
            for job in track(as_completed(jobs), "rendering videos", total=len(jobs)):
                job.result()
        except BrokenProcessPool as error:
            raise TTError(f"{out}: a rendering process died; the same command continues") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _follow_parent() -> None:
    """End this process when its parent dies, even by a kill that leaves it no time to say so."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _write_tables(out: Path, config: SynthConfig, plans: Sequence[VideoPlan]) -> None:
    tables = {"videos.csv": _videos(plans), "truth.csv": _truth(plans)}
    tables["annotations.csv"], tables["truth_events.csv"] = _annotations(config, plans)
    if config.matches:
        tables["events.csv"] = _events(plans)
    if config.half_annotated_share > 0:
        tables["covered.csv"] = _covered(plans)
    if config.graded:
        tables["quality_truth.csv"] = quality_csv(plans)
    tables["taxonomy.json"] = config.taxonomy.model_dump_json(indent=2) + "\n"
    for name, text in tables.items():
        path = out / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    if config.grades.poses:
        write_poses(out / "quality_poses", plans)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def _videos(plans: Sequence[VideoPlan]) -> str:
    header = (
        *("video_id", "fps", "num_frames", "width", "height"),
        *("path", "player_id", "session_id"),
    )  # fmt: skip
    return _csv(
        header,
        (
            (
                *(plan.video_id, plan.config.fps, plan.num_frames),
                *(plan.config.width, plan.config.height, f"videos/{plan.video_id}.mp4"),
                *(plan.player_id or "", plan.session_id),
            )
            for plan in plans
        ),
    )


def _truth(plans: Sequence[VideoPlan]) -> str:
    header = ("video_id", "start_frame", "end_frame", "label", "player_id", *_REGION)
    return _csv(
        header,
        (
            (
                *(plan.video_id, stroke.start_frame, stroke.end_frame, stroke.label),
                *(plan.player(stroke), *plan.region(stroke.seat)),
            )
            for plan in plans
            for stroke in plan.strokes
        ),
    )


def _events(plans: Sequence[VideoPlan]) -> str:
    """What happens besides strokes, by video and start; a rally is nobody's own."""
    rows: list[tuple[object, ...]] = []
    for plan in plans:
        others = [
            (event.start_frame, event.end_frame, event.kind, plan.player(event), event.label or "")
            for event in plan.events
            if event.kind != "stroke"
        ]
        rallies = [(*span, "rally", "", "") for span in plan.rallies]
        rows += [
            (plan.video_id, kind, start, end, *rest)
            for start, end, kind, *rest in sorted([*rallies, *others])
        ]
    return _csv(("video_id", "kind", "start_frame", "end_frame", "player_id", "imitates"), rows)


def _covered(plans: Sequence[VideoPlan]) -> str:
    from ttdata.synth.crowd import covered_spans

    return _csv(
        ("video_id", "start_frame", "end_frame"),
        ((plan.video_id, *span) for plan in plans for span in covered_spans(plan) or [(0, 0)]),
    )


def _annotations(config: SynthConfig, plans: Sequence[VideoPlan]) -> tuple[str, str]:
    """The crowd's table, and beside it what was planted in it."""
    from ttdata.synth.crowd import annotate, is_variant

    two = config.players_per_video == 2
    annotations: list[tuple[object, ...]] = []
    events: list[tuple[object, ...]] = []
    for plan in plans:
        for made in annotate(plan):
            stroke, player_id, annotation_id = made.stroke, plan.player(made.stroke), ""
            if made.start_frame is not None:
                annotation_id = f"a{len(annotations):06d}"
                span = (made.start_frame, made.end_frame, made.label)
                row = (annotation_id, plan.video_id, made.annotator_id, *span)
                region = made.region or ("",) * 4
                annotations.append((*row, player_id, *region) if two else row)
            events.append(
                (
                    *(annotation_id, plan.video_id, made.annotator_id, made.planted_error),
                    *(stroke.start_frame, stroke.end_frame, stroke.label, player_id),
                    "true" if is_variant(made.label) else "false",
                )
            )
    header = ("annotation_id", "video_id", "annotator_id", "start_frame", "end_frame", "label")
    event_header = (
        *("annotation_id", "video_id", "annotator_id", "planted_error"),
        *("true_start_frame", "true_end_frame", "true_label", "player_id", "spelling_variant"),
    )
    extra = ("player_id", *_REGION) if two else ()
    return _csv((*header, *extra), annotations), _csv(event_header, events)
