"""The review queue: the items of a dataset that a person should check, worst first."""

from pathlib import Path

import polars as pl

from ttdata.curation.decisions import TEXTS, decide_proposals, match, no_reviews, read_reviews
from ttdata.curation.matching import PLACE
from ttdata.curation.negatives import propose
from ttdata.errors import AnnotationError, InputError
from ttdata.review.tables import ReviewTables, tables_of
from ttdata.schema import Review
from ttdata.sources.annotations import REGION, read_text_table
from ttdata.storage.atomic import atomic_path
from ttdata.storage.dataset import REVIEWS, Dataset
from ttdata.storage.spreadsheet import escape_formula
from ttdata.storage.tables import polars_schema
from ttdata.video.times import seconds_at

SPREAD = 0.25
"""Bounds that spread by more than this share of the action's duration are to be reviewed."""

REVIEW_REASONS = (
    "annotators disagree",
    "label is probably wrong",
    "overlaps another action",
    "a rejected annotation lies in this gap",
    "bounds spread",
    "one annotator of several",
    "negative nobody has seen",
)
"""Why an item is to be reviewed, worst first; `doubt` in a queue is an index into this."""

_PLAYER = ("player_id", *REGION)
_INTERVAL = ("video_id", "start_frame", "end_frame")
_BLANK = tuple(name for name in polars_schema(Review) if name not in (*_INTERVAL, *_PLAYER))
"""Columns of the list that people fill in."""
_LIST = ("kind", "start_seconds", "why", "labels")

_SCHEMA = pl.Schema(
    {
        "kind": pl.String(),
        "video_id": pl.String(),
        "start_frame": pl.Int64(),
        "end_frame": pl.Int64(),
        "start_seconds": pl.Float64(),
        "doubt": pl.Int64(),
        "measure": pl.Float64(),
        "why": pl.String(),
        "labels": pl.String(),
        "player_id": pl.String(),
        **dict.fromkeys(REGION, pl.Float64()),
    }
)


def read_review_queue(dataset: Dataset) -> pl.DataFrame:
    """The review queue of a dataset folder, as `build_review_queue` makes it with `reviews.csv`.

    Raises:
        AnnotationError: if the reviews cannot be read.
    """
    path = dataset.path / REVIEWS
    found = read_reviews(path, dataset.info.taxonomy) if path.exists() else no_reviews()
    return build_review_queue(dataset, found)


def build_review_queue(curated: Dataset | ReviewTables, reviews: pl.DataFrame) -> pl.DataFrame:
    """Actions and negatives that may be wrong and that no person has decided on, worst first.

    Args:
        curated: a dataset folder, or what was curated in memory.
        reviews: people's decisions, as `ttdata.curation.decisions.read_reviews` returns them.

    Returns:
        `kind` (action or negative), `video_id, start_frame, end_frame, start_seconds`; `doubt`, the
        worst one's place in REVIEW_REASONS; `measure`, larger is worse: the share of annotators who
        contradict the most frequent label, an audit's suspicion, the spread as a share of the
        duration, else 0; `why`, all reasons in words; `labels`, with their counts; `player_id` and
        region of an action, where known. Sorted by doubt, measure and place.
    """
    tables = curated if isinstance(curated, ReviewTables) else tables_of(curated)
    parts = [
        *_of_actions(tables, reviews),
        _of_proposals(tables, reviews),
        *_of_suspects(tables, reviews),
    ]
    joined = pl.concat([part.select(_PART) for part in parts]).sort("doubt")
    key = ["kind", *_INTERVAL, "labels", *_PLAYER]
    found = joined.group_by(key, maintain_order=True).agg(
        pl.first("doubt"), pl.first("measure"), pl.col("why").str.join("; ")
    )
    timed = found.with_columns(start_seconds=seconds_at(found, tables.videos, "start_frame"))
    order = ("doubt", -pl.col("measure"), *_INTERVAL, "kind", "labels", *_PLAYER)
    return timed.sort(order).select(pl.col(name).cast(dtype) for name, dtype in _SCHEMA.items())


_PART = ("kind", *_INTERVAL, *_PLAYER, "labels", "doubt", "measure", "why")


def _of_actions(tables: ReviewTables, reviews: pl.DataFrame) -> list[pl.DataFrame]:
    actions = _undecided(tables.actions, reviews).pipe(_with_votes)
    active = tables.annotations.filter("accepted").group_by("video_id")
    crowd = active.agg(crowd=pl.col("annotator_id").n_unique().cast(pl.Int64))
    actions = actions.join(crowd, on="video_id", how="left").with_columns(
        spread=pl.max_horizontal("start_spread_frames", "end_spread_frames"),
        duration=pl.col("end_frame") - pl.col("start_frame"),
    )
    share = pl.col("spread") / pl.col("duration")
    nothing = pl.lit(0.0)
    return [
        _part(actions.filter(status="set_aside"), 0, pl.col("minority"), REVIEW_REASONS[0]),
        _part(actions.filter("overlaps_other"), 2, nothing, REVIEW_REASONS[2]),
        _part(
            actions.filter(share > SPREAD),
            4,
            share,
            pl.format(
                REVIEW_REASONS[4] + " by {} of {} frames",
                pl.col("spread").cast(pl.Int64),
                "duration",
            ),
        ),
        _part(
            actions.filter((pl.col("num_annotators") == 1) & (pl.col("crowd") > 1)),
            5,
            nothing,
            pl.format("annotated by one of {} annotators", "crowd"),
        ),
    ]


def _part(rows: pl.DataFrame, doubt: int, measure: pl.Expr, why: str | pl.Expr) -> pl.DataFrame:
    return rows.with_columns(
        kind=pl.lit("action"),
        doubt=pl.lit(doubt),
        measure=measure.cast(pl.Float64),
        why=pl.lit(why) if isinstance(why, str) else why,
    )


def _undecided(actions: pl.DataFrame, reviews: pl.DataFrame) -> pl.DataFrame:
    """The actions that no review is about, neither at their old nor at their new place."""
    reviewed = reviews.filter(pl.col("decision").is_in(["relabel", "move", "drop"]))
    moved = reviewed.filter(decision="move").with_columns(
        start_frame="new_start_frame", end_frame="new_end_frame"
    )
    numbered = actions.with_row_index("target").with_columns(pl.col("target").cast(pl.Int64))
    # A moved action is one line with two places: the lines must differ to be matched twice.
    both = pl.concat([reviewed, moved.with_columns(line=-pl.col("line"))])
    found = match(both, numbered.select("target", *PLACE))
    return numbered.join(found, on="target", how="anti").drop("target")


def _with_votes(actions: pl.DataFrame) -> pl.DataFrame:
    """`labels` as text, most frequent first, and `minority`, the share of the others."""
    counts = (
        actions.select("action_id", "labels")
        .explode("labels")
        .group_by("action_id", "labels")
        .len()
        .sort("action_id", -pl.col("len").cast(pl.Int64), "labels")
    )
    text = pl.format("{} x {}", "len", "labels").str.join(", ")
    votes = counts.group_by("action_id", maintain_order=True).agg(
        text=text, minority=1 - pl.first("len") / pl.sum("len")
    )
    return actions.drop("labels").join(votes.rename({"text": "labels"}), on="action_id", how="left")


def _of_proposals(tables: ReviewTables, reviews: pl.DataFrame) -> pl.DataFrame:
    config = tables.config
    if tables.taxonomy.negative is None:
        config = config.model_copy(update={"negatives": False})
    proposals, _ = propose(
        tables.actions, tables.annotations, tables.videos, config, tables.covered
    )
    decided, _ = decide_proposals(proposals, reviews, reviewed_only=True)
    undecided = decided.filter(pl.col("verdict").is_in(["touches_rejected", "not_reviewed"]))
    touches = pl.col("verdict") == "touches_rejected"
    return undecided.with_columns(
        *(pl.lit(None, _SCHEMA[name]).alias(name) for name in _PLAYER),
        kind=pl.lit("negative"),
        labels=pl.lit(None, pl.String),
        doubt=pl.when(touches).then(3).otherwise(6),
        measure=pl.lit(0.0),
        why=pl.when(touches).then(pl.lit(REVIEW_REASONS[3])).otherwise(pl.lit(REVIEW_REASONS[6])),
    )


def _of_suspects(tables: ReviewTables, reviews: pl.DataFrame) -> list[pl.DataFrame]:
    """What an audit doubts, and nobody has decided on; who looked may also accept the label."""
    clips = _without_decision(tables.clips, reviews).drop("split")
    open_ones = clips.join(tables.suspects, on=["clip_id", "label"]).with_columns(
        doubt=pl.lit(1), measure=pl.col("suspicion"), why=_suspect_words()
    )
    actions = _with_votes(tables.actions).select("labels", *_PLAYER, clip_id="action_id")
    of_action = open_ones.drop(_PLAYER).join(actions, on="clip_id")
    # A negative that an annotator named is an action.
    others = open_ones.join(actions, on="clip_id", how="anti").with_columns(
        *(pl.lit(None, _SCHEMA[name]).alias(name) for name in _PLAYER),
        labels=pl.lit(None, pl.String),
    )
    return [
        of_action.with_columns(kind=pl.lit("action")),
        others.with_columns(kind=pl.lit("negative")),
    ]


def _suspect_words() -> pl.Expr:
    """The label, the suggestion, and whether a test clip is meant."""
    instead = (
        pl.when(pl.col("suggested_label").is_null())
        .then(pl.lit(""))
        .otherwise(pl.format(", maybe {}", pl.col("suggested_label").fill_null("")))
    )
    test = pl.when(pl.col("split").eq_missing(pl.lit("test"))).then(pl.lit(" (a test clip)"))
    return pl.format("label {} is probably wrong{}{}", "label", instead, test.otherwise(pl.lit("")))


def _without_decision(clips: pl.DataFrame, reviews: pl.DataFrame) -> pl.DataFrame:
    """The clips that no review is about, whatever it decided."""
    numbered = clips.with_row_index("target").with_columns(pl.col("target").cast(pl.Int64))
    found = match(reviews, numbered.select("target", *PLACE))
    return numbered.join(found, on="target", how="anti").drop("target")


def check_undecided(out: Path) -> None:
    """Refuse to write the queue over a file that people wrote in.

    Raises:
        InputError: if the file is no list that `write_review_queue` wrote, or is filled in.
    """
    if not out.is_file():
        return
    try:
        cells = read_text_table(out)
    except AnnotationError:
        cells = pl.DataFrame()
    if not {*_BLANK, *_LIST}.issubset(cells.columns):
        raise InputError(f"{out}: is no list that review wrote; name a new file")
    filled = pl.any_horizontal(pl.col(_BLANK).fill_null("").cast(pl.String).str.strip_chars() != "")
    if count := cells.filter(filled).height:
        raise InputError(
            f"{out}: {count} rows are filled in; take them with --decisions, and name a new file"
        )


def write_review_queue(queue: pl.DataFrame, out: Path) -> None:
    """Write the queue as a CSV to fill in: the columns of Review, `decision` empty, and why.

    The player and the region of an action are filled in, so that the decision finds this very one.
    """
    schema = polars_schema(Review)
    blank = [pl.lit(None, schema[name]).alias(name) for name in _BLANK]
    rounded = queue.with_columns(pl.col("start_seconds").round(2))
    table = rounded.select(*_INTERVAL, *blank, *_PLAYER, *_LIST)
    with atomic_path(out) as temporary:
        escape_formula(table, TEXTS).write_csv(temporary)
