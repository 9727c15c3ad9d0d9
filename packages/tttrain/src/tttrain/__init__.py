"""Training, testing and reports. Names load on first use, so importing is cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tttrain import recipes, windows
    from tttrain.augment import Augment
    from tttrain.comparison import compare
    from tttrain.config import AugmentConfig, TrainConfig
    from tttrain.evaluation import evaluate
    from tttrain.fitting import fit
    from tttrain.prediction import predict
    from tttrain.run import Run

_HOME = {
    "Augment": "augment",
    "AugmentConfig": "config",
    "Run": "run",
    "TrainConfig": "config",
    "compare": "comparison",
    "evaluate": "evaluation",
    "fit": "fitting",
    "predict": "prediction",
}
_MODULES = ("recipes", "windows")

__all__ = [
    "Augment",
    "AugmentConfig",
    "Run",
    "TrainConfig",
    "compare",
    "evaluate",
    "fit",
    "predict",
    "recipes",
    "windows",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"tttrain.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'tttrain' has no attribute {name!r}")
    return getattr(import_module(f"tttrain.{_HOME[name]}"), name)
