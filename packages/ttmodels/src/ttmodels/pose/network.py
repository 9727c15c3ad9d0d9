"""PoseNet: 1-D convolutions over time on the landmarks of the player.

    pose (B, 3, T, 33): x, y in torso lengths from the hips, visibility; or x, y, z
              | channels and points side by side        -> (B, 99, T)
         +---------+
         | branch  |   3 x [conv 5 - pool 2 - ReLU]      -> maps (B, 128, T/8)
         |         |   fully connected, ReLU             -> features (B, 500)
         +---------+
         +---------+
         |  head   |   linear 500 -> classes
         +---------+
              |
       logits (B, classes)

Source: this project, after the third stream of the authors' later work (Martin et al.,
"Three-Stream 3D/1D CNN for Fine-Grained Action Classification and Segmentation in Table Tennis",
MMSports 2021), in the layout of the other branches here; specification 4.8.
"""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ttmodels.base import StrokeModel
from ttmodels.blocks import FEATURES
from ttmodels.config import Landmarks, ModelConfig, PoseNetConfig
from ttmodels.inputs import POSE, POSE_POINTS, check_pose

FILTERS = (64, 128, 128)
KERNEL = 5
"""Times a filter sees; a value of the last maps sees 36 frames, 0.3 s at 120 fps."""


class PoseBranch(nn.Module):
    """Landmarks over time to 500 features.

    Args:
        num_frames: T, at least 8; poolings round down (100 -> 50 -> 25 -> 12).
    """

    def __init__(self, num_frames: int) -> None:
        super().__init__()
        first, second, third = FILTERS
        self.conv1 = nn.Conv1d(POSE.channels * POSE_POINTS, first, KERNEL, padding=KERNEL // 2)
        self.conv2 = nn.Conv1d(first, second, KERNEL, padding=KERNEL // 2)
        self.conv3 = nn.Conv1d(second, third, KERNEL, padding=KERNEL // 2)
        self.fc = nn.Linear(third * (num_frames // 8), FEATURES)

    def forward_convs(
        self, pose: Float[Tensor, "batch 3 time 33"]
    ) -> Float[Tensor, "batch 128 time8 1 1"]:
        """Return the maps of the last convolution, with axes of one place: they see all points."""
        maps = pose.transpose(2, 3).flatten(1, 2)
        for conv in (self.conv1, self.conv2, self.conv3):
            maps = functional.relu(functional.max_pool1d(conv(maps), 2))
        return maps[..., None, None]

    def forward_fc(self, maps: Float[Tensor, "batch 128 time8 1 1"]) -> Float[Tensor, "batch 500"]:
        """Return the features that the fully connected layer makes of these maps."""
        return functional.relu(self.fc(maps.flatten(start_dim=1)))


class PoseNet(StrokeModel):
    """Network on the landmarks of the player.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) of the clips whose player the landmarks are of; the
            network reads the time, the rest is recorded only.
        landmarks: "picture", as `ttmodels.normalise_pose` gives them, or "world", in space and
            turned to one side, as `ttmodels.normalise_world_pose` does.
    """

    name: ClassVar[str] = "pose"
    inputs = streams = ("pose",)

    config_type: ClassVar[type[ModelConfig]] = PoseNetConfig

    def __init__(
        self,
        num_classes: int = 21,
        clip_shape: tuple[int, int, int] = (100, 120, 120),
        landmarks: Landmarks = "picture",
    ) -> None:
        config = PoseNetConfig(num_classes, clip_shape, landmarks=landmarks)
        super().__init__(config)
        self.landmarks: Landmarks = config.landmarks
        self.branch = PoseBranch(config.clip_shape[0])
        self.head = nn.Linear(FEATURES, config.num_classes)

    def forward(self, pose: Float[Tensor, "batch 3 time 33"]) -> Float[Tensor, "batch classes"]:
        """Return the logits.

        Args:
            pose: x, y in torso lengths and visibility of 33 landmarks at each time; of landmarks
                in space x, y, z.

        Raises:
            ValueError: if the pose has another shape or dtype than the network takes.
        """
        return self.forward_head(*self.forward_features(pose))

    def features(self, pose: Float[Tensor, "batch 3 time 33"]) -> Float[Tensor, "batch 500"]:
        """Return the features of the branch."""
        (maps,) = self.forward_features(pose)
        return self.branch.forward_fc(maps)

    def forward_features(
        self, *clips: Float[Tensor, "batch _ _ _"]
    ) -> tuple[Float[Tensor, "batch 128 time8 1 1"]]:
        """Return the maps of the last convolution; see `StrokeModel.forward_features`."""
        (pose,) = clips
        check_pose(self.config.clip_shape[0], next(self.parameters()).dtype, pose)
        return (self.branch.forward_convs(pose),)

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of landmarks with these maps."""
        logits: Tensor = self.head(self.branch.forward_fc(maps[0]))
        return logits
