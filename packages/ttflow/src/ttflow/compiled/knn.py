"""The KNN background model, compiled so that many pixels are compared at once (specification 2.2).

A pixel keeps three lists of samples, short, mid and long; a sample is its colour and whether it was
taken as background. Frame by frame a share of the pixels passes a sample on: the frame to the short
list, the oldest of the short list to mid, the oldest of mid to long.

Source: Zivkovic & van der Heijden, 2006, with the numbers and the order of sums of OpenCV's
`BackgroundSubtractorKNN`, whose masks these are bit for bit. Differs: the samples of LANES pixels
lie side by side, so that a comparison is one instruction for many of them, and those that pass a
sample on are sorted when they are drawn, not looked for in every frame.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Samples = NDArray[np.uint32]
F = TypeVar("F", bound=Callable[..., Any])
f32 = np.float32
i32 = np.int32
u32 = np.uint32
u64 = np.uint64

LANES = 32
"""Pixels whose samples lie side by side."""
_FEW = 6
"""So few pixels of LANES are looked at one by one."""
_LIST = 7
_SAMPLES = 3 * _LIST
_NEIGHBOURS = 2
_DARKEST = 0.5
"""A shadow keeps at least this share of the light of its background."""
_SHARES = (0.7, 0.4, 0.1)
"""What the exponential weight has fallen to at the end of each list."""


def _jit(function: F) -> F:
    # No flag for fast sums: the masks are those of plain rounding.
    return cast(F, njit(nogil=True, cache=True, error_model="numpy")(function))


class KnnModel:
    """Learns the background of frames of one size and says what does not belong to it.

    Args:
        history: frames after which a sample has left the lists, about.
        threshold: squared distance of colours below which they are neighbours.
    """

    def __init__(self, history: int, threshold: float) -> None:
        self._history = history
        self._threshold = f32(threshold)
        self._num_frames = 0
        self._shape: tuple[int, ...] = ()

    def apply(self, image: Image, seed: int) -> Image:
        """(H, W) uint8, 1 in the foreground, of the next frame; shadows are background.

        Args:
            image: (H, W, 3) uint8, of one size throughout.
            seed: of the numbers that are drawn after this frame.

        Raises:
            ValueError: if the size changes.
        """
        if not self._num_frames:
            self._start(image.shape)
        if image.shape != self._shape:
            raise ValueError(f"a frame of shape {image.shape} after those of {self._shape}")
        self._num_frames += 1
        # Four bytes a pixel, red the first: red + 256 green + 65536 blue of a little-endian word.
        words = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA).view("<u4").reshape(-1)
        found = np.empty(image.shape[:2], np.uint8)
        classify(words, self._samples, self._threshold, self._near, found.reshape(-1))
        for at in (2, 1, 0):  # from the oldest list: each takes what the next younger one drops
            pass_on(at, self._due(at), words, self._near, self._samples, self._oldest)
        self._draw(seed)
        return found

    def _start(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        size = shape[0] * shape[1]
        self._samples = np.zeros((-(-size // LANES), _SAMPLES * LANES), np.uint32)
        self._near = np.zeros(size, np.uint8)
        self._oldest = np.zeros((3, size), np.uint8)
        self._counters = [0, 0, 0]
        self._sorted = [sort_by_turn(np.zeros(size, np.uint8))] * 3

    def _due(self, at: int) -> NDArray[np.int32]:
        """The pixels that pass a sample on to a list after this frame."""
        turn = self._counters[at]
        order, first = self._sorted[at]
        return order[first[turn] : first[turn + 1]] if turn + 1 < len(first) else order[:0]

    def _draw(self, seed: int) -> None:
        """Where a list's turns are over, draw the turn of each pixel anew."""
        seeded = False
        for at, turns in enumerate(_turns(min(2 * self._num_frames, self._history))):
            self._counters[at] += 1
            if self._counters[at] < turns:
                continue
            if not seeded:
                cv2.setRNGSeed(seed)
                seeded = True
            self._counters[at] = 0
            drawn = np.empty((1, len(self._near)), np.uint8)
            cv2.randu(drawn, 0, turns)
            self._sorted[at] = sort_by_turn(drawn[0])


def _turns(frames: int) -> list[int]:
    """Frames between two samples of each list, for a history of so many frames."""
    decay = math.log(1 - 1 / frames) if frames > 1 else -math.inf
    ends = [int(math.log(share) / decay) for share in _SHARES]
    lengths = [ends[0] + 1, ends[1] - ends[0], ends[2] - ends[1]]
    return [length // _LIST + 1 for length in lengths]


@_jit
def _same_color(word: np.uint32, r: np.float32, g: np.float32, b: np.float32) -> np.float32:
    """The squared distance of a sample's colour."""
    x = f32(i32(word & u32(255))) - r
    y = f32(i32((word >> u32(8)) & u32(255))) - g
    z = f32(i32((word >> u32(16)) & u32(255))) - b
    return x * x + y * y + z * z


@_jit
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
    return like & (x * x + y * y + z * z < threshold * share * share)


@_jit
def _are_background(colors: Floats, samples: Samples, threshold: np.float32) -> bool:
    """Whether the first samples already say so of all LANES pixels, as they mostly do."""
    lacking = i32(0)
    for i in range(LANES):
        k = u64(i)
        red, green, blue = colors[k], colors[k + u64(LANES)], colors[k + u64(2 * LANES)]
        first, second = samples[k], samples[k + u64(LANES)]
        one = _same_color(first, red, green, blue) < threshold
        two = _same_color(second, red, green, blue) < threshold
        still = i32(one & two) * i32((first & second) >> u32(24))
        lacking = i32(lacking + i32(1) - still)
    return lacking == 0


@_jit
def _neighbours(
    colors: Floats, samples: Samples, threshold: np.float32, hits: NDArray[np.int32]
) -> int:
    """Count the neighbours of LANES pixels in hits: all, then those that were background.

    Returns:
        how many samples were looked at: it stops once few pixels lack background, for the others'
        numbers then no longer matter.
    """
    hits[:] = 0
    for n in range(_SAMPLES):
        lacking = i32(0)
        offset = u64(n * LANES)
        for i in range(LANES):
            k = u64(i)
            word = samples[offset + k]
            red, green, blue = colors[k], colors[k + u64(LANES)], colors[k + u64(2 * LANES)]
            hit = i32(_same_color(word, red, green, blue) < threshold)
            hits[k] = i32(hits[k] + hit)
            still = i32(hits[k + u64(LANES)] + hit * i32(word >> u32(24)))
            hits[k + u64(LANES)] = still
            lacking = i32(lacking + i32(still < i32(_NEIGHBOURS)))
        if n + 1 >= _NEIGHBOURS and (lacking == 0 or (lacking <= _FEW and n >= _LIST // 2)):
            return n + 1
    return _SAMPLES


@_jit
def _shadows(
    colors: Floats, samples: Samples, threshold: np.float32, hits: NDArray[np.int32]
) -> None:
    """Make the background of hits enough where LANES pixels are a shadow of it.

    The search of a pixel ends where shadows are enough, or at a sample of background that is black.
    """
    shadows, ended = np.zeros(LANES, np.int32), np.zeros(LANES, np.int32)
    for i in range(LANES):
        ended[i] = i32(hits[LANES + i] >= _NEIGHBOURS)
    for n in range(_SAMPLES):
        offset = u64(n * LANES)
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


@_jit
def _single(
    colors: Floats,
    samples: Samples,
    threshold: np.float32,
    hits: NDArray[np.int32],
    lane: int,
    first: int,
) -> None:
    """What `_neighbours`, from a sample on, and `_shadows` do, for one pixel."""
    r, g, b = colors[lane], colors[LANES + lane], colors[2 * LANES + lane]
    for n in range(first, _SAMPLES):
        word = samples[n * LANES + lane]
        if _same_color(word, r, g, b) < threshold:
            hits[lane] += 1
            hits[LANES + lane] += i32(word >> u32(24))
            if hits[LANES + lane] >= _NEIGHBOURS:
                return
    shadows = 0
    for n in range(_SAMPLES):
        word = samples[n * LANES + lane]
        if word >> u32(24):
            if word & u32(0xFFFFFF) == u32(0):
                return
            shadows += _is_dark(word, r, g, b, threshold)
            if shadows >= _NEIGHBOURS:
                hits[LANES + lane] = _NEIGHBOURS
                return


@_jit
def classify(
    words: Samples, samples: Samples, threshold: np.float32, near: Image, found: Image
) -> None:
    """Compare each pixel with its samples.

    Args:
        words: (P,) colours: red + 256 green + 65536 blue; the highest byte is ignored.
        samples: (blocks, samples x LANES) such colours, the highest byte 1 where the sample was
            taken as background.
        threshold: squared distance below which colours are neighbours.
        near: (P,), becomes 1 where enough samples are neighbours.
        found: (P,), becomes 1 in the foreground, neither background nor its shadow.
    """
    size = len(near)
    colors = np.zeros(3 * LANES, np.float32)
    hits = np.empty(2 * LANES, np.int32)
    for block in range(len(samples)):
        base = u64(block * LANES)
        count = min(LANES, size - block * LANES)
        for i in range(count):
            k, word = u64(i), words[base + u64(i)]
            colors[k] = f32(i32(word & u32(255)))
            colors[k + u64(LANES)] = f32(i32((word >> u32(8)) & u32(255)))
            colors[k + u64(2 * LANES)] = f32(i32((word >> u32(16)) & u32(255)))
        if _are_background(colors, samples[block], threshold):
            for i in range(count):
                near[base + u64(i)] = 1
                found[base + u64(i)] = 0
            continue
        seen = _neighbours(colors, samples[block], threshold, hits)
        if seen == _SAMPLES:
            _shadows(colors, samples[block], threshold, hits)
        else:
            for i in range(count):
                if hits[LANES + i] < _NEIGHBOURS:
                    _single(colors, samples[block], threshold, hits, i, seen)
        for i in range(count):
            k = u64(i)
            near[base + k] = hits[k] >= _NEIGHBOURS
            found[base + k] = hits[k + u64(LANES)] < _NEIGHBOURS


@_jit
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


@_jit
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
    for place in due:
        pixel = u64(place)
        block, lane = pixel // u64(LANES), pixel % u64(LANES)
        into = at * _LIST + oldest[at, pixel]
        if at:
            source = (at - 1) * _LIST + oldest[at - 1, pixel]
            word = samples[block, u64(source * LANES) + lane]
        else:
            word = u32((words[pixel] & u32(0xFFFFFF)) | u32(near[pixel]) << u32(24))
        samples[block, u64(into * LANES) + lane] = word
        oldest[at, pixel] = 0 if oldest[at, pixel] == _LIST - 1 else oldest[at, pixel] + 1
