"""A division of the clips that a run is told, instead of the splits that the shards store."""

import hashlib
from dataclasses import replace

import polars as pl
from pydantic import Field, ValidationError

from ttdata.errors import InputError
from ttdata.schema import Group, Split, SplitInfo
from ttdata.settings import FrozenModel, first_problem
from ttdata.splits.leakage import leakage
from ttdata.storage.atomic import write_text
from ttflow.shards.reader import Shards
from tttrain.run import Run


class Division(FrozenModel):
    """Which clips a network learns from, which choose its epoch, which test it.

    A fold of a cross-validation is one (specification 5.7).
    """

    splits: dict[str, Split] = Field(description="by clip_id; a clip without one is not used")
    groups: dict[str, str] = Field(
        description="by clip_id, of all clips with a split: what those of one group have in common"
    )
    group: Group = Field(default="video", description="by which the leakage is counted")

    def clip_ids(self, split: Split) -> list[str]:
        """The clips of a split, sorted."""
        return sorted(clip_id for clip_id, name in self.splits.items() if name == split)

    def leaking(self) -> int:
        """How many validation and test clips share their group with training, or test with both."""
        train, validation = (
            {self.groups[clip_id] for clip_id in self.clip_ids(name)}
            for name in ("train", "validation")
        )
        held_out = [self.groups[clip_id] for clip_id in self.clip_ids("validation")]
        tested = [self.groups[clip_id] for clip_id in self.clip_ids("test")]
        return sum(group in train for group in held_out) + sum(
            group in train | validation for group in tested
        )

    def text(self) -> str:
        """As JSON, the same for the same division."""
        values = self.model_dump(mode="json")
        ordered = {name: dict(sorted(values[name].items())) for name in ("splits", "groups")}
        return self.model_validate(values | ordered).model_dump_json(indent=1) + "\n"

    @property
    def sha256(self) -> str:
        """Changes when a clip changes its split or its group."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def applied(self, shards: Shards) -> Shards:
        """The shards with these splits; a clip that the division does not name has none."""
        split = pl.col("clip_id").replace_strict(self.splits, default=None, return_dtype=pl.String)
        return replace(shards, clips=shards.clips.with_columns(split=split))

    def info(self, clips: pl.DataFrame) -> SplitInfo:
        """What reports say of the division of these clips, rows as ClipRecord."""
        leaked = leakage(clips, self.group)
        return SplitInfo(strategy="file", group=self.group, leakage=leaked)


def write_division(run: Run, division: Division) -> None:
    """Write `division.json` of a run; its `run.json` holds the hash."""
    write_text(run.division_path, division.text())


def check_same_division(run: Run, division: Division | None) -> None:
    """Refuse another division than a run that is there was told.

    Raises:
        InputError: in that case.
    """
    shas = run.info().division_sha256, None if division is None else division.sha256
    if shas[0] != shas[1]:
        found, wanted = (
            "the splits of its shards" if sha256 is None else f"division {sha256[:12]}"
            for sha256 in shas
        )
        raise InputError(
            f"{run.folder}: holds a run on {found}, expected {wanted}; take another --out"
        )


def read_division(run: Run) -> Division | None:
    """The division that a run was told; None if it takes the splits of its shards.

    Raises:
        InputError: if `division.json` is missing, damaged or another one than `run.json` says.
    """
    expected = run.info().division_sha256
    if expected is None:
        return None
    path = run.division_path
    try:
        division = Division.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); start the run anew") from error
    if division.sha256 != expected:
        raise InputError(
            f"{path}: SHA-256 {division.sha256[:12]}, expected {expected[:12]} as run.json says; "
            "start the run anew in another folder"
        )
    return division
