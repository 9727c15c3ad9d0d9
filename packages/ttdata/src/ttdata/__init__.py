"""Curation of crowd-annotated stroke videos. Names load on first use, so importing is cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ttdata.curation.curate import CurationResult, curate
    from ttdata.schema import (
        Action,
        Annotation,
        Clip,
        CurationConfig,
        DatasetInfo,
        Review,
        SplitInfo,
        Video,
    )
    from ttdata.sources.formats import read_annotations
    from ttdata.splits.leakage import leakage
    from ttdata.splits.strategies import split_clips, split_sizes
    from ttdata.storage.dataset import Dataset, load_dataset
    from ttdata.taxonomy import TTSTROKE21, Stroke, Taxonomy

_HOME = {
    "Action": "schema",
    "Annotation": "schema",
    "Clip": "schema",
    "CurationConfig": "schema",
    "CurationResult": "curation.curate",
    "Dataset": "storage.dataset",
    "DatasetInfo": "schema",
    "Review": "schema",
    "SplitInfo": "schema",
    "Stroke": "taxonomy",
    "TTSTROKE21": "taxonomy",
    "Taxonomy": "taxonomy",
    "Video": "schema",
    "curate": "curation.curate",
    "leakage": "splits.leakage",
    "load_dataset": "storage.dataset",
    "read_annotations": "sources.formats",
    "split_clips": "splits.strategies",
    "split_sizes": "splits.strategies",
}

__all__ = [
    "TTSTROKE21",
    "Action",
    "Annotation",
    "Clip",
    "CurationConfig",
    "CurationResult",
    "Dataset",
    "DatasetInfo",
    "Review",
    "SplitInfo",
    "Stroke",
    "Taxonomy",
    "Video",
    "curate",
    "leakage",
    "load_dataset",
    "read_annotations",
    "split_clips",
    "split_sizes",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ttdata' has no attribute {name!r}")
    return getattr(import_module(f"ttdata.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
