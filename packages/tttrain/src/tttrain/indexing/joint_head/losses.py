"""Losses of the joint head: focal loss per class, IoU loss of intervals (specification 6.10)."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def focal_loss(
    logits: Float[Tensor, "*shape"], targets: Float[Tensor, "*shape"], alpha: float, gamma: float
) -> Float[Tensor, "*shape"]:
    """Focal loss of each sigmoid, not reduced: alpha_t (1 - p_t)^gamma (-log p_t).

    Args:
        logits: of any shape.
        targets: the same shape, 0 or 1.
        alpha: weight of ones; zeros have 1 - alpha.
        gamma: how much less what is right already counts.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 5.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    wrong = (targets - logits.sigmoid()).abs()
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return weight * wrong**gamma * entropy


def interval_loss(
    distances: Float[Tensor, "cells 2"], targets: Float[Tensor, "cells 2"]
) -> Float[Tensor, " cells"]:
    """Distance-IoU loss of intervals around the same points, in [0, 2), not reduced.

    1 - IoU + (distance of the centres / length of what encloses both)^2.

    Args:
        distances: to start and to end, not negative.
        targets: the same of the true interval.

    Source: Zheng et al., "Distance-IoU Loss", AAAI 2020, in one dimension as in Zhang et al.,
    "ActionFormer", ECCV 2022.
    """
    both = torch.minimum(distances, targets).sum(dim=1)
    union = (distances + targets).sum(dim=1) - both
    around = torch.maximum(distances, targets).sum(dim=1)
    apart = (distances - targets).diff(dim=1)[:, 0] / 2
    least = 1e-6
    return 1 - both / union.clamp(min=least) + (apart / around.clamp(min=least)) ** 2
