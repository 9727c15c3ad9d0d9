"""Decodes stored rows, in tasks or in this process; light to import, as every task does so.

Between processes, windows travel as arrays of one shape, whole clips as plain bytes: they differ in
length, which the array columns of a Ray Dataset do not like.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ttflow.shards.windows import decode_window
from tttrain.data.sampling import StoredClip, Window


def decode_request(row: Mapping[str, Any], start_frame: int, num_frames: int) -> Window:
    """Decode one window of a row of `ttflow.read_clips`, only the frames asked for."""
    rgb, flow = decode_window(row, start_frame, num_frames)
    return Window(row["clip_id"], rgb, flow)


def decode_clip(row: Mapping[str, Any]) -> StoredClip:
    """Decode all frames of a row of `ttflow.read_clips`."""
    first, last = int(row["stored_start_frame"]), int(row["stored_end_frame"])
    rgb, flow = decode_window(row, first, last - first)
    return StoredClip(row["clip_id"], (first, last), int(row["num_frames"]), rgb, flow)


def window_row(row: dict[str, Any], starts: Mapping[str, int], num_frames: int) -> dict[str, Any]:
    """`decode_request` for a task: the window whose start belongs to the row's clip."""
    found = decode_request(row, starts[row["clip_id"]], num_frames)
    return {"clip_id": found.clip_id, "rgb": found.rgb, "flow": found.flow}


def window(row: Mapping[str, Any]) -> Window:
    """The inverse of `window_row`."""
    return Window(row["clip_id"], row["rgb"], row["flow"])


def clip_row(row: dict[str, Any]) -> dict[str, Any]:
    """`decode_clip` for a task, as bytes."""
    found = decode_clip(row)
    first, last = found.interval
    return {
        "clip_id": found.clip_id,
        "first": first,
        "last": last,
        "total_frames": found.total_frames,
        **_blobs(found.rgb, found.flow),
    }


def clip(row: Mapping[str, Any]) -> StoredClip:
    """The inverse of `clip_row`."""
    interval = (int(row["first"]), int(row["last"]))
    return StoredClip(row["clip_id"], interval, int(row["total_frames"]), *_arrays(row))


def _blobs(rgb: np.ndarray, flow: np.ndarray) -> dict[str, Any]:
    return {"side_px": rgb.shape[1], "rgb": rgb.tobytes(), "flow": flow.tobytes()}


def _arrays(row: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    side = int(row["side_px"])
    rgb = np.frombuffer(row["rgb"], np.uint8).reshape(-1, side, side, 3)
    return rgb, np.frombuffer(row["flow"], np.int16).reshape(-1, 2, side, side)
