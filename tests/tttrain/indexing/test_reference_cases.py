"""Measures against two public evaluators, on 80 random cases beside the real data."""

import json
import math
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tttrain import detection_scores

TRUTHS = {
    "video_id": pl.String,
    "start_frame": pl.Int64,
    "end_frame": pl.Int64,
    "label": pl.String,
}


def cases() -> list[dict[str, Any]]:
    folder = os.environ.get("TT_REAL_DATA")
    if not folder:
        pytest.skip("TT_REAL_DATA does not name the folder of real data")
    found: list[dict[str, Any]] = json.loads((Path(folder) / "detection_cases.json").read_text())
    return found


def same(found: float, expected: float | None) -> bool:
    """Equal to 1e-9; null is not a number."""
    return math.isnan(found) if expected is None else abs(found - expected) <= 1e-9


@pytest.mark.real
def test_all_cases_equal_the_public_evaluators() -> None:
    differing = []
    for number, case in enumerate(cases()):
        videos = pl.DataFrame(
            {"video_id": list(case["videos"]), "num_frames": list(case["videos"].values())}
        )
        scores = detection_scores(
            pl.DataFrame(case["truths"], schema=TRUTHS, orient="row"),
            pl.DataFrame(case["detections"], schema=TRUTHS | {"score": pl.Float64}, orient="row"),
            videos,
            resamples=0,
        )
        reference = case["mediaeval"] | case["map"]
        average = reference.pop("average")
        found = {"pxr": scores.pxr, "global_iou": scores.global_iou} | {
            str(threshold): value for threshold, value in scores.map_by_iou.items()
        }
        assert found.keys() == reference.keys()
        wrong = [name for name, value in found.items() if not same(value, reference[name])]
        if wrong or not same(scores.map, average):
            differing.append((number, wrong))
    assert number == 79
    assert not differing
