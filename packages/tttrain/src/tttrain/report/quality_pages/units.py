"""Measures by the names and units that a teacher reads."""

from collections.abc import Callable
from dataclasses import dataclass

from tttrain.quality.words import WHERE

PHASE_NAMES = {phase: name.capitalize() for phase, name in WHERE.items()}


@dataclass(frozen=True)
class Unit:
    """How a measure is written."""

    name: str
    """What is measured."""
    factor: float
    """From the stored unit to the written one."""
    digits: int
    text: str
    """After the number."""

    def number(self, value: float) -> str:
        """A value with its unit; minus is a minus sign."""
        return f"{_minus(round(value * self.factor, self.digits), self.digits)}{self.text}"

    def signed(self, value: float) -> str:
        """A difference with its sign and unit."""
        rounded = round(value * self.factor, self.digits)
        return f"{'+' if rounded > 0 else ''}{_minus(rounded, self.digits)}{self.text}"


def _minus(value: float, digits: int) -> str:
    # No minus before a zero.
    return f"{value + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


UNITS = {
    "duration_s": Unit("Duration", 1000, 0, " ms"),
    "duration_share": Unit("Share of the stroke's time", 100, 0, " %"),
    "gain": Unit("Size of the arm's movement", 100, 0, " %"),
    "wrist_x": Unit("Hand sideways, seen from the hips", 1, 2, " torso lengths"),
    "wrist_y": Unit("Height of the hand, seen from the hips", 1, 2, " torso lengths"),
    "peak_speed": Unit("Fastest movement of the hand", 1, 1, " torso lengths/s"),
    "trunk_turn": Unit("Trunk turned back", 1, 0, " degrees"),
    "residual": Unit("Other shape of the path", 1, 2, " torso lengths"),
}
"""By measure; a gain is told in percent of the references' movement."""

AT_END = {
    "backswing": "at the end of the backswing",
    "forward": "at contact",
    "follow_through": "at the end",
    "stroke": "at the end",
}
"""When a phase ends."""

_MORE: dict[str, tuple[str, str]] = {
    "duration_s": ("shorter", "longer"),
    "duration_share": ("a smaller share", "a larger share"),
    "gain": ("smaller", "larger"),
    "wrist_x": ("further to the left", "further to the right"),
    "wrist_y": ("lower", "higher"),
    "peak_speed": ("slower", "faster"),
    "trunk_turn": ("turned back less", "turned back more"),
    "residual": ("nearer to the references' shape", "further from the references' shape"),
}
_SUBJECT: dict[str, Callable[[str], str]] = {
    "duration_s": lambda phase: WHERE[phase],
    "duration_share": lambda phase: WHERE[phase],
    "gain": lambda phase: f"arm's movement in the {WHERE[phase]}",
    "wrist_x": lambda phase: f"hand {AT_END[phase]}",
    "wrist_y": lambda phase: f"hand {AT_END[phase]}",
    "peak_speed": lambda phase: f"hand in the {WHERE[phase]}",
    "trunk_turn": lambda phase: f"trunk {AT_END[phase]}",
    "residual": lambda phase: f"path in the {WHERE[phase]}",
}


def title_of(phase: str, measure: str) -> str:
    """A measure of a phase as a heading.

    >>> title_of("forward", "wrist_y")
    'Height of the hand, seen from the hips, at contact'
    """
    name = UNITS[measure].name
    if measure in ("wrist_x", "wrist_y", "trunk_turn"):
        joint = ", " if "," in name else " "
        return f"{name}{joint}{AT_END[phase]}"
    return f"{PHASE_NAMES[phase]}: {name[0].lower()}{name[1:]}"


def direction_of(phase: str, measure: str, *, more: bool) -> str:
    """Which way a measure is off, without a number.

    >>> direction_of("backswing", "duration_s", more=False)
    'backswing shorter'
    """
    return f"{_SUBJECT[measure](phase)} {_MORE[measure][more]}"
