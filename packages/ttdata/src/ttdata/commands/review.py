"""The `ttdata review` command: the review queue of a dataset folder, and decisions on it."""

import json
from collections.abc import Iterator
from pathlib import Path

from ttdata.commands.notes import Note
from ttdata.report.page import write_report
from ttdata.report.text import review_lines
from ttdata.review.ingest import take_decisions, taken_line
from ttdata.review.queue import check_undecided, read_review_queue, write_review_queue
from ttdata.review.suspects import take_suspects
from ttdata.storage.dataset import REVIEWS, SUSPECTS, Dataset, load_dataset
from ttdata.storage.outputs import check_output, check_output_file


def run_review(
    path: Path,
    *,
    out: Path | None = None,
    decisions: Path | None = None,
    suspects: Path | None = None,
    limit: int = 20,
    as_json: bool = False,
) -> Iterator[str]:
    """Take decisions, if there are any, and list what is left; yields the lines to print.

    Args:
        path: the dataset folder.
        out: where the whole queue is written as a CSV to fill in.
        decisions: a CSV with decisions to take into `reviews.csv`.
        suspects: `audit.csv` of `tttrain audit`, to take into `suspects.parquet`.
        limit: how many items are listed.
        as_json: the whole queue as JSON in place of lines.

    Raises:
        InputError: if the dataset, the decisions or the suspects cannot be read, or `out` is one of
            them or a file that people wrote in.
    """
    dataset = load_dataset(path)
    if out is not None:
        check_output_file(out, [path, decisions, suspects])
        check_undecided(out)
    if suspects is not None:
        line = hand_over(dataset, suspects)
        yield Note(line) if as_json else line
        dataset = load_dataset(path)
    if decisions is not None:
        check_output(path / REVIEWS, [decisions])
        line = taken_line(take_decisions(dataset, decisions), dataset)
        yield Note(line) if as_json else line
    queue = read_review_queue(dataset)
    if out is not None:
        write_review_queue(queue, out)
    if as_json:
        yield json.dumps(queue.to_dicts(), indent=2, ensure_ascii=False)
        return
    yield from review_lines(queue.head(limit))
    yield f"{queue.height} items to review" + (f"; all are in {out}" if out else "")


def hand_over(dataset: Dataset, suspects: Path) -> str:
    """Take an audit's suspects into a dataset and its report, and say so in one line.

    Raises:
        InputError: if they cannot be read, or are of another dataset.
    """
    check_output(dataset.path / SUSPECTS, [suspects])
    count = take_suspects(dataset, suspects)
    write_report(load_dataset(dataset.path))
    return (
        f"{count} suspects taken into {dataset.path / SUSPECTS}; no label has changed: "
        f"`ttdata review {dataset.path}` lists them"
    )
