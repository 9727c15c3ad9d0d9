"""Golden clips: videos whose strokes are known, and how well a person found them."""

import sqlite3
from collections.abc import Iterable

import polars as pl

from ttdata.annotate.store.errors import Refused
from ttdata.annotate.store.states import MarkState
from ttdata.annotate.store.wording import number_of
from ttdata.confidence import wilson
from ttdata.curation.matching import PLACE, best_matches
from ttdata.settings import FrozenModel
from ttdata.sources.annotations import REGION

_TRAINING_OF = 3
"""Of so many golden clips one is for training, the second: the first is one to score people by."""

_SCHEMA = pl.Schema(
    {
        "video_id": pl.String(),
        "start_frame": pl.Int64(),
        "end_frame": pl.Int64(),
        "player_id": pl.String(),
        **dict.fromkeys(REGION, pl.Float64()),
        "label": pl.String(),
    }
)


class Truth(FrozenModel):
    """A stroke that is known."""

    start_frame: int
    end_frame: int
    """Exclusive."""
    label: str
    player_id: str | None = None


class Share(FrozenModel):
    """A share with its 95 % interval (Wilson); null where there is nothing to count."""

    hits: int
    of: int
    share: float | None
    interval: tuple[float, float] | None


class Score(FrozenModel):
    """A person's marks of golden clips against the truth; a match has an IoU of at least 0.5."""

    recall: Share
    """Of the strokes, how many were marked."""
    precision: Share
    """Of the marks, how many are strokes; two marks of one stroke are one too many."""
    labels: Share
    """Of the strokes that were marked, how many have the right label."""
    start_error_frames: float | None
    """Median distance of the starts of matches; null where there is none."""
    end_error_frames: float | None
    """The same of the ends."""
    start_offset_frames: float | None
    """Median of mark minus truth at the start, negative when early."""
    end_offset_frames: float | None
    """The same of the ends."""


def set_truth(connection: sqlite3.Connection, video_id: str, strokes: Iterable[Truth]) -> bool:
    """Make a video a golden clip; false where it is one with these very strokes.

    Args:
        connection: within a job of the writer.
        video_id: of the project.
        strokes: all that happen in it, labels canonical.

    Raises:
        Refused: if people have begun to annotate the video: their marks would silently not count;
            or it has other strokes; or one of these ends after the video.
    """
    order = sorted(
        set(strokes), key=lambda s: (s.start_frame, s.end_frame, s.label, s.player_id or "")
    )
    row = connection.execute(
        "SELECT num_frames, golden FROM video WHERE video_id = ?", (video_id,)
    ).fetchone()
    if row is None:
        raise Refused(f"video {video_id!r}: is not in the project")
    _check_inside(video_id, order, int(row[0]))
    if row[1]:
        if truth_of(connection, video_id) == tuple(order):
            return False
        raise Refused(f"video {video_id!r}: is a golden clip with other strokes")
    query = "SELECT count(*) FROM assignment WHERE video_id = ?"
    if people := connection.execute(query, (video_id,)).fetchone()[0]:
        begun = number_of(people, "person has", "people have")
        raise Refused(f"video {video_id!r}: {begun} begun to annotate it")
    (known,) = connection.execute("SELECT count(*) FROM video WHERE golden").fetchone()
    connection.execute(
        "UPDATE video SET golden = 1, training = ? WHERE video_id = ?",
        (int(known % _TRAINING_OF == 1), video_id),
    )
    connection.executemany(
        "INSERT INTO truth (video_id, start_frame, end_frame, label, player_id) "
        "VALUES (?, ?, ?, ?, ?)",
        [(video_id, s.start_frame, s.end_frame, s.label, s.player_id) for s in order],
    )
    return True


def _check_inside(video_id: str, strokes: Iterable[Truth], num_frames: int) -> None:
    for stroke in strokes:
        if not 0 <= stroke.start_frame < stroke.end_frame <= num_frames:
            raise Refused(
                f"video {video_id!r}: true stroke [{stroke.start_frame}, {stroke.end_frame}), "
                f"expected one within its {number_of(num_frames, 'frame')}"
            )


def truth_of(connection: sqlite3.Connection, video_id: str) -> tuple[Truth, ...]:
    """The known strokes of a video, in order."""
    rows = connection.execute(
        "SELECT start_frame, end_frame, label, player_id FROM truth WHERE video_id = ? "
        "ORDER BY truth_id",
        (video_id,),
    )
    return tuple(
        Truth(start_frame=start, end_frame=end, label=label, player_id=player)
        for start, end, label, player in rows
    )


def score_person(connection: sqlite3.Connection, person: str, *, training: bool = False) -> Score:
    """A person's finished marks of golden clips against the truth.

    Args:
        connection: to the project's database.
        person: a pseudonym.
        training: of the clips that he practised on, in place of those he was given unawares.
    """
    golden = "golden" + (" AND training" if training else " AND NOT training")
    golden += f" AND purpose {'=' if training else '<>'} 'training'"
    finished = (
        "FROM assignment JOIN video USING (video_id) "
        f"WHERE {golden} AND person = ? AND state = 'done'"
    )
    marks = connection.execute(
        "SELECT video_id, start_frame, end_frame, mark.player_id, label FROM mark "
        "JOIN assignment USING (assignment_id) JOIN video USING (video_id) "
        f"WHERE {golden} AND NOT removed AND person = ? AND state = 'done' "
        "ORDER BY video_id, start_frame, end_frame, mark_id",
        (person,),
    ).fetchall()
    truths = connection.execute(
        "SELECT video_id, start_frame, end_frame, player_id, label FROM truth "
        f"WHERE video_id IN (SELECT video_id {finished}) ORDER BY video_id, truth_id",
        (person,),
    ).fetchall()
    return score_marks(_table(marks), _table(truths))


def _table(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    names = ("video_id", "start_frame", "end_frame", "player_id", "label")
    frame = pl.DataFrame(rows, schema={name: _SCHEMA[name] for name in names}, orient="row")
    regions = [pl.lit(None, pl.Float64).alias(name) for name in REGION]
    return frame.with_columns(regions).select(_SCHEMA.names())


def strokes_table(video_id: str, strokes: Iterable[Truth | MarkState]) -> pl.DataFrame:
    """Strokes of one video as `score_marks` takes them, in their order; marks must be complete."""
    return _table([(video_id, s.start_frame, s.end_frame, s.player_id, s.label) for s in strokes])


def score_marks(marks: pl.DataFrame, truths: pl.DataFrame) -> Score:
    """Marks against known strokes, matched as curation matches (`ttdata.curation.matching`).

    Args:
        marks: `video_id, start_frame, end_frame, label`, player and region.
        truths: the same.
    """
    found = best_matches(marks.select(PLACE), truths.select(PLACE))
    # Of several marks of one stroke the best is its match, the others are wrong.
    pairs = found.sort("target", -pl.col("iou"), "row").unique(
        "target", keep="first", maintain_order=True
    )
    mine, true = marks[pairs["row"].to_list()], truths[pairs["target"].to_list()]
    start = mine["start_frame"] - true["start_frame"]
    end = mine["end_frame"] - true["end_frame"]
    return Score(
        recall=_share(pairs.height, truths.height),
        precision=_share(pairs.height, marks.height),
        labels=_share(int((mine["label"] == true["label"]).sum()), pairs.height),
        start_error_frames=_median(start.abs()),
        end_error_frames=_median(end.abs()),
        start_offset_frames=_median(start),
        end_offset_frames=_median(end),
    )


def _share(hits: int, of: int) -> Share:
    if not of:
        return Share(hits=hits, of=of, share=None, interval=None)
    return Share(hits=hits, of=of, share=hits / of, interval=wilson(hits, of))


def _median(values: pl.Series) -> float | None:
    found = values.cast(pl.Float64).median()
    return float(found) if isinstance(found, float) else None
