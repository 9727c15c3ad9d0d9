"""Training, testing and reports. Names load on first use, so importing is cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tttrain import recipes, windows
    from tttrain.commands.audit import audit
    from tttrain.commands.compare import compare
    from tttrain.commands.cross_validate import FoldOptions, cross_validate
    from tttrain.commands.evaluate import evaluate
    from tttrain.commands.evaluate_detector import evaluate_detector
    from tttrain.commands.fit import fit
    from tttrain.commands.fit_detector import fit_detector
    from tttrain.commands.index import index
    from tttrain.commands.predict import predict
    from tttrain.commands.quality import measure_strokes, suggest_references
    from tttrain.config import AugmentConfig, TrainConfig
    from tttrain.data.spatial_augment import Augment
    from tttrain.indexing.measures.scores import detection_scores
    from tttrain.run import Run

_HOME = {
    "Augment": "data.spatial_augment",
    "AugmentConfig": "config",
    "FoldOptions": "commands.cross_validate",
    "Run": "run",
    "TrainConfig": "config",
    "audit": "commands.audit",
    "compare": "commands.compare",
    "cross_validate": "commands.cross_validate",
    "detection_scores": "indexing.measures.scores",
    "evaluate": "commands.evaluate",
    "evaluate_detector": "commands.evaluate_detector",
    "fit": "commands.fit",
    "fit_detector": "commands.fit_detector",
    "index": "commands.index",
    "measure_strokes": "commands.quality",
    "predict": "commands.predict",
    "suggest_references": "commands.quality",
}
_MODULES = ("recipes", "windows")

__all__ = [
    "Augment",
    "AugmentConfig",
    "FoldOptions",
    "Run",
    "TrainConfig",
    "audit",
    "compare",
    "cross_validate",
    "detection_scores",
    "evaluate",
    "evaluate_detector",
    "fit",
    "fit_detector",
    "index",
    "measure_strokes",
    "predict",
    "recipes",
    "suggest_references",
    "windows",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"tttrain.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'tttrain' has no attribute {name!r}")
    return getattr(import_module(f"tttrain.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
