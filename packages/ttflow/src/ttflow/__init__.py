"""Optical flow, region of interest and clip shards. Names load on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ttflow.extraction.regions import player_regions
    from ttflow.extraction.stream import PatchChunk, stream_patches
    from ttflow.jobs.ray_pipeline import read_clips
    from ttflow.pose.clip_pose import ClipPose
    from ttflow.schema import ClipRecord, ClipRow, FlowConfig
    from ttflow.shards.pose_reader import read_poses
    from ttflow.shards.reader import Shards, open_shards
    from ttflow.shards.windows import decode_frame, decode_window
    from ttflow.shards.writer import write_clips

_HOME = {
    "ClipPose": "pose.clip_pose",
    "ClipRecord": "schema",
    "ClipRow": "schema",
    "FlowConfig": "schema",
    "PatchChunk": "extraction.stream",
    "Shards": "shards.reader",
    "decode_frame": "shards.windows",
    "decode_window": "shards.windows",
    "open_shards": "shards.reader",
    "player_regions": "extraction.regions",
    "read_clips": "jobs.ray_pipeline",
    "read_poses": "shards.pose_reader",
    "stream_patches": "extraction.stream",
    "write_clips": "shards.writer",
}

__all__ = [
    "ClipPose",
    "ClipRecord",
    "ClipRow",
    "FlowConfig",
    "PatchChunk",
    "Shards",
    "decode_frame",
    "decode_window",
    "open_shards",
    "player_regions",
    "read_clips",
    "read_poses",
    "stream_patches",
    "write_clips",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ttflow' has no attribute {name!r}")
    return getattr(import_module(f"ttflow.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
