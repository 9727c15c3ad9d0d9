"""`tttrain quality`: strokes against reference strokes, per phase (specification 7)."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from ttdata.errors import InputError
from ttdata.storage.atomic import atomic_path, write_text
from ttdata.storage.outputs import check_output_file, check_output_folder
from ttdata.storage.spreadsheet import escape_formula
from ttflow import Shards, open_shards
from tttrain.quality.coarse import judge_coarse, stroke_histograms
from tttrain.quality.document import Quality, ReferenceClass, StrokeQuality
from tttrain.quality.judge import judge_class
from tttrain.quality.reference import NOMINAL
from tttrain.quality.reference_marks import Marks, read_hands, read_marks
from tttrain.quality.strokes import Stroke, load_strokes, stroke_rows
from tttrain.quality.suggest import central
from tttrain.quality.table import TEXTS, all_progress, quality_table

logger = logging.getLogger(__name__)

WRITTEN = ("quality.json", "quality.csv")
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
) -> Quality:
    """Measure every stroke of a shards folder against the marked ones of its class.

    Args:
        data: shards with poses.
        references: CSV `clip_id, ready, contact, end`, in frames of the videos.
        out: the folder to write.
        players: CSV `player_id, hand`; without it the hand that holds the bat is guessed.
        by_player: compare each player with his own references only.
        coarse: measure without poses, by where the picture moves.

    Returns:
        All that `quality.json` holds.

    Raises:
        InputError: if `data` is no shards folder or has no poses, a file does not fit, or `out`
            holds something else.
    """
    data, references, out = Path(data).absolute(), Path(references), Path(out).absolute()
    check_output_folder(
        out, "a measurement of strokes", [data, references, players], writes=WRITTEN
    )
    shards = _open(data)
    marks = read_marks(references, {row["clip_id"]: row for row in shards.clips.to_dicts()})
    hands = {} if players is None else read_hands(Path(players))
    if coarse:
        strokes = [Stroke(row) for row in stroke_rows(shards).values()]
    else:
        strokes = list(load_strokes(shards, hands).values())
        _check_references(references, strokes, marks)
    ordered, classes = _judged(shards, _grouped(strokes, by_player), marks, coarse)
    found = Quality(
        data=str(data), references_file=str(references.absolute()), coarse=coarse,
        by_player=by_player, references=classes, strokes=ordered, 
        progress=all_progress(ordered, classes),
    )  # fmt: skip
    write_quality(out, found)
    return found


def _judged(
    shards: Shards, groups: Mapping[Key, list[Stroke]], marks: Mapping[str, Marks], coarse: bool
) -> tuple[tuple[StrokeQuality, ...], tuple[ReferenceClass, ...]]:
    """All strokes in the folder's order, and the references of each group."""
    results: dict[str, StrokeQuality] = {}
    classes = []
    for (_, player), members in groups.items():
        if coarse:
            judged, told = _coarsely(shards, members, marks, player)
        else:
            judged, told = judge_class(members, marks, player)
        results |= {item.clip_id: item for item in judged}
        classes.append(told)
    ordered = shards.clips.filter(kind="stroke")["clip_id"]
    return tuple(results[clip_id] for clip_id in ordered), tuple(classes)


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
        data: shards with poses.
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
    hands = {} if players is None else read_hands(Path(players))
    strokes = load_strokes(_open(data), hands)
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


def quality_lines(found: Quality, out: Path) -> list[str]:
    """What was found, for the terminal."""
    refused = [item for item in found.strokes if item.refused is not None]
    outside = sum(bool(item.words) for item in found.strokes if not item.is_reference)
    told_apart = [
        measure.outside
        for item in found.strokes
        if not item.is_reference
        for phase in item.phases
        for measure in phase.measures
        if measure.outside is not None
    ]
    measured = len(found.strokes) - len(refused)
    lines = [
        f"{measured} of {len(found.strokes)} strokes compared, {outside} with something outside "
        "of what the references do"
    ]
    if told_apart:
        lines.append(
            f"{sum(told_apart)} of {len(told_apart)} single measures outside; chance alone gives "
            f"about {NOMINAL * len(told_apart):.0f}"
        )
    for item in found.references:
        if item.cannot_tell not in (None, SINGLE_MEASURES):
            lines.append(f"{item.label}: {item.cannot_tell}")
    if found.coarse:
        lines.append(SINGLE_MEASURES)
    told = {item.cannot_tell for item in found.references}
    reasons = [item.refused for item in refused if item.refused not in told]
    for reason in dict.fromkeys(reasons):
        lines.append(f"{reasons.count(reason)} strokes not compared: {reason}")
    return [*lines, f"table: {out / 'quality.csv'}"]


def _open(data: Path) -> Shards:
    if (data / "index.json").is_file():
        raise InputError(
            f"{data}: an index of whole videos, which holds no poses yet; extract the found "
            "strokes (`ttdata curate`, `ttflow extract`, `ttflow pose`) and give those shards"
        )
    return open_shards(data)


def _grouped(strokes: Sequence[Stroke], by_player: bool) -> dict[Key, list[Stroke]]:
    groups: dict[Key, list[Stroke]] = {}
    for item in strokes:
        player = item.row["player_id"] or item.row["video_id"]
        groups.setdefault((item.row["label"], player if by_player else None), []).append(item)
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
