"""PoseSVM: a support vector machine on how the player's landmarks move, for a hundred clips.

    pose (B, 3, T, 33): x, y, z at T moments spread evenly over the stroke
              | channels and points side by side                  -> (B, 99, T)  maps
              | first K coefficients of the DCT-II over time      -> (B, 99 K)   features
         +---------+
         | kernel  |   exp(-gamma |features - vector|^2)          -> (B, V)
         +---------+
              | a weighted sum for each pair of classes           -> (B, C (C - 1) / 2)
              | pairs won, then how clearly
       logits (B, C)

It is fitted, not trained (by tttrain, with scikit-learn); here it only answers. Logits are those of
scikit-learn's one-versus-rest decision function: the number of pairs that a class wins, plus less
than 1/3 either way for how clearly, so that equal numbers are told apart.

Source: Cortes and Vapnik, "Support-Vector Networks", Machine Learning 20, 1995; pairs of classes as
in Chang and Lin, "LIBSVM", ACM TIST 2(3), 2011; features are this project's, specification 3.3.
"""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ttmodels.base import StrokeModel
from ttmodels.config import Landmarks, ModelConfig, PoseSVMConfig
from ttmodels.inputs import POSE, POSE_POINTS, check_pose

VALUES = POSE.channels * POSE_POINTS
"""Of a moment."""


class PoseSVM(StrokeModel):
    """Support vector machine on landmarks in space; in float64, whatever comes in.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (moments of a stroke, height, width); the latter two are recorded only.
        num_vectors: support vectors.
        coefficients: of each landmark's path.

    Attributes:
        vectors: (num_vectors, 99 coefficients) features of training clips.
        weights: (pairs, num_vectors), of the pairs (0, 1), (0, 2), ..., (1, 2), ... of classes.
        intercepts: (pairs,); a sum that is not negative is won by the first class of the pair.
        gamma: of the kernel.
    """

    name: ClassVar[str] = "pose_svm"
    inputs = streams = ("pose",)
    landmarks: ClassVar[Landmarks] = "world"
    config_type: ClassVar[type[ModelConfig]] = PoseSVMConfig

    def __init__(
        self,
        num_classes: int = 21,
        clip_shape: tuple[int, int, int] = (100, 120, 120),
        num_vectors: int = 1,
        coefficients: int = 8,
    ) -> None:
        config = PoseSVMConfig(
            num_classes, clip_shape, num_vectors=num_vectors, coefficients=coefficients
        )
        super().__init__(config)
        self.coefficients = config.coefficients
        pairs = config.num_classes * (config.num_classes - 1) // 2
        self.vectors = _fixed(config.num_vectors, config.coefficients * VALUES)
        self.weights = _fixed(pairs, config.num_vectors)
        self.intercepts, self.gamma = _fixed(pairs), _fixed()

    def forward(self, pose: Float[Tensor, "batch 3 time 33"]) -> Float[Tensor, "batch classes"]:
        """Return the logits.

        Args:
            pose: landmarks as `ttmodels.normalise_world_pose` gives them, of moments spread evenly
                over the stroke, from its first frame to its last.

        Raises:
            ValueError: if the pose has another shape, or is of integers.
        """
        return self.forward_head(*self.forward_features(pose))

    def features(self, pose: Float[Tensor, "batch 3 time 33"]) -> Float[Tensor, "batch features"]:
        """Return the coefficients: order by order, each for x, then y, then z of all landmarks."""
        (maps,) = self.forward_features(pose)
        return self._coefficients(maps)

    def forward_features(
        self, *clips: Float[Tensor, "batch _ _ _"]
    ) -> tuple[Float[Tensor, "batch 99 time 1 1"]]:
        """Return the landmarks as maps; see `StrokeModel.forward_features`."""
        (pose,) = clips
        wanted = torch.float64 if pose.dtype == torch.float64 else torch.float32
        check_pose(self.config.clip_shape[0], wanted, pose)
        return (pose.transpose(2, 3).flatten(1, 2)[..., None, None].double(),)

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of landmarks with these maps."""
        features = self._coefficients(maps[0])
        distances = (features[:, None] - self.vectors).square().sum(dim=2)
        sums = torch.exp(-self.gamma * distances) @ self.weights.T + self.intercepts
        first, second = self._members(sums)
        first_wins = (sums >= 0).to(sums.dtype)
        won = first_wins @ first + (1 - first_wins) @ second
        clearly = sums @ (first - second)
        return won + clearly / (3 * (clearly.abs() + 1))

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Return a batch of two poses of zeros."""
        shape = (2, POSE.channels, self.config.clip_shape[0], POSE_POINTS)
        return (torch.zeros(shape, device=self.vectors.device),)

    def _coefficients(self, maps: Tensor) -> Tensor:
        rows = dct_rows(self.coefficients, maps.shape[2]).to(maps)
        return torch.einsum("kt,bvt->bkv", rows, maps.flatten(2)).flatten(1)

    def _members(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """(pairs, classes): 1 where a class is the first, the second of a pair."""
        classes = self.config.num_classes
        first, second = torch.triu_indices(classes, classes, offset=1, device=sums.device)
        eye = torch.eye(classes, dtype=sums.dtype, device=sums.device)
        return eye[first], eye[second]


def dct_rows(coefficients: int, num_times: int) -> Float[Tensor, "coefficients times"]:
    """Return the first rows of the orthonormal DCT-II, in float64."""
    order = torch.arange(coefficients, dtype=torch.float64)[:, None]
    time = torch.arange(num_times, dtype=torch.float64)[None, :]
    rows = torch.cos(math.pi * order * (time + 0.5) / num_times) * math.sqrt(2 / num_times)
    rows[0] /= math.sqrt(2)
    return rows


def _fixed(*shape: int) -> nn.Parameter:
    """Numbers that no gradient changes."""
    return nn.Parameter(torch.zeros(shape, dtype=torch.float64), requires_grad=False)
