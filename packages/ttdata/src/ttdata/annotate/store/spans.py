"""Half-open spans of frames."""

from collections.abc import Iterable

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same frames as disjoint spans that do not touch, in order; empty spans vanish.

    >>> merged([(5, 9), (0, 3), (3, 4), (6, 12), (20, 20)])
    [(0, 4), (5, 12)]
    """
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def gaps(spans: Iterable[Span], num_frames: int) -> list[Span]:
    """The frames of `[0, num_frames)` that no span holds.

    >>> gaps([(0, 4), (5, 12)], 14)
    [(4, 5), (12, 14)]
    """
    edges = [0, *(edge for span in merged(spans) for edge in span), num_frames]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
