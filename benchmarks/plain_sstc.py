"""The paper's siamese network as one would write it down: what the shipped one is timed against."""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool3d, relu


class Plain(nn.Module):
    """Convolution, ReLU, pooling; no layout, no memory saved."""

    def __init__(self, shape: tuple[int, int, int], classes: int = 21) -> None:
        super().__init__()
        sides = [side // 8 for side in shape]
        size = 80 * sides[0] * sides[1] * sides[2]
        filters = (30, 60, 80)
        self.streams = nn.ModuleList()
        for channels in (3, 2):
            layers, into = nn.ModuleList(), channels
            for out in filters:
                layers.append(nn.Conv3d(into, out, 3, padding=1))
                into = out
            layers.append(nn.Linear(size, 500))
            self.streams.append(layers)
        self.head = nn.Linear(1000, classes)

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """Logits of a batch."""
        features = []
        for layers, clip in zip(self.streams, (rgb, flow), strict=True):
            *convolutions, last = layers  # type: ignore[misc]
            for conv in convolutions:
                clip = max_pool3d(relu(conv(clip)), 2)
            features.append(relu(last(clip.flatten(1))))
        logits: Tensor = self.head(torch.cat(features, dim=1))
        return logits
