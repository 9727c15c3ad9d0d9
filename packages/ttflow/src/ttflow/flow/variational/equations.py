"""The linear system of one flow update: image features, robust weights, right-hand side.

Source: Liu 2009, appendix A; Brox et al. 2004 for the fixed-point form.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ttflow.flow.variational.pyramid import Flow, Image, correlate

EPSILON = 1e-6
"""Under the square root of the data term's robust penalty."""
DIAGONAL = 0.05
"""Times alpha, added to the diagonal."""

DERIVATIVE = (1 / 12, -8 / 12, 0.0, 8 / 12, -1 / 12)
GRAY = (0.299, 0.587, 0.114)

Plane = Float[Tensor, "batch height width"]


@dataclass(frozen=True, kw_only=True)
class Energy:
    """The energy that is minimised; the defaults are the reference's."""

    alpha: float = 0.012
    """Weight of the smoothness term, for images in [0, 1]."""
    epsilon: float = 1e-6
    """Under the square root of the smoothness term's robust penalty, px^2."""
    gray_weight: float = 1.0
    """Weight of the gray value in the data term; the other four channels have 1."""
    smoothing: tuple[float, float, float, float, float] = (0.02, 0.11, 0.74, 0.11, 0.02)
    """Symmetric low-pass filter that both feature images pass before they are compared."""

    def channel_weights(self) -> tuple[float, ...]:
        """Shares of the five feature channels in the data term; their sum is 1."""
        total = self.gray_weight + 4
        return (self.gray_weight / total, *(1 / total,) * 4)


REFERENCE = Energy()


class System(NamedTuple):
    """Per pixel: [a11 a12; a12 a22] (du, dv) = (b1, b2), coupled by edge weights (B, H, W).

    `right` weighs the edge to (y, x + 1) (0 in the last column), `down` that to (y + 1, x). Both
    hold ALPHA already; the diagonal holds DIAGONAL but not the edges.
    """

    a11: Plane
    a12: Plane
    a22: Plane
    b1: Plane
    b2: Plane
    right: Plane
    down: Plane


def features(rgb: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 5 height width"]:
    """Gray, its x and y derivatives, G - R, G - B, of an image in [0, 1]."""
    red, green, blue = rgb.unbind(1)
    gray = (GRAY[0] * red + GRAY[1] * green + GRAY[2] * blue)[:, None]
    return torch.cat(
        (
            gray,
            correlate(gray, DERIVATIVE, -1),
            correlate(gray, DERIVATIVE, -2),
            (green - red)[:, None],
            (green - blue)[:, None],
        ),
        dim=1,
    )


def smooth(image: Image, energy: Energy) -> Image:
    """The small low-pass filter both feature images pass before they are compared."""
    return correlate(correlate(image, energy.smoothing, -1), energy.smoothing, -2)


def forward_differences(plane: Plane) -> tuple[Plane, Plane]:
    """d/dx, zero in the last column, and d/dy, zero in the last row."""
    x, y = torch.zeros_like(plane), torch.zeros_like(plane)
    x[..., :-1] = plane[..., 1:] - plane[..., :-1]
    y[..., :-1, :] = plane[..., 1:, :] - plane[..., :-1, :]
    return x, y


def divergence(x: Plane, y: Plane) -> Plane:
    """Minus the adjoint of `forward_differences`."""
    total = x + y
    total[..., 1:] -= x[..., :-1]
    total[..., 1:, :] -= y[..., :-1, :]
    return total


def assemble(first_smooth: Image, second_warped: Image, flow: Flow, energy: Energy) -> System:
    """The system of one update, linearised at the flow.

    Args:
        first_smooth: (B, C, H, W) features of the first image, smoothed.
        second_warped: (B, C, H, W) features of the second image, warped by the flow.
        flow: (B, 2, H, W) px.
        energy: what the system is the linearised minimum of.
    """
    second_smooth = smooth(second_warped, energy)
    mixed = torch.lerp(first_smooth, second_smooth, 0.6)
    dx, dy = correlate(mixed, DERIVATIVE, -1), correlate(mixed, DERIVATIVE, -2)
    dt = second_smooth - first_smooth
    psi = torch.rsqrt(dt * dt + EPSILON)
    for channel, share in enumerate(energy.channel_weights()):
        psi[:, channel] *= 0.5 * share
    weighted_x, weighted_y = psi * dx, psi * dy

    differences = [forward_differences(component) for component in flow.unbind(1)]
    square = torch.stack([axis * axis for pair in differences for axis in pair]).sum(dim=0)
    phi = 0.5 * energy.alpha * torch.rsqrt(square + energy.epsilon)
    smoothing = [divergence(phi * x, phi * y) for x, y in differences]
    right, down = phi.clone(), phi.clone()
    right[..., -1] = 0
    down[..., -1, :] = 0
    return System(
        a11=(weighted_x * dx).sum(1) + DIAGONAL * energy.alpha,
        a12=(weighted_x * dy).sum(1),
        a22=(weighted_y * dy).sum(1) + DIAGONAL * energy.alpha,
        b1=smoothing[0] - (weighted_x * dt).sum(1),
        b2=smoothing[1] - (weighted_y * dt).sum(1),
        right=right,
        down=down,
    )


def edge_sum(system: System) -> Plane:
    """The sum of a pixel's four edge weights."""
    total = system.right + system.down
    total[..., 1:] += system.right[..., :-1]
    total[..., 1:, :] += system.down[..., :-1, :]
    return total
