"""Inner loops of the KNN background model, compiled; `knn` says what they are for.

The samples of one number lie side by side, `pitch` of them: loops over LANES pixels vectorise, and
the first samples, which mostly decide, are read in order. Indices are unsigned: numba then need not
ask whether they count from the end.
"""

import numpy as np
from numpy.typing import NDArray

from ttflow.compiled.jit import jit

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Samples = NDArray[np.uint32]
f32 = np.float32
i32 = np.int32
u32 = np.uint32
u64 = np.uint64

LANES = 32
"""Pixels that are compared at once."""
_FEW = 6
"""So few pixels of LANES are looked at one by one."""
LIST = 7
"""Samples of a list."""
SAMPLES = 3 * LIST
_NEIGHBOURS = 2
_DARKEST = 0.5
"""A shadow keeps at least this share of the light of its background."""


@jit
def _same_color(word: np.uint32, r: np.float32, g: np.float32, b: np.float32) -> np.float32:
    """The squared distance of a sample's colour."""
    x = f32(i32(word & u32(255))) - r
    y = f32(i32((word >> u32(8)) & u32(255))) - g
    z = f32(i32((word >> u32(16)) & u32(255))) - b
    return x * x + y * y + z * z


@jit
def _is_dark(
    word: np.uint32, r: np.float32, g: np.float32, b: np.float32, threshold: np.float32
) -> bool:
    """Whether a colour may be the shadow of a sample's; of black nothing is."""
    red, green = f32(i32(word & u32(255))), f32(i32((word >> u32(8)) & u32(255)))
    blue = f32(i32((word >> u32(16)) & u32(255)))
    product = r * red + g * green + b * blue
    square = red * red + green * green + blue * blue
    share = product / square
    x, y, z = share * red - r, share * green - g, share * blue - b
    like = (product <= square) & (product >= f32(_DARKEST) * square)
    return bool(like & (x * x + y * y + z * z < threshold * share * share))


@jit
def _are_background(
    colors: Floats, samples: Samples, pitch: np.uint64, base: np.uint64, threshold: np.float32
) -> bool:
    """Whether the first samples already say so of LANES pixels from base on, as they mostly do."""
    lacking = i32(0)
    for i in range(LANES):
        k = u64(i)
        red, green, blue = colors[k], colors[k + u64(LANES)], colors[k + u64(2 * LANES)]
        first, second = samples[base + k], samples[pitch + base + k]
        one = _same_color(first, red, green, blue) < threshold
        two = _same_color(second, red, green, blue) < threshold
        still = i32(one & two) * i32((first & second) >> u32(24))
        lacking = i32(lacking + i32(1) - still)
    return bool(lacking == 0)


@jit
def _neighbours(
    colors: Floats,
    samples: Samples,
    pitch: np.uint64,
    base: np.uint64,
    threshold: np.float32,
    hits: NDArray[np.int32],
) -> int:
    """Count the neighbours of LANES pixels in hits: all, then those that were background.

    Returns:
        how many samples were looked at: it stops once few pixels lack background, for the others'
        numbers then no longer matter.
    """
    hits[:] = 0
    for n in range(SAMPLES):
        lacking = i32(0)
        offset = u64(n) * pitch + base
        for i in range(LANES):
            k = u64(i)
            word = samples[offset + k]
            red, green, blue = colors[k], colors[k + u64(LANES)], colors[k + u64(2 * LANES)]
            hit = i32(_same_color(word, red, green, blue) < threshold)
            hits[k] = i32(hits[k] + hit)
            still = i32(hits[k + u64(LANES)] + hit * i32(word >> u32(24)))
            hits[k + u64(LANES)] = still
            lacking = i32(lacking + i32(still < i32(_NEIGHBOURS)))
        if n + 1 >= _NEIGHBOURS and (lacking == 0 or (lacking <= _FEW and n >= LIST // 2)):
            return n + 1
    return SAMPLES


@jit
def _shadows(
    colors: Floats,
    samples: Samples,
    pitch: np.uint64,
    base: np.uint64,
    threshold: np.float32,
    hits: NDArray[np.int32],
) -> None:
    """Make the background of hits enough where LANES pixels are a shadow of it.

    The search of a pixel ends where shadows are enough, or at a sample of background that is black.
    """
    shadows, ended = np.zeros(LANES, np.int32), np.zeros(LANES, np.int32)
    for i in range(LANES):
        ended[i] = i32(hits[LANES + i] >= _NEIGHBOURS)
    for n in range(SAMPLES):
        offset = u64(n) * pitch + base
        going = i32(0)
        for i in range(LANES):
            k = u64(i)
            word = samples[offset + k]
            red, green, blue = colors[k], colors[k + u64(LANES)], colors[k + u64(2 * LANES)]
            counts = i32(i32(word >> u32(24)) * i32(i32(1) - ended[k]))
            black = i32((word & u32(0xFFFFFF)) == u32(0))
            found = i32(shadows[k] + counts * i32(_is_dark(word, red, green, blue, threshold)))
            shadows[k] = found
            end = i32(ended[k] | i32(found >= i32(_NEIGHBOURS)) | i32(counts * black))
            ended[k] = end
            going = i32(going + i32(1) - end)
        if going == 0:
            break
    for i in range(LANES):
        if shadows[i] >= _NEIGHBOURS:
            hits[LANES + i] = _NEIGHBOURS


@jit
def _single(
    colors: Floats,
    samples: Samples,
    pitch: np.uint64,
    base: np.uint64,
    threshold: np.float32,
    hits: NDArray[np.int32],
    lane: int,
    first: int,
) -> None:
    """What `_neighbours`, from a sample on, and `_shadows` do, for one pixel."""
    r, g, b = colors[lane], colors[LANES + lane], colors[2 * LANES + lane]
    for n in range(first, SAMPLES):
        word = samples[u64(n) * pitch + base + u64(lane)]
        if _same_color(word, r, g, b) < threshold:
            hits[lane] += 1
            hits[LANES + lane] += i32(word >> u32(24))
            if hits[LANES + lane] >= _NEIGHBOURS:
                return
    shadows = 0
    for n in range(SAMPLES):
        word = samples[u64(n) * pitch + base + u64(lane)]
        if word >> u32(24):
            if word & u32(0xFFFFFF) == u32(0):
                return
            shadows += _is_dark(word, r, g, b, threshold)
            if shadows >= _NEIGHBOURS:
                hits[LANES + lane] = _NEIGHBOURS
                return


@jit
def _load(words: Samples, base: np.uint64, count: int, colors: Floats) -> None:
    """The channels of the pixels from base on, each apart."""
    for i in range(count):
        k, word = u64(i), words[base + u64(i)]
        colors[k] = f32(i32(word & u32(255)))
        colors[k + u64(LANES)] = f32(i32((word >> u32(8)) & u32(255)))
        colors[k + u64(2 * LANES)] = f32(i32((word >> u32(16)) & u32(255)))


@jit
def classify(
    words: Samples, samples: Samples, threshold: np.float32, near: Image, found: Image
) -> None:
    """Compare each pixel with its samples.

    Args:
        words: (P,) colours: red + 256 green + 65536 blue; the highest byte is ignored.
        samples: (SAMPLES x pitch,) such colours, the highest byte 1 where the sample was taken as
            background; pitch is P, filled up to a multiple of LANES.
        threshold: squared distance below which colours are neighbours.
        near: (P,), becomes 1 where enough samples are neighbours.
        found: (P,), becomes 1 in the foreground, neither background nor its shadow.
    """
    size = len(near)
    colors = np.zeros(3 * LANES, np.float32)
    hits = np.empty(2 * LANES, np.int32)
    pitch = u64(len(samples) // SAMPLES)
    for start in range(0, size, LANES):
        base, count = u64(start), min(LANES, size - start)
        _load(words, base, count, colors)
        if _are_background(colors, samples, pitch, base, threshold):
            for i in range(count):
                near[base + u64(i)] = 1
                found[base + u64(i)] = 0
            continue
        seen = _neighbours(colors, samples, pitch, base, threshold, hits)
        if seen == SAMPLES:
            _shadows(colors, samples, pitch, base, threshold, hits)
        else:
            for i in range(count):
                if hits[LANES + i] < _NEIGHBOURS:
                    _single(colors, samples, pitch, base, threshold, hits, i, seen)
        for i in range(count):
            k = u64(i)
            near[base + k] = hits[k] >= _NEIGHBOURS
            found[base + k] = hits[k + u64(LANES)] < _NEIGHBOURS


@jit
def sort_by_turn(turns: Image) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pixels in the order of their turns (P,), and (257,): where each turn begins in it."""
    first = np.zeros(257, np.int32)
    for turn in turns:
        first[turn + 1] += 1
    for turn in range(256):
        first[turn + 1] += first[turn]
    order = np.empty(len(turns), np.int32)
    at = first.copy()
    for pixel in range(len(turns)):
        turn = turns[pixel]
        order[at[turn]] = pixel
        at[turn] += 1
    return order, first


@jit
def pass_on(
    at: int,
    due: NDArray[np.int32],
    words: Samples,
    near: Image,
    samples: Samples,
    oldest: Image,
) -> None:
    """Give a sample of the next younger list, or of the frame, to a list (0 short, 2 long).

    Args:
        at: the list.
        due: pixels that do so.
        words: (P,) colours of the frame.
        near: (P,), whether the frame counts as background.
        samples: as in `classify`, changed.
        oldest: (3, P): which sample of each list is the oldest, changed.
    """
    pitch = u64(len(samples) // SAMPLES)
    for place in due:
        pixel = u64(place)
        into = at * LIST + oldest[at, pixel]
        if at:
            source = (at - 1) * LIST + oldest[at - 1, pixel]
            word = samples[u64(source) * pitch + pixel]
        else:
            word = u32((words[pixel] & u32(0xFFFFFF)) | u32(near[pixel]) << u32(24))
        samples[u64(into) * pitch + pixel] = word
        oldest[at, pixel] = 0 if oldest[at, pixel] == LIST - 1 else oldest[at, pixel] + 1
