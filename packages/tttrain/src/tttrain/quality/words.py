"""Measures in words that a teacher uses."""

from tttrain.quality.reference import NOMINAL

WHERE = {
    "backswing": "backswing",
    "forward": "forward swing",
    "follow_through": "follow-through",
    "stroke": "whole stroke",
}
_ROUNDED = {
    "duration_s": (1000, 0),
    "duration_share": (100, 0),
    "trunk_turn": (1, 0),
    "wrist_x": (1, 2),
    "wrist_y": (1, 2),
}
"""How a difference is written: its factor and digits."""
_ENDS = {
    "backswing": "at the end of the backswing",
    "forward": "at contact",
    "follow_through": "at the end",
    "stroke": "at the end",
}
_MOVEMENT = ("fastest movement of the hand", "arm's movement")
ONE_SESSION = (
    "all references are of one session: whether a difference is unusual cannot be told; mark "
    "references of another session, too"
)
UNKNOWN_SESSIONS = (
    "sessions of the references are not known, one stroke a video: whether a difference is unusual "
    "cannot be told; name their sessions (`session_id`)"
)
HIDDEN = "the hand with the bat is hidden in more than a third of"
HIDDEN_THERE = "its way is not measured there; film from where it is seen"
ANOTHER_PLAYER = (
    "another player than the references': a difference may be of the bodies; --by-player compares "
    "each with himself"
)


def words(
    phase: str,
    name: str,
    value: float,
    mean: float,
    chance: float | None,
    *,
    mirrored: bool = False,
) -> str | None:
    """A measure against the mean of the references; None where there is nothing to say.

    Args:
        phase: of the stroke.
        name: of the measure.
        value: of the stroke.
        mean: of the references.
        chance: of an unchanged stroke to lie as far from the mean; None: cannot be told.
        mirrored: whether the measured picture is the mirror image of the film, of which sides
            are told.
    """
    # The film's right is the left of its mirror image.
    flipped = mirrored and name == "wrist_x"
    told = _difference(phase, name, *((-value, -mean) if flipped else (value, mean)))
    usual = chance is None or chance >= NOMINAL
    if told is not None and usual and _no_difference(name, value, mean):
        return f"{_subject(phase, name)} as in the references"
    return None if told is None else f"{told}, {_how_unusual(chance)}"


def _how_unusual(chance: float | None) -> str:
    if chance is None:
        return "how unusual that is cannot be told"
    if chance < NOMINAL / 5:
        return "outside ninety-nine of a hundred of them"
    if chance < NOMINAL:
        return "outside nineteen of twenty of them"
    if chance < 2 * NOMINAL:
        return "outside nine of ten of them"
    return "as the references vary, too"


def _no_difference(name: str, value: float, mean: float) -> bool:
    """Whether what is written of a difference is zero."""
    if name == "residual":
        return False
    if name in _ROUNDED:
        factor, digits = _ROUNDED[name]
        return round((value - mean) * factor, digits) == 0
    return round((value / mean - 1) * 100, 0) == 0


def _subject(phase: str, name: str) -> str:
    """What a measure is of, where it does not differ."""
    place = WHERE[phase]
    if name == "duration_s":
        return f"{place} as long"
    if name == "duration_share":
        return f"{place} takes as much of the stroke's time"
    if name == "trunk_turn":
        return f"trunk {_ENDS[phase]} turned back"
    if name in ("wrist_x", "wrist_y"):
        return f"hand {_ENDS[phase]} {'sideways' if name == 'wrist_x' else 'as high'}"
    return f"{place}: {_MOVEMENT[name == 'gain']}"


def _difference(phase: str, name: str, value: float, mean: float) -> str | None:
    less, place = value < mean, WHERE[phase]
    if name == "duration_s":
        size = f"{abs(value - mean) * 1000:.0f} ms"
        return f"{place} {size} {'shorter' if less else 'longer'} than the references"
    if name == "duration_share":
        points = f"{abs(value - mean) * 100:.0f} hundredths"
        return f"{place} takes {points} {'less' if less else 'more'} of the stroke's time"
    if name == "residual":
        return f"{place}: the path's shape is {'nearer to' if less else 'further from'} theirs"
    if name == "trunk_turn":
        turn = f"{abs(value - mean):.0f} degrees {'less' if less else 'more'}"
        return f"trunk turned back {turn} {_ENDS[phase]} than in the references"
    if name in ("wrist_x", "wrist_y"):
        return _place(phase, name, value - mean)
    return _ratio(place, name, value, mean)


def _place(phase: str, name: str, difference: float) -> str:
    sides = ("to the left", "to the right") if name == "wrist_x" else ("lower", "higher")
    size = f"{abs(difference):.2f} torso lengths {sides[difference > 0]}"
    return f"hand {size} {_ENDS[phase]} than in the references"


def _ratio(place: str, name: str, value: float, mean: float) -> str | None:
    if not mean > 0:
        return None
    share = f"{abs(value / mean - 1) * 100:.0f} %"
    sizes = ("smaller", "larger") if name == "gain" else ("slower", "faster")
    return (
        f"{place}: {_MOVEMENT[name == 'gain']} {share} {sizes[value > mean]} than in the references"
    )
