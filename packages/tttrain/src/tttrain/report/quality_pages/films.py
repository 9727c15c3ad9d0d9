"""Films of all strokes: each video decoded once, in order; several videos at once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from ttdata.console import track
from ttdata.errors import VideoError
from ttdata.machine import available_cores
from ttdata.storage.atomic import atomic_path, write_text
from ttdata.urls import is_url, local
from ttdata.video.decode import decoded
from ttdata.video.location import fingerprint
from ttflow import ClipPose
from ttflow.shards.layout import digest, video_stem
from ttflow.shards.poses import content_sha256
from tttrain.quality.document import StrokeQuality
from tttrain.report.quality_pages.sheet import Cut, SheetMaker, cut_of, film_script

_VERSION = 1
"""Of what a film looks like: those of another version are made anew."""
_MOST_WORKERS = 8
"""Videos at once, at most: each holds the open films of one video."""
_NAME = re.compile(r"^[\w-]+\.[0-9a-f]{8}-[0-9a-f]{16}\.(jpg|js)$")
"""Files that are ours in the folder of films."""


@dataclass(frozen=True)
class Problem:
    """Why films of a video are missing."""

    location: str
    """Of the video; empty where that is not known."""
    text: str
    """For who runs the command: it names the location."""

    @property
    def for_others(self) -> str:
        """The same with the video's name alone: folders are not for who gets a copy."""
        if not self.location:
            return self.text
        plain = self.location.split("?", 1)[0] if is_url(self.location) else self.location
        name = plain.rsplit("/", 1)[-1]
        return self.text.replace(self.location, name).replace(local(self.location), name)


@dataclass(frozen=True)
class _Job:
    name: str
    cut: Cut
    pose: ClipPose | None


def make_films(
    folder: Path, strokes: Sequence[StrokeQuality], poses: Mapping[str, ClipPose]
) -> tuple[dict[str, str], list[Problem]]:
    """Write a film per stroke whose video is at hand; those that are there already are kept.

    The same film has the same name and bytes, whatever else is made beside it.

    Args:
        folder: gets `<name>.jpg`, then `<name>.js`.
        strokes: in any order.
        poses: by clip, of those that have any.

    Returns:
        Names of films by clip, and what is said of each video that was not filmed to its end.
    """
    by_video: dict[str, list[StrokeQuality]] = {}
    for stroke in strokes:
        by_video.setdefault(stroke.video_path or "", []).append(stroke)
    unknown = by_video.pop("", [])
    names: dict[str, str] = {}
    problems: dict[str, str] = {}
    stop = Event()
    with ThreadPoolExecutor(min(available_cores(), _MOST_WORKERS)) as pool:
        jobs = {
            pool.submit(_film_video, folder, path, own, poses, stop): path
            for path, own in by_video.items()
        }
        try:
            for job in track(as_completed(jobs), "filming videos", total=len(jobs)):
                found, problem = job.result()
                names |= found
                if problem is not None:
                    problems[jobs[job]] = problem
        finally:
            stop.set()  # where it was interrupted: nobody waits for the end of long videos
            pool.shutdown(cancel_futures=True)
    told = [Problem(path, problems[path]) for path in by_video if path in problems]
    if unknown:
        of_unknown = f"of {len(unknown)} strokes it is not known where their videos lie"
        told.insert(0, Problem("", of_unknown))
    return names, told


def remove_other_films(folder: Path, names: Mapping[str, str], clip_ids: Iterable[str]) -> None:
    """Remove films that no page shows any more.

    Args:
        folder: of the films.
        names: of the films to keep, by clip.
        clip_ids: of all strokes. Whatever there is of one without a film is kept: its video, which
            cannot be reached now, may be there again.
    """
    kept = set(names.values())
    waiting = tuple(f"{video_stem(clip_id)}-" for clip_id in clip_ids if clip_id not in names)
    for path in folder.glob("*-*.j*"):
        if _NAME.match(path.name) and path.stem not in kept and not path.name.startswith(waiting):
            path.unlink(missing_ok=True)


def _film_video(
    folder: Path,
    location: str,
    strokes: Sequence[StrokeQuality],
    poses: Mapping[str, ClipPose],
    stop: Event,
) -> tuple[dict[str, str], str | None]:
    """The films of a video's strokes, and why some are missing."""
    names: dict[str, str] = {}
    try:
        source = fingerprint(location)
        wanted = []
        for stroke in strokes:
            job = _job(stroke, source, poses.get(stroke.clip_id))
            names[stroke.clip_id] = job.name
            if not _is_there(folder, job.name):
                wanted.append(job)
        _decode(folder, location, wanted, stop)
    except VideoError as error:
        known = {clip: name for clip, name in names.items() if _is_there(folder, name)}
        return known, str(error)
    known = {clip: name for clip, name in names.items() if _is_there(folder, name)}
    short = len(names) - len(known)
    return known, f"{location}: ends before {short} of its strokes" if short else None


def _job(stroke: StrokeQuality, source: tuple[int, str], pose: ClipPose | None) -> _Job:
    if pose is not None and min(pose.picture_hw) <= 0:  # where the points are is not known
        pose = None
    cut = cut_of(stroke.start_frame, stroke.end_frame, stroke.fps, pose)
    landmarks = None if pose is None else content_sha256([pose])
    key = digest([_VERSION, source, cut.start_frame, cut.end_frame, cut.box, landmarks])[:16]
    return _Job(f"{video_stem(stroke.clip_id)}-{key}", cut, pose)


def _is_there(folder: Path, name: str) -> bool:
    return all((folder / f"{name}.{suffix}").is_file() for suffix in ("jpg", "js"))


def _decode(folder: Path, location: str, jobs: Sequence[_Job], stop: Event) -> None:
    """One pass over the frames, as far as any film needs it."""
    waiting = sorted(jobs, key=lambda job: job.cut.start_frame, reverse=True)
    if not waiting:
        return
    open_films: list[tuple[_Job, SheetMaker]] = []
    for frame in decoded(location):
        while waiting and waiting[-1].cut.start_frame <= frame.index:
            job = waiting.pop()
            open_films.append((job, SheetMaker(job.cut, job.pose)))
        for _, maker in open_films:
            maker.add(frame)
        for job, maker in open_films:
            if job.cut.end_frame <= frame.index + 1:
                _write(folder, job, maker)
        open_films = [item for item in open_films if item[0].cut.end_frame > frame.index + 1]
        if stop.is_set() or not (waiting or open_films):
            return
    for job, maker in open_films:
        _write(folder, job, maker)


def _write(folder: Path, job: _Job, maker: SheetMaker) -> None:
    made = maker.finish()
    if made is None:
        return
    picture, facts = made
    with atomic_path(folder / f"{job.name}.jpg") as temporary:
        temporary.write_bytes(picture)
    write_text(folder / f"{job.name}.js", film_script(job.name, facts))
