"""People's decisions, kept apart from the data and applied on top (specification 1.3, 1.4).

`relabel`, `move` and `drop` concern actions, `accept` and `reject` negative proposals. A review
finds what it speaks of by video, interval (best IoU, at least 0.5) and, where it names them, player
or region, so curating again with more annotations never loses it. Of several reviews of one kind on
one action the last line holds; any later `relabel`, `move` or `accept` takes a `drop` back.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import polars as pl

from ttdata.curation.consensus import flag_overlaps, interval_ids, with_status
from ttdata.curation.matching import PLACE, best_matches
from ttdata.errors import AnnotationError
from ttdata.schema import Review
from ttdata.sources.annotations import REGION, complete, read_text_table, require_columns
from ttdata.storage.spreadsheet import unescape_formula
from ttdata.storage.tables import conform, polars_schema
from ttdata.taxonomy import Taxonomy

TEXTS = ("video_id", "label", "reviewer_id", "player_id")
_REQUIRED = ("video_id", "start_frame", "end_frame", "decision")
_DECISIONS = get_args(Review.model_fields["decision"].annotation)


def read_reviews(path: Path, taxonomy: Taxonomy) -> pl.DataFrame:
    """The reviews of a file as Review rows with their `line`, labels canonical.

    Raises:
        AnnotationError: naming the line, if a decision or label is unknown, a bound is no frame
            number, an interval is empty, or a decision lacks what it needs.
    """
    return checked_reviews(path, read_review_cells(path), taxonomy)


def read_review_cells(path: Path) -> pl.DataFrame:
    """The cells of a file of reviews as text, with their `line`.

    Raises:
        AnnotationError: if the file is no table or lacks a column.
    """
    raw = read_text_table(path)
    require_columns(path, raw, _REQUIRED)
    return unescape_formula(raw, TEXTS).with_columns(line=pl.int_range(2, pl.len() + 2))


def checked_reviews(path: Path, cells: pl.DataFrame, taxonomy: Taxonomy) -> pl.DataFrame:
    """The cells as Review rows with their `line`, labels canonical; errors as `read_reviews`."""
    frame = complete(cells, polars_schema(Review)).with_columns(cells["line"])
    names = {label: taxonomy.canonical(label) for label in frame["label"].drop_nulls().unique()}
    canonical = pl.col("label").replace_strict(names, default=None, return_dtype=pl.String)
    checked = frame.with_columns(
        decision=pl.col("decision").str.strip_chars().str.to_lowercase(), canonical=canonical
    ).with_columns(problem=_problem())
    wrong = checked.filter(pl.col("problem").is_not_null())
    if wrong.height:
        line, problem = wrong.row(0, named=True)["line"], wrong["problem"][0]
        raise AnnotationError(f"{path} line {line}: {problem}")
    return checked.with_columns(label="canonical").select("line", *polars_schema(Review).names())


def _problem() -> pl.Expr:
    """The error of a row, or null."""
    bad_bounds = (pl.col("start_frame") < 0) | (pl.col("end_frame") <= pl.col("start_frame"))
    moved = (pl.col("new_start_frame") >= 0) & (pl.col("new_end_frame") > pl.col("new_start_frame"))
    no_interval = bad_bounds | pl.any_horizontal(pl.col("start_frame", "end_frame").is_null())
    relabels, moves = pl.col("decision") == "relabel", pl.col("decision") == "move"
    return (
        pl.when(~pl.col("decision").is_in(_DECISIONS).fill_null(False))
        .then(
            pl.format(
                "decision '{}', expected one of " + ", ".join(_DECISIONS),
                pl.col("decision").fill_null(""),
            )
        )
        .when(no_interval)
        .then(pl.lit("start_frame and end_frame must be frame numbers, the end after the start"))
        .when(pl.col("label").is_not_null() & pl.col("canonical").is_null())
        .then(pl.format("label '{}' is not in the taxonomy", pl.col("label").fill_null("")))
        .when(relabels & pl.col("label").is_null())
        .then(pl.lit("relabel needs a label"))
        .when(moves & ~moved.fill_null(False))
        .then(pl.lit("move needs new_start_frame and new_end_frame, the end after the start"))
        .when(~_whole_region())
        .then(pl.lit(f"a region needs {', '.join(REGION)}, each from 0 to 1, or none of them"))
    )


def _whole_region() -> pl.Expr:
    """Whether a row has no region, or one whose sides are fractions of the frame in order."""
    sides = pl.col(REGION)
    inside = pl.all_horizontal(sides.is_between(0, 1))
    ordered = (pl.col("x_min") < pl.col("x_max")) & (pl.col("y_min") < pl.col("y_max"))
    return pl.all_horizontal(sides.is_null()) | (inside & ordered).fill_null(False)


@dataclass(frozen=True)
class Reviewed:
    """Actions after review, the ids that moves changed, and the lines of reviews."""

    actions: pl.DataFrame
    renamed: pl.DataFrame
    """`old_id, new_id` of every action."""
    lines: pl.Series
    """Of reviews that found an action."""
    ambiguous: pl.Series
    """Of those that fit two actions equally well."""


def apply_to_actions(
    actions: pl.DataFrame, reviews: pl.DataFrame, videos: pl.DataFrame, max_overlap: float
) -> Reviewed:
    """The actions after `move`, `relabel` and `drop`.

    A relabelled action is accepted whatever its annotators said. A dropped one is set aside, and
    still counts as something that happened, unless a later line relabels, moves or accepts it.
    Reviews made before and after a move both find it.

    Raises:
        AnnotationError: naming the line, if a move ends after its video.
    """
    targets = actions.with_row_index("target").with_columns(pl.col("target").cast(pl.Int64))
    moved, moves = _moved(targets, reviews.filter(decision="move"), videos)
    others = reviews.filter(pl.col("decision").is_in(["relabel", "drop", "accept"]))
    found = match(others, pl.concat([targets.select(_TARGET), moved.select(_TARGET)]))
    applied = pl.concat([moves, found.select(moves.columns)])
    last = (
        applied.sort("line")
        .group_by("target")
        .agg(
            new_label=pl.col("label").filter(decision="relabel").last(),
            dropped=pl.col("decision").last() == "drop",
        )
    )
    labelled = moved.join(last, on="target", how="left").with_columns(
        label=pl.when(~pl.col("dropped").fill_null(False)).then(pl.coalesce("new_label", "label"))
    )
    ordered = labelled.pipe(with_status).pipe(flag_overlaps, max_overlap)
    result = ordered.with_columns(interval_ids("new_id"))
    return Reviewed(
        actions=result.with_columns(action_id="new_id").select(actions.columns),
        renamed=result.select("new_id", old_id="action_id"),
        lines=applied["line"].unique().sort(),
        ambiguous=applied.filter("ambiguous")["line"].unique().sort(),
    )


_APPLIED = ("line", "target", "decision", "label", "ambiguous")


def _moved(
    targets: pl.DataFrame, moves: pl.DataFrame, videos: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The actions at their new places, and the moves used; a moved action can be moved again."""
    too_far = moves.join(videos, on="video_id").filter(
        pl.col("new_end_frame") > pl.col("num_frames")
    )
    if too_far.height:
        row = too_far.row(0, named=True)
        raise AnnotationError(
            f"reviews line {row['line']}: move to frame {row['new_end_frame']}, but video "
            f"{row['video_id']!r} has {row['num_frames']} frames"
        )
    used = match(moves.clear(), targets.select(_TARGET)).select(_APPLIED)
    while moves.height:
        found = match(moves, targets.select(_TARGET))
        if found.is_empty():
            break
        place = (
            found.sort("line")
            .group_by("target")
            .agg(pl.col("new_start_frame", "new_end_frame").last())
        )
        targets = (
            targets.join(place, on="target", how="left", maintain_order="left")
            .with_columns(
                start_frame=pl.coalesce("new_start_frame", "start_frame"),
                end_frame=pl.coalesce("new_end_frame", "end_frame"),
            )
            .drop("new_start_frame", "new_end_frame")
        )
        used = pl.concat([used, found.select(_APPLIED)])
        moves = moves.join(found, on="line", how="anti")
    return targets, used


def match(reviews: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """The reviews that find a target, each with the one it fits best (see `curation.matching`).

    Args:
        reviews: as `read_reviews` returns them.
        targets: `target` (a number) and the columns `matching.PLACE`; a target may be there twice.

    Returns:
        The columns of the reviews, `target`, and `ambiguous`, where a review without player or
        region fits two targets equally well: it gets the earlier one.
    """
    # An action that did not move is there once: its two places are no choice.
    targets = targets.unique(maintain_order=True)
    found = best_matches(reviews, targets)
    return reviews[found["row"]].with_columns(
        target=targets["target"].gather(found["target"]), ambiguous=found["num_equal"] > 1
    )


def decide_proposals(
    proposals: pl.DataFrame, reviews: pl.DataFrame, reviewed_only: bool
) -> tuple[pl.DataFrame, pl.Series]:
    """The proposals with a `verdict`, and the review lines that found one.

    Verdicts: `usable`; `rejected` by a person; `touches_rejected` annotation and not accepted by a
    person; `not_reviewed` where only accepted ones may be used.
    """
    numbered = proposals.with_row_index("target").with_columns(pl.col("target").cast(pl.Int64))
    decisions = reviews.filter(pl.col("decision").is_in(["accept", "reject"]))
    anyone = conform(numbered, Review).select(PLACE)
    found = match(decisions, numbered.select("target").hstack(anyone))
    last = found.sort("line").group_by("target").agg(decision=pl.col("decision").last())
    joined = numbered.join(last, on="target", how="left", maintain_order="left")
    verdict = (
        pl.when(decision="reject")
        .then(pl.lit("rejected"))
        .when(decision="accept")
        .then(pl.lit("usable"))
        .when("touches_rejected")
        .then(pl.lit("touches_rejected"))
        .when(pl.lit(reviewed_only))
        .then(pl.lit("not_reviewed"))
        .otherwise(pl.lit("usable"))
    )
    return joined.with_columns(verdict=verdict).drop("target", "decision"), found["line"]


def no_reviews() -> pl.DataFrame:
    """A table of reviews without rows."""
    return pl.DataFrame(schema={"line": pl.Int64(), **polars_schema(Review)})


_TARGET = ("target", *PLACE)
