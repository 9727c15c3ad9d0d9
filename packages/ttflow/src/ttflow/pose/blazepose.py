"""BlazePose in LiteRT: the detector, the landmark network, both on one thread.

Source: Bazarevsky et al. 2020, "BlazePose: On-device Real-time Body Pose tracking"; MediaPipe's
graphs pose_detection_cpu, pose_landmark_by_roi_cpu. Differs: nothing is smoothed over time.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ttflow.pose.detector import INPUT_SIDE, persons
from ttflow.pose.heat_map import refined
from ttflow.pose.model import NUM_LANDMARKS, Detection, Landmarks, Picture, Square
from ttflow.pose.runtime import Network, check_runtime
from ttflow.pose.squares import crop, person_square, to_picture, whole_picture
from ttflow.pose.weights import DETECTOR, LANDMARKS, read_weights

_LANDMARK_SIDE = 256
_NUM_OUTPUTS = 39
_ALIGNMENT = slice(33, 35)
"""Two of the network's 39 landmarks: middle of the hips, point on the circle round the person."""


def open_model(weights: Mapping[str, bytes] | None = None) -> "BlazePose":
    """BlazePose on one thread.

    Args:
        weights: of `read_weights`; None: those of this user's cache.

    Raises:
        PoseUnavailable: if the runtime or the weights are missing, or the weights are others.
    """
    check_runtime()
    weights = read_weights() if weights is None else weights
    return BlazePose(Network(weights[DETECTOR], DETECTOR), Network(weights[LANDMARKS], LANDMARKS))


class BlazePose:
    """A `PoseModel`. Its networks keep buffers: not for several threads at once."""

    def __init__(self, detector: Network, landmarks: Network) -> None:
        """Take both networks."""
        self._detector = detector
        self._landmarks = landmarks

    def detect(self, picture: Picture, min_score: float = 0.3) -> list[Detection]:
        """All persons seen in a (H, W, 3) uint8 RGB picture with at least this score."""
        height, width = picture.shape[:2]
        whole = whole_picture(height, width)
        pixels = crop(picture, whole, INPUT_SIDE, repeat_border=False)
        values = pixels.astype(np.float32) * np.float32(2 / 255) - np.float32(1)
        outputs = self._detector(values)
        scores, points = persons(outputs["Identity"], outputs["Identity_1"][:, 0], min_score)
        back = to_picture(whole, INPUT_SIDE)
        found = []
        for score, person in zip(scores, points, strict=True):
            hips, end = _mapped(person[:2] * INPUT_SIDE, back)
            if (square := person_square(hips, end)) is not None:
                found.append(Detection(float(score), square))
        return found

    def landmarks(self, picture: Picture, square: Square) -> Landmarks:
        """The landmarks of the person in a square of a (H, W, 3) uint8 RGB picture."""
        pixels = crop(picture, square, _LANDMARK_SIDE, repeat_border=True)
        outputs = self._landmarks(pixels.astype(np.float32) * np.float32(1 / 255))
        values = outputs["Identity"].reshape(_NUM_OUTPUTS, 5)
        seen = refined(values[:, :2].astype(float) / _LANDMARK_SIDE, outputs["Identity_3"])
        world = outputs["Identity_4"].reshape(_NUM_OUTPUTS, 3)
        return read_landmarks(seen, values[:, 3], world, float(outputs["Identity_1"][0]), square)


def read_landmarks(
    seen: NDArray[np.float64],
    logits: NDArray[np.float32],
    world: NDArray[np.float32],
    presence: float,
    square: Square,
) -> Landmarks:
    """Landmarks in the picture from what the network says about a square of it.

    Args:
        seen: (39, 2) x, y as fractions of the crop.
        logits: (39,) of visibility.
        world: (39, 3) metres in the axes of the crop.
        presence: how likely a person is there.
        square: of which the crop was made.
    """
    points = _mapped(seen, to_picture(square, 1))
    cosine, sine = math.cos(square.rotation), math.sin(square.rotation)
    turned = world[:NUM_LANDMARKS].astype(float) @ np.array(
        [[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]]
    )
    shown = np.clip(logits[:NUM_LANDMARKS].astype(float), -100, 100)
    hips, end = points[_ALIGNMENT]
    return Landmarks(
        points=points[:NUM_LANDMARKS].astype(np.float32),
        world=turned.astype(np.float32),
        visibility=(1.0 / (1.0 + np.exp(-shown))).astype(np.float32),
        presence=presence,
        following=person_square(hips, end),
    )


def _mapped(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (n, 2) through a (2, 3) matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]
