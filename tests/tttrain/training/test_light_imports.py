"""What a training step needs: torch, numpy, pydantic, and nothing that reads files or draws."""

import subprocess
import sys

HEAVY = (
    *("tensorboardX", "polars", "pyarrow", "ray", "av", "cv2", "zstandard", "numba"),
    *("rich", "typer", "safetensors", "jaxtyping"),
)

STEP = f"""
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} is blocked")

sys.meta_path.insert(0, Blocked())
import torch
from tttrain.config import TrainConfig
from tttrain.data.normalise import normalise_flow
from tttrain.data.spatial_augment import Augment
from tttrain.training.device import set_up
from tttrain.training.gradient_factors import distribute
from tttrain.training.loop import Batch, make_optimizer, train_epoch

config = TrainConfig(precision="float32")
assert set_up(config) == "CPU, float32"
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
flow = normalise_flow(torch.ones((2, 2, 2, 2, 2)), (2.0, 4.0))
batch = Batch(["a", "b"], {{"flow": flow}}, torch.tensor([0, 1]), 2)
print(train_epoch(model, [batch], make_optimizer(model, config), config, ["flow"]).n)
"""


def test_a_step_without_what_reads_files() -> None:
    result = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, "2"), result.stderr
