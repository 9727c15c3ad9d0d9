"""Checks the poses beside a shards folder: every file and its hash, every clip and its frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ttdata.errors import TTError
from ttflow.pose.clip_pose import ClipPose, estimated_frames
from ttflow.shards.layout import read_failures
from ttflow.shards.poses import (
    PoseInfo,
    content_sha256,
    expected_files,
    leftover_files,
    poses_folder,
    stored_info,
    stored_poses,
)
from ttflow.shards.reader import Shards

_STORED = ("stored_start_frame", "stored_end_frame")


@dataclass(frozen=True)
class PoseReport:
    """What is there of poses, and what is wrong with it."""

    clips: int = 0
    """That have poses."""
    failed_videos: int = 0
    problems: tuple[str, ...] = ()
    unusable_files: tuple[str, ...] = ()
    """Damaged, or of former pixels: `repair` removes them."""


def verify_poses(shards: Shards) -> PoseReport:
    """Check the poses of a shards folder; a folder without any has no problem.

    Videos that failed are counted; videos that lack without a reason are a problem.
    """
    if not poses_folder(shards.path).is_dir():
        return PoseReport()
    try:
        info = stored_info(shards.path)
    except TTError as error:
        return PoseReport(problems=(str(error),))
    if info is None:
        again = f"{poses_folder(shards.path)}: no pose.json; run `ttflow pose` again"
        return PoseReport(problems=(again,))
    failed = {failure.video_id for failure in read_failures(poses_folder(shards.path))}
    problems, unusable, clips = list[str](), list[str](), 0
    for video_id, path in expected_files(shards, info).items():
        if path.is_file():
            found = list(_file_problems(shards, info, video_id, path))
            unusable += [path.name] if found else []
            clips += 0 if found else len(_clips_of(shards, video_id))
            problems += found
        elif video_id not in failed:
            problems.append(f"video {video_id}: no poses; run `ttflow pose` again")
    for path in leftover_files(shards, info):
        problems.append(f"{path}: no clip of now has these poses; run `ttflow pose` again")
        unusable.append(path.name)
    lost = failed & {v for v, path in expected_files(shards, info).items() if not path.is_file()}
    return PoseReport(clips, len(lost), tuple(problems), tuple(unusable))


def remove_poses(shards: Path, names: tuple[str, ...]) -> None:
    """Remove files of poses, so that the next `ttflow pose` estimates their videos again."""
    for name in names:
        (poses_folder(shards) / name).unlink(missing_ok=True)


def _clips_of(shards: Shards, video_id: str) -> list[str]:
    return list(shards.clips.filter(video_id=video_id)["clip_id"])


def _file_problems(shards: Shards, info: PoseInfo, video_id: str, path: Path) -> Iterator[str]:
    try:
        poses, stated = stored_poses(path)
    except TTError as error:
        yield str(error)
        return
    if (found := content_sha256(poses)) != stated:
        yield f"{path}: SHA-256 {found[:12]} of its content, expected {stated[:12]}"
    by_clip = {pose.clip_id: pose for pose in poses}
    clips = _clips_of(shards, video_id)
    if len(by_clip) != len(poses):
        yield f"{path}: {len(poses)} rows of {len(by_clip)} clips, expected one each"
    for clip_id in sorted(by_clip.keys() - set(clips)):
        yield f"{path}: clip {clip_id} is not listed in clips.parquet"
    for clip_id in clips:
        if (pose := by_clip.get(clip_id)) is None:
            yield f"{path}: no pose of clip {clip_id}"
        else:
            yield from (f"{path}: {text}" for text in _clip_problems(shards, info, pose))


def _clip_problems(shards: Shards, info: PoseInfo, pose: ClipPose) -> Iterator[str]:
    try:
        row = shards.read(pose.clip_id, _STORED)
    except TTError:  # a problem of the part, which the check of parts names
        return
    first, last = (row[name] for name in _STORED)
    expected = estimated_frames(first, last, row["fps"], info.config.rate_hz)
    if pose.frames.tolist() != expected.tolist():
        yield (
            f"clip {pose.clip_id}: {len(pose.frames)} frames from {pose.frames[0]} to "
            f"{pose.frames[-1]}, expected {len(expected)} of the stored [{first}, {last})"
        )
