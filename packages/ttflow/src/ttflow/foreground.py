"""Moving foreground of a whole video, frame by frame in order (specification 2.2)."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ttflow.schema import FlowConfig

_FOREGROUND = 255
"""OpenCV labels shadows with 127; they count as background."""
_DILATION = np.ones((3, 3), np.uint8)
_Image = NDArray[np.uint8]


class Foreground:
    """A background model that learns from every working frame it is shown.

    Source: Zivkovic & van der Heijden, 2006, `knn` or OpenCV's MOG2; specification 2.2.
    Differs: the first `warmup_frames` frames have no foreground, where OpenCV calls every pixel
    of them foreground.
    """

    def __init__(self, config: FlowConfig) -> None:
        self._warmup_frames = config.warmup_frames
        self._model = _model(config)
        self._index = 0

    def __call__(self, image: _Image) -> NDArray[np.bool_] | None:
        """The dilated (H, W) mask of the next frame, or None during the warm-up.

        Args:
            image: (H, W, 3) uint8 RGB working frame, the successor of the previous call's.
        """
        index, self._index = self._index, self._index + 1
        if self._model is None:
            return None
        # KNN draws from a generator that is global to the thread: seeded by the frame, a mask
        # depends on the video alone and not on what this process did before.
        found = self._model(image, (index * 2654435761 + 12345) % (1 << 31))
        if index < self._warmup_frames:
            return None
        return np.asarray(cv2.dilate(found, _DILATION)).view(np.bool_)


def _model(config: FlowConfig) -> Callable[[_Image, int], _Image] | None:
    """Gives 1 where a frame, with a seed for it, shows foreground, else 0."""
    if config.foreground == "knn":
        from ttflow.compiled.knn import KnnModel  # compiled: loaded where a video is read only

        return KnnModel(config.foreground_history, config.foreground_threshold).apply
    if config.foreground == "mog2":
        mixture = cv2.createBackgroundSubtractorMOG2(
            history=config.foreground_history, detectShadows=True
        )
        return lambda image, seed: (mixture.apply(image) == _FOREGROUND).view(np.uint8)
    return None
