"""The tables of `bench_index.py`."""

import statistics

from index_parts import PAGE, PARTS, network, table

from ttmodels import SlidingWindows
from tttrain.indexing.still import SAFETY
from tttrain.indexing.video_scores import STRIDE_FRAMES


def index_table(
    runs: dict[str, list[dict[str, float]]], pairs: dict[str, list[float]], length: float
) -> list[str]:
    """Milliseconds per frame of each part, and the whole over the video's length.

    Args:
        runs: by working frame, each of one video alone.
        pairs: by working frame, seconds of two videos at once.
        length: of a video, seconds.
    """
    rows = []
    for part in (*PARTS, "masks, centres, patches, loop", PAGE, "all"):
        row = [part]
        for found in runs.values():
            values = [_part(run, part) / run["frames"] for run in found]
            row.append(f"{1000 * statistics.median(values):.2f}")
        rows.append(row)
    ratios = ["one video alone: index time / video length"]
    both = ["two videos at once: index time / length of both"]
    stills = ["frame pairs that reached the estimator"]
    for name, found in runs.items():
        ratios.append(_ratio([run["seconds"] for run in found], length))
        both.append(_ratio(pairs[name], 2 * length))
        stills.append(f"{found[0]['pairs']:.0f} of {found[0]['frames'] - 1:.0f}")
    return table(["ms per frame; working frame", *runs], [*rows, ratios, both, stills])


def _ratio(seconds: list[float], length: float) -> str:
    spread = f"{min(seconds) / length:.2f} to {max(seconds) / length:.2f}"
    return f"{statistics.median(seconds) / length:.2f} ({spread})"


def _part(run: dict[str, float], part: str) -> float:
    if part == "all":
        return run["seconds"]
    return run[part] if part in run else run["seconds"] - sum(run[name] for name in (*PARTS, PAGE))


def network_table(ways: dict[str, float], shared: int, apart: int) -> list[str]:
    """The ways to run the network over the same patches."""
    slow = next(ms for name, ms in ways.items() if name.endswith("at a time"))
    rows = [[name, f"{ms:.2f}", f"{slow / ms:.2f}"] for name, ms in ways.items()]
    return [
        *table(["network alone", "ms per frame", "times as fast as batches of windows"], rows),
        f"Multiply-adds of the convolutions for these scores: {shared / apart:.2f} of window by",
        f"window, counted; with windows of 100 frames {_share_at(100):.2f}.",
    ]


def _share_at(length: int) -> float:
    shared, apart = SlidingWindows(network(length), STRIDE_FRAMES).convolution_work(7200)
    return shared / apart


def still_lines(found: dict[str, float]) -> list[str]:
    """What the rule for still windows leaves out."""
    rows = [
        [
            f"{safety:g}",
            f"{found[f'limit {safety}']:.4f}",
            f"{found[f'left out {safety}']:.3f}",
            f"{found[f'touched {safety}']:.0f} of {found['strokes']:.0f}",
        ]
        for safety in (SAFETY, 1.0)
    ]
    head = ["share of the slowest stroke window", "limit, px per frame", "windows left out"]
    return table([*head, "strokes with a window left out"], rows)
