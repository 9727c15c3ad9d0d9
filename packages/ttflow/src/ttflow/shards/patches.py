"""Square patches round the region of interest: cutting, encoding, and the inverses.

Legend: S side of the patch in pixels, H x W the working frame.
"""

import math
import threading

import cv2
import numpy as np
import zstandard
from numpy.typing import NDArray

from ttflow.schema import FLOW_UNIT

Image = NDArray[np.uint8]
StoredFlow = NDArray[np.int16]

_LIMIT = np.iinfo(np.int16).max
_ZSTD_LEVEL = 3


def crop_left_top(
    center_xy: tuple[float, float], crop_hw: tuple[int, int], frame_hw: tuple[int, int]
) -> tuple[int, int]:
    """Left and top edge of the crop round a centre, inside the frame.

    >>> crop_left_top((160.5, 90.0), (120, 120), (180, 320))
    (101, 30)

    Source: specification 2.4: floor(x - crop / 2 + 0.5), clipped into the frame.
    """
    left = math.floor(center_xy[0] - crop_hw[1] / 2 + 0.5)
    top = math.floor(center_xy[1] - crop_hw[0] / 2 + 0.5)
    return (
        min(max(left, 0), frame_hw[1] - crop_hw[1]),
        min(max(top, 0), frame_hw[0] - crop_hw[0]),
    )


def patch_left_top(
    center_xy: tuple[float, float],
    crop_hw: tuple[int, int],
    frame_hw: tuple[int, int],
    side_px: int,
) -> tuple[int, int]:
    """Left and top edge of the stored square, whose centre is exactly the crop.

    It may lie outside the frame.
    """
    left, top = crop_left_top(center_xy, crop_hw, frame_hw)
    return left - (side_px - crop_hw[1]) // 2, top - (side_px - crop_hw[0]) // 2


def cut_rgb(image: Image, left: int, top: int, side_px: int) -> Image:
    """The (S, S, 3) square at (left, top) of an (H, W, 3) image; black outside of it."""
    patch = np.zeros((side_px, side_px, 3), np.uint8)
    rows, columns, into_rows, into_columns = _overlap(image.shape[:2], left, top, side_px)
    patch[into_rows, into_columns] = image[rows, columns]
    return patch


def cut_flow(flow: NDArray[np.float32], left: int, top: int, side_px: int) -> StoredFlow:
    """The (2, S, S) square at (left, top) of a (2, H, W) flow, as `quantize_flow` stores it.

    Zero outside of the frame.
    """
    from ttflow.compiled.squares import quantized_square  # not for those who only read patches

    patch = np.empty((2, side_px, side_px), np.int16)
    flow = np.ascontiguousarray(flow, np.float32)
    quantized_square(flow, left, top, np.float32(FLOW_UNIT), patch)
    return patch


def _overlap(
    frame_hw: tuple[int, ...], left: int, top: int, side_px: int
) -> tuple[slice, slice, slice, slice]:
    y0, y1 = max(top, 0), min(top + side_px, frame_hw[0])
    x0, x1 = max(left, 0), min(left + side_px, frame_hw[1])
    y1, x1 = max(y0, y1), max(x0, x1)
    return slice(y0, y1), slice(x0, x1), slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)


def center_crop(patch: NDArray[np.generic], crop_hw: tuple[int, int]) -> NDArray[np.generic]:
    """The crop of the network from patches whose last two axes are (S, S)."""
    top, left = (patch.shape[-2] - crop_hw[0]) // 2, (patch.shape[-1] - crop_hw[1]) // 2
    return patch[..., top : top + crop_hw[0], left : left + crop_hw[1]]


def quantize_flow(flow: NDArray[np.float32]) -> StoredFlow:
    """Flow in pixels as int16 in units of 1/32 px; saturates at 1023.97 px, non-finite is 0."""
    finite = np.isfinite(flow)
    if not finite.all():
        flow = np.where(finite, flow, np.float32(0))
    scaled = flow * np.float32(FLOW_UNIT)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -_LIMIT, _LIMIT, out=scaled)
    return scaled.astype(np.int16)


def dequantize_flow(stored: StoredFlow) -> NDArray[np.float32]:
    """The inverse of `quantize_flow`: float32 pixels per frame."""
    return stored.astype(np.float32) / np.float32(FLOW_UNIT)


def encode_rgb(patch: Image, quality: int) -> bytes:
    """An (S, S, 3) RGB patch as JPEG."""
    ok, blob = cv2.imencode(
        ".jpg", cv2.cvtColor(patch, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not ok:
        raise ValueError(f"JPEG encoding failed for a patch of shape {patch.shape}")
    return bytes(blob)


def decode_rgb(blob: bytes) -> Image:
    """The (S, S, 3) RGB patch of a JPEG.

    Raises:
        ValueError: if the bytes are no image.
    """
    image = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{len(blob)} bytes that are no JPEG")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def encode_flow(patch: StoredFlow) -> bytes:
    """A (2, S, S) int16 patch as zstd of its little-endian bytes."""
    return bytes(_ZSTD.compressor.compress(np.ascontiguousarray(patch, "<i2").data))


class _Zstd(threading.local):
    """One compressor a thread, which must not share it: making one costs as much as a patch."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)


_ZSTD = _Zstd()


def decode_flow(blob: bytes, side_px: int) -> StoredFlow:
    """The (2, S, S) int16 patch of a zstd blob.

    Raises:
        ValueError: if the bytes are damaged or of another size.
    """
    expected = 2 * side_px * side_px * 2
    try:
        raw = zstandard.ZstdDecompressor().decompress(blob, max_output_size=expected)
    except zstandard.ZstdError as error:
        raise ValueError(f"{len(blob)} bytes that are no zstd frame ({error})") from error
    if len(raw) != expected:
        raise ValueError(f"a flow patch of {len(raw)} bytes, expected {expected}")
    return np.frombuffer(raw, "<i2").reshape(2, side_px, side_px).astype(np.int16, copy=False)
