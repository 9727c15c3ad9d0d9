"""Windows of stored clips: indices first, then only the frames asked are decoded.

Legend: T frames of the window, S side of the stored patch in pixels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ttflow.errors import ShardError
from ttflow.shards.intervals import padded_indices
from ttflow.shards.patches import decode_flow, decode_rgb


def decode_window(
    row: Mapping[str, Any], start_frame: int, num_frames: int
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """RGB and flow of the frames `[start_frame, start_frame + num_frames)` of a stored clip.

    The start is clamped into the stored interval. Past the end of the video the last frame
    repeats with zero flow.

    Args:
        row: a `ClipRow`, at least clip_id, num_frames, stored_start_frame, stored_end_frame, rgb
            and flow.
        start_frame: in frames of the video.
        num_frames: T.

    Returns:
        rgb: (T, S, S, 3) uint8.
        flow: (T, 2, S, S) int16, units of 1/32 px per frame, channel 0 = x (right), 1 = y (down),
            of the displacement to the next frame.

    Raises:
        ValueError: if T frames are not stored although the video has them.
        ShardError: if a stored frame cannot be decoded; names clip and frame.
    """
    first, last = int(row["stored_start_frame"]), int(row["stored_end_frame"])
    try:
        positions, real = padded_indices(
            start_frame, num_frames, (first, last), int(row["num_frames"])
        )
    except ValueError as error:
        raise ValueError(f"clip {row['clip_id']}: {error}") from error
    rgb_first, flow_first = _decode(row, positions[0])
    side_px = rgb_first.shape[0]
    rgb = np.empty((num_frames, side_px, side_px, 3), np.uint8)
    flow = np.zeros((num_frames, 2, side_px, side_px), np.int16)
    rgb[0], flow[0] = rgb_first, flow_first
    for step in range(1, real):
        rgb[step], flow[step] = _decode(row, positions[step])
    rgb[real:] = rgb[real - 1]
    return rgb, flow


def decode_frame(row: Mapping[str, Any], frame: int) -> NDArray[np.uint8]:
    """The (S, S, 3) patch of one frame of a stored clip; the frame is clamped into the interval."""
    first, last = int(row["stored_start_frame"]), int(row["stored_end_frame"])
    position = min(max(frame, first), last - 1) - first
    try:
        return decode_rgb(row["rgb"][position])
    except (ValueError, IndexError) as error:
        raise ShardError(f"clip {row['clip_id']}, frame {first + position}: {error}") from error


def _decode(row: Mapping[str, Any], position: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    try:
        rgb = decode_rgb(row["rgb"][position])
        return rgb, decode_flow(row["flow"][position], rgb.shape[0])
    except (ValueError, IndexError) as error:
        frame = int(row["stored_start_frame"]) + position
        raise ShardError(f"clip {row['clip_id']}, frame {frame}: {error}") from error
