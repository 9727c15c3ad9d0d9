"""Where a network looks: gradient-weighted class activation (Grad-CAM) in time and space.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, equations 1 and 2. Differs: maps have a time axis, and the gradient is
averaged over it too; a network of several streams gives one activation per stream; the maps are
those the classifier reads, after the last pooling.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from ttmodels.base import StrokeModel


def grad_cam(
    model: StrokeModel,
    *clips: Float[Tensor, "batch _ time ..."],
    target: Int[Tensor, " batch"] | int | None = None,
    full_size: bool = True,
) -> dict[str, Float[Tensor, "batch _ _ _"]]:
    """Return per stream how much each place speaks for a class.

    Weights and their gradients stay as they are; a dropout that is on acts as in `forward`, so
    call `model.eval()` first.

    Args:
        model: any network of this package.
        *clips: what its `forward` takes.
        target: class whose logit is explained, one for all clips or one each; the class with the
            largest logit by default.
        full_size: interpolate to the clip's (time, height, width); else the size of the maps.

    Returns:
        From stream ("rgb", "flow", "rgb_flow", "pose") to (batch, time, height, width), the dtype
        of the maps: 1 where the activation is largest in its clip, 0 where nothing speaks for the
        class. Beside clips a pose is the same at every place; alone its height and width are 1.

    Raises:
        ValueError: if a target is no class, or the clips are not what the network takes.
    """
    with torch.no_grad():
        maps = [stream.detach() for stream in model.forward_features(*clips)]
    with torch.enable_grad():
        leaves = [stream.requires_grad_() for stream in maps]
        logits = model.forward_head(*leaves)
        chosen = logits.gather(1, _targets(logits, target)[:, None]).sum()
        gradients = torch.autograd.grad(chosen, leaves)
    sides = clips[0].shape[2:] if clips[0].ndim == 5 else (clips[0].shape[2], 1, 1)
    return {
        stream: _activation(leaf.detach(), gradient, sides if full_size else None)
        for stream, leaf, gradient in zip(model.streams, leaves, gradients, strict=True)
    }


def _targets(logits: Tensor, target: Tensor | int | None) -> Tensor:
    if target is None:
        return logits.argmax(dim=1)
    batch, classes = logits.shape
    targets = torch.as_tensor(target, device=logits.device)
    if targets.ndim > 1 or (targets.ndim == 1 and len(targets) != batch):
        raise ValueError(f"target has shape {tuple(targets.shape)}, expected () or ({batch},)")
    if targets.is_floating_point() or not ((targets >= 0) & (targets < classes)).all():
        raise ValueError(f"target is {targets.tolist()}, expected integers 0 to {classes - 1}")
    return targets.to(torch.int64).expand(batch)


def _activation(maps: Tensor, gradient: Tensor, sides: tuple[int, ...] | None) -> Tensor:
    weights = gradient.mean(dim=(2, 3, 4), keepdim=True)
    activation = functional.relu((weights * maps).sum(dim=1, keepdim=True))
    if sides is not None:
        activation = functional.interpolate(
            activation, size=tuple(sides), mode="trilinear", align_corners=False
        )
    largest = activation.amax(dim=(1, 2, 3, 4), keepdim=True)
    return (activation / largest.clamp(min=torch.finfo(activation.dtype).tiny)).squeeze(1)
