"""The crops of a batch as one Triton kernel: `spatial_augment.transform` on a GPU.

Which point a pixel looks at is computed by every thread, in float64, from ten numbers a clip; the
host makes no grids and waits for nothing.

Needs Triton and a GPU, or Triton's interpreter; import it only where it is used.
"""

from collections.abc import Sequence

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from ttflow.schema import FLOW_UNIT
from tttrain.data.cache import without_waiting
from tttrain.data.spatial_augment import Draw, check_crop

_BLOCK = 256
_NUMBERS = 10
_FLOW_TYPES = {torch.int16: tl.int16, torch.float32: tl.float32}


@triton.jit
def _corner(rgb, flow, x, y, weight, side, here):
    """One of the four pixels round a point, times its weight: r, g, b, flow x, flow y."""
    inside = here & (x >= 0) & (x < side) & (y >= 0) & (y < side)
    place = y * side + x
    r = tl.load(rgb + 3 * place, mask=inside, other=0).to(tl.float32)
    g = tl.load(rgb + 3 * place + 1, mask=inside, other=0).to(tl.float32)
    b = tl.load(rgb + 3 * place + 2, mask=inside, other=0).to(tl.float32)
    u = tl.load(flow + place, mask=inside, other=0).to(tl.float32)
    v = tl.load(flow + side * side + place, mask=inside, other=0).to(tl.float32)
    return r * weight, g * weight, b * weight, u * weight, v * weight


@triton.jit
def _crop(
    addresses, numbers, pictures, vectors, frames, side, height, width, blocks,
    FLOW: tl.constexpr, NUMBERS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Pixels of one clip's crop, (T, H, W) counted through."""
    clip = tl.program_id(0) // blocks
    pixel = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    here = pixel < frames * height * width
    column, row, frame = pixel % width, pixel // width % height, pixel // (width * height)
    of_clip = numbers + clip * NUMBERS
    x = tl.load(of_clip) * column + tl.load(of_clip + 1) * row + tl.load(of_clip + 2)
    y = tl.load(of_clip + 3) * column + tl.load(of_clip + 4) * row + tl.load(of_clip + 5)
    left, top = tl.floor(x), tl.floor(y)
    right_share, low_share = (x - left).to(tl.float32), (y - top).to(tl.float32)
    left, top = left.to(tl.int32), top.to(tl.int32)
    offset = frame.to(tl.int64) * side * side
    rgb = tl.load(addresses + 2 * clip).to(tl.pointer_type(tl.uint8)) + 3 * offset
    flow = tl.load(addresses + 2 * clip + 1).to(tl.pointer_type(FLOW)) + 2 * offset
    nothing = tl.zeros((BLOCK,), tl.float32)
    r, g, b, u, v = nothing, nothing, nothing, nothing, nothing
    for k in tl.static_range(4):
        across = right_share if k % 2 else 1 - right_share
        down = low_share if k // 2 else 1 - low_share
        dr, dg, db, du, dv = _corner(
            rgb, flow, left + k % 2, top + k // 2, across * down, side, here
        )
        r, g, b, u, v = r + dr, g + dg, b + db, u + du, v + dv
    at = clip.to(tl.int64) * frames * height * width + pixel
    tl.store(pictures + 3 * at, tl.div_rn(r, 255.0), mask=here)
    tl.store(pictures + 3 * at + 1, tl.div_rn(g, 255.0), mask=here)
    tl.store(pictures + 3 * at + 2, tl.div_rn(b, 255.0), mask=here)
    xx, xy = tl.load(of_clip + 6).to(tl.float32), tl.load(of_clip + 7).to(tl.float32)
    yx, yy = tl.load(of_clip + 8).to(tl.float32), tl.load(of_clip + 9).to(tl.float32)
    tl.store(vectors + 2 * at, u * xx + v * xy, mask=here)
    tl.store(vectors + 2 * at + 1, u * yx + v * yy, mask=here)


def transform(
    rgb: Sequence[Tensor],
    flow: Sequence[Tensor],
    draws: Sequence[Draw],
    crop_hw: tuple[int, int],
    unit: float = FLOW_UNIT,
) -> tuple[Tensor, Tensor]:
    """As `spatial_augment.transform`, looking at the same places to 1e-5 px.

    Flow comes as int16 or float32. Where nothing is drawn, values are those of a CPU exactly: here
    255 divides.

    Raises:
        ValueError: if the crop does not fit into the patch with an even margin, or if clips differ
            in shape or type: the kernel reads memory by the first one's.
    """
    frames, side = rgb[0].shape[:2]
    check_crop(side, crop_hw)
    kinds = {
        (one.shape, one.dtype, two.shape, two.dtype) for one, two in zip(rgb, flow, strict=True)
    }
    if len(kinds) > 1 or rgb[0].dtype != torch.uint8 or flow[0].dtype not in _FLOW_TYPES:
        found = ", ".join(
            f"{tuple(a)} {b}, {tuple(c)} {d}" for a, b, c, d in sorted(kinds, key=str)
        )
        raise ValueError(f"clips {found}: expected one shape, uint8, flow int16 or float32")
    rgb, flow = [clip.contiguous() for clip in rgb], [clip.contiguous() for clip in flow]
    shape, device = (len(draws), frames, *crop_hw), rgb[0].device
    pictures = torch.empty((*shape, 3), device=device)
    vectors = torch.empty((*shape, 2), device=device)
    pairs = zip(rgb, flow, strict=True)
    addresses = torch.tensor([(one.data_ptr(), other.data_ptr()) for one, other in pairs])
    numbers = torch.from_numpy(np.stack([_numbers(item, side, crop_hw, unit) for item in draws]))
    blocks = triton.cdiv(frames * crop_hw[0] * crop_hw[1], _BLOCK)
    with torch.cuda.device_of(pictures):  # Triton launches on the current device
        _crop[(len(draws) * blocks,)](
            *(without_waiting(table, device) for table in (addresses, numbers)),
            *(pictures, vectors),
            *(frames, side, *crop_hw, blocks, _FLOW_TYPES[flow[0].dtype], _NUMBERS, _BLOCK),
        )
    return pictures.permute(0, 4, 1, 2, 3), vectors.permute(0, 4, 1, 2, 3)


def _numbers(item: Draw, side_px: int, crop_hw: tuple[int, int], unit: float) -> np.ndarray:
    """(10,) float64: where a pixel looks, x then y, by column, row, 1; then the flow's matrix."""
    height, width = crop_hw
    back = np.linalg.inv(item.matrix() / item.scale)
    by_pixel = back / item.scale
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    start = (side_px - 1) / 2 - by_pixel @ middle - back @ np.array(item.shift_xy)
    place = np.concatenate([by_pixel, start[:, None]], axis=1)
    return np.concatenate([place.ravel(), (item.matrix() / unit).ravel()])
