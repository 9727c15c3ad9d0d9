"""What the figures depend on: versions, and what the device copies and multiplies a second."""

import importlib
import platform
import time

import torch

from gpu_sections.context import Context

MODULES = ("numpy", "cv2", "numba", "triton", "safetensors", "jaxtyping", "pydantic", "pyarrow")


def run(context: Context) -> None:
    """The section."""
    context.note("date", time.strftime("%Y-%m-%d"))
    context.case("device", device)
    context.case("versions", versions)
    context.case("copy", copy_rate)
    context.case("bfloat16 product", product_rate)


def device(context: Context) -> None:
    """Name, memory, driver."""
    if not context.cuda:
        context.note("device", f"CPU {platform.machine()}, {torch.get_num_threads()} threads")
        return
    facts = torch.cuda.get_device_properties(context.device)
    context.note("device", facts.name)
    context.measure("memory", facts.total_memory / 2**30, "GiB")
    context.note("capability", f"{facts.major}.{facts.minor}, {facts.multi_processor_count} SMs")
    context.note("CUDA, cuDNN", f"{torch.version.cuda}, {torch.backends.cudnn.version()}")


def versions(context: Context) -> None:
    """Of Python and of all that is imported; a package that does not import says why."""
    context.note("python, torch", f"{platform.python_version()}, {torch.__version__}")
    for name in MODULES:
        try:
            found = importlib.import_module(name)
        except Exception as error:  # numba refuses NumPy's that it does not know, for one
            context.note(name, f"does not import: {type(error).__name__}: {str(error)[:120]}")
        else:
            context.note(name, str(getattr(found, "__version__", "no version")))


def copy_rate(context: Context) -> None:
    """Bytes read and written a second."""
    size = 2**22 if context.tiny else 2**30
    places = [torch.zeros(size, dtype=torch.uint8, device=context.device) for _ in range(4)]
    turns = [(places[i], places[(i + 2) % 4]) for i in range(4)]
    taken = context.milliseconds(torch.Tensor.copy_, turns, repeats=15)
    context.measure("copy, read and written", 2 * size / taken / 1e6, "GB/s")


def product_rate(context: Context) -> None:
    """Of square matrices in bfloat16."""
    side = 256 if context.tiny else 8192
    sides = [torch.randn(side, side, device=context.device).bfloat16() for _ in range(4)]
    turns = [(sides[i], sides[(i + 1) % 4]) for i in range(4)]
    taken = context.milliseconds(torch.matmul, turns, repeats=15, warm_ups=5)
    context.measure("product in bfloat16", 2 * side**3 / taken / 1e9, "TFLOP/s")
