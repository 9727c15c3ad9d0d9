"""How loops are compiled here."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile a function, once for all processes; its threads need no interpreter.

    No flag for fast sums: what is stored is that of plain rounding.
    """
    return cast(F, njit(nogil=True, cache=True, error_model="numpy")(function))
