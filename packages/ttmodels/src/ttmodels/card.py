"""Model card: what people need to know to use the weights."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ttmodels.plain_values import plain

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ModelCard:
    """Labels, normalisation and provenance of a trained network.

    Args:
        labels: class names, `labels[i]` belongs to logit i; empty if unknown.
        flow_scale_px: (x, y) in pixels per frame. The network expects
            `clip(flow_px / scale, -1, 1)` per axis, as `normalise_flow` computes; the scale is
            mu + 3 sigma over the training clips (specification 2.5). None for networks without
            flow, or if unknown.
        provenance: where the weights come from; anything JSON can hold. It is copied.

    Raises:
        ValueError: if labels repeat or are no text, a scale is not positive and finite, or the
            provenance does not fit into JSON.
    """

    labels: tuple[str, ...] = ()
    flow_scale_px: tuple[float, float] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", _labels(self.labels))
        object.__setattr__(self, "flow_scale_px", _scale(self.flow_scale_px))
        object.__setattr__(self, "provenance", _json_copy(self.provenance))

    def normalise_flow(self, flow_px: "Tensor") -> "Tensor":
        """Return the flow that the network takes, from flow in pixels.

        Args:
            flow_px: (..., 2, time, height, width) floats, pixels per frame; x (right), then y
                (down).

        Returns:
            The same shape and dtype, in [-1, 1]: `clip(flow_px / flow_scale_px, -1, 1)` per axis.

        Raises:
            ValueError: if the scale is not known, or the flow has another shape or is of integers.
        """
        if self.flow_scale_px is None:
            raise ValueError("flow_scale_px is None, expected the scale (x, y) to divide flow by")
        if flow_px.ndim < 4 or flow_px.shape[-4] != 2:
            shape = tuple(flow_px.shape)
            raise ValueError(f"flow has shape {shape}, expected (..., 2, time, height, width)")
        if not flow_px.is_floating_point():
            raise ValueError(f"flow has dtype {flow_px.dtype}, expected floats in pixels per frame")
        scale = flow_px.new_tensor(self.flow_scale_px).view(2, 1, 1, 1)
        return (flow_px / scale).clamp_(-1.0, 1.0)

    @classmethod
    def joined(cls, rgb: "ModelCard", flow: "ModelCard") -> "ModelCard":
        """Return the card of two networks used as one.

        The labels come from whichever has them, the flow scale from the flow network; the
        provenance keeps both.

        Raises:
            ValueError: if the labels differ.
        """
        labels = rgb.labels or flow.labels
        if (flow.labels or labels) != labels:
            raise ValueError(
                f"rgb_net has labels {labels}, flow_net {flow.labels}, expected the same"
            )
        provenance = {"rgb": rgb.provenance, "flow": flow.provenance}
        return cls(labels, flow.flow_scale_px, provenance)


def _labels(value: object) -> tuple[str, ...]:
    value = plain(value)
    if not isinstance(value, list | tuple) or not all(isinstance(label, str) for label in value):
        raise ValueError(f"labels are {value!r}, expected a list of names")
    repeated = sorted({label for label in value if value.count(label) > 1})
    if repeated:
        raise ValueError(f"labels repeat {repeated}, expected each name once")
    return tuple(value)


def _scale(value: object) -> tuple[float, float] | None:
    if value is None:
        return None
    value = plain(value)
    numbers = list(value) if isinstance(value, list | tuple) else []
    # bool is an int in Python, yet no scale
    if len(numbers) != 2 or any(type(number) not in (int, float) for number in numbers):
        raise ValueError(f"flow_scale_px is {value!r}, expected two numbers (x, y)")
    if not all(0 < number < math.inf for number in numbers):  # false for NaN too
        raise ValueError(f"flow_scale_px is {value!r}, expected positive finite numbers")
    try:
        return float(numbers[0]), float(numbers[1])
    except OverflowError as error:
        raise ValueError(f"flow_scale_px: {error}") from error


def _plain_value(value: object) -> Any:
    """What JSON should hold of a value that it cannot."""
    found = plain(value)
    if found is value:
        raise TypeError(f"{type(value).__name__} is not serializable")
    return found


def _json_copy(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"provenance is a {type(value).__name__}, expected a mapping")
    try:
        copy: dict[str, Any] = json.loads(
            json.dumps(dict(value), allow_nan=False, default=_plain_value)
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"provenance does not fit into JSON: {error}") from error
    return copy
