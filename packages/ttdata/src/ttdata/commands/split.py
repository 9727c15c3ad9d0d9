"""The `ttdata split` command: the clips of a dataset folder, divided and divided again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ttdata.commands.left_test import left_test_notes, left_test_rows
from ttdata.commands.notes import Note
from ttdata.commands.options import parse_group, parse_shares, parse_strategy
from ttdata.errors import DatasetError, InputError
from ttdata.report.page import write_report
from ttdata.report.stats import class_table
from ttdata.report.text import balance_line, split_line, table_lines
from ttdata.schema import Group, SplitInfo, Strategy
from ttdata.splits.assignments import check_known, read_assignments
from ttdata.splits.balance import class_balance
from ttdata.splits.earlier import earlier_splits
from ttdata.splits.leakage import leakage, num_unknown_groups
from ttdata.splits.negatives import missing_negatives
from ttdata.splits.strategies import PAPER_SHARES, Shares, split_clips
from ttdata.storage.dataset import WRITTEN, Dataset, load_dataset, write_split
from ttdata.storage.outputs import check_output_folder


def run_split(
    path: Path,
    *,
    strategy: str,
    group: str,
    shares: str,
    seed: int = 0,
    assign: Path | None = None,
    fresh: bool = False,
) -> Iterator[str]:
    """Divide a dataset folder, see `split_dataset`; yields the lines to print.

    Raises:
        InputError: if an option, the assignments or the groups do not fit.
    """
    divided, notes = split_dataset(
        path,
        parse_strategy(strategy),
        group=parse_group(group),
        seed=seed,
        shares=parse_shares(shares),
        assign=assign,
        fresh=fresh,
    )
    yield from map(Note, notes)
    yield from table_lines(class_table(divided.clips, divided.info.taxonomy.classes))
    split = divided.info.split
    yield split_line(split)
    if split is not None and (line := balance_line(class_balance(divided.clips, split))):
        yield line


def split_dataset(
    path: Path,
    strategy: Strategy = "grouped",
    *,
    group: Group = "video",
    seed: int = 0,
    shares: Shares = PAPER_SHARES,
    assign: Path | None = None,
    fresh: bool = False,
) -> tuple[Dataset, tuple[str, ...]]:
    """Divide the clips of a dataset folder; returns it, and notes for the person who asked.

    Clips that the same strategy and group have divided before stay where they are, unless `fresh`.
    Those that leave test are counted in a note and listed in the report.

    Raises:
        InputError: if the assignments, the groups or the shares do not fit.
    """
    if (strategy == "file") != (assign is not None):
        raise InputError("strategy file needs --assign CSV, and no other strategy takes it")
    dataset = load_dataset(path)
    check_output_folder(path, "a dataset", (), settings=[assign], writes=WRITTEN)
    if not dataset.clips.filter(kind="stroke").height:
        raise DatasetError(f"{path}: holds no stroke to divide; see `ttdata stats`")
    wanted = SplitInfo(strategy=strategy, group=group, seed=seed, shares=shares, leakage=0)
    earlier = _comparable(dataset.info.split, wanted)
    clips = _split(
        dataset.clips,
        dataset.videos,
        wanted,
        assignments=_assignments(dataset, strategy, assign),
        existing=dataset.clips if earlier else None,
        fresh=fresh,
    )
    info = dataset.info.model_copy(update={"split": _with_leakage(wanted, clips, dataset.videos)})
    left = left_test_rows(dataset.clips, clips, _cause(dataset.info.split, wanted, fresh=fresh))
    notes = (
        *left_test_notes(left, path),
        *_split_notes(dataset, wanted, kept=earlier and not fresh),
        *_negative_notes(dataset, clips),
    )
    divided = write_split(dataset, info, clips)
    write_report(divided, left)
    return divided, notes


def _comparable(before: SplitInfo | None, wanted: SplitInfo) -> bool:
    drawn = wanted.strategy in ("paper", "grouped")
    return (
        drawn
        and before is not None
        and (before.strategy, before.group) == (wanted.strategy, wanted.group)
    )


def _cause(before: SplitInfo | None, wanted: SplitInfo, *, fresh: bool) -> str | None:
    """Why clips may leave test; None where they are to stay where they are."""
    if fresh:
        return "--fresh divides anew"
    if wanted.strategy in ("given", "file"):
        return "the source's split" if wanted.strategy == "given" else "the assignment"
    if before is not None and not _comparable(before, wanted):
        return f"divided anew, {before.strategy} by {before.group} before"
    return None


def _split_notes(dataset: Dataset, wanted: SplitInfo, *, kept: bool) -> tuple[str, ...]:
    before, notes = dataset.info.split, []
    if kept and before is not None:
        changed = (before.seed, before.shares) != (wanted.seed, wanted.shares)
        hint = "; the new seed or shares act on new clips only, --fresh divides anew"
        notes.append(f"clips divided before stay where they are{hint if changed else ''}")
    if dataset.info.config.trimmed and wanted.group == "video":
        notes.append(
            "every file is a video here, so leakage by video says nothing; with player_id or "
            "session_id in clips.csv, --group player or session tells"
        )
    return tuple(notes)


def _negative_notes(dataset: Dataset, clips: pl.DataFrame) -> tuple[str, ...]:
    lacking = missing_negatives(clips)
    if dataset.info.taxonomy.negative is None or not lacking:
        return ()
    counts = ", ".join(f"{count} in {name}" for name, count in lacking.items())
    return (f"fewer negatives than wanted: {counts} are lacking",)


def _assignments(dataset: Dataset, strategy: Strategy, assign: Path | None) -> pl.DataFrame | None:
    if strategy == "given":
        given = _given(dataset.videos)
        if given.is_empty():
            raise InputError(
                f"{dataset.path}: its source came with no split; expected train/, validation/, "
                "test/ folders or a column split in videos.csv"
            )
        return given
    if assign is None:
        return None
    rows = read_assignments(assign)
    if rows.columns[0] == "clip_id":
        known = dataset.clips["clip_id"]
    else:
        # A video that was left out is no typing error.
        both = pl.concat([dataset.videos["video_id"], dataset.annotations["video_id"]])
        known = both.unique().sort()
    check_known(assign, rows, known)
    return rows


def _given(videos: pl.DataFrame) -> pl.DataFrame:
    return videos.select("video_id", split="given_split").drop_nulls()


def _split(
    clips: pl.DataFrame,
    videos: pl.DataFrame,
    split: SplitInfo,
    *,
    assignments: pl.DataFrame | None,
    existing: pl.DataFrame | None,
    fresh: bool = False,
) -> pl.DataFrame:
    return split_clips(
        _with_sessions(clips, videos),
        split.strategy,
        group=split.group,
        seed=split.seed,
        shares=split.shares,
        assignments=assignments,
        existing=existing,
        fresh=fresh,
    ).select(clips.columns)


def _with_leakage(split: SplitInfo, clips: pl.DataFrame, videos: pl.DataFrame) -> SplitInfo:
    known = _with_sessions(clips, videos)
    found = {
        "leakage": leakage(known, split.group),
        "unknown_group_clips": num_unknown_groups(known, split.group),
    }
    return split.model_copy(update=found)


def _with_sessions(clips: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    sessions = videos.select("video_id", "session_id")
    return clips.join(sessions, on="video_id", how="left", maintain_order="left")


@dataclass(frozen=True)
class DividedAgain:
    """The clips of a new curation, divided as the dataset before it was."""

    clips: pl.DataFrame
    split: SplitInfo | None
    """How they are divided now; None where they are not."""
    notes: tuple[str, ...] = ()
    """Lines for the person who asked."""
    left_test: pl.DataFrame | None = None
    """The clips that left test, as `left_test_rows` gives them."""


def divide_again(before: Dataset | None, clips: pl.DataFrame, videos: pl.DataFrame) -> DividedAgain:
    """Newly curated clips in the splits of the dataset that was here, if it was divided.

    Known clips stay where they are, also where their bounds moved (see `splits.earlier`). New ones
    follow the stored strategy; after a split by file they go where their video is, or nowhere if
    that is on several sides or new.

    Args:
        before: the dataset that was in the folder.
        clips: rows as Clip of the new curation.
        videos: rows as Video of the new curation.
    """
    if before is None or before.info.split is None:
        return DividedAgain(clips, None)
    split = before.info.split
    try:
        if split.strategy == "file":
            divided = _as_remembered(clips, before.clips)
        else:
            given = _given(videos) if split.strategy == "given" else None
            divided = _split(clips, videos, split, assignments=given, existing=before.clips)
    except InputError as error:
        left = left_test_rows(before.clips, clips, "the division was lost")
        lost = f"the division was lost, run `ttdata split` again: {error}"
        return DividedAgain(clips, None, (*left_test_notes(left, before.path), lost), left)
    left = left_test_rows(before.clips, divided, _cause(None, split, fresh=False))
    notes = (
        *left_test_notes(left, before.path),
        *_kept_notes(split, divided.filter(kind="stroke"), before.clips),
    )
    return DividedAgain(divided, _with_leakage(split, divided, videos), notes, left)


def _kept_notes(split: SplitInfo, strokes: pl.DataFrame, known: pl.DataFrame) -> Iterator[str]:
    earlier = pl.concat([earlier_splits(strokes, known)["clip_id"], known["clip_id"]])
    new = strokes.filter(~pl.col("clip_id").is_in(earlier.implode())).height
    yield f"division kept ({split.strategy}, seed {split.seed}); {new} strokes are new"
    if without_split := strokes["split"].null_count():
        yield f"{without_split} strokes have no split: run `ttdata split` with an assignment"


def _as_remembered(clips: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Known clips as before, new strokes as the strokes of their video, if these are together."""
    of_video = (
        known.drop_nulls("split")
        .group_by("video_id")
        .agg(video_split=pl.when(pl.col("split").n_unique() == 1).then(pl.col("split").first()))
    )
    remembered = earlier_splits(clips, known).select("clip_id", "split")
    joined = (
        clips.drop("split")
        .join(remembered, on="clip_id", how="left", maintain_order="left")
        .join(of_video, on="video_id", how="left", maintain_order="left")
    )
    follows = pl.when(kind="stroke").then("video_split")
    return joined.with_columns(split=pl.coalesce("split", follows)).select(clips.columns)
