"""Shards with other labels beside those there are: the pixels are linked, not copied."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from ttflow.shards.reader import open_shards
from ttflow.shards.writer import write_records

_LINKED = ("shards.json", "manifests", "parts", "pose")


def relabelled(shards: Path, labels: Mapping[str, str], out: Path) -> Path:
    """Write a shards folder in which some clips have other labels.

    Args:
        shards: a finished shards folder; it must stay where it is.
        labels: the new ones by clip_id.
        out: the folder; one that was written before is written again.

    Returns:
        `out`.

    Raises:
        ShardError: if `shards` is missing or not finished.
    """
    found = open_shards(shards)
    out.mkdir(parents=True, exist_ok=True)
    for name in _LINKED:
        source = found.path / name
        if source.exists():
            (out / name).unlink(missing_ok=True)
            (out / name).symlink_to(source)
    label = pl.col("clip_id").replace_strict(
        dict(labels), default=pl.col("label"), return_dtype=pl.String
    )
    write_records(out, found.clips.with_columns(label=label), found.dataset)
    return out
