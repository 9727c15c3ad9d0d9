"""Small pictures of clips for reports: three stills, or a strip of frames that a page animates."""

import base64

import numpy as np

from ttflow.shards.patches import encode_rgb
from ttflow.shards.windows import decode_frame
from tttrain.data.dataset import TrainingData
from tttrain.data.sampling import ClipInfo, central_request

ANIMATION_FRAMES = 10
_LARGEST_PX = 128
_QUALITY = 70


def stills(data: TrainingData, clip: ClipInfo) -> list[str]:
    """Three frames of a clip's central window as data URLs, as they are stored."""
    frames, row = data.clip_shape[0], data.read(clip.clip_id, ("rgb", "stored_start_frame"))
    start = central_request(clip, frames).start_frame - row["stored_start_frame"]
    last = len(row["rgb"]) - 1
    places = [min(max(start + frames * part // 4, 0), last) for part in (1, 2, 3)]
    return [_url(row["rgb"][place]) for place in places]


def animation(data: TrainingData, clip: ClipInfo, num_frames: int) -> str:
    """A strip of ANIMATION_FRAMES crops of the central window, side by side, as a data URL.

    Args:
        data: shards.
        clip: of them.
        num_frames: T of the window.
    """
    row = data.read(clip.clip_id, ("rgb", "stored_start_frame", "stored_end_frame"))
    start = central_request(clip, num_frames).start_frame
    last = min(start + num_frames, row["stored_end_frame"]) - 1
    frames = np.linspace(start, last, ANIMATION_FRAMES).round().astype(int)
    height, width = data.clip_shape[1:]
    shrink = -(-max(height, width) // _LARGEST_PX)
    crops = [_crop(decode_frame(row, int(frame)), (height, width), shrink) for frame in frames]
    return _url(encode_rgb(np.ascontiguousarray(np.concatenate(crops, axis=1)), _QUALITY))


def _crop(patch: np.ndarray, crop_hw: tuple[int, int], shrink: int) -> np.ndarray:
    """The network's crop of an (S, S, 3) patch, made smaller by a whole number."""
    down, right = ((side - crop) // 2 for side, crop in zip(patch.shape[:2], crop_hw, strict=True))
    height, width = (side // shrink * shrink for side in crop_hw)
    crop = patch[down : down + height, right : right + width].astype(np.float32)
    small = crop.reshape(height // shrink, shrink, width // shrink, shrink, 3).mean(axis=(1, 3))
    result: np.ndarray = (small + 0.5).astype(np.uint8)
    return result


def _url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
