"""The `ttdata plant` command: a dataset with errors whose truth is known."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ttdata.commands.options import parse_planting
from ttdata.report.page import write_report
from ttdata.storage.atomic import atomic_path
from ttdata.storage.dataset import REVIEWS, SUSPECTS, WRITTEN, Dataset, load_dataset, write_dataset
from ttdata.storage.outputs import check_output_folder
from ttdata.storage.spreadsheet import escape_formula
from ttdata.synth.plant import PLANTED, plant

_TEXTS = ("clip_id", "video_id", "true_clip_id", "true_label", "label")


def run_plant(
    path: Path, out: Path, *, kind: str, rate: float, splits: str, seed: int
) -> Iterator[str]:
    """Write a copy of a dataset in which some clips are wrong, and `planted.csv` in it.

    Only `clips.parquet` differs: actions and annotations still say what people said, and curating
    again takes the errors away.

    Args:
        path: the dataset folder.
        out: the dataset folder to write.
        kind: of the errors, one of `synth.plant.Kind`.
        rate: of the clips that have a split.
        splits: comma-separated, those whose clips may be made wrong.
        seed: of all that is drawn.

    Raises:
        InputError: if a value does not fit, the dataset cannot be read, or the output is, holds or
            lies in it, or holds something other than a dataset.
    """
    chosen = parse_planting(kind, rate, splits)
    check_output_folder(out, "a dataset", [path], writes=(*WRITTEN, PLANTED))
    dataset = load_dataset(path)
    clips, planted = plant(dataset, chosen, seed)
    copy = _write(dataset, out, clips)
    with atomic_path(out / PLANTED) as temporary:
        escape_formula(planted, _TEXTS).write_csv(temporary)
    yield f"{planted.height} of {clips['split'].count()} clips are wrong now: {out / PLANTED}"
    yield f"report: {write_report(copy)}"


def _write(dataset: Dataset, out: Path, clips: pl.DataFrame) -> Dataset:
    out.mkdir(parents=True, exist_ok=True)
    (out / SUSPECTS).unlink(missing_ok=True)  # of what was planted here before
    if (dataset.path / REVIEWS).is_file():
        with atomic_path(out / REVIEWS) as temporary:
            temporary.write_bytes((dataset.path / REVIEWS).read_bytes())
    return write_dataset(
        out,
        dataset.info,
        videos=dataset.videos,
        annotations=dataset.annotations,
        actions=dataset.actions,
        clips=clips,
        covered=dataset.covered,
        stretches=dataset.stretches,
    )
