"""Units and meanings: what a tool stores is read as it means it, or refused by name."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest

from ttdata import read_annotations
from ttdata.errors import AnnotationError
from ttdata.sources.formats.crowd import read_crowd_table

IDS = {"video_id": ["m1"], "annotator_id": ["ann"], "label": ["Push"]}


def parquet(path: Path, **columns: pl.Series) -> Path:
    pl.DataFrame(IDS | {name: column for name, column in columns.items()}).write_parquet(path)
    return path


@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_durations_are_seconds(tmp_path: Path, unit: str) -> None:
    bounds = [
        pl.Series([dt.timedelta(seconds=value)], dtype=pl.Duration(unit)) for value in (0.5, 61.25)
    ]
    table = parquet(tmp_path / "a.parquet", start_seconds=bounds[0], end_seconds=bounds[1])
    row = read_crowd_table(table).row(0, named=True)
    assert (row["start_seconds"], row["end_seconds"]) == (0.5, 61.25)


def test_times_of_day_are_seconds(tmp_path: Path) -> None:
    start, end = pl.Series([dt.time(0, 0, 1, 500_000)]), pl.Series([dt.time(1, 0, 2)])
    row = read_crowd_table(
        parquet(tmp_path / "a.parquet", start_seconds=start, end_seconds=end)
    ).row(0, named=True)
    assert (row["start_seconds"], row["end_seconds"]) == (1.5, 3602.0)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (dt.date(1970, 1, 11), "Date"),
        (dt.datetime(1970, 1, 1), "Datetime"),
        (dt.timedelta(seconds=1), "Duration"),
        (dt.time(0, 0, 1), "Time"),
        (True, "Boolean"),
    ],
)
def test_dates_and_times_are_no_frames(tmp_path: Path, value: object, found: str) -> None:
    column = pl.Series([value])
    table = parquet(tmp_path / "a.parquet", start_frame=column, end_frame=column)
    with pytest.raises(
        AnnotationError, match=rf"a.parquet: column 'start_frame' holds {found}.*expected numbers"
    ):
        read_crowd_table(table)


def test_dates_are_no_seconds(tmp_path: Path) -> None:
    column = pl.Series([dt.datetime(1970, 1, 1)])
    table = parquet(tmp_path / "a.parquet", start_seconds=column, end_seconds=column)
    with pytest.raises(AnnotationError, match="expected numbers of seconds, durations or times"):
        read_crowd_table(table)


def test_categories_are_read_by_their_text(tmp_path: Path) -> None:
    start, end = (pl.Series([text], dtype=pl.Categorical) for text in ("30", "60"))
    row = read_crowd_table(parquet(tmp_path / "a.parquet", start_frame=start, end_frame=end))
    assert row.select("start_frame", "end_frame").row(0) == (30, 60)


def skeleton(frame: int, *outside: int) -> str:
    points = "".join(f'<points label="{n}" outside="{o}"/>' for n, o in enumerate(outside))
    return f'<skeleton frame="{frame}" keyframe="1">{points}</skeleton>'


def test_a_skeleton_is_hidden_when_all_its_points_are(tmp_path: Path) -> None:
    shapes = (
        skeleton(10, 0, 0),
        skeleton(20, 1, 0),
        skeleton(35, 1, 1),
        skeleton(60, 0),
        skeleton(90, 1),
    )
    (tmp_path / "a.xml").write_text(
        f'<annotations><track label="Push">{"".join(shapes)}</track></annotations>'
    )
    bounds = read_annotations(tmp_path / "a.xml").select("start_frame", "end_frame").rows()
    assert bounds == [(10, 35), (60, 90)]


def via(kind: int, value: str) -> dict[str, object]:
    options = {"0": "Push", "1": "Loop", "2": "Lob"}
    return {
        "project": {},
        "attribute": {
            "1": {"aname": "x", "anchor_id": "FILE1_Z2_XY0", "type": kind, "options": options}
        },
        "file": {"1": {"fname": "m1.mp4"}},
        "view": {"1": {"fid_list": ["1"]}},
        "metadata": {"a": {"vid": "1", "z": [0.5, 1.5], "av": {"1": value}}},
    }


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (2, "0,1", [("p.json#a.1", "Push"), ("p.json#a.2", "Loop")]),
        (2, "2", [("p.json#a", "Lob")]),
        (2, "", [("p.json#a", None)]),
        (4, "1", [("p.json#a", "Loop")]),
        (4, "Serve", [("p.json#a", "Serve")]),
    ],
)
def test_every_ticked_box_of_via_is_an_annotation(
    tmp_path: Path, kind: int, value: str, expected: list[tuple[str, str | None]]
) -> None:
    (tmp_path / "p.json").write_text(json.dumps(via(kind, value)))
    annotations = read_annotations(tmp_path / "p.json")
    assert annotations.select("annotation_id", "label").rows() == expected


def test_an_unknown_box_of_via_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(via(2, "0,7")))
    with pytest.raises(
        AnnotationError, match=r'p.json: metadata.a.av.1: found "0,7", expected key'
    ):
        read_annotations(tmp_path / "p.json")
