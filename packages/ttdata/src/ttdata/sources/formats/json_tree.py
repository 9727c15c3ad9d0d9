"""JSON as a tree that knows where it is: every error names file and element."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ttdata.errors import AnnotationError

_LARGEST = 1e12


@dataclass(frozen=True)
class Node:
    """A value, the file it is in, and its place there, as `database.match_01.annotations[2]`."""

    file: Path
    place: str
    value: Any

    def error(self, expected: str) -> AnnotationError:
        """An error that names file, place, what is there and what was expected."""
        found = json.dumps(self.value)
        shown = found if len(found) <= 60 else f"{found[:57]}..."
        return AnnotationError(f"{self.file}: {self.place}: found {shown}, expected {expected}")

    def has(self, name: str) -> bool:
        """Whether this is an object with this member, and the member is not null."""
        return isinstance(self.value, dict) and self.value.get(name) is not None

    def get(self, name: str) -> "Node":
        """A member that has to be there.

        Raises:
            AnnotationError: if this is no object or has no such member.
        """
        if not isinstance(self.value, dict) or name not in self.value:
            raise self.error(f"an object with {name!r}")
        return self._at(name)

    def members(self) -> "Iterator[tuple[str, Node]]":
        """Names and members of an object.

        Raises:
            AnnotationError: if this is none.
        """
        if not isinstance(self.value, dict):
            raise self.error("an object")
        return ((name, self._at(name)) for name in self.value)

    def items(self) -> "Iterator[Node]":
        """The items of a list.

        Raises:
            AnnotationError: if this is none.
        """
        if not isinstance(self.value, list):
            raise self.error("a list")
        return (
            Node(self.file, f"{self.place}[{index}]", item) for index, item in enumerate(self.value)
        )

    def text(self) -> str:
        """A string.

        Raises:
            AnnotationError: if this is none.
        """
        if not isinstance(self.value, str):
            raise self.error("a string")
        return self.value

    def number(self) -> float:
        """A finite number.

        Raises:
            AnnotationError: if this is none, or beyond any recording.
        """
        value = self.value
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or not math.isfinite(value) or abs(value) > _LARGEST:
            raise self.error("a number")
        return float(value)

    def integer(self) -> int:
        """A whole number.

        Raises:
            AnnotationError: if this is none.
        """
        value = self.number()
        if value != int(value):
            raise self.error("a whole number")
        return int(value)

    def _at(self, name: str) -> "Node":
        shown = name if len(name) <= 60 else f"{name[:57]}..."
        place = shown if self.place == "the file" else f"{self.place}.{shown}"
        return Node(self.file, " ".join(place.split()), self.value[name])


def read_json(path: Path) -> Node:
    """The value of a JSON file (UTF-8).

    Raises:
        AnnotationError: if the file cannot be read or is no JSON; it names the line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        value = json.loads(text)
        if "\\ud" in text.lower():
            # An escape may stand for half a character, which no table and no file can hold.
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"{path}: cannot be read as JSON (line {error.lineno}: {error.msg})"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: cannot be read as JSON ({error})") from error
    return Node(path, "the file", value)


def try_json(path: Path) -> Any:
    """The value of a JSON file; None where it cannot be read."""
    try:
        return read_json(path).value
    except AnnotationError:
        return None
