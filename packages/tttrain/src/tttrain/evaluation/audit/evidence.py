"""What else is known of the clips: scores out of folds, and which clips err together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ttdata.errors import InputError
from ttdata.storage.dataset import Dataset

PREDICTIONS = "predictions.parquet"
_NEEDED = ("clip_id", "fold", "label", "scores")


def fold_predictions(folder: str | Path, labels: pl.DataFrame, num_classes: int) -> pl.DataFrame:
    """What a cross-validation says of clips, by networks that have not seen their groups.

    Args:
        folder: that `tttrain cross-validate` wrote.
        labels: `clip_id, label` of the clips that are audited.
        num_classes: of the taxonomy.

    Returns:
        `clip_id, group, scores` of clips that are audited; of several recipes the mean scores.
        `group` is null where the file has none.

    Raises:
        InputError: if the file is missing or another one, knows none of the clips or another label
            of one (it was made before the label changed), or has scores of other classes.
    """
    path = Path(folder) / PREDICTIONS
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); expected a folder of `tttrain cross-validate`"
        ) from error
    if "scores" not in table.columns and "probabilities" in table.columns:
        table = table.rename({"probabilities": "scores"})
    if missing := [name for name in _NEEDED if name not in table.columns]:
        raise InputError(f"{path}: no column {missing[0]!r}, expected {', '.join(_NEEDED)}")
    if "group" not in table.columns:
        table = table.with_columns(group=pl.lit(None, pl.String))
    known = table.join(labels.rename({"label": "now"}), on="clip_id")
    _check(path, known, num_classes)
    places = [
        pl.col("scores").list.get(place).mean().alias(str(place)) for place in range(num_classes)
    ]
    found = known.group_by("clip_id").agg(pl.first("group"), *places).sort("clip_id")
    return found.select("clip_id", "group", scores=pl.concat_list(map(str, range(num_classes))))


def _check(path: Path, known: pl.DataFrame, num_classes: int) -> None:
    if known.is_empty():
        raise InputError(f"{path}: knows no clip of these shards; cross-validate on them")
    other = known.filter(pl.col("label") != pl.col("now"))
    if other.height:
        row = other.row(0, named=True)
        raise InputError(
            f"{path}: clip {row['clip_id']} had the label {row['label']!r}, now {row['now']!r}; "
            "cross-validate again"
        )
    wrong = known.filter(pl.col("scores").list.len() != num_classes)
    if wrong.height:
        raise InputError(
            f"{path}: {len(wrong['scores'][0])} scores of clip {wrong['clip_id'][0]}, expected "
            f"{num_classes}, one per class"
        )


def score_rows(clip_ids: Sequence[str], table: pl.DataFrame, num_classes: int) -> np.ndarray:
    """(clips, classes) float64 of `fold_predictions`; NaN for a clip that they do not name."""
    scores = dict(table.select("clip_id", "scores").iter_rows())
    nothing = [float("nan")] * num_classes
    return np.array([scores.get(clip_id, nothing) for clip_id in clip_ids], np.float64)


def annotator_groups(dataset: Dataset) -> dict[str, str]:
    """Which clips err together: those that share an annotator in a video.

    Clips of one video are joined as long as one annotator links them. A clip that no annotation
    supports, such as a negative, lies where all of a video's annotators saw nothing: these
    are a group per video.

    Returns:
        A group's name by clip_id, of all clips of the dataset.
    """
    votes = dataset.annotations.filter(pl.col("action_id").is_not_null())
    joined: dict[tuple[str, str], str] = {}
    by_clip = votes.sort("annotation_id").group_by("action_id", maintain_order=True)
    who = {str(clip_id): sorted(set(rows["annotator_id"])) for (clip_id,), rows in by_clip}
    clips = dataset.clips.sort("clip_id").select("clip_id", "video_id").rows()
    for clip_id, video in clips:
        _join(joined, video, who.get(clip_id, []))
    return {
        clip_id: f"{video} {_root(joined, video, who[clip_id][0])}" if clip_id in who else video
        for clip_id, video in clips
    }


def _root(joined: dict[tuple[str, str], str], video: str, annotator: str) -> str:
    while (above := joined.get((video, annotator), annotator)) != annotator:
        annotator = above
    return annotator


def _join(joined: dict[tuple[str, str], str], video: str, annotators: Sequence[str]) -> None:
    roots = sorted({_root(joined, video, name) for name in annotators})
    for root in roots[1:]:
        joined[video, root] = roots[0]
