"""What the page of a player or class shows, from the measured strokes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tttrain.quality.consistency import by_number
from tttrain.quality.document import Quality, ReferenceClass, StrokeQuality
from tttrain.quality.timing.moments import MOMENTS
from tttrain.report.quality_pages.against import References
from tttrain.report.quality_pages.nearest import references_beside
from tttrain.report.quality_pages.repeated import Repeated, repeated
from tttrain.report.quality_pages.sessions import Alike, Course, alike, courses
from tttrain.report.video_page import clock


@dataclass(frozen=True)
class Group:
    """Strokes of one class of a player, or of one player of a class."""

    title: str
    strokes: tuple[StrokeQuality, ...]
    compared: int
    """Strokes that are neither refused nor references."""
    repeated: tuple[Repeated, ...]
    courses: tuple[Course, ...]
    alike: tuple[Alike, ...]
    sessions: tuple[str, ...]
    references: ReferenceClass | None


def groups_of_player(quality: Quality, references: References, player: str) -> list[Group]:
    """The classes of a player, in the order of their names."""
    own = [item for item in quality.strokes if item.player_id == player]
    labels = sorted({item.label for item in own})
    return [
        _group(label, [item for item in own if item.label == label], quality, references)
        for label in labels
    ]


def groups_of_class(quality: Quality, references: References, label: str) -> list[Group]:
    """The players of a class; unknown ones last."""
    own = [item for item in quality.strokes if item.label == label]
    players = sorted({item.player_id for item in own}, key=lambda name: (name is None, name or ""))
    return [
        _group(
            "Unknown players" if player is None else player,
            [item for item in own if item.player_id == player], quality, references,
        )
        for player in players
    ]  # fmt: skip


def _group(
    title: str, strokes: Sequence[StrokeQuality], quality: Quality, references: References
) -> Group:
    ordered = sorted(strokes, key=_place)
    first = ordered[0]
    progress = [
        item for item in quality.progress
        if (item.player_id, item.label) == (first.player_id, first.label)
    ]  # fmt: skip
    found = references.of(first)
    return Group(
        title=title,
        strokes=tuple(ordered),
        compared=sum(item.refused is None and not item.is_reference for item in ordered),
        repeated=tuple(repeated(ordered)),
        courses=tuple(courses(progress, ordered)),
        alike=tuple(alike(progress, ordered, found)),
        sessions=progress[0].sessions if progress else (),
        references=found,
    )


def _place(stroke: StrokeQuality) -> tuple[Any, ...]:
    return by_number(session_of(stroke)), by_number(stroke.video_id), stroke.start_frame


def session_of(stroke: StrokeQuality) -> str:
    """What counts as the session of a stroke; its video where that is unknown."""
    return stroke.session or stroke.video_id


def name_of(stroke: StrokeQuality) -> str:
    """A stroke in a few words: who, when, where in the video."""
    who = stroke.player_id or "unknown player"
    return f"{who}, {session_of(stroke)}, {clock(stroke.start_frame / stroke.fps)}"


def page_data(
    strokes: Sequence[StrokeQuality], references: References, films: Mapping[str, str]
) -> dict[str, Any]:
    """What the page's script needs.

    Args:
        strokes: of the page, in order.
        references: theirs; these strokes are added where they are not of the page.
        films: names by clip.
    """
    beside = {item.clip_id: references_beside(item, references) for item in strokes}
    known = {item.clip_id: item for item in strokes}
    known |= {name: references.strokes[name] for names in beside.values() for name in names}
    return {
        "order": [item.clip_id for item in strokes],
        "strokes": {
            name: _facts(item, beside.get(name, []), films.get(name))
            for name, item in known.items()
        },
    }


def _facts(stroke: StrokeQuality, beside: Sequence[str], film: str | None) -> dict[str, Any]:
    moments = {name: stroke.moments.get(name) for name in MOMENTS}
    return {
        "name": name_of(stroke),
        "label": stroke.label,
        "film": film,
        # Where a page stops: the whole frame that is nearest.
        "moments": {
            name: None if frame is None else int(frame + 0.5) for name, frame in moments.items()
        },
        "first": stroke.start_frame,
        "last": stroke.end_frame - 1,
        "fps": stroke.fps,
        "left": stroke.hand == "left",
        "reference": stroke.is_reference,
        "beside": list(beside),
    }


@dataclass(frozen=True)
class Listed:
    """A line of the list of strokes."""

    clip_id: str
    name: str
    outside: int
    text: str
    is_reference: bool
    overall: str
    section: str


def listed(stroke: StrokeQuality, section: str) -> Listed:
    """A stroke as a line of the list, with what it opens."""
    if stroke.refused is not None:
        text = f"Not compared: {stroke.refused}"
    elif stroke.words:
        more = len(stroke.words) - 1
        text = stroke.words[0] + (f", and {more} more" if more else "")
    elif any(item.outside is not None for phase in stroke.phases for item in phase.measures):
        text = "Nothing outside of what the references do"
        text += f", but {stroke.hidden}" if stroke.hidden else ""
    else:
        text = "What is unusual cannot be told"
    overall = "" if stroke.distance is None else f"{stroke.distance:.1f}"
    when = f"{session_of(stroke)}, {clock(stroke.start_frame / stroke.fps)}"
    return Listed(
        stroke.clip_id, when, len(stroke.words), text, stroke.is_reference, overall, section
    )
