"""Polars schemas from the Pydantic models, and versioned Parquet tables."""

import types
import typing
from pathlib import Path

import polars as pl
from pydantic import BaseModel

from ttdata.errors import DatasetError, VersionError
from ttdata.schema import SCHEMA_VERSION
from ttdata.settings import Float32
from ttdata.storage.atomic import atomic_path

VERSION_KEY = "schema_version"
_DTYPES: dict[object, pl.DataType] = {
    str: pl.String(),
    int: pl.Int64(),
    float: pl.Float64(),
    Float32: pl.Float32(),
    bool: pl.Boolean(),
    bytes: pl.Binary(),
}


def _dtype(annotation: object) -> pl.DataType:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (item for item in arguments if item is not type(None))
        return _dtype(inner)
    if origin is typing.Literal:
        return pl.String()
    if origin in (tuple, list):
        return pl.List(_dtype(arguments[0]))
    return _DTYPES[annotation]


def polars_schema(model: type[BaseModel]) -> pl.Schema:
    """The Polars schema of a table: one column per field, the model's own before inherited ones."""
    names = sorted(model.model_fields, key=lambda name: name not in model.__annotations__)
    return pl.Schema({name: _dtype(model.model_fields[name].annotation) for name in names})


def empty(model: type[BaseModel]) -> pl.DataFrame:
    """A table of this model without rows."""
    return pl.DataFrame(schema=polars_schema(model))


def conform(frame: pl.DataFrame, model: type[BaseModel]) -> pl.DataFrame:
    """The model's columns in its order and dtypes; columns the frame lacks are null."""
    schema = polars_schema(model)
    # Not a bare select: literals alone would make one row of an empty table.
    columns = (
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )
    return frame.with_columns(columns).select(schema.names())


def write_table(
    frame: pl.DataFrame, path: Path, model: type[BaseModel], version: int = SCHEMA_VERSION
) -> None:
    """Write a table as Parquet, atomically, with the schema version in its metadata."""
    with atomic_path(path) as temporary:
        conform(frame, model).write_parquet(temporary, metadata={VERSION_KEY: str(version)})


def read_table(path: Path, model: type[BaseModel], version: int = SCHEMA_VERSION) -> pl.DataFrame:
    """Read a table written by `write_table`; an optional column that it lacks is null.

    So a column can be added without making older files unreadable.

    Raises:
        DatasetError: if the file is missing, is no Parquet, or has other columns or dtypes.
        VersionError: if another schema version wrote it.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file")
    try:
        found = pl.read_parquet_metadata(path).get(VERSION_KEY)
        frame = pl.read_parquet(path, glob=False)  # "[1]" in a name is no pattern
    except pl.exceptions.PolarsError as error:
        raise DatasetError(f"{path}: not a readable Parquet file ({error})") from error
    check_version(path, found, version)
    expected = polars_schema(model)
    frame = frame.with_columns(
        pl.lit(None, expected[name]).alias(name)
        for name, field in model.model_fields.items()
        if not field.is_required() and name not in frame.columns
    )
    if frame.schema.keys() == expected.keys():
        frame = frame.select(expected.names())
    if frame.schema != expected:
        raise DatasetError(f"{path}: columns {dict(frame.schema)}, expected {dict(expected)}")
    return frame


def check_version(
    path: Path,
    found: object,
    expected: int,
    *,
    reader: str = "this release",
    advice: str = "write it again with this release",
) -> None:
    """Raise VersionError unless the file's schema version is the one this release reads.

    Args:
        path: of the file, for the message.
        found: the version that the file states; None where it states none.
        expected: the version that is read.
        reader: who reads it, for the message.
        advice: what the user can do, for the message.
    """
    if str(found) != str(expected):
        raise VersionError(f"{path}: schema version {found}, {reader} reads {expected}; {advice}")
