"""Text from a command line as the values it stands for."""

from typing import TypeVar, get_args

from ttdata.errors import InputError
from ttdata.schema import SPLITS, Group, Strategy
from ttdata.sources.formats.events import EventWindow
from ttdata.synth.plant import Kind, Planting

T = TypeVar("T", bound=str)


def parse_strategy(text: str) -> Strategy:
    """A split strategy.

    Raises:
        InputError: naming the known ones.
    """
    return _one_of("strategy", text, get_args(Strategy))


def parse_group(text: str) -> Group:
    """The group that a grouped split keeps together.

    Raises:
        InputError: naming the known ones.
    """
    return _one_of("group", text, get_args(Group))


def parse_shares(text: str) -> tuple[float, float, float]:
    """Three shares, as `0.7,0.2,0.1`.

    Raises:
        InputError: unless there are three numbers.
    """
    try:
        train, validation, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--shares {text}: expected three numbers, as 0.7,0.2,0.1") from error
    return train, validation, test


def parse_planting(kind: str, rate: float, splits: str) -> Planting:
    """What `plant` is asked for.

    Args:
        kind: one of `synth.plant.Kind`.
        rate: a share, from 0 to 1.
        splits: names separated by commas.

    Raises:
        InputError: for an unknown name, or a rate that is no share.
    """
    if not 0 <= rate <= 1:
        raise InputError(f"--rate {rate:g}: expected a share from 0 to 1")
    names = tuple(_one_of("splits", name.strip(), SPLITS) for name in splits.split(","))
    return Planting(_one_of("kind", kind, get_args(Kind)), rate, names)


def parse_size(text: str) -> tuple[int, int]:
    """Width and height in pixels from `WxH`.

    >>> parse_size("640x360")
    (640, 360)
    """
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise InputError(f"size {text!r}: expected WIDTHxHEIGHT in pixels, such as 640x360")
    return int(width), int(height)


def parse_window(text: str) -> EventWindow:
    """An event window from a command line, as `0.5,0.5`.

    Raises:
        InputError: unless there are two numbers that make a window.
    """
    try:
        before, after = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--event-window {text}: expected two numbers of seconds, as 0.5,0.5"
        ) from error
    return EventWindow(before, after)


def _one_of(name: str, text: str, known: tuple[T, ...]) -> T:
    for value in known:
        if value == text:
            return value
    raise InputError(f"--{name} {text}: expected one of {', '.join(known)}")
