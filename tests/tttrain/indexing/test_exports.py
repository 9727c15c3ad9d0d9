"""Found strokes come back from every format as they were."""

from pathlib import Path

import polars as pl
import pytest

from ttdata.sources.formats import read_annotations
from tttrain.indexing.document import IndexedStroke, VideoIndex
from tttrain.indexing.exports import annotations, write_exports


def index(video_id: str, *strokes: tuple[int, int, str], fps: float = 120.0) -> VideoIndex:
    return VideoIndex(
        video_id=video_id,
        video=f"/recordings/{video_id}.mp4",
        fps=fps,
        num_frames=6000,
        classes=("Serve Forehand Loop", "=cmd"),
        model="run",
        decoder="threshold",
        strokes=tuple(
            IndexedStroke(
                start_frame=start,
                end_frame=end,
                start_seconds=start / fps,
                end_seconds=end / fps,
                label=label,
                score=0.5,
            )
            for start, end, label in strokes
        ),
    )


BOTH = [
    index("day/one", (10, 130, "Serve Forehand Loop"), (120, 250, "=cmd")),
    index("two", (0, 100, "Serve Forehand Loop"), fps=50.0),
    index("empty"),
]


@pytest.mark.parametrize("name", ["strokes.csv", "mediaeval", "elan", "activitynet.json"])
def test_every_format_gives_the_strokes_back(tmp_path: Path, name: str) -> None:
    write_exports(tmp_path, BOTH)
    found = read_annotations(tmp_path / name).sort("video_id", "label")
    expected = annotations(BOTH).sort("video_id", "label")
    assert found["video_id"].to_list() == expected["video_id"].to_list()
    assert found["label"].to_list() == expected["label"].to_list()
    if found["start_frame"].count():
        assert found["start_frame"].to_list() == expected["start_frame"].to_list()
        assert found["end_frame"].to_list() == expected["end_frame"].to_list()
    else:
        for bound in ("start_seconds", "end_seconds"):
            gap = (found[bound] - expected[bound]).abs().max()
            assert isinstance(gap, float)
            assert gap < 0.001


def test_no_stroke_at_all_is_no_error(tmp_path: Path) -> None:
    write_exports(tmp_path, [index("empty")])
    assert pl.read_csv(tmp_path / "strokes.csv").is_empty()


def test_a_spreadsheet_computes_nothing(tmp_path: Path) -> None:
    write_exports(tmp_path, BOTH)
    assert ",'=cmd" in (tmp_path / "strokes.csv").read_text()


def test_files_of_videos_that_are_gone_go(tmp_path: Path) -> None:
    write_exports(tmp_path, BOTH)
    assert (tmp_path / "mediaeval" / "day" / "one.xml").is_file()
    (tmp_path / "elan" / "notes.txt").write_text("mine")
    write_exports(tmp_path, BOTH[1:])
    found = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(found) == ["activitynet.json", "notes.txt", "strokes.csv", "two.eaf", "two.xml"]
