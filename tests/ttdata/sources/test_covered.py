"""`covered.csv`: what people annotated of half-annotated videos."""

from pathlib import Path

import polars as pl
import pytest

from ttdata.errors import AnnotationError
from ttdata.sources.covered import covered_of, read_covered

HEADER = "video_id,start_frame,end_frame\n"


def written(folder: Path, text: str) -> Path:
    (folder / "covered.csv").write_text(text)
    return folder


def test_without_the_table_nothing_is_restricted(tmp_path: Path, make_videos) -> None:
    spans = read_covered(tmp_path)
    assert spans.is_empty()
    kept, lines = covered_of(spans, make_videos("a"))
    assert kept.is_empty()
    assert lines == ()
    assert read_covered(written(tmp_path, HEADER)).is_empty()


def test_spans_are_sorted_merged_and_clipped(tmp_path: Path, make_videos) -> None:
    text = HEADER + "b,0,0\na,600,800\na,100,300\na,300,500\na,150,200\na,900,2000\nb,7,7\n"
    kept, lines = covered_of(
        read_covered(written(tmp_path, text)), make_videos("a", "b", "c", num_frames=1000)
    )
    assert kept.rows() == [("a", 100, 500), ("a", 600, 800), ("a", 900, 1000), ("b", 0, 0)]
    assert lines == (
        "covered.csv: people annotated 35% of the frames of its 2 videos; negatives are drawn "
        "there",
    )


def test_spans_of_unknown_videos_are_named(tmp_path: Path, make_videos) -> None:
    spans = read_covered(written(tmp_path, HEADER + "x,0,10\na,0,5000\n"))
    kept, lines = covered_of(spans, make_videos("a"))
    assert kept.rows() == [("a", 0, 5000)]
    assert lines[1] == "covered.csv: spans of unknown videos: 1 ('x')"


@pytest.mark.parametrize("row", ["a,5,4", "a,-1,4", "a,,4", "a,1,", "a,one,4", ",1,4"])
def test_a_wrong_row_is_named(tmp_path: Path, row: str) -> None:
    with pytest.raises(AnnotationError, match=r"covered\.csv: row at line 3: found") as caught:
        read_covered(written(tmp_path, f"{HEADER}a,0,1\n{row}\n"))
    assert "0 <= start_frame <= end_frame" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"covered\.csv: no column end_frame"):
        read_covered(written(tmp_path, "video_id,start_frame\na,1\n"))


def test_bounds_keep_their_type(tmp_path: Path) -> None:
    spans = read_covered(written(tmp_path, "video_id;start_frame;end_frame;by\na;1;9;ann\n"))
    assert spans.schema == {
        "video_id": pl.String, "start_frame": pl.Int64, "end_frame": pl.Int64,
    }  # fmt: skip
