"""Simulated score curves of whole videos, whose strokes are known."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from tttrain.indexing.decoders.curves import ScoreCurve

STRIDE, FPS, WINDOW = 8, 120, 100
LABELS = ("drive", "loop", "push", "serve", "Negative")
NOISE = {"easy": 1.5, "typical": 3.0, "hard": 4.5, "peaky": 2.0}
"""Standard deviation of the log-odds by how hard the scores are to decode."""
Bench = tuple[list[ScoreCurve], pl.DataFrame]


def wandering(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of deviation 1: most of it is shared by cells whose windows share frames."""
    width = WINDOW // STRIDE
    box = np.ones(width) / np.sqrt(width)
    shared = np.apply_along_axis(np.convolve, 0, rng.normal(size=shape), box, mode="same")
    return np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.normal(size=shape)


def simulated_strokes(rng: np.random.Generator, num_frames: int) -> list[tuple[int, int]]:
    """Strokes of 0.6 to 2.3 s with rest between them."""
    strokes, frame = [], 60
    while True:
        start = frame + int((0.3 + rng.exponential(1.0)) * FPS)
        seconds = float(np.clip(rng.lognormal(np.log(1.2), 0.3), 0.6, 2.3))
        frame = start + int(seconds * FPS)
        if frame + 60 > num_frames:
            return strokes
        strokes.append((start, frame))


def shape_of(strokes: list[tuple[int, int]], centres: np.ndarray, kind: str) -> np.ndarray:
    """How much of a stroke each cell sees, 0 to 1: most of the window, or the centre alone."""
    seen = np.zeros(len(centres))
    for start, end in strokes:
        if kind == "peaky":
            height = np.exp(-0.5 * ((centres - (start + end) / 2) / 14) ** 2)
        else:
            both = np.minimum(centres + WINDOW / 2, end) - np.maximum(centres - WINDOW / 2, start)
            height = np.clip(both / min(WINDOW, end - start), 0, 1)
        seen = np.maximum(seen, height)
    return seen


def simulated(kind: str, videos: int, seed: int, cells: int = 900) -> Bench:
    """Curves of `videos` videos, a minute each, with their truths."""
    rng = np.random.default_rng([seed, len(kind), videos])
    curves, truths = [], []
    num_frames = cells * STRIDE
    for number in range(videos):
        strokes = simulated_strokes(rng, num_frames)
        centres = STRIDE / 2 + STRIDE * np.arange(cells)
        odds = -4 + 8 * shape_of(strokes, centres, kind) + NOISE[kind] * wandering(rng, (cells,))
        names = 1.5 * wandering(rng, (cells, len(LABELS) - 1))
        for start, end in strokes:
            name = int(rng.integers(len(LABELS) - 1))
            names[(centres >= start) & (centres < end), name] += 3
            truths.append((f"{kind} {number}", start, end, LABELS[name]))
        names -= np.log(np.exp(names).sum(axis=1, keepdims=True))
        stroke = -np.logaddexp(0, -odds)[:, None]
        scores = np.concatenate([stroke + names, stroke - odds[:, None]], axis=1)
        curves.append(
            ScoreCurve(f"{kind} {number}", scores, LABELS, num_frames, STRIDE, STRIDE / 2)
        )
    columns = ["video_id", "start_frame", "end_frame", "label"]
    return curves, pl.DataFrame(truths, schema=columns, orient="row")


@pytest.fixture(scope="session")
def bench() -> Callable[..., Bench]:
    """Makes curves: kind (easy, typical, hard, peaky), videos, seed, cells of a video."""
    return simulated
