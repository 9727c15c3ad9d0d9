"""Training, testing and reports. Names load on first use, so importing is cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tttrain import recipes, windows
    from tttrain.augment import Augment
    from tttrain.config import AugmentConfig, TrainConfig
    from tttrain.evaluation import evaluate
    from tttrain.fitting import fit
    from tttrain.run import Run

_HOME = {
    "Augment": "augment",
    "AugmentConfig": "config",
    "Run": "run",
    "TrainConfig": "config",
    "evaluate": "evaluation",
    "fit": "fitting",
}
_MODULES = ("recipes", "windows")

__all__ = [
    "Augment",
    "AugmentConfig",
    "Run",
    "TrainConfig",
    "evaluate",
    "fit",
    "recipes",
    "windows",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"tttrain.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'tttrain' has no attribute {name!r}")
    return getattr(import_module(f"tttrain.{_HOME[name]}"), name)
