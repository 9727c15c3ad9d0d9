"""The dataset folder: its tables, `dataset.json`, and `reviews.csv` that only people write."""

import json
import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ValidationError

from ttdata.errors import DatasetError
from ttdata.schema import (
    SCHEMA_VERSION,
    Action,
    Annotation,
    Clip,
    CoveredSpan,
    DatasetInfo,
    Review,
    Stretch,
    Suspect,
    Video,
)
from ttdata.settings import first_problem
from ttdata.storage.atomic import atomic_path, write_json
from ttdata.storage.tables import (
    check_version,
    conform,
    empty,
    polars_schema,
    read_table,
    write_table,
)

INFO, REVIEWS, COVERED = "dataset.json", "reviews.csv", "covered.parquet"
STRETCHES, SUSPECTS = "stretches.parquet", "suspects.parquet"
WRITTEN = (
    *(INFO, REVIEWS, "report"),
    *("videos.parquet", "annotations.parquet", "actions.parquet", "clips.parquet", COVERED),
    *(STRETCHES, SUSPECTS),
)
"""Names of what commands write in the folder."""


@dataclass(frozen=True)
class Dataset:
    """A dataset folder; the tables are read when first asked for."""

    path: Path
    info: DatasetInfo

    @cached_property
    def videos(self) -> pl.DataFrame:
        """Rows as Video."""
        return read_table(self.path / "videos.parquet", Video)

    @cached_property
    def annotations(self) -> pl.DataFrame:
        """Rows as Annotation."""
        return read_table(self.path / "annotations.parquet", Annotation)

    @cached_property
    def actions(self) -> pl.DataFrame:
        """Rows as Action."""
        return read_table(self.path / "actions.parquet", Action)

    @cached_property
    def clips(self) -> pl.DataFrame:
        """Rows as Clip."""
        return read_table(self.path / "clips.parquet", Clip)

    @cached_property
    def covered(self) -> pl.DataFrame:
        """Rows as CoveredSpan; none where all videos are annotated from end to end."""
        path = self.path / COVERED
        return read_table(path, CoveredSpan) if path.is_file() else empty(CoveredSpan)

    @cached_property
    def stretches(self) -> pl.DataFrame:
        """Rows as Stretch; none where curation was not asked for `whole_video_negatives`."""
        path = self.path / STRETCHES
        return read_table(path, Stretch) if path.is_file() else empty(Stretch)

    @cached_property
    def suspects(self) -> pl.DataFrame:
        """Rows as Suspect; none where no audit was handed over."""
        path = self.path / SUSPECTS
        return read_table(path, Suspect) if path.is_file() else empty(Suspect)

    @cached_property
    def annotated_spans(self) -> pl.DataFrame:
        """As `covered`, with the whole of every video that has no row there; sorted."""
        others = self.videos.join(self.covered, on="video_id", how="anti").select(
            "video_id", start_frame=pl.lit(0, pl.Int64), end_frame="num_frames"
        )
        spans = self.covered.filter(pl.col("end_frame") > pl.col("start_frame"))
        return pl.concat([spans, conform(others, CoveredSpan)]).sort("video_id", "start_frame")


def load_dataset(path: str | Path) -> Dataset:
    """Open a dataset folder.

    Raises:
        DatasetError: if the folder holds no readable `dataset.json`.
        VersionError: if another release wrote it.
    """
    folder = Path(path)
    file = folder / INFO
    if not file.is_file():
        raise DatasetError(f"{folder}: no {INFO}; expected a folder that `ttdata curate` wrote")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        found = content.get("schema_version")
    except (OSError, ValueError, AttributeError) as error:
        raise DatasetError(f"{file}: not a readable JSON object ({error})") from error
    check_version(file, found, SCHEMA_VERSION)
    try:
        return Dataset(folder, DatasetInfo.model_validate(content))
    except ValidationError as error:
        raise DatasetError(f"{file}: {first_problem(error)}") from error


def write_dataset(
    path: Path,
    info: DatasetInfo,
    *,
    videos: pl.DataFrame,
    annotations: pl.DataFrame,
    actions: pl.DataFrame,
    clips: pl.DataFrame,
    covered: pl.DataFrame | None = None,
    stretches: pl.DataFrame | None = None,
) -> Dataset:
    """Write all tables, each atomically, `dataset.json` last; `reviews.csv` only where it lacks.

    `covered.parquet` and `stretches.parquet` are there only where they hold rows, so other datasets
    are as before.
    """
    path.mkdir(parents=True, exist_ok=True)
    write_table(videos, path / "videos.parquet", Video)
    write_table(annotations, path / "annotations.parquet", Annotation)
    write_table(actions, path / "actions.parquet", Action)
    write_table(clips, path / "clips.parquet", Clip)
    _write_or_remove(covered, path / COVERED, CoveredSpan)
    _write_or_remove(stretches, path / STRETCHES, Stretch)
    if not (path / REVIEWS).exists():
        with atomic_path(path / REVIEWS) as temporary:
            temporary.write_text(",".join(polars_schema(Review).names()) + "\n", encoding="utf-8")
    write_json(path / INFO, info.model_dump(mode="json"))
    return Dataset(path, info)


def _write_or_remove(frame: pl.DataFrame | None, path: Path, model: type[BaseModel]) -> None:
    if frame is None or frame.is_empty():
        path.unlink(missing_ok=True)
    else:
        write_table(frame, path, model)


def write_split(dataset: Dataset, info: DatasetInfo, clips: pl.DataFrame) -> Dataset:
    """Write what a division changes: `clips.parquet`, then `dataset.json`."""
    write_table(clips, dataset.path / "clips.parquet", Clip)
    write_json(dataset.path / INFO, info.model_dump(mode="json"))
    return Dataset(dataset.path, info)


def tool_versions() -> dict[str, str]:
    """The versions of what writes a dataset."""
    names = ("ttdata", "polars", "numpy", "av")
    return {name: version(name) for name in names} | {"python": platform.python_version()}
