"""ThreeStreams: SSTC with a third branch, for the landmarks of the player.

    rgb (B, 3, T, H, W)    flow (B, 2, T, H, W)    pose (B, 3, T, 33)
            |                      |                      |
       rgb_branch             flow_branch            pose_branch        see `sstc`, `pose.network`
            | features (B, 500)    | features (B, 500)    | features (B, 500)
            +----------------------+----------------------+
                                   |
                             +-----------+
                             |   head    |   linear, in that order, 1500 -> classes
                             +-----------+
                                   |
                          logits (B, classes)

Logits are sums of what each branch says by its own columns of the head; `branch_logits` gives them
apart, so that each branch can learn by a loss of its own (late fusion).

Source: this project, after Martin et al., "Three-Stream 3D/1D CNN for Fine-Grained Action
Classification and Segmentation in Table Tennis", MMSports 2021; specification 4.8. Differs: no
attention blocks; features are concatenated, not joined bilinearly.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ttmodels.base import StrokeModel
from ttmodels.blocks import FEATURES, Branch
from ttmodels.config import Head, Landmarks, ModelConfig, ThreeStreamsConfig
from ttmodels.inputs import check_pose
from ttmodels.pose.network import PoseBranch

STREAMS = ("rgb", "flow", "pose")


class JoinedHead(nn.Linear):
    """The linear layer on the features of all branches side by side."""

    def apart(
        self, features: Float[Tensor, "batch joined"]
    ) -> Float[Tensor, "batch streams classes"]:
        """Return what each branch adds to the logits; the bias is divided evenly."""
        of_branch = features.view(features.shape[0], len(STREAMS), -1)
        columns = self.weight.view(self.weight.shape[0], len(STREAMS), -1)
        return torch.einsum("bsf,csf->bsc", of_branch, columns) + self.bias / len(STREAMS)


class ThreeStreams(StrokeModel):
    """Network on RGB, flow and the landmarks of the player.

    Weights are named as those of SSTC and, for the pose branch, of PoseNet. `SlidingWindows` and
    `VideoStream` do not take it: the landmarks of a window are normalised window by window.

    Args:
        num_classes: number of logits, the rejection class included.
        clip_shape: (time, height, width) in frames and pixels, each at least 8.
        head: of the branches for RGB and flow, "flat" or "pooled"; see `ttmodels.BranchConfig`.
        pool_fields: 3 or 1, of the pooled head.
        landmarks: "picture" or "world"; see `ttmodels.PoseNet`.
    """

    name: ClassVar[str] = "sstc_pose"
    inputs = streams = STREAMS
    config_type: ClassVar[type[ModelConfig]] = ThreeStreamsConfig

    def __init__(
        self,
        num_classes: int = 21,
        clip_shape: tuple[int, int, int] = (100, 120, 120),
        head: Head = "flat",
        pool_fields: int = 3,
        landmarks: Landmarks = "picture",
    ) -> None:
        config = ThreeStreamsConfig(
            num_classes, clip_shape, head=head, pool_fields=pool_fields, landmarks=landmarks
        )
        super().__init__(config)
        self.landmarks: Landmarks = config.landmarks
        self.rgb_branch = Branch(3, config.clip_shape, config.fields_per_side)
        self.flow_branch = Branch(2, config.clip_shape, config.fields_per_side)
        self.pose_branch = PoseBranch(config.clip_shape[0])
        self.head = JoinedHead(len(STREAMS) * FEATURES, config.num_classes)

    def forward(
        self,
        rgb: Float[Tensor, "batch 3 time height width"],
        flow: Float[Tensor, "batch 2 time height width"],
        pose: Float[Tensor, "batch 3 time 33"],
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits.

        Args:
            rgb: values in [0, 1].
            flow: x (right) and y (down), normalised to [-1, 1].
            pose: landmarks as `ttmodels.normalise_pose` gives them; of landmarks in space, as
                `ttmodels.normalise_world_pose` does.

        Raises:
            ValueError: if one has another shape or dtype than the network takes.
        """
        return self.forward_head(*self.forward_features(rgb, flow, pose))

    def branch_logits(
        self,
        rgb: Float[Tensor, "batch 3 time height width"],
        flow: Float[Tensor, "batch 2 time height width"],
        pose: Float[Tensor, "batch 3 time 33"],
    ) -> Float[Tensor, "batch 3 classes"]:
        """Return what each branch alone says (RGB, flow, pose); added up these are the logits."""
        return self.head.apart(self.features(rgb, flow, pose))

    def features(
        self,
        rgb: Float[Tensor, "batch 3 time height width"],
        flow: Float[Tensor, "batch 2 time height width"],
        pose: Float[Tensor, "batch 3 time 33"],
    ) -> Float[Tensor, "batch 1500"]:
        """Return the features of the branches: RGB, flow, pose, 500 columns each."""
        return self._join(*self.forward_features(rgb, flow, pose))

    def forward_features(
        self, *clips: Float[Tensor, "batch _ time ..."]
    ) -> tuple[Float[Tensor, "batch _ _ _ _"], ...]:
        """Return the last maps of each branch; see `StrokeModel.forward_features`."""
        rgb, flow, pose = clips
        self._check(rgb=rgb, flow=flow)
        check_pose(self.config.clip_shape[0], next(self.parameters()).dtype, pose)
        if pose.shape[0] != rgb.shape[0]:
            raise ValueError(
                f"batch sizes are {rgb.shape[0]} of rgb and {pose.shape[0]} of pose, "
                "expected the same for every input"
            )
        return (
            self.rgb_branch.forward_convs(rgb),
            self.flow_branch.forward_convs(flow),
            self.pose_branch.forward_convs(pose),
        )

    def forward_head(self, *maps: Float[Tensor, "batch _ _ _ _"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of clips with these maps (RGB, flow, pose)."""
        logits: Tensor = self.head(self._join(*maps))
        return logits

    def _join(self, *maps: Tensor) -> Tensor:
        rgb_maps, flow_maps, pose_maps = maps
        features = (
            self.rgb_branch.forward_fc(rgb_maps),
            self.flow_branch.forward_fc(flow_maps),
            self.pose_branch.forward_fc(pose_maps),
        )
        return torch.cat(features, dim=1)
