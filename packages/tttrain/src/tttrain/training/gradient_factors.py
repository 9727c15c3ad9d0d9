"""Large fully connected layers send the factors of their gradient instead of the gradient.

The gradient of a layer's weight is dy^T x, a product of the layer's inputs x (clips, in) and of its
output gradients dy (clips, out). Workers that gather the rows of x and dy of all clips compute the
product over the global batch by themselves: the same sum that an all-reduce of the products gives,
for clips x (in + out) numbers instead of in x out. At full size a branch's first fully connected
layer is 216 000 x 500: with two workers and five clips each that is 1.1 million numbers sent
instead of 108 million.

Legend: B clips of a worker, W workers.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Variable
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

LEAST_WEIGHTS = 2**16
"""Smaller layers go with the rest in one message: another one costs more than it saves."""


def reduce_numbers(in_features: int, out_features: int, num_workers: int) -> float:
    """Numbers a worker sends to all-reduce a weight's gradient in a ring: 2 (W - 1) / W of it."""
    return 2 * (num_workers - 1) / num_workers * in_features * out_features


def factor_numbers(in_features: int, out_features: int, clips: int, num_workers: int) -> int:
    """Numbers a worker sends to gather the factors in a ring: its rows, W - 1 times."""
    return (num_workers - 1) * clips * (in_features + out_features)


class FactorLinear(nn.Linear):
    """A linear layer whose weight gradient is the mean over workers, made from gathered factors.

    The factors travel while the layers below compute their gradients; `weight.grad` is there when
    `backward()` returns (and only then: hooks of the weight and `torch.autograd.grad` see nothing).

    Attributes:
        clips: most rows of a worker's part of a batch; all workers send so many, the rest zeros,
            which add nothing to the product.
        sent_bytes: what this worker has sent for it so far, to W - 1 others.
    """

    clips = 1
    sent_bytes = 0

    @classmethod
    def of(cls, layer: nn.Linear, clips: int) -> "FactorLinear":
        """The same layer, with the same parameters, in the other kind."""
        made = cls(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        made.weight, made.bias, made.clips = layer.weight, layer.bias, clips
        return made

    def forward(self, x: Tensor) -> Tensor:
        """(B, in) to (B, out); B may differ by worker, but every worker must come along."""
        if not (torch.is_grad_enabled() and self.weight.requires_grad):
            return super().forward(x)
        product: Tensor = _Product.apply(x, self.weight, self.bias, self)  # type: ignore[no-untyped-call]
        return product

    def send(self, x: Tensor, dy: Tensor) -> Callable[[], None]:
        """Start to gather the factors; what is returned waits for them and adds the gradient."""
        workers = distributed.get_world_size()
        rows = torch.cat([x, dy], dim=1)
        if len(rows) > self.clips:
            raise ValueError(f"a worker has {len(rows)} clips, expected at most {self.clips}")
        rows = functional.pad(rows, (0, 0, 0, self.clips - len(rows))).contiguous()
        found = [torch.empty_like(rows) for _ in range(workers)]
        work = distributed.all_gather(found, rows, async_op=True)
        self.sent_bytes += (workers - 1) * rows.numel() * rows.element_size()

        def finish() -> None:
            work.wait()
            gathered = torch.cat(found)
            all_x, all_dy = gathered[:, : x.shape[1]], gathered[:, x.shape[1] :]
            gradient = ((all_dy / workers).T @ all_x).to(self.weight.dtype)
            before = self.weight.grad
            self.weight.grad = gradient if before is None else before + gradient

        return finish


class _Product(torch.autograd.Function):
    """x W^T + b in one call, as nn.Linear rounds it, with the gradient of W over all workers."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layer: FactorLinear
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.layer = layer
        return functional.linear(x, weight, bias)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        # Under autocast dy is the narrower type; the products are taken in it, as autocast does.
        finish = ctx.layer.send(x.to(dy.dtype), dy)
        Variable._execution_engine.queue_callback(finish)
        dx = (dy @ weight.to(dy.dtype)).to(x.dtype) if ctx.needs_input_grad[0] else None
        db = dy.sum(0) if ctx.needs_input_grad[2] else None
        return dx, None, db, None


def use_factors(model: nn.Module, batch_size: int, num_workers: int) -> list[str]:
    """Let the layers of a model send factors where that is less.

    Args:
        model: its layers are replaced; parameters and their names stay.
        batch_size: clips of a step, over all workers together.
        num_workers: W.

    Returns:
        Names of the weights whose gradients are complete without DistributedDataParallel.
    """
    clips = -(-batch_size // num_workers)
    names = []
    for name, layer in list(model.named_modules()):
        if type(layer) is not nn.Linear:
            continue
        sizes = (layer.in_features, layer.out_features)
        if layer.weight.numel() < LEAST_WEIGHTS:
            continue
        if factor_numbers(*sizes, clips, num_workers) < reduce_numbers(*sizes, num_workers):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, FactorLinear.of(layer, clips))
            names.append(f"{name}.weight")
    return names


def distribute(model: nn.Module, batch_size: int) -> nn.Module:
    """The model for a step of all workers: gradients are means over them, factors where less.

    Every worker must start from the same weights; this one does not copy the first worker's.
    Buffers stay each worker's own (see `collective.average_statistics`).
    """
    names = use_factors(model, batch_size, distributed.get_world_size())
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, names)  # type: ignore[no-untyped-call]
    return DistributedDataParallel(model, broadcast_buffers=False)
