"""Python's own numbers for those of NumPy or torch, which JSON and type checks refuse."""

from typing import Any


def plain(value: Any) -> Any:
    """Return the value with Python's numbers, texts and lists; what is plain stays as it is.

    Args:
        value: a scalar or array of any library that has `tolist`, or a list or tuple of such.

    >>> import torch
    >>> plain((torch.tensor(3), 4)), plain(torch.tensor([1.5, 2.0]))
    ((3, 4), [1.5, 2.0])
    """
    if isinstance(value, list | tuple):
        items = map(plain, value)
        return list(items) if isinstance(value, list) else tuple(items)
    tolist = getattr(value, "tolist", None)
    return tolist() if callable(tolist) else value
