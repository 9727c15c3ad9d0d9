"""Wrong labels planted in a curated dataset, of the kinds that real datasets hold.

The crowd of `synth` errs one annotator at a time, and unanimity sets such strokes aside. What gets
through are errors that all annotators of a stroke make alike; these are planted here, in any
dataset, synthetic or real.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from ttdata.errors import InputError
from ttdata.schema import Clip, Split
from ttdata.storage.dataset import Dataset
from ttdata.storage.tables import conform
from ttdata.taxonomy import Taxonomy

Kind = Literal["flips", "hands", "groups", "negatives", "bounds"]
"""Another class at random; the same stroke of the other hand; everything that an annotator said of
a video, each class taken for one other; strokes as negatives and negatives as strokes, by turns;
the right label at the wrong place."""
PLANTED = "planted.csv"

_STREAM = 60  # of random numbers
_LEAST_SHIFT, _MOST_SHIFT = 0.4, 0.7
"""By which share of its duration a clip is moved."""


@dataclass(frozen=True)
class Planting:
    """What is planted: the kind, the share of clips, and where."""

    kind: Kind
    rate: float
    splits: tuple[Split, ...]


@dataclass(frozen=True)
class _Change:
    """A planted error: the row of a clip, and what is wrong in it now."""

    row: int
    label: str | None = None
    shift_frames: int = 0


def plant(dataset: Dataset, asked: Planting, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The clips with errors, and the truth of those that are wrong.

    Of the clips that have one of the splits, `rate` times their number (half up) are made wrong,
    or all that can be where these are fewer; whole groups until that number is reached, so that
    there may be more. What is drawn follows from seed, kind and the clips.

    Args:
        dataset: curated and divided.
        asked: kind, rate and splits.
        seed: of the draws.

    Returns:
        Rows as Clip, in the order of the dataset's; and `clip_id, kind, video_id, true_clip_id,
        true_label, label, true_start_frame, true_end_frame`, a row per error, by clip_id. `clip_id`
        differs from `true_clip_id` only where bounds are shifted.

    Raises:
        InputError: if no clip has one of the splits, or none can be made wrong in this way.
    """
    clips = dataset.clips.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    chosen = clips.filter(pl.col("split").is_in(asked.splits)).sort("clip_id")
    if chosen.is_empty():
        raise InputError(
            f"{dataset.path}: no clip has the split {' or '.join(asked.splits)}; run `ttdata split`"
        )
    draw = np.random.default_rng([seed, _STREAM, *asked.kind.encode()])
    count = int(asked.rate * chosen.height + 0.5)
    changes = _changes(dataset, asked.kind, chosen, count, draw)
    if count and not changes:
        raise InputError(f"{dataset.path}: no clip can be made wrong by --kind {asked.kind}")
    return _applied(clips, changes, asked.kind, dataset.info.taxonomy)


def _changes(
    dataset: Dataset, kind: Kind, clips: pl.DataFrame, count: int, draw: np.random.Generator
) -> list[_Change]:
    taxonomy = dataset.info.taxonomy
    if kind == "bounds":
        return _shifted(clips, dataset.videos, count, draw)
    if kind == "negatives":
        return _strokes_for_negatives(clips, taxonomy, count, draw)
    strokes = clips.filter(kind="stroke")
    if kind == "hands":
        others = {label: other for label in taxonomy.classes if (other := _hand(taxonomy, label))}
        able = strokes.filter(pl.col("label").is_in(list(others)))
        return [_Change(row, others[label]) for row, label in _some(able, count, draw)]
    if kind == "groups":
        return _whole_groups(dataset, strokes, count, draw)
    names = [stroke.label for stroke in taxonomy.strokes]
    if len(names) < 2:
        return []
    return [_Change(row, _other(names, label, draw)) for row, label in _some(strokes, count, draw)]


def _some(clips: pl.DataFrame, count: int, draw: np.random.Generator) -> list[tuple[int, str]]:
    """`row, label` of so many clips, or of all."""
    places = draw.permutation(clips.height)[:count]
    return [clips.select("row", "label").row(int(place)) for place in places]


def _other(names: Sequence[str], label: str, draw: np.random.Generator) -> str:
    others = [name for name in names if name != label]
    return others[int(draw.integers(len(others)))]


def _hand(taxonomy: Taxonomy, label: str) -> str | None:
    """The same stroke of the other hand; by its levels, else by the word in its name."""
    known = taxonomy.stroke(label)
    if known is None:
        return None
    if known.hand is not None:
        twins = (
            other.label
            for other in taxonomy.strokes
            if (other.type, other.technique) == (known.type, known.technique)
            and other.hand not in (None, known.hand)
        )
        return next(twins, None)
    folded = label.casefold()
    for one, two in (("forehand", "backhand"), ("backhand", "forehand")):
        if one in folded:
            other = taxonomy.canonical(folded.replace(one, two))
            return other if other != label else None
    return None


def _whole_groups(
    dataset: Dataset, strokes: pl.DataFrame, count: int, draw: np.random.Generator
) -> list[_Change]:
    """All strokes of some annotators in some videos; each class is taken for one other."""
    names = [stroke.label for stroke in dataset.info.taxonomy.strokes]
    if len(names) < 2:
        return []
    who = dataset.annotations.filter(pl.col("action_id").is_not_null()).select(
        "annotator_id", clip_id="action_id"
    )
    first = who.group_by("clip_id").agg(pl.col("annotator_id").min())
    grouped = strokes.join(first, on="clip_id", how="left").with_columns(
        pl.col("annotator_id").fill_null("")
    )
    parts = grouped.sort("clip_id").partition_by(["video_id", "annotator_id"], as_dict=True)
    keys = sorted(parts)
    found: list[_Change] = []
    for place in draw.permutation(len(keys)):
        if len(found) >= count:
            break
        # A cycle through all classes in random order leaves none as it is.
        cycle = [names[index] for index in draw.permutation(len(names))]
        taken_for = dict(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        rows = parts[keys[int(place)]].select("row", "label").rows()
        found += [_Change(row, taken_for[label]) for row, label in rows]
    return found


def _strokes_for_negatives(
    clips: pl.DataFrame, taxonomy: Taxonomy, count: int, draw: np.random.Generator
) -> list[_Change]:
    """Half strokes that are called negative, half negatives that are called a stroke."""
    if taxonomy.negative is None:
        return []
    negatives, strokes = clips.filter(kind="negative"), clips.filter(kind="stroke")
    called_strokes = min(count // 2, negatives.height)
    names = [stroke.label for stroke in taxonomy.strokes]
    return [
        *(
            _Change(row, taxonomy.negative)
            for row, _ in _some(strokes, count - called_strokes, draw)
        ),
        *(
            _Change(row, _other(names, label, draw))
            for row, label in _some(negatives, called_strokes, draw)
        ),
    ]


def _shifted(
    clips: pl.DataFrame, videos: pl.DataFrame, count: int, draw: np.random.Generator
) -> list[_Change]:
    """Strokes moved by 0.4 to 0.7 of their duration, either way; those with room for it."""
    strokes = clips.filter(kind="stroke").join(videos.select("video_id", "num_frames"), "video_id")
    found: list[_Change] = []
    for place in draw.permutation(strokes.height):
        if len(found) == count:
            break
        row = strokes.row(int(place), named=True)
        duration = row["end_frame"] - row["start_frame"]
        shift = max(1, round(float(draw.uniform(_LEAST_SHIFT, _MOST_SHIFT)) * duration))
        ways = [shift, -shift] if draw.random() < 0.5 else [-shift, shift]
        room = [
            way
            for way in ways
            if row["start_frame"] + way >= 0 and row["end_frame"] + way <= row["num_frames"]
        ]
        if room:
            found.append(_Change(row["row"], None, room[0]))
    return found


def _applied(
    clips: pl.DataFrame, changes: Sequence[_Change], kind: Kind, taxonomy: Taxonomy
) -> tuple[pl.DataFrame, pl.DataFrame]:
    table = pl.DataFrame(
        [(item.row, item.label, item.shift_frames) for item in changes],
        schema={"row": pl.Int64, "planted": pl.String, "shift": pl.Int64},
        orient="row",
    )
    is_negative = pl.col("planted").eq_missing(pl.lit(taxonomy.negative))
    changed = (
        clips.join(table, on="row", how="left", maintain_order="left")
        .with_columns(
            true_clip_id="clip_id",
            true_label="label",
            true_start_frame="start_frame",
            true_end_frame="end_frame",
            wrong=pl.col("shift").is_not_null(),
            shift=pl.col("shift").fill_null(0),
        )
        .with_columns(
            label=pl.coalesce("planted", "label"),
            kind=pl.when(pl.col("planted").is_null())
            .then("kind")
            .otherwise(pl.when(is_negative).then(pl.lit("negative")).otherwise(pl.lit("stroke"))),
            start_frame=pl.col("start_frame") + pl.col("shift"),
            end_frame=pl.col("end_frame") + pl.col("shift"),
        )
        .with_columns(clip_id=_ids())
    )
    truth = changed.filter("wrong").select(
        "clip_id",
        pl.lit(kind).alias("kind"),
        *("video_id", "true_clip_id", "true_label", "label"),
        *("true_start_frame", "true_end_frame"),
    )
    return conform(changed, Clip), truth.sort("clip_id")


def _ids() -> pl.Expr:
    """A moved clip's id is of its new place, numbered where another clip has that already."""
    place = pl.format("{}@{}-{}", "video_id", "start_frame", "end_frame")
    wanted = pl.when(pl.col("shift") == 0).then("clip_id").otherwise(place)
    is_moved = pl.col("shift") != 0
    number = (~is_moved).sum().over(wanted) + is_moved.cast(pl.Int64).cum_sum().over(wanted)
    numbered = pl.format("{}#{}", wanted, number)
    return pl.when(is_moved & (number > 1)).then(numbered).otherwise(wanted)
