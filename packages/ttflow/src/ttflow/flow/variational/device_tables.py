"""Tables of gains and pyramids on a device: made once, kept for the next batch of the shape.

A CUDA graph reads a table by its address, as often as it is replayed; the tables kept here are only
the last ones used. So whatever records a graph holds on to the tables it met: `held()`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

_held: ContextVar[list[Tensor] | None] = ContextVar("held", default=None)


def on(device: torch.device, table: Callable[..., NDArray[Any]], *arguments: Any) -> Tensor:
    """The value of a function that makes a table, on a device."""
    found = _kept(device, table, *arguments)
    holder = _held.get()
    if holder is not None:
        holder.append(found)
    return found


@contextmanager
def held() -> Iterator[list[Tensor]]:
    """Collects every table that is asked for meanwhile; they live at least as long as the list."""
    tables: list[Tensor] = []
    token = _held.set(tables)
    try:
        yield tables
    finally:
        _held.reset(token)


@lru_cache(maxsize=512)
def _kept(device: torch.device, table: Callable[..., NDArray[Any]], *arguments: Any) -> Tensor:
    return torch.from_numpy(table(*arguments)).to(device)


def forget() -> None:
    """Drop all tables that are kept here."""
    _kept.cache_clear()
