"""The landmarks of strokes that an index found: estimated once, and kept beside the index.

pose/<video>-<key>.parquet       a row per stroke; written last and at once, so it commits a video

The key is a hash of the configuration, the weights, the strokes and the video file, so what is
stale is never read.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ttdata.curation.player_regions import Region
from ttdata.errors import VideoError
from ttdata.video.location import fingerprint
from ttflow import ClipPose
from ttflow.errors import ShardError
from ttflow.pose.config import PoseConfig
from ttflow.pose.runtime import check_runtime
from ttflow.pose.video import PoseClip, estimate_video
from ttflow.pose.weights import SHA256, read_weights
from ttflow.shards.layout import digest, video_stem
from ttflow.shards.locks import clean_temporary
from ttflow.shards.poses import POSE_VERSION, poses_folder, stored_poses, write_poses
from tttrain.indexing.jobs.items import OnFrame, VideoFunction, VideoItem
from tttrain.indexing.jobs.run import run_videos
from tttrain.indexing.tracks import HALVES

logger = logging.getLogger(__name__)

MARGIN_SECONDS = 0.25
"""Before and after a found stroke, whose bounds are not exact."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class PoseWork:
    """How a worker process gets what estimates the landmarks of a video."""

    weights: Mapping[str, bytes]
    config: PoseConfig

    def load(self, device: str) -> VideoFunction:
        """The function; landmarks are estimated on the CPU, whatever the device."""
        from ttflow.pose.blazepose import open_model

        def function(item: VideoItem, on_frame: OnFrame) -> int:
            clips, fps, file = item.arguments
            model = open_model(self.weights)
            poses = estimate_video(item.path, clips, fps, model, self.config, on_frame=on_frame)
            write_poses(file, poses)
            return item.expected_frames

        return function


def found_poses(index: Path, rows: Mapping[str, Row]) -> tuple[dict[str, ClipPose], dict[str, str]]:
    """The landmarks of an index's strokes; and of those without any why.

    What is there already is read, all else estimated and kept; the same call goes on after a stop.

    Args:
        index: the folder of the index.
        rows: of its strokes, by clip.

    Raises:
        PoseUnavailable: if something is to be estimated, and the runtime or weights are missing.
        TTError: if the disk is full or Ray breaks down.
    """
    config, missing = PoseConfig(), _without_place(index, rows)
    items, strokes, away = [], dict[str, list[str]](), set[str]()
    for clip_id, row in rows.items():
        if clip_id not in missing:
            strokes.setdefault(row["video_id"], []).append(clip_id)
    for video_id, clip_ids in strokes.items():
        try:
            items.append(_item(index, video_id, {name: rows[name] for name in clip_ids}, config))
        except VideoError as error:
            missing |= dict.fromkeys(clip_ids, str(error))
            away.add(video_id)
    kept = {item.video_id: _stored(item) for item in items}
    pending = [item for item in items if kept[item.video_id] is None]
    if pending:
        check_runtime()
        work = PoseWork(read_weights(), config)
        poses_folder(index).mkdir(exist_ok=True)
        clean_temporary(poses_folder(index))
        failed = run_videos(pending, work, lambda: work.load("cpu"), index, device="cpu")
        for video_id, reason in failed.items():
            missing |= dict.fromkeys(strokes[video_id], reason)
            away.add(video_id)
        kept |= {item.video_id: _stored(item) for item in pending}
    _remove_others(index, items, away)
    return {pose.clip_id: pose for poses in kept.values() for pose in poses or ()}, missing


def _without_place(index: Path, rows: Mapping[str, Row]) -> dict[str, str]:
    """The strokes of players of whom the index does not say where they are, and what to do."""
    if any(row["regions"] is None for row in rows.values()):
        logger.warning(
            "%s: does not say where its players are; if it was made of a dataset with regions, run "
            "`tttrain index` again, which adds them",
            index,
        )
    return {
        clip_id: f"video {row['video_id']!r}: the index does not say where player {row['side']!r} "
        "is; run `tttrain index` again, which adds it"
        for clip_id, row in rows.items()
        if row["side"] is not None and row["side"] not in _regions(row)
    }


def _item(index: Path, video_id: str, rows: Mapping[str, Row], config: PoseConfig) -> VideoItem:
    """What is to be estimated of a video, and in which file it is kept.

    Raises:
        VideoError: if the video cannot be read.
    """
    first = next(iter(rows.values()))
    path, fps = str(first["video_path"]), float(first["fps"])
    clips = tuple(_clip(clip_id, row) for clip_id, row in rows.items())
    places = [[clip.clip_id, clip.stored, clip.region] for clip in clips]
    made = [POSE_VERSION, config.model_dump(mode="json"), SHA256, fps]
    key = digest([*made, fingerprint(path), places])[:16]
    file = poses_folder(index) / f"{video_stem(video_id)}-{key}.parquet"
    end = max(clip.stored[1] for clip in clips)
    return VideoItem(video_id, path, end, (clips, fps, file))


def _clip(clip_id: str, row: Row) -> PoseClip:
    margin = round(MARGIN_SECONDS * row["fps"])
    stored = max(row["start_frame"] - margin, 0), min(row["end_frame"] + margin, row["num_frames"])
    return PoseClip(clip_id, stored, _regions(row).get(row["side"] or ""))


def _regions(row: Row) -> Mapping[str, Region | None]:
    """By player, where the index followed him; halves where it is too old to say so."""
    found: Mapping[str, Region | None] | None = row["regions"]
    return {"left": HALVES[0], "right": HALVES[1]} if found is None else found


def _stored(item: VideoItem) -> list[ClipPose] | None:
    """What is kept of a video; None where there is nothing, or nothing that can be read."""
    with suppress(ShardError, FileNotFoundError):
        return stored_poses(item.arguments[2])[0]
    return None


def _remove_others(index: Path, items: list[VideoItem], failed: Iterable[str]) -> None:
    """Remove landmarks of former strokes, but of videos that cannot be reached now."""
    kept = {item.arguments[2] for item in items}
    stems = tuple(f"{video_stem(video_id)}-" for video_id in failed)
    for file in _files(index):
        if file not in kept and not file.name.startswith(stems):
            file.unlink(missing_ok=True)


def _files(index: Path) -> Iterator[Path]:
    return poses_folder(index).glob("*.parquet")
