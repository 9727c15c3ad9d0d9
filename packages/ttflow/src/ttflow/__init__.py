"""Optical flow, region of interest and clip shards. Names load on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ttflow.clips import decode_frame, decode_window
    from ttflow.ray_pipeline import read_clips
    from ttflow.schema import ClipRecord, ClipRow, FlowConfig
    from ttflow.shards import Shards, open_shards
    from ttflow.writer import write_clips

_HOME = {
    "ClipRecord": "schema",
    "ClipRow": "schema",
    "FlowConfig": "schema",
    "Shards": "shards",
    "decode_frame": "clips",
    "decode_window": "clips",
    "open_shards": "shards",
    "read_clips": "ray_pipeline",
    "write_clips": "writer",
}

__all__ = [
    "ClipRecord",
    "ClipRow",
    "FlowConfig",
    "Shards",
    "decode_frame",
    "decode_window",
    "open_shards",
    "read_clips",
    "write_clips",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ttflow' has no attribute {name!r}")
    return getattr(import_module(f"ttflow.{_HOME[name]}"), name)
