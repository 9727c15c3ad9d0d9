"""Exact sums and maxima over all ways to cut a video into strokes (specification 6.6).

A cutting is a set of segments that do not overlap; its weight is the sum of its segments' scores,
and a cell outside all segments adds 0. Cell edges are 0 to T; a segment [a, a + d) has the score
`scores[a, d - shortest]`, minus infinity where it would leave the video.

Source: Sarawagi, Cohen, "Semi-Markov Conditional Random Fields", NeurIPS 2004, with one state.
"""

import numpy as np

_NEVER = -np.inf


def best_cutting(scores: np.ndarray, shortest: int) -> np.ndarray:
    """The segments (N, 2) int64 of the cutting with the largest weight, in order (Viterbi).

    Of equal weights the one with fewer segments at the end wins; a segment of score 0 is left out.

    Args:
        scores: (T, D) by first cell, duration - shortest.
        shortest: cells of the shortest segment.
    """
    by_end, longest = _by_end(scores, shortest)
    cells = len(scores)
    best = np.full(cells + 1 + longest, _NEVER)
    best[longest] = 0.0
    taken = np.zeros(cells + 1, dtype=np.int64)
    width = scores.shape[1]
    for end in range(1, cells + 1):
        reached = best[end : end + width] + by_end[end]
        place = int(reached.argmax())
        value, without = reached[place], best[longest + end - 1]
        if value > without:
            best[longest + end] = value
            taken[end] = longest - place
        else:
            best[longest + end] = without
    found, end = [], cells
    while end > 0:
        if taken[end]:
            found.append((end - taken[end], end))
        end -= taken[end] or 1
    return np.array(found[::-1], dtype=np.int64).reshape(-1, 2)


def log_sums(scores: np.ndarray, shortest: int) -> np.ndarray:
    """Log (T + 1,) of the sum of exp(weight) over all cuttings of the cells before each edge."""
    by_end, longest = _by_end(scores, shortest)
    cells, width = scores.shape
    sums = np.full(cells + 1 + longest, _NEVER)
    sums[longest] = 0.0
    terms = np.empty(width + 1)
    for end in range(1, cells + 1):
        np.add(sums[end : end + width], by_end[end], out=terms[:width])
        terms[width] = sums[longest + end - 1]
        top = terms.max()
        sums[longest + end] = top + np.log(np.exp(terms - top).sum())
    return sums[longest:]


def log_posteriors(scores: np.ndarray, shortest: int) -> np.ndarray:
    """Log-probability (T, D) that a cutting drawn by exp(weight) has each segment.

    Forward sums of what lies before a segment, backward sums of what lies behind it.

    Args:
        scores: (T, D) by first cell, duration - shortest.
        shortest: cells of the shortest segment.
    """
    cells, width = scores.shape
    before = log_sums(scores, shortest)
    behind = log_sums(_reversed(scores, shortest), shortest)[::-1]
    end = np.arange(cells)[:, None] + shortest + np.arange(width)[None]
    after = np.where(end <= cells, behind[np.minimum(end, cells)], _NEVER)
    result: np.ndarray = before[:-1, None] + scores + after - before[-1]
    return result


def _by_end(scores: np.ndarray, shortest: int) -> tuple[np.ndarray, int]:
    """Scores (T + 1, D) by the segment's end, the longest duration first; that duration."""
    cells, width = scores.shape
    longest = shortest + width - 1
    by_end = np.full((cells + 1, width), _NEVER)
    for column in range(width):
        duration = shortest + column
        if duration <= cells:
            by_end[duration:, width - 1 - column] = scores[: cells - duration + 1, column]
    return by_end, longest


def _reversed(scores: np.ndarray, shortest: int) -> np.ndarray:
    """The scores of the video that runs backwards."""
    cells, width = scores.shape
    mirrored = np.full_like(scores, _NEVER)
    for column in range(width):
        starts = cells - shortest - column + 1
        if starts > 0:
            mirrored[:starts, column] = scores[:starts, column][::-1]
    return mirrored
