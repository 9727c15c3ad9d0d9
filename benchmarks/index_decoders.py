"""Scores of an hour of video, simulated, and how long each decoder takes over them."""

import statistics
import time

import numpy as np
import polars as pl
from index_parts import LABELS, NEGATIVE

from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.decoders.fitting import decoded, fit_kind
from tttrain.indexing.video_scores import STRIDE_FRAMES


def simulated(seed: int, cells: int) -> tuple[ScoreCurve, pl.DataFrame]:
    """Noisy scores of a video with a stroke every three seconds or so, and the strokes."""
    rng = np.random.default_rng(seed)
    odds = np.full(cells, -4.0)
    names = rng.normal(size=(cells, len(LABELS) - 1))
    rows, cell = [], 10
    while cell + 40 < cells:
        length = int(rng.integers(9, 35))
        name = int(rng.integers(len(LABELS) - 1))
        odds[cell : cell + length] = 4.0
        names[cell : cell + length, name] += 3
        rows.append(
            (str(seed), cell * STRIDE_FRAMES, (cell + length) * STRIDE_FRAMES, LABELS[name])
        )
        cell += length + int(rng.integers(5, 40))
    odds += 2 * np.convolve(rng.normal(size=cells), np.ones(9) / 3, mode="same")
    names -= np.log(np.exp(names).sum(axis=1, keepdims=True))
    stroke = -np.logaddexp(0, -odds)[:, None]
    scores = np.concatenate([stroke + names, stroke - odds[:, None]], axis=1)
    curve = ScoreCurve(
        str(seed), scores, LABELS, cells * STRIDE_FRAMES, STRIDE_FRAMES, STRIDE_FRAMES / 2, NEGATIVE
    )
    columns = ["video_id", "start_frame", "end_frame", "label"]
    return curve, pl.DataFrame(rows, schema=columns, orient="row")


def decode_seconds(cells: int, repeats: int) -> dict[str, tuple[float, int]]:
    """Median seconds to decode that many cells, and the strokes found, by kind of decoder."""
    known = [simulated(seed, 900) for seed in range(1, 4)]
    curves, truths = [curve for curve, _ in known], pl.concat([table for _, table in known])
    long, _ = simulated(0, cells)
    found = {}
    for kind in ("threshold", "tag", "template"):
        decoder = fit_kind(kind, curves, truths)
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            strokes = decoded(decoder, [long])
            seconds.append(time.perf_counter() - start)
        found[kind] = statistics.median(seconds), len(strokes)
    return found
