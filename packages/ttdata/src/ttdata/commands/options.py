"""Text from a command line as the values it stands for."""

from typing import TypeVar, get_args

from ttdata.errors import InputError
from ttdata.schema import Group, Strategy

T = TypeVar("T", bound=str)


def parse_strategy(text: str) -> Strategy:
    """A split strategy.

    Raises:
        InputError: naming the known ones.
    """
    return _one_of("strategy", text, get_args(Strategy))


def parse_group(text: str) -> Group:
    """What a grouped split keeps together.

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


def _one_of(name: str, text: str, known: tuple[T, ...]) -> T:
    for value in known:
        if value == text:
            return value
    raise InputError(f"--{name} {text}: expected one of {', '.join(known)}")
