"""The kernels of `first_stage`.

Needs Triton and a GPU, or Triton's interpreter; import it only where it is used.
"""

import triton
import triton.language as tl

CLOSED = tl.constexpr(8)
"""The byte of a value that the ReLU stopped."""


@triton.jit
def _places(tile, times, heights, widths, CELLS: tl.constexpr):
    """Cells (t, y, x) of a tile, counted through, and which of them exist; else the last one."""
    cell = tile * CELLS + tl.arange(0, CELLS)
    last = times * heights * widths - 1
    real = tl.minimum(cell, last)
    return cell, real // (heights * widths), real // widths % heights, real % widths, cell <= last


@triton.jit
def _corner(t, y, x, to_frame, to_row, CHANNELS: tl.constexpr):
    """Where the numbers of each cell's first patch lie in a packed clip: (cells, 16 CHANNELS)."""
    k = tl.arange(0, 16 * CHANNELS)[None, :]
    corner = 2 * t * to_frame + 2 * y * to_row + 2 * CHANNELS * x
    return corner[:, None] + k // (4 * CHANNELS) * to_row + k % (4 * CHANNELS)


@triton.jit
def _better(value, code, other, other_code):
    """The larger of two values with its code; of equal ones the smaller code, and NaN wins."""
    wins = (other > value) | (other != other) | ((other == value) & (other_code < code))
    return tl.where(wins, other, value), tl.where(wins, other_code, code)


@triton.jit
def convolve(
    clip, weights, bias, pooled, codes,
    blocks, times, heights, widths, to_item, to_frame, to_row,
    CHANNELS: tl.constexpr, FILTERS: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """relu(max(conv + bias)) of each cell, and which of its eight outputs was the largest."""
    item, tile = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(0) % blocks
    cell, t, y, x, here = _places(tile, times, heights, widths, CELLS)
    at = _corner(t, y, x, to_frame, to_row, CHANNELS)
    first = clip + item * to_item
    k, n = tl.arange(0, 16 * CHANNELS), tl.arange(0, 4 * FILTERS)
    tap = weights + k[:, None] * (4 * FILTERS) + n[None, :]
    size: tl.constexpr = 64 * CHANNELS * FILTERS
    early = tl.zeros((CELLS, 4 * FILTERS), tl.float32)
    late = tl.zeros((CELLS, 4 * FILTERS), tl.float32)
    for step in tl.static_range(4):
        patch = tl.load(first + step * to_frame + at)
        if step < 3:
            early = tl.dot(patch, tl.load(tap + step * size), early)
        if step > 0:
            late = tl.dot(patch, tl.load(tap + (step - 1) * size), late)
    kind = pooled.dtype.element_ty
    shift = tl.load(bias + n // 4).to(tl.float32)[None, :]
    early = (early.to(kind).to(tl.float32) + shift).to(kind).to(tl.float32)
    late = (late.to(kind).to(tl.float32) + shift).to(kind).to(tl.float32)
    code = tl.zeros((CELLS, 4 * FILTERS), tl.int32) + n[None, :] % 4
    value, code = _better(early, code, late, code + 4)
    for _ in tl.static_range(2):  # the two columns, then the two rows of a cell
        left, right = tl.split(tl.reshape(value, (CELLS, value.shape[1] // 2, 2)))
        left_code, right_code = tl.split(tl.reshape(code, (CELLS, code.shape[1] // 2, 2)))
        value, code = _better(left, left_code, right, right_code)
    shut = value <= 0
    to = (item * times * heights * widths + cell[:, None]) * FILTERS
    to += tl.arange(0, FILTERS)[None, :]
    tl.store(pooled + to, tl.where(shut, 0.0, value).to(kind), mask=here[:, None])
    tl.store(codes + to, tl.where(shut, CLOSED, code).to(tl.uint8), mask=here[:, None])


@triton.jit
def _spread(code, value, early: tl.constexpr, CELLS: tl.constexpr, FILTERS: tl.constexpr):
    """The gradient of four of a cell's eight outputs, zeros included: (cells, filters x 4)."""
    place = tl.arange(0, 4)[None, None, :] + (0 if early else 4)
    nothing = tl.zeros((CELLS, FILTERS, 4), value.dtype)
    all_four = tl.where(code[:, :, None] == place, value[:, :, None], nothing)
    return tl.reshape(all_four, (CELLS, 4 * FILTERS))


@triton.jit
def gradients(
    clip, gradient, codes, to_weights, to_bias,
    tiles, blocks, programs, times, heights, widths, to_item, to_frame, to_row,
    CHANNELS: tl.constexpr, FILTERS: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """Each program's part of the gradients: of the three taps in time, and of the bias."""
    k, n = tl.arange(0, 16 * CHANNELS), tl.arange(0, 4 * FILTERS)
    taps_0 = tl.zeros((16 * CHANNELS, 4 * FILTERS), tl.float32)
    taps_1 = tl.zeros((16 * CHANNELS, 4 * FILTERS), tl.float32)
    taps_2 = tl.zeros((16 * CHANNELS, 4 * FILTERS), tl.float32)
    total = tl.zeros((FILTERS,), tl.float32)
    for number in range(tl.program_id(0), tiles, programs):
        item = (number // blocks).to(tl.int64)
        cell, t, y, x, here = _places(number % blocks, times, heights, widths, CELLS)
        of = (item * times * heights * widths + cell[:, None]) * FILTERS
        of += tl.arange(0, FILTERS)[None, :]
        code = tl.load(codes + of, mask=here[:, None], other=CLOSED).to(tl.int32)
        value = tl.load(gradient + of, mask=here[:, None], other=0.0)
        value = tl.where(code == CLOSED, 0.0, value).to(gradient.dtype.element_ty)
        total += tl.sum(value.to(tl.float32), axis=0)
        early = _spread(code, value, True, CELLS, FILTERS)
        late = _spread(code, value, False, CELLS, FILTERS)
        first = clip + item * to_item
        at = _corner(t, y, x, to_frame, to_row, CHANNELS)
        patch = tl.trans(tl.load(first + at))
        taps_0 = tl.dot(patch, early, taps_0)
        patch = tl.trans(tl.load(first + to_frame + at))
        taps_0 = tl.dot(patch, late, taps_0)
        taps_1 = tl.dot(patch, early, taps_1)
        patch = tl.trans(tl.load(first + 2 * to_frame + at))
        taps_1 = tl.dot(patch, late, taps_1)
        taps_2 = tl.dot(patch, early, taps_2)
        patch = tl.trans(tl.load(first + 3 * to_frame + at))
        taps_2 = tl.dot(patch, late, taps_2)
    size: tl.constexpr = 64 * CHANNELS * FILTERS
    to = to_weights + tl.program_id(0).to(tl.int64) * 3 * size
    to += k[:, None] * (4 * FILTERS) + n[None, :]
    tl.store(to, taps_0)
    tl.store(to + size, taps_1)
    tl.store(to + 2 * size, taps_2)
    tl.store(to_bias + tl.program_id(0) * FILTERS + tl.arange(0, FILTERS), total)


@triton.jit
def pack(
    clip, packed, total, frames, height, width, channels,
    to_item, to_channel, to_frame, to_row, to_column, all_rows, all_columns,
    CHANNELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A clip with a border and with channels of zeros."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    c, place = index % CHANNELS, (index // CHANNELS).to(tl.int32)
    x, place = place % all_columns - 1, place // all_columns
    y, place = place % all_rows - 1, place // all_rows
    t, item = place % (frames + 2) - 1, (place // (frames + 2)).to(tl.int64)
    inside = (c < channels) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    inside &= (t >= 0) & (t < frames) & (index < total)
    at = item * to_item + c * to_channel + t * to_frame + y * to_row + x * to_column
    value = tl.load(clip + at, mask=inside, other=0.0)
    tl.store(packed + index, value.to(packed.dtype.element_ty), mask=index < total)
