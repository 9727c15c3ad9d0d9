"""The KNN background model, compiled so that many pixels are compared at once (specification 2.2).

A pixel keeps three lists of samples, short, mid and long; a sample is its colour and whether it was
taken as background. Frame by frame a share of the pixels passes a sample on: the frame to the short
list, the oldest of the short list to mid, the oldest of mid to long.

Source: Zivkovic & van der Heijden, 2006, with the numbers and the order of sums of OpenCV's
`BackgroundSubtractorKNN`, whose masks these are bit for bit. Differs: the samples of
neighbouring pixels lie side by side, so that an instruction compares many of them, and pixels that
pass a sample on are sorted when their turn is drawn, not looked for in every frame.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ttflow.compiled.knn_loops import LANES, LIST, SAMPLES, classify, pass_on, sort_by_turn

Image = NDArray[np.uint8]

_SHARES = (0.7, 0.4, 0.1)
"""What the exponential weight has fallen to at the end of each list."""


class KnnModel:
    """Learns the background of frames of one size and says what does not belong to it.

    Args:
        history: frames after which a sample has left the lists, about.
        threshold: squared distance of colours below which they are neighbours.
    """

    def __init__(self, history: int, threshold: float) -> None:
        self._history = history
        self._threshold = np.float32(threshold)
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
        self._samples = np.zeros(SAMPLES * -(-size // LANES) * LANES, np.uint32)
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
    return [length // LIST + 1 for length in lengths]
