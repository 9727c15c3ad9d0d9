"""`tttrain quality`: strokes against reference strokes, per phase (specification 7)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ttdata.errors import InputError
from ttdata.storage.atomic import atomic_path, write_text
from ttdata.storage.outputs import check_output, check_output_file, check_output_folder
from ttdata.storage.spreadsheet import escape_formula
from ttflow import ClipPose, Shards
from tttrain.quality.coarse import judge_coarse, stroke_histograms
from tttrain.quality.document import (
    MEASURES_VERSION,
    Quality,
    ReferenceClass,
    StrokeQuality,
)
from tttrain.quality.judge import judge_class
from tttrain.quality.reference import NOMINAL
from tttrain.quality.sources.stroke_sources import Sources
from tttrain.quality.strokes import Stroke, measurable
from tttrain.quality.suggest import central
from tttrain.quality.table import TEXTS, all_progress, quality_table
from tttrain.quality.teacher.marks import Marks, read_marks
from tttrain.quality.teacher.players import Players, read_players
from tttrain.report.quality_pages.pages import PAGES, write_quality_pages

logger = logging.getLogger(__name__)

WRITTEN = ("quality.json", "quality.csv", *PAGES)
"""Names of what is written in the folder."""
SINGLE_MEASURES = "without pose: single measures cannot be told"
Key = tuple[str, str | None]
"""A class, and a player where each is compared with his own references."""


def measure_strokes(
    data: str | Path,
    references: str | Path,
    out: str | Path,
    *,
    players: str | Path | None = None,
    by_player: bool = False,
    coarse: bool = False,
    reference_shards: str | Path | None = None,
    pages: bool = True,
) -> Quality:
    """Measure every stroke of shards or of an index against the marked ones of its class.

    Args:
        data: shards with poses, or an index of whole videos: landmarks of its strokes are estimated
            once and kept in its folder `pose`.
        references: CSV `clip_id, ready, contact, end`, or `video_id, start_frame, end_frame, label,
            ready, contact, end`, in frames of the videos.
        out: the folder to write.
        players: CSV `player_id, hand` or `video_id, player_id`, or both in one; without it the hand
            that holds the bat is guessed, and an index's players are unknown.
        by_player: compare each player with his own references only.
        coarse: measure without poses, by where the picture moves.
        reference_shards: other shards with poses, whose marked strokes are references, too.
        pages: write pages for teachers, with a film of each stroke whose video is at hand; if not,
            the start page of a former measurement in `out` goes.

    Returns:
        All that `quality.json` holds.

    Raises:
        InputError: if `data` is neither shards nor an index or has no poses, a file does not fit,
            or `out` holds something else.
        PoseUnavailable: if landmarks are to be estimated, and their runtime or weights are missing.
    """
    data, references, out = Path(data).absolute(), Path(references), Path(out).absolute()
    more = None if reference_shards is None else Path(reference_shards).absolute()
    read = [data, references, players, more]
    check_output_folder(out, "a measurement of strokes", read, writes=WRITTEN)
    sources, known = Sources.open(data, more), _players(players)
    motion = sources.shards_with_motion() if coarse else None
    marks = read_marks(references, sources.clips)
    rows = sources.rows(marks, known)
    if pages:
        check_output(out, {row.get("video_path") for row in rows.values()})
    _warn_of_unknown(players, known, rows)
    poses: Mapping[str, ClipPose] = {}
    if coarse:
        strokes = [Stroke(row) for row in rows.values()]
    else:
        poses, missing = sources.poses(rows, marks)
        strokes = list(measurable(rows, poses, missing, known.hands, marks).values())
        _check_references(references, strokes, marks)
    results, classes = _judged(motion, _grouped(strokes, by_player), marks)
    ordered = tuple(results[clip_id] for clip_id in rows)
    found = Quality(
        measures_version=MEASURES_VERSION, data=str(data),
        reference_data=None if more is None else str(more),
        references_file=str(references.absolute()), coarse=coarse,
        by_player=by_player, references=classes, strokes=ordered,
        progress=all_progress(ordered, classes),
    )  # fmt: skip
    if not pages and (out / "quality.json").is_file():  # an index.html beside it is ours
        (out / "index.html").unlink(missing_ok=True)
    write_quality(out, found)
    for problem in write_quality_pages(out, found, poses) if pages else ():
        logger.warning("pages without some films: %s", problem)
    return found


def _judged(
    motion: Shards | None, groups: Mapping[Key, list[Stroke]], marks: Mapping[str, Marks]
) -> tuple[dict[str, StrokeQuality], tuple[ReferenceClass, ...]]:
    """All strokes by clip, and the references of each group.

    Args:
        motion: where the stored flow is, to measure coarsely; None: measure by landmarks.
        groups: of strokes that are compared.
        marks: of references, by clip.
    """
    results: dict[str, StrokeQuality] = {}
    classes = []
    for (_, player), members in groups.items():
        if motion is not None:
            judged, told = _coarsely(motion, members, marks, player)
        else:
            judged, told = judge_class(members, marks, player)
        own = {"compared_with": player}
        results |= {item.clip_id: item.model_copy(update=own) for item in judged}
        classes.append(told)
    return results, tuple(classes)


def write_quality(out: Path, found: Quality) -> None:
    """Write `quality.csv`, then `quality.json`, each at once and whole."""
    with atomic_path(out / "quality.csv") as temporary:
        escape_formula(quality_table(found), TEXTS).write_csv(temporary)
    write_text(out / "quality.json", found.model_dump_json() + "\n")


def suggest_references(
    data: str | Path, out: str | Path, *, count: int = 6, players: str | Path | None = None
) -> pl.DataFrame:
    """Write central strokes of each class, for a person to mark their moments.

    Args:
        data: shards with poses, or an index, as for `measure_strokes`.
        out: CSV to write: `clip_id, ready, contact, end` with the moments left empty, and what
            helps to find the strokes.
        count: of each class.
        players: as for `measure_strokes`.

    Returns:
        The table.

    Raises:
        InputError: if `data` holds no poses, or no stroke that can be measured.
    """
    data, out = Path(data).absolute(), Path(out)
    check_output_file(out, [data, players])
    sources, known = Sources.open(data), _players(players)
    found = sources.rows({}, known)
    _warn_of_unknown(players, known, found)
    poses, missing = sources.poses(found, {})
    strokes = measurable(found, poses, missing, known.hands)
    rows = []
    for (label, _), members in _grouped(list(strokes.values()), False).items():
        usable = {item.row["clip_id"]: item for item in members if item.problem is None}
        signals = {name: item.signal for name, item in usable.items() if item.signal is not None}
        sessions = {name: usable[name].session for name in signals}
        for name, cost in central(signals, sessions, count):
            row = usable[name].row
            rows.append({
                "clip_id": name, "ready": None, "contact": None, "end": None, "label": label,
                "player_id": row["player_id"], "session_id": row["session_id"],
                "start_frame": row["start_frame"], "end_frame": row["end_frame"],
                "mean_cost": round(cost, 6),
            })  # fmt: skip
    if not rows:
        raise InputError(
            f"{data}: no stroke that can be measured, so none to suggest; look at the tracked "
            f"players with `ttflow view {data}`"
        )
    table = pl.DataFrame(rows, infer_schema_length=None)  # a player may be unknown for long
    with atomic_path(out) as temporary:
        escape_formula(table, TEXTS).write_csv(temporary)
    return table


def quality_lines(found: Quality, out: Path, *, pages: bool = True) -> list[str]:
    """What was found, for the terminal; with the place of pages where these were written."""
    measured = [item for item in found.strokes if item.refused is None]
    outside = sum(bool(item.words) for item in found.strokes if not item.is_reference)
    lines = [
        f"{len(measured)} of {_strokes(len(found.strokes))} compared, {outside} with something "
        "outside of what the references do",
        *_chance_lines(found),
    ]
    told = [item.cannot_tell for item in found.references]
    for item in found.references:
        if item.cannot_tell not in (None, SINGLE_MEASURES):
            lines.append(f"{item.label}: {item.cannot_tell}")
    if found.coarse:
        lines.append(SINGLE_MEASURES)
    reasons = [item.refused for item in found.strokes if item.refused not in (None, *told)]
    for reason in dict.fromkeys(reasons):
        lines.append(f"{_strokes(reasons.count(reason))} not compared: {reason}")
    if pages:
        lines.append(f"pages: {out / 'index.html'}")
    return [*lines, f"table: {out / 'quality.csv'}"]


def _strokes(count: int) -> str:
    return f"{count} stroke" if count == 1 else f"{count} strokes"


def _chance_lines(found: Quality) -> Iterator[str]:
    """How many of what is outside chance alone gives."""
    told = [
        measure.outside
        for item in found.strokes
        if not item.is_reference
        for phase in item.phases
        for measure in phase.measures
        if measure.outside is not None
    ]
    if told:
        yield (
            f"{sum(told)} of {len(told)} single measures outside; chance alone gives about "
            f"{NOMINAL * len(told):.0f}"
        )


def _players(path: str | Path | None) -> Players:
    return read_players(None if path is None else Path(path))


def _warn_of_unknown(
    path: str | Path | None, known: Players, rows: Mapping[str, Mapping[str, Any]]
) -> None:
    """Say which names of the file nobody has; they may be of others, or misspelt."""
    for name in known.unknown(rows.values()):
        logger.warning("%s: no stroke of %s; is it spelt as in the data?", path, name)


def _grouped(strokes: Sequence[Stroke], by_player: bool) -> dict[Key, list[Stroke]]:
    groups: dict[Key, list[Stroke]] = {}
    for item in strokes:
        key = item.row["label"], item.player if by_player else None
        groups.setdefault(key, []).append(item)
    return groups


def _check_references(path: Path, strokes: Sequence[Stroke], marks: Mapping[str, Marks]) -> None:
    for item in strokes:
        mark = marks.get(item.row["clip_id"])
        if mark is not None and item.problem is not None:
            raise InputError(
                f"{path}, line {mark.line}: clip {item.row['clip_id']!r} cannot be a reference: "
                f"{item.problem}"
            )


def _coarsely(
    shards: Shards, strokes: Sequence[Stroke], marks: Mapping[str, Marks], player: str | None
) -> tuple[list[StrokeQuality], ReferenceClass]:
    chosen = [place for place, item in enumerate(strokes) if item.row["clip_id"] in marks]
    enough = len(chosen) >= 3
    motion = [stroke_histograms(shards, item.row) for item in strokes] if enough else []
    judged = judge_coarse(strokes, motion, chosen)
    told = ReferenceClass(
        label=strokes[0].row["label"],
        player_id=player,
        clip_ids=tuple(strokes[place].row["clip_id"] for place in chosen),
        sessions=tuple(sorted({strokes[place].session for place in chosen})),
        cannot_tell=SINGLE_MEASURES if enough else judged[0].refused,
        spreads={},
    )
    return judged, told
