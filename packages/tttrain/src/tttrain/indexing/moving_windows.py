"""Scores of a video's windows in which something moves; the still ones cost no convolution.

    patches -> wait until their windows are known -> moving: a stream over its frames -> scores
                                                  -> still:                    a constant row

A frame that no moving window reads is never shown to the network. After such a gap a new stream
begins, so what windows share is still computed once. A window and a chunk wait at most.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np
import torch

from ttmodels import VideoStream
from ttmodels.base import BranchModel
from tttrain.data.sampling import Window
from tttrain.evaluation.scoring import network_inputs
from tttrain.indexing.still import mean_speed


class MovingWindows:
    """Log-probabilities of the windows of one region that comes in chunks.

    Args:
        model: with the labels in its card.
        step: frames from one window's start to the next.
        still_below_px: a window with a mean speed below this is still.
        still_row: (classes,) that a still window gets, see `still_scores`.
    """

    def __init__(
        self, model: BranchModel, step: int, still_below_px: float, still_row: np.ndarray
    ) -> None:
        self._model = model
        self._step = step
        self._length = model.config.clip_shape[0]
        self._limit = still_below_px
        self._still_row = still_row
        self._waiting: deque[tuple[np.ndarray, np.ndarray, np.float32]] = deque()
        self._first_waiting = 0
        self._next_window = 0
        self._stream = VideoStream(model, step=step, features=False)
        self._stream_start = self._pushed_to = 0
        self.num_pushed = 0
        """Frames that the network has seen so far."""

    def push(self, rgb: np.ndarray, flow: np.ndarray, energy: np.ndarray) -> np.ndarray:
        """Add the next frames; returns (windows, classes) of the windows that they complete.

        Args:
            rgb: (n, S, S, 3) patches.
            flow: (n, 2, S, S), as stored.
            energy: (n,) float32, mean length of the flow in each patch.
        """
        self._waiting.extend(zip(rgb, flow, energy, strict=True))
        num_frames = self._first_waiting + len(self._waiting)
        first = self._next_window
        end = max(first, (num_frames - self._length) // self._step + 1)
        rows = np.tile(self._still_row, (end - first, 1))
        moving = [window for window in range(first, end) if self._moves(window)]
        for windows in self._stretches(moving):
            for window, row in self._scored(windows[0], windows[-1]):
                if window in windows:
                    rows[window - first] = row
        self._next_window = end
        self._forget(end * self._step)
        return rows

    def _moves(self, window: int) -> bool:
        begin = window * self._step - self._first_waiting
        energy = [self._waiting[begin + frame][2] for frame in range(self._length)]
        return mean_speed(np.array(energy)) >= self._limit

    def _stretches(self, windows: list[int]) -> Iterator[list[int]]:
        """Windows of which neighbours share frames, together: one stream does for them."""
        stretch: list[int] = []
        for window in windows:
            if stretch and (window - stretch[-1]) * self._step >= self._length:
                yield stretch
                stretch = []
            stretch.append(window)
        if stretch:
            yield stretch

    def _scored(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        """Windows on up to `last` and their scores; of those before `first`, perhaps some."""
        if first * self._step >= self._pushed_to:
            self._begin_stream(first * self._step)
        end = last * self._step + self._length
        frames = [
            self._waiting[number - self._first_waiting] for number in range(self._pushed_to, end)
        ]
        self._pushed_to = end
        starts, rows = self._run(*(np.stack([f[side] for f in frames]) for side in (0, 1)))
        for start, row in zip(starts, rows, strict=True):
            yield (self._stream_start + start) // self._step, row

    def _begin_stream(self, frame: int) -> None:
        self._stream = VideoStream(self._model, step=self._step, features=False)
        self._stream_start = self._pushed_to = frame

    def _run(self, rgb: np.ndarray, flow: np.ndarray) -> tuple[range, np.ndarray]:
        self.num_pushed += len(rgb)
        found = self._stream.push(*network_inputs(self._model, Window("", rgb, flow)))
        scores: np.ndarray = torch.log_softmax(found.logits.double(), dim=1).cpu().numpy()
        return found.starts, scores

    def _forget(self, frame: int) -> None:
        while self._waiting and self._first_waiting < frame:
            self._waiting.popleft()
            self._first_waiting += 1
