"""An audit's suspects, taken into a dataset: doubts for people, no label changes."""

from pathlib import Path

import polars as pl
from pydantic import ValidationError

from ttdata.errors import InputError
from ttdata.schema import Suspect
from ttdata.settings import first_problem
from ttdata.sources.annotations import read_text_table, require_columns
from ttdata.storage.dataset import SUSPECTS, Dataset
from ttdata.storage.spreadsheet import unescape_formula
from ttdata.storage.tables import polars_schema, write_table

TEXTS = ("clip_id", "video_id", "label", "suggested_label", "group")
"""Columns of an audit's CSV that hold text from outside."""
_NEEDED = ("clip_id", "label", "suspicion", "suspected")


def take_suspects(dataset: Dataset, path: Path) -> int:
    """Write `suspects.parquet` of a dataset from an audit; an earlier audit's goes.

    Args:
        dataset: with the clips that were audited.
        path: `audit.csv` as `tttrain audit` writes it; rows that are not suspected are left out.

    Returns:
        How many suspects there are.

    Raises:
        InputError: naming file and line, if a column or value is missing, a label is none of the
            taxonomy, or the dataset has no such clip.
    """
    raw = read_text_table(path)
    require_columns(path, raw, _NEEDED)
    cells = unescape_formula(raw, TEXTS).with_columns(line=pl.int_range(2, pl.len() + 2))
    listed = cells.filter(pl.col("suspected").str.strip_chars().str.to_lowercase() == "true")
    rows = [_row(path, values, dataset) for values in listed.to_dicts()]
    unknown = listed.join(dataset.clips, on="clip_id", how="anti").sort("line")
    if unknown.height:
        first = unknown.row(0, named=True)
        raise InputError(
            f"{path} line {first['line']}: clip {first['clip_id']!r}, expected one of "
            f"{dataset.path}; audit this dataset again"
        )
    table = pl.DataFrame([row.model_dump() for row in rows], schema=polars_schema(Suspect))
    write_table(table, dataset.path / SUSPECTS, Suspect)
    return table.height


def _row(path: Path, values: dict[str, str | int | None], dataset: Dataset) -> Suspect:
    named = {name: values.get(name) or None for name in Suspect.model_fields}
    try:
        row = Suspect.model_validate(named)
    except ValidationError as error:
        raise InputError(f"{path} line {values['line']}: {first_problem(error)}") from error
    classes = dataset.info.taxonomy.classes
    for label in (row.label, row.suggested_label):
        if label is not None and label not in classes:
            raise InputError(
                f"{path} line {values['line']}: label {label!r}, expected a class of the taxonomy "
                f"{dataset.info.taxonomy.name!r}"
            )
    return row
