"""The three files of a dataset folder that extraction reads."""

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from ttdata.errors import DatasetError
from ttdata.schema import SCHEMA_VERSION, Clip, DatasetInfo, Video
from ttdata.storage.tables import check_version, read_table


@dataclass(frozen=True)
class Dataset:
    """A dataset without its annotations: `dataset.json`, `videos.parquet`, `clips.parquet`."""

    info: DatasetInfo
    videos: pl.DataFrame
    clips: pl.DataFrame


def read_dataset(folder: Path) -> Dataset:
    """Read what `ttdata curate` wrote.

    Raises:
        DatasetError: if the folder or one of its files is missing or damaged.
        VersionError: if another release wrote it.
    """
    path = folder / "dataset.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        check_version(path, values["schema_version"], SCHEMA_VERSION)
        info = DatasetInfo.model_validate(values)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file; `ttdata curate` writes datasets") from error
    except ValidationError as error:
        raise DatasetError(f"{path}: {error.errors()[0]['msg'].lower()}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: not a readable dataset description ({error})") from error
    videos = read_table(folder / "videos.parquet", Video)
    return Dataset(info, videos, read_table(folder / "clips.parquet", Clip))
