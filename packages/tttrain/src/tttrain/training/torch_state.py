"""The settings of torch that hold for a whole process; what is changed in them is put back."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.deterministic

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""The environment variable that cuBLAS needs to give the same sums every time."""


@contextmanager
def preserved() -> Iterator[None]:
    """Put back, at the end, threads, determinism, cuDNN's switches and the precision of float32.

    For work that runs in the process of a caller, a notebook say, whose settings are not ours.
    """
    before, workspace = [(write, read()) for read, write in _settings()], os.environ.get(WORKSPACE)
    try:
        yield
    finally:
        for write, value in before:
            write(value)
        if workspace is None:
            os.environ.pop(WORKSPACE, None)


@contextmanager
def exact(device: torch.device, num_threads: int) -> Iterator[None]:
    """Compute in float32 in the same way whatever this process did before; then `preserved`.

    No TF32 or bfloat16 instead of float32, also where autocast is on around, and only algorithms
    that give the same sums every time.

    Args:
        device: where the network is; on a GPU cuDNN takes the first deterministic algorithm.
        num_threads: of the CPU.
    """
    with preserved(), torch.autocast(device.type, enabled=False):
        torch.set_num_threads(num_threads)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        for _, write, value in _float32():
            write(value)
        if device.type == "cuda":
            os.environ.setdefault(WORKSPACE, ":4096:8")
            torch.set_deterministic_debug_mode("default")
            with torch.cuda.device(device):
                yield
        else:
            torch.set_deterministic_debug_mode("error")
            yield


Read = Callable[[], Any]
Write = Callable[[Any], None]


def _settings() -> list[tuple[Read, Write]]:
    """How to read and write each setting."""
    return [
        (torch.get_num_threads, torch.set_num_threads),
        (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
        _attribute(torch.utils.deterministic, "fill_uninitialized_memory"),
        _attribute(torch.backends.cudnn, "benchmark"),
        _attribute(torch.backends.cudnn, "deterministic"),
        *((read, write) for read, write, _ in _float32()),
    ]


def _float32() -> list[tuple[Read, Write, Any]]:
    """How to read and write what replaces float32 by something shorter, and its value for nothing.

    The switches per operation that torch has since 2.9: where a caller has used them, torch refuses
    to read the older ones, which stand for several of them.
    """
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):
        precision = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
        return [(*precision, "highest"), (*_attribute(backends.cudnn, "allow_tf32"), False)]
    operations = [backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul]
    operations += [backends.mkldnn.conv, backends.mkldnn.matmul]
    return [(*_attribute(item, "fp32_precision"), "ieee") for item in operations]


def _attribute(owner: Any, name: str) -> tuple[Read, Write]:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)
