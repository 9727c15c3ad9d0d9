"""Configurations from files and `--set a.b=value` overrides, with errors a person can act on."""

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NewType, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ttdata.errors import InputError

M = TypeVar("M", bound=BaseModel)

Float32 = NewType("Float32", float)
"""In the model of a table: a number that is stored in single precision."""


class FrozenModel(BaseModel):
    """The base of all settings and rows of tables: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def load_config(model: type[M], path: Path | None, overrides: Iterable[str] = ()) -> M:
    """A configuration from a JSON file (or the defaults) with overrides applied.

    Raises:
        InputError: if the file is missing or no JSON, or a key or value does not fit the model.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable JSON file ({error})") from error
        if not isinstance(values, dict):
            raise InputError(f"{path}: holds {values!r:.40}, expected an object of settings")
    return _validated(model, values, overrides, str(path or model.__name__))


def override(config: M, overrides: Iterable[str]) -> M:
    """The configuration with `a.b=value` overrides; values are JSON, or plain text.

    Raises:
        InputError: for an unknown key (naming the nearest valid one) or a value that does not fit.
    """
    return _validated(type(config), config.model_dump(), overrides, type(config).__name__)


def _validated(model: type[M], values: dict[str, Any], overrides: Iterable[str], where: str) -> M:
    for item in overrides:
        key, equals, text = item.partition("=")
        if not equals:
            raise InputError(f"--set {item}: expected key=value")
        _assign(model, values, key.strip().split("."), text, item)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        # A whole section would hide what is wrong in it.
        found = "" if isinstance(first["input"], dict) else f" = {first['input']!r}"
        hint = ""
        if first["type"] == "extra_forbidden":
            hint = _nearest(str(first["loc"][-1]), _holder(model, first["loc"][:-1]))
        said = f"{place}{found}: " if place else ""
        raise InputError(f"{where}: {said}{_words(first['msg'])}{hint}") from error


def first_problem(error: ValidationError) -> str:
    """The first finding of a failed validation, as `place: what is wrong`."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {_words(first['msg'])}" if place else _words(first["msg"])


def _words(message: str) -> str:
    return message.lower().removeprefix("value error, ")


def _assign(
    model: type[BaseModel], values: dict[str, Any], keys: list[str], text: str, item: str
) -> None:
    head, *rest = keys
    if head not in model.model_fields:
        raise InputError(f"--set {item}: unknown key {head!r}{_nearest(head, model)}")
    if rest:
        inner = _inner(model, head)
        if inner is None:
            raise InputError(f"--set {item}: {head!r} has no inner keys")
        below = values.setdefault(head, {})
        if not isinstance(below, dict):
            raise InputError(f"--set {item}: {head!r} is {below!r:.40}, expected an object")
        _assign(inner, below, rest, text, item)
        return
    try:
        values[head] = json.loads(text)
    except ValueError:
        values[head] = text


def _inner(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The model that a key of this one holds; None if it holds a plain value."""
    field = model.model_fields.get(key)
    inner = field and field.annotation
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _holder(model: type[BaseModel], place: Sequence[str | int]) -> type[BaseModel]:
    """The model at this place; the last one on the way where that is not plain."""
    for key in place:
        inner = _inner(model, str(key))
        if inner is None:
            break
        model = inner
    return model


def _nearest(key: str, model: type[BaseModel]) -> str:
    """A hint for an unknown key; a model says by `moved_keys` where its former keys are now."""
    moved: dict[str, str] = getattr(model, "moved_keys", {})
    if key in moved:
        return f"; {key} is now {moved[key]}"
    places = _places(model)
    names = difflib.get_close_matches(key, model.model_fields, n=1, cutoff=0.4)
    # Of the many inner keys only a spelling error is near.
    names = names or difflib.get_close_matches(key, places, n=1, cutoff=0.7)
    if names:
        return f"; did you mean {places[names[0]]!r}?"
    return f"; known: {', '.join(places.values())}"


def _places(model: type[BaseModel]) -> dict[str, str]:
    """The dotted key of each field by its name, of this model and of those it holds."""
    found = {name: name for name in model.model_fields}
    for name in model.model_fields:
        inner = _inner(model, name)
        for key, place in _places(inner).items() if inner else ():
            found.setdefault(key, f"{name}.{place}")
    return found
