"""Tables as spreadsheets save them, and messages that name the line and advise no library."""

from pathlib import Path

import pytest

from ttdata.curation.decisions import read_review_cells
from ttdata.errors import AnnotationError
from ttdata.sources.formats.crowd import read_crowd_table
from ttdata.sources.videos import read_listing
from ttdata.splits.assignments import read_assignments

HEADER = "video_id,annotator_id,start_seconds,end_seconds,label"
ROW = "Süd,ann,0.5,1.5,Push"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_and_separators(
    tmp_path: Path, encoding: str, separator: str, newline: str
) -> None:
    table = tmp_path / "a.csv"
    text = f"{HEADER}{newline}{ROW}{newline}".replace(",", separator)
    table.write_bytes(text.encode(encoding))
    row = read_crowd_table(table).row(0, named=True)
    assert (row["video_id"], row["label"]) == ("Süd", "Push")
    assert (row["start_seconds"], row["end_seconds"]) == (0.5, 1.5)


def test_decimal_commas_where_cells_are_separated_otherwise(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text(f"{HEADER}\n".replace(",", ";") + "m,1;ann;0,5;1,5;Push, 2\n")
    row = read_crowd_table(table).row(0, named=True)
    assert (row["video_id"], row["label"]) == ("m,1", "Push, 2")
    assert (row["start_seconds"], row["end_seconds"]) == (0.5, 1.5)
    listing = tmp_path / "videos.csv"
    listing.write_text("video_id;fps;num_frames\nm;29,97;300\n")
    assert read_listing(listing, tmp_path)["fps"].to_list() == [29.97]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00:01.5", 1.5),
        ("1:02:03", 3723.0),
        ("01:01.25", 61.25),
        ("1.5", 1.5),
        ("1:2:3:4", None),
        ("a:01", None),
    ],
)
def test_times_on_a_clock(tmp_path: Path, text: str, seconds: float | None) -> None:
    table = tmp_path / "a.csv"
    table.write_text(f"{HEADER}\nm,ann,{text},9999,Push\n")
    assert read_crowd_table(table)["start_seconds"].to_list() == [seconds]


def test_reviews_and_assignments_of_a_spreadsheet(tmp_path: Path) -> None:
    reviews = tmp_path / "reviews.csv"
    reviews.write_bytes("video_id;start_frame;end_frame;decision\nm;1;9;drop\n".encode("utf-16"))
    assert read_review_cells(reviews)["decision"].to_list() == ["drop"]
    assignments = tmp_path / "assign.csv"
    assignments.write_bytes("video_id\tsplit\nm\ttrain\n".encode("utf-16"))
    assert read_assignments(assignments)["split"].to_list() == ["train"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER}\n{ROW}\n{ROW},x,y\n".encode(), r"\(line 3: 7 cells, expected 5\)$"),
        (f"{HEADER}\n{ROW}\n".encode("latin1"), r"is no UTF-8 \(line 2\); save it as CSV UTF-8$"),
        (f"{HEADER}\n{ROW}\n".encode("utf-16")[:-1], r"is no UTF-16; save it as CSV UTF-8$"),
    ],
)
def test_messages_are_ours(tmp_path: Path, content: bytes, message: str) -> None:
    table = tmp_path / "a.csv"
    table.write_bytes(content)
    with pytest.raises(AnnotationError, match=rf"a.csv: cannot be read as a table.*{message}"):
        read_crowd_table(table)
