"""What a worker computes on: threads, precision and determinism of its process."""

import os

import torch

from tttrain.config import TrainConfig
from tttrain.training.loop import uses_bfloat16


def set_up(config: TrainConfig, device: str = "cpu") -> str:
    """Threads, precision and determinism of this worker's process.

    On a GPU cuDNN keeps to algorithms that give the same sums every time. PyTorch has none there for
    the gradient of overlapping max pooling; `ttmodels.overlapping_pooling` has.

    Returns:
        The device and the precision it computes in, in words.
    """
    torch.set_num_threads(config.execution.torch_threads or 1)
    kind, name = torch.device(device).type, "CPU"
    if kind != "cuda":
        # The same switch as use_deterministic_algorithms, which also imports a compiler: 2 s.
        torch.set_deterministic_debug_mode("error")
    else:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = config.precision != "float32"
        name = torch.cuda.get_device_name(device)
    return f"{name}, {'bfloat16 autocast' if uses_bfloat16(kind, config.precision) else 'float32'}"
