"""The `ttdata stats` command: the measures of a dataset folder."""

import json
from collections.abc import Iterator
from pathlib import Path

from ttdata.report.stats import dataset_stats
from ttdata.report.text import stats_lines
from ttdata.storage.dataset import load_dataset


def run_stats(path: Path, *, as_json: bool = False) -> Iterator[str]:
    """Measure a dataset folder; yields the lines to print.

    Raises:
        InputError: if the folder holds no readable dataset.
    """
    dataset = load_dataset(path)
    found = dataset_stats(dataset)
    if as_json:
        yield json.dumps(found, indent=2, ensure_ascii=False)
        return
    yield from stats_lines(found, dataset.info.split)
