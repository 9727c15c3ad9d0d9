"""Eight networks on small clips against a CPU, in float32 without TF32; windows that share work."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import ttmodels
from gpu_sections import networks, references
from gpu_sections.context import Context, largest, relative
from tttrain.training.loop import autocast

LOGITS, GRADIENTS = 1e-4, 1e-2
"""The most that a device's may differ by, relative to their length."""
SMALL_SHARE = 1e-3
"""A gradient shorter than this share of the longest is compared with that share instead."""
DETERMINISTIC = ("SSTC", "TwoStreamI3D")


def run(context: Context) -> None:
    """The section."""
    stored = references.load()
    for name in networks.NETWORKS:
        context.case(name, against_cpu, name, stored[f"logits {name}"])
    for name in DETERMINISTIC:
        context.case(f"{name}: twice", twice, name)
    context.case("sliding windows", sliding)


def against_cpu(context: Context, name: str, stored: Tensor) -> None:
    """Logits and gradients of one small batch; logits also against the stored ones."""
    torch.manual_seed(0)
    model = networks.NETWORKS[name]().eval()
    clips = networks.clips(model)
    expected, expected_gradients = step(model, clips)
    found, gradients = step(model.to(context.device), [clip.to(context.device) for clip in clips])
    context.check(f"{name}: logits to those stored", relative(found, stored), LOGITS)
    context.check(f"{name}: logits to a CPU's", relative(found, expected), LOGITS)
    least = SMALL_SHARE * max(gradient.norm().item() for gradient in expected_gradients)
    worst = max(
        (one.cpu() - other).norm().item() / max(other.norm().item(), least)
        for one, other in zip(gradients, expected_gradients, strict=True)
    )
    context.check(f"{name}: gradients to a CPU's, worst", worst, GRADIENTS)


def step(model: ttmodels.StrokeModel, clips: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Logits, and the gradients of all weights."""
    model.zero_grad(set_to_none=True)
    logits = model(*clips)
    labels = torch.arange(len(logits), device=logits.device)
    cross_entropy(logits, labels).backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    model.zero_grad(set_to_none=True)  # else these very tensors move along with the model
    return logits.detach(), gradients


def twice(context: Context, name: str) -> None:
    """Gradients of two passes, in the precision of training, are the same bits."""
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.manual_seed(0)
    model = networks.NETWORKS[name]().eval().to(context.device)
    clips = [clip.to(context.device) for clip in networks.clips(model)]
    with autocast(context.device.type, "auto"):
        one, other = (step(model, clips)[1] for _ in range(2))
    differ = sum(not torch.equal(a, b) for a, b in zip(one, other, strict=True))
    context.check(f"{name}: gradients that differ in a second pass", differ, 0)


def sliding(context: Context) -> None:
    """All windows of a longer clip: shared, and one by one."""
    torch.manual_seed(0)
    model = ttmodels.SSTC(networks.CLASSES, (64, 32, 32)).eval().to(context.device)
    clips = [clip.to(context.device) for clip in networks.clips(model, frames=90, batch=1)]
    windows = ttmodels.SlidingWindows(model, step=10)
    with torch.no_grad():
        shared = windows(*clips)
        alone = [model(*[clip[:, :, s : s + 64] for clip in clips]) for s in windows.starts(90)]
    context.check(
        f"{len(alone)} sliding windows to one by one, largest",
        largest(shared, torch.stack(alone, dim=1)),
        LOGITS,
    )
