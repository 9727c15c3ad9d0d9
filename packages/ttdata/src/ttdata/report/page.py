"""The dataset's report: one HTML file without network, `report/index.html` of the folder."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ttdata.report.stats import dataset_stats
from ttdata.report.text import FUNNEL, alpha_text, balance_line, split_line
from ttdata.report.timeline import hue_of_types, timelines
from ttdata.review.queue import read_review_queue
from ttdata.storage.dataset import Dataset
from ttdata.storage.html import write_page
from ttdata.video.times import durations_of

_BINS = 24
_MAX_ROWS = 15
"""Mix-ups and review items shown; `ttdata stats --json` and `ttdata review` list all."""


def write_report(dataset: Dataset, left_test: pl.DataFrame | None = None) -> Path:
    """Write `report/index.html` of a dataset folder and return its path.

    Args:
        dataset: as it was written.
        left_test: `clip_id, now, split, why` of the clips that left test when it was divided again.

    Raises:
        DatasetError: if a table of the folder cannot be read.
        AnnotationError: if its reviews cannot be read.
    """
    path = dataset.path / "report" / "index.html"
    template = Path(__file__).with_name("templates") / "report.html.j2"
    filters: dict[str, Callable[..., str]] = {"sentence": _sentence, "percent": _percent}
    left = [] if left_test is None else left_test.to_dicts()
    write_page(path, template, {**_content(dataset), "left_test": left}, filters)
    return path


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _content(dataset: Dataset) -> dict[str, Any]:
    stats, queue = dataset_stats(dataset), read_review_queue(dataset)
    drawn, num_videos = timelines(dataset, queue)
    config = dataset.info.config
    return {
        "name": dataset.path.resolve().name,
        "info": dataset.info,
        "source": Path(dataset.info.source).name,
        "stats": stats,
        "counts": stats["funnel"],
        "funnel": _funnel(stats["funnel"]),
        "tables": _tables(stats),
        "alphas": {
            level: alpha_text(found) for level, found in stats["agreement"]["levels"].items()
        },
        "confusions": stats["agreement"]["levels"]["label"]["confusions"][:_MAX_ROWS],
        "split_line": split_line(dataset.info.split),
        "balance_line": balance_line(stats["balance"]),
        "durations": _durations(dataset, config.min_duration_seconds, config.max_duration_seconds),
        "spreads": _spreads(dataset.actions),
        "queue": queue.head(_MAX_ROWS).to_dicts(),
        "num_review_items": queue.height,
        "timelines": drawn,
        "num_videos": num_videos,
        "types": _types(dataset),
    }


def _funnel(counts: dict[str, int]) -> list[dict[str, Any]]:
    """The lines of the funnel that apply, with bars as long as their counts."""
    shown = [line for line in FUNNEL if counts.get(line[0])]
    most = max((counts[key] for key, _, _ in shown), default=1)
    return [
        {"text": text, "depth": depth, "count": counts[key], "width": 100 * counts[key] / most}
        for key, text, depth in shown
    ]


def _tables(stats: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    named = [("class", stats["table"]), *stats["table_by"].items()]
    return [(name, [row for row in rows if row["total"] or row["unused"]]) for name, rows in named]


def _durations(dataset: Dataset, low: float, high: float) -> dict[str, Any] | None:
    """The histogram of stroke durations in seconds; null without a stroke."""
    strokes = dataset.clips.filter(kind="stroke")
    seconds = durations_of(strokes, dataset.videos).drop_nulls().to_numpy()
    if not len(seconds):
        return None
    bounds = (min(low, float(seconds.min())), max(high, float(seconds.max())))
    counts, edges = np.histogram(seconds, bins=_BINS, range=bounds)
    return _histogram(counts, [f"{a:.2f} to {b:.2f} s" for a, b in _pairs(edges)], edges, " s")


def _spreads(actions: pl.DataFrame) -> dict[str, Any] | None:
    """The histogram of boundary spreads in frames; null where no action has two annotators."""
    several = actions.filter(pl.col("num_annotators") >= 2)
    if several.is_empty():
        return None
    values = np.concatenate(
        [several[name].to_numpy() for name in ("start_spread_frames", "end_spread_frames")]
    )
    width = max(1, int(np.ceil((values.max() + 1) / _BINS)))
    edges = np.arange(0, values.max() + 1 + width, width, dtype=np.float64)
    counts, _ = np.histogram(values, bins=edges)
    texts = [f"{a:.0f} to {b - 1:.0f} frames" for a, b in _pairs(edges)]
    return _histogram(counts, texts, edges, " frames")


def _pairs(edges: Any) -> list[tuple[float, float]]:
    return list(pairwise(edges))


def _histogram(counts: Any, texts: Sequence[str], edges: Any, unit: str) -> dict[str, Any]:
    most = max(1, int(counts.max()))
    bars = [
        {"height": 100 * int(count) / most, "text": f"{text}: {count}"}
        for count, text in zip(counts, texts, strict=True)
    ]
    middle = (edges[0] + edges[-1]) / 2
    return {
        "bars": bars,
        "most": most,
        "ticks": [f"{x:g}{unit}" for x in (edges[0], middle, edges[-1])],
    }


def _types(dataset: Dataset) -> list[tuple[str, str]]:
    """The legend of the timelines: CSS class and meaning."""
    taxonomy = dataset.info.taxonomy
    hues = hue_of_types(taxonomy)
    types = dict.fromkeys((hues[s.label], s.type or "stroke") for s in taxonomy.strokes)
    negative = [] if taxonomy.negative is None else [(hues[taxonomy.negative], taxonomy.negative)]
    return [*types, *negative, ("aside", "set aside"), ("rejected", "rejected annotation")]
