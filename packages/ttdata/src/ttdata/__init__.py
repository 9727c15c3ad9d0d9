"""Curation of crowd-annotated stroke videos. Names load on first use, so importing is cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from ttdata.taxonomy import TTSTROKE21, Stroke, Taxonomy

_HOME = {
    "Action": "schema",
    "Annotation": "schema",
    "Clip": "schema",
    "CurationConfig": "schema",
    "DatasetInfo": "schema",
    "Review": "schema",
    "SplitInfo": "schema",
    "Stroke": "taxonomy",
    "TTSTROKE21": "taxonomy",
    "Taxonomy": "taxonomy",
    "Video": "schema",
}

__all__ = [
    "TTSTROKE21",
    "Action",
    "Annotation",
    "Clip",
    "CurationConfig",
    "DatasetInfo",
    "Review",
    "SplitInfo",
    "Stroke",
    "Taxonomy",
    "Video",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ttdata' has no attribute {name!r}")
    return getattr(import_module(f"ttdata.{_HOME[name]}"), name)
