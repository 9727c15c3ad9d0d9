"""The tables as Markdown, from their Pydantic models: what `docs/formats.md` lists."""

import types
import typing

from pydantic import BaseModel

from ttdata.storage.tables import polars_schema

_UNITS = {
    "fps": "1/s",
    "width": "px",
    "height": "px",
    "num_frames": "frames",
    "x_min": "fraction",
    "y_min": "fraction",
    "x_max": "fraction",
    "y_max": "fraction",
}
_SUFFIXES = {
    "_frame": "frame number",
    "_frames": "frames",
    "_seconds": "s",
    "_px": "px",
    "_deg": "degrees",
    "_torso": "torso lengths",
    "torso_m": "m",
}


def table_markdown(model: type[BaseModel]) -> str:
    """A Markdown table with a row per column: name, dtype, unit, null or not, meaning."""
    rows = ["| column | dtype | unit | null | meaning |", "|---|---|---|---|---|"]
    for name, dtype in polars_schema(model).items():
        field = model.model_fields[name]
        null = "yes" if _optional(field.annotation) else ""
        text = field.description or ""
        rows.append(f"| `{name}` | {dtype} | {unit(name)} | {null} | {text} |")
    return "\n".join(rows)


def settings_markdown(model: type[BaseModel]) -> str:
    """A Markdown table with a row per setting: name, default, meaning."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        rows.append(f"| `{name}` | `{field.default!r}` | {field.description or ''} |")
    return "\n".join(rows)


def unit(name: str) -> str:
    """The unit a column's name tells, or nothing."""
    if name in _UNITS:
        return _UNITS[name]
    return next((text for suffix, text in _SUFFIXES.items() if name.endswith(suffix)), "")


def _optional(annotation: object) -> bool:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return is_union and type(None) in typing.get_args(annotation)
