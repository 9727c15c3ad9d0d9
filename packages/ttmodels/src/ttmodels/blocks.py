"""Parts that several networks share."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ttmodels.config import INPUTS

FILTERS = (30, 60, 80)
FEATURES = 500


class Branch(nn.Module):
    """One stream: a clip to 500 features.

        clip (B, C, T, H, W)
          | conv 3x3x3, 30 filters | max pooling 2x2x2 | ReLU -> (B, 30, T/2, H/2, W/2)
          | conv 3x3x3, 60 filters | max pooling 2x2x2 | ReLU -> (B, 60, T/4, H/4, W/4)
          | conv 3x3x3, 80 filters | max pooling 2x2x2 | ReLU -> (B, 80, T/8, H/8, W/8)
          | flatten, channel first                             -> (B, 80 * T/8 * H/8 * W/8)
          | fully connected | ReLU                             -> (B, 500)

    Divisions round down at each pooling (100 -> 50 -> 25 -> 12). At 100 x 120 x 120 the fully
    connected layer takes 80 * 12 * 15 * 15 = 216 000 values and holds 108 M weights.

    Source: Martin et al. 2018, section IV-A, figure 2; SPEC 4. Differs: pools before the ReLU.
    Both are monotone, so the values are the same, and the ReLU has eight times less to do.
    """

    def __init__(self, in_channels: int, clip_shape: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, third = FILTERS
        time, height, width = (side // 8 for side in clip_shape)
        self.conv1 = nn.Conv3d(in_channels, first, kernel_size=3, padding=1)
        self.conv2 = nn.Conv3d(first, second, kernel_size=3, padding=1)
        self.conv3 = nn.Conv3d(second, third, kernel_size=3, padding=1)
        self.fc = nn.Linear(third * time * height * width, FEATURES)

    def forward(
        self, clip: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch 500"]:
        """Return the features of a clip whose shape the branch was built for."""
        for conv in (self.conv1, self.conv2, self.conv3):
            clip = functional.relu(functional.max_pool3d(conv(clip), kernel_size=2))
        return functional.relu(self.fc(clip.flatten(start_dim=1)))


def check_clips(
    clip_shape: tuple[int, int, int], dtype: torch.dtype, clips: dict[str, Tensor]
) -> None:
    """Raise unless the clips are what a network takes.

    Args:
        clip_shape: (time, height, width) the network was built for.
        dtype: of the network's weights; under autocast any floating type may come in.
        clips: from input name ("rgb", "flow") to clip.

    Raises:
        ValueError: for a clip of another shape or dtype, clips in the wrong order, or clips of
            different batch sizes; the message says what was expected and found.
    """
    for name, clip in clips.items():
        expected = (INPUTS[name].channels, *clip_shape)
        if clip.ndim != 5 or tuple(clip.shape[1:]) != expected:
            raise ValueError(
                f"{name} has shape {tuple(clip.shape)}, expected (batch, "
                f"{', '.join(map(str, expected))}){_swapped(name, clip)}"
            )
        _check_dtype(name, clip, dtype)
    batches = {name: clip.shape[0] for name, clip in clips.items()}
    if len(set(batches.values())) > 1:
        raise ValueError(f"batch sizes are {batches}, expected the same for every input")


def _check_dtype(name: str, clip: Tensor, dtype: torch.dtype) -> None:
    wanted = INPUTS[name]
    if not clip.is_floating_point():
        raise ValueError(
            f"{name} has dtype {clip.dtype}, expected {dtype} "
            f"with values in [{wanted.low:g}, {wanted.high:g}]"
        )
    if clip.dtype != dtype and not torch.is_autocast_enabled(clip.device.type):
        raise ValueError(f"{name} has dtype {clip.dtype}, expected {dtype}, that of the weights")


def _swapped(name: str, clip: Tensor) -> str:
    """A hint when a clip has the channels of another input."""
    channels = clip.shape[1] if clip.ndim == 5 else None
    others = [other for other, it in INPUTS.items() if other != name and it.channels == channels]
    return f"; it looks like {others[0]}: are the inputs swapped?" if others else ""
