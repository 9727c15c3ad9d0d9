"""The lines of a small CSV, with their numbers for messages."""

from collections.abc import Iterator

import polars as pl

from ttdata.errors import InputError


def lines(table: pl.DataFrame) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines with something in them: their numbers in the file, and their cells as text."""
    number = 2 + sum(name.count("\n") for name in table.columns)
    for row in table.to_dicts():
        cells = {name: "" if cell is None else str(cell) for name, cell in row.items()}
        if any(cell.strip() for cell in cells.values()):
            yield number, {name: cell.strip() for name, cell in cells.items()}
        number += 1 + sum(cell.count("\n") for cell in cells.values())


def frame_number(where: str, name: str, cell: str) -> int:
    """A cell that holds the number of a frame.

    Raises:
        InputError: if it does not.
    """
    try:
        return int(cell)
    except ValueError:
        raise InputError(f"{where}: {name} is {cell!r}, expected a frame of the video") from None
