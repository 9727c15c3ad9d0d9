"""Curation of crowd-annotated stroke videos. Names load on first use, so importing is cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ttdata.curation import CurationResult, curate
    from ttdata.dataset import Dataset, load_dataset
    from ttdata.formats import read_annotations
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
    from ttdata.splits import leakage, split_clips, split_sizes
    from ttdata.taxonomy import TTSTROKE21, Stroke, Taxonomy

_HOME = {
    "Action": "schema",
    "Annotation": "schema",
    "Clip": "schema",
    "CurationConfig": "schema",
    "CurationResult": "curation",
    "Dataset": "dataset",
    "DatasetInfo": "schema",
    "Review": "schema",
    "SplitInfo": "schema",
    "Stroke": "taxonomy",
    "TTSTROKE21": "taxonomy",
    "Taxonomy": "taxonomy",
    "Video": "schema",
    "curate": "curation",
    "leakage": "splits",
    "load_dataset": "dataset",
    "read_annotations": "formats",
    "split_clips": "splits",
    "split_sizes": "splits",
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
