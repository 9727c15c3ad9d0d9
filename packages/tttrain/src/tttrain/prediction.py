"""`tttrain predict`: the strokes of shards named by a trained network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from ttdata.console import track
from ttdata.errors import InputError
from ttdata.files import atomic_path, write_json
from ttdata.formats import mediaeval_xml
from ttdata.spreadsheet import harmless
from tttrain.data import open_data
from tttrain.evaluation import load_model, score_clip
from tttrain.run import Run

SCHEMA_VERSION = 1
_METHOD = "test_avg"
"""Mean of all windows' scores: the steadiest of the three, and the scores belong to the answer."""


def predict(run_folder: Path, shards: Path, out: Path) -> str:
    """Name every stroke of shards and write the answers; labels and splits there do not matter.

    Args:
        run_folder: that `tttrain fit` wrote.
        shards: that `ttflow extract` wrote, with the crop and at least the window of the run.
        out: `*.json` (all classes' scores), `*.csv` (a row per clip), or a folder that gets one
            MediaEval XML file per video.

    Returns:
        How many clips were named, and where that stands.

    Raises:
        InputError: if the run has no model, the shards do not suit it, or `out` has another suffix.
    """
    write = _writer(out)
    run = Run(run_folder.absolute())
    info = run.info()
    data = open_data(shards.absolute())
    if info.resolved.clip_shape is not None:
        data.check_shape(info.resolved.clip_shape)
    model = load_model(run.model_folder)
    rows = []
    for video_id, clip in track(list(data.everything()), "naming"):
        scores = score_clip(model, data, clip)
        index = scores.predicted(_METHOD)
        values = [round(float(value), 6) for value in scores.scores(_METHOD)]
        rows.append(
            {
                "video_id": video_id,
                "clip_id": clip.clip_id,
                "start_frame": clip.start_frame,
                "end_frame": clip.end_frame,
                "label": info.classes[index],
                "score": values[index],
                "scores": values,
            }
        )
    if not rows:
        raise InputError(f"{shards}: holds no clip with pixels")
    write(out, rows, info.classes)
    return f"{len(rows)} clips named in {out}"


def _writer(out: Path) -> Callable[[Path, list[dict[str, Any]], tuple[str, ...]], None]:
    writers = {".json": _write_json, ".csv": _write_csv, "": _write_xml}
    if out.suffix.lower() not in writers:
        raise InputError(f"--out {out}: expected a .json or .csv file, or a folder")
    return writers[out.suffix.lower()]


def _write_json(out: Path, rows: list[dict[str, Any]], classes: tuple[str, ...]) -> None:
    write_json(
        out,
        {
            "schema_version": SCHEMA_VERSION,
            "method": _METHOD,
            "classes": list(classes),
            "strokes": rows,
        },
    )


def _write_csv(out: Path, rows: list[dict[str, Any]], _: tuple[str, ...]) -> None:
    table = pl.DataFrame(rows).drop("scores")
    with atomic_path(out) as temporary:
        harmless(table, ("video_id", "clip_id", "label")).write_csv(temporary)


def _write_xml(out: Path, rows: list[dict[str, Any]], _: tuple[str, ...]) -> None:
    names = ("video_id", "start_frame", "end_frame", "label")
    mediaeval_xml.write(out, pl.DataFrame(rows).select(names))
