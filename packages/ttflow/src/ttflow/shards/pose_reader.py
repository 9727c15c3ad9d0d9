"""The landmarks of clips of a shards folder, or why there are none."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ttflow.errors import ShardError
from ttflow.pose.clip_pose import ClipPose
from ttflow.shards.layout import read_failures
from ttflow.shards.poses import expected_files, poses_folder, stored_info, stored_poses
from ttflow.shards.reader import Shards, open_shards


def read_poses(
    shards: Shards | Path | str, clip_ids: Sequence[str] | None = None
) -> dict[str, ClipPose]:
    """The landmarks of clips, which `ttflow pose` estimated.

    Args:
        shards: the folder, or an opened one.
        clip_ids: which clips, in this order; None: all, in the order of `clips.parquet`.

    Raises:
        ShardError: if the folder or a clip is missing, its poses are damaged, or there are none of
            it as it is now: names the first such clip and says which command to run.
        VersionError: if another release wrote them.
    """
    opened = shards if isinstance(shards, Shards) else open_shards(shards)
    wanted = list(opened.clips["clip_id"]) if clip_ids is None else list(clip_ids)
    found, missing = known_poses(opened, wanted)
    if missing:
        raise ShardError(missing[next(iter(missing))])
    return found


def known_poses(
    shards: Shards, clip_ids: Sequence[str]
) -> tuple[dict[str, ClipPose], dict[str, str]]:
    """The landmarks of clips; and of those without any, as they are now, why, in one line.

    Raises:
        ShardError: if there is no such clip.
        VersionError: if another release wrote the poses.
    """
    info = stored_info(shards.path)
    files = {} if info is None else expected_files(shards, info)
    read: dict[str, Mapping[str, ClipPose] | str] = {}
    found, missing = {}, {}
    for clip_id in clip_ids:
        video_id = shards.record(clip_id)["video_id"]
        if video_id not in read:
            try:
                read[video_id] = _of_video(files.get(video_id))
            except ShardError as error:
                read[video_id] = str(error)
        poses = read[video_id]
        if isinstance(poses, str):
            missing[clip_id] = poses
        elif (pose := poses.get(clip_id)) is None:
            missing[clip_id] = _missing(shards.path, clip_id, video_id)
        else:
            found[clip_id] = pose
    return found, missing


def _missing(shards: Path, clip_id: str, video_id: str) -> str:
    command = f"run `ttflow pose {shards}`"
    for failure in read_failures(poses_folder(shards)):
        if failure.video_id == video_id:  # the command alone would fail again
            command = f"its video failed ({failure.error}): mend that, then {command}"
    return f"{shards}: no pose of clip {clip_id!r}; {command}"


def pose_if_any(shards: Shards, clip_id: str) -> ClipPose | None:
    """The landmarks of a clip; None where there are none of it as it is now.

    Raises:
        ShardError: if its poses are damaged, or there is no such clip.
        VersionError: if another release wrote them.
    """
    video_id = shards.record(clip_id)["video_id"]
    if (info := stored_info(shards.path)) is None:
        return None
    return _of_video(expected_files(shards, info).get(video_id)).get(clip_id)


def _of_video(path: Path | None) -> dict[str, ClipPose]:
    """The poses of a video's file by clip; none where there is no such file."""
    if path is None or not path.is_file():
        return {}
    return {pose.clip_id: pose for pose in stored_poses(path)[0]}
