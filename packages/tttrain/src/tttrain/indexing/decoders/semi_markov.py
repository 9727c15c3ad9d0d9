"""Exact sums and maxima over all ways to cut a video into strokes (specification 6.6).

A cutting is a set of segments that do not overlap; its weight is the sum of its segments' scores,
and a cell outside all segments adds 0. Cell edges are 0 to T; a segment [a, a + d) has the score
`scores[a, d - shortest]`, minus infinity where it would leave the video. All functions take B
tables of scores of one video at once, which costs hardly more than one.

Source: Sarawagi, Cohen, "Semi-Markov Conditional Random Fields", NeurIPS 2004, with one state.
"""

import numpy as np

_NEVER = -np.inf


def best_cuttings(scores: np.ndarray, shortest: int) -> list[np.ndarray]:
    """The segments (N, 2) int64 of each table's cutting with the largest weight (Viterbi).

    A segment that adds nothing is left out.

    Args:
        scores: (B, T, D) by first cell, duration - shortest.
        shortest: cells of the shortest segment.
    """
    by_end, longest = _by_end(scores, shortest)
    tables, cells, width = scores.shape
    best = np.full((tables, cells + 1 + longest), _NEVER)
    best[:, longest] = 0.0
    taken = np.zeros((tables, cells + 1), dtype=np.int64)
    every = np.arange(tables)
    for end in range(1, cells + 1):
        reached = best[:, end : end + width] + by_end[end]
        place = reached.argmax(axis=1)
        value, without = reached[every, place], best[:, longest + end - 1]
        better = value > without
        best[:, longest + end] = np.where(better, value, without)
        taken[:, end] = np.where(better, longest - place, 0)
    return [_traced(durations) for durations in taken]


def log_sums(scores: np.ndarray, shortest: int) -> np.ndarray:
    """Log (B, T + 1) of the sum of exp(weight) over all cuttings of the cells before each edge."""
    by_end, longest = _by_end(scores, shortest)
    tables, cells, width = scores.shape
    sums = np.full((tables, cells + 1 + longest), _NEVER)
    sums[:, longest] = 0.0
    terms = np.empty((tables, width + 1))
    for end in range(1, cells + 1):
        np.add(sums[:, end : end + width], by_end[end], out=terms[:, :width])
        terms[:, width] = sums[:, longest + end - 1]
        top = terms.max(axis=1)
        sums[:, longest + end] = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
    return sums[:, longest:]


def log_posteriors(scores: np.ndarray, shortest: int) -> np.ndarray:
    """Log-probability (B, T, D) that a cutting drawn by exp(weight) has each segment.

    Forward sums of what lies before a segment, backward sums of what lies behind it; the backward
    sums are the forward sums of the video that runs backwards.

    Args:
        scores: (B, T, D) by first cell, duration - shortest.
        shortest: cells of the shortest segment.
    """
    tables, cells, width = scores.shape
    both = log_sums(np.concatenate([scores, _backwards(scores, shortest)]), shortest)
    before, behind = both[:tables], both[tables:, ::-1]
    end = np.arange(cells)[:, None] + shortest + np.arange(width)[None]
    after = np.where(end <= cells, behind[:, np.minimum(end, cells)], _NEVER)
    result: np.ndarray = before[:, :-1, None] + scores + after - before[:, -1, None, None]
    return result


def _traced(durations: np.ndarray) -> np.ndarray:
    """Segments (N, 2) from the duration (T + 1,) that ends best at each edge, 0 for none."""
    found, end = [], len(durations) - 1
    while end > 0:
        if durations[end]:
            found.append((end - durations[end], end))
        end -= durations[end] or 1
    return np.array(found[::-1], dtype=np.int64).reshape(-1, 2)


def _by_end(scores: np.ndarray, shortest: int) -> tuple[np.ndarray, int]:
    """Scores (T + 1, B, D) by the segment's end, the longest duration first; that duration."""
    tables, cells, width = scores.shape
    by_end = np.full((cells + 1, tables, width), _NEVER)
    for column in range(width):
        duration = shortest + column
        if duration <= cells:
            by_end[duration:, :, width - 1 - column] = scores[:, : cells - duration + 1, column].T
    return by_end, shortest + width - 1


def _backwards(scores: np.ndarray, shortest: int) -> np.ndarray:
    """The scores of the video that runs backwards."""
    cells = scores.shape[1]
    mirrored = np.full_like(scores, _NEVER)
    for column in range(scores.shape[2]):
        starts = cells - shortest - column + 1
        if starts > 0:
            mirrored[:, :starts, column] = scores[:, :starts, column][:, ::-1]
    return mirrored
