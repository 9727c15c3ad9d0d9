"""Crowd tables, class folders, MediaEval folders, video lists: good ones and bad ones."""

import math
from pathlib import Path
from unicodedata import normalize

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ttdata import read_annotations
from ttdata.curation.curate import curate
from ttdata.errors import AnnotationError, InputError
from ttdata.schema import CurationConfig
from ttdata.sources.annotations import ANNOTATION_COLUMNS, FILES
from ttdata.sources.folder import split_named
from ttdata.sources.formats import FORMATS, read_source
from ttdata.sources.formats.crowd import read_crowd_table
from ttdata.sources.videos import list_videos, probe_videos

HEADER = "video_id,annotator_id,start_frame,end_frame,label"
VIDEOS = "video_id,fps,num_frames,width,height\na,120,10000,640,360\n"


@pytest.fixture
def crowd(tmp_path) -> Path:
    """A crowd source whose videos are elsewhere."""
    (tmp_path / "videos.csv").write_text(VIDEOS)
    (tmp_path / "annotations.csv").write_text(f"{HEADER}\na,x,10,110,Off. Forehand Hit\n")
    return tmp_path


# Crowd


def test_crowd_csv(crowd: Path) -> None:
    annotations = read_annotations(crowd)
    assert annotations.schema == ANNOTATION_COLUMNS
    assert annotations.row(0, named=True) == dict.fromkeys(ANNOTATION_COLUMNS) | {
        "annotation_id": "1",
        "video_id": "a",
        "annotator_id": "x",
        "start_frame": 10,
        "end_frame": 110,
        "label": "Off. Forehand Hit",
        "whole_file": False,
    }


def test_crowd_parquet_is_the_same(crowd: Path, tmp_path) -> None:
    table = tmp_path / "elsewhere" / "annotations.parquet"
    table.parent.mkdir()
    pl.read_csv(crowd / "annotations.csv").write_parquet(table)
    (table.parent / "videos.csv").write_text(VIDEOS)
    assert_frame_equal(read_annotations(table), read_annotations(crowd))


def test_optional_columns_are_read_and_others_ignored(crowd: Path) -> None:
    (crowd / "annotations.csv").write_text(
        "annotation_id,mood,video_id,annotator_id, start_seconds,end_seconds ,label,player_id,"
        "x_min,y_min,x_max,y_max\nq7,good,a,x,0.5, 1.5,Push,p,0.1,0.2,0.3,0.4\n"
    )
    row = read_annotations(crowd).row(0, named=True)
    assert (row["annotation_id"], row["player_id"]) == ("q7", "p")
    assert (row["start_seconds"], row["end_seconds"], row["start_frame"]) == (0.5, 1.5, None)
    assert (row["x_min"], row["y_min"], row["x_max"], row["y_max"]) == (0.1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize(
    ("cell", "frame"),
    [
        ("12", 12),
        (" 12 ", 12),
        ("12.0", 12),
        ("12.5", 13),
        ("1e3", 1000),
        ("-4", -4),
        ("abc", None),
        ("", None),
        ("NaN", None),
        ("inf", None),
        ("1e300", None),
        ("12 frames", None),
    ],
)
def test_cells_of_a_number_column(crowd: Path, cell: str, frame: int | None) -> None:
    (crowd / "annotations.csv").write_text(f"{HEADER}\na,x,{cell},20,Push\n")
    assert read_annotations(crowd)["start_frame"].to_list() == [frame]


def test_text_with_commas_quotes_unicode(crowd: Path) -> None:
    (crowd / "annotations.csv").write_text(
        f'\ufeff{HEADER}\n"-ä, b","x ""y""",1,2,"Süd, Nord"\n', encoding="utf-8"
    )
    row = read_annotations(crowd).row(0, named=True)
    assert (row["video_id"], row["annotator_id"], row["label"]) == ("-ä, b", 'x "y"', "Süd, Nord")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"annotations.csv: is empty, expected a header"),
        (f"{HEADER}\n".encode(), r"annotations.csv: has a header and no row"),
        (b"video_id,start_frame,end_frame,label\na,1,2,x\n", r"no column annotator_id; expected"),
        (b"video;annotator\n1;2\n", r"no column video_id.*found video, annotator"),
        (b"video_id,annotator_id,start_seconds,label\na,x,1,y\n", r"no column start_frame, end_"),
        (f"{HEADER}\na,x,1,2,3,4,5\n".encode(), r"cannot be read as a table"),
        (f"{HEADER}\na,x,1,2,\xff\n".encode("latin1"), r"cannot be read as a table"),
        (f"{HEADER},label\na,x,1,2,b,c\n".encode(), r"annotations.csv: "),
        (f"annotation_id,{HEADER}\n7,a,x,1,2,b\n7,a,x,1,2,b\n".encode(), r"'7' is there more than"),
    ],
)
def test_bad_crowd_table(crowd: Path, content: bytes, message: str) -> None:
    (crowd / "annotations.csv").write_bytes(content)
    with pytest.raises(AnnotationError, match=message):
        read_annotations(crowd)


def test_parquet_of_lists_or_none_is_refused(tmp_path) -> None:
    path = tmp_path / "annotations.parquet"
    (tmp_path / "videos.csv").write_text(VIDEOS)
    path.write_bytes(b"PAR1 no table")
    with pytest.raises(AnnotationError, match=r"annotations.parquet: cannot be read"):
        read_annotations(path)
    names = HEADER.split(",")
    pl.DataFrame({name: [[1, 2]] for name in names}).write_parquet(path)
    with pytest.raises(AnnotationError, match=r"annotations.parquet: column 'video_id' holds List"):
        read_annotations(path)


def test_two_tables_are_one_too_many(crowd: Path) -> None:
    pl.read_csv(crowd / "annotations.csv").write_parquet(crowd / "annotations.parquet")
    with pytest.raises(AnnotationError, match="expected one of"):
        read_annotations(crowd)


cells = st.one_of(
    st.none(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12),
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(["a", "Push", "Serve Forehand Loop", "120", "240", "0.5", "\ufeff", '"', "é"]),
)
tables = st.integers(1, 12).flatmap(
    lambda rows: st.fixed_dictionaries(
        {name: st.lists(cells, min_size=rows, max_size=rows) for name in HEADER.split(",")},
        optional={
            name: st.lists(cells, min_size=rows, max_size=rows)
            for name in ("start_seconds", "end_seconds", "player_id", "x_min", "y_max", "zzz")
        },
    )
)


@given(table=tables, suffix=st.sampled_from([".csv", ".parquet"]))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_table_is_read_and_no_row_lost(tmp_path, make_videos, table, suffix) -> None:
    path = tmp_path / f"table{suffix}"
    frame = pl.DataFrame(table, schema=dict.fromkeys(table, pl.String))
    if suffix == ".csv":
        frame.write_csv(path, quote_style="always")
    else:
        frame.write_parquet(path)
    annotations = read_crowd_table(path)
    assert annotations.schema == ANNOTATION_COLUMNS
    assert annotations.height == frame.height
    ids = [normalize("NFC", value or "") for value in table["video_id"]]
    assert annotations["video_id"].to_list() == ids
    for name in ("start_frame", "end_frame"):
        for text, value in zip(table[name], annotations[name], strict=True):
            assert value == _expected_frame(text)
    # And the chain takes it: rejected, but there.
    result = curate(annotations, make_videos("a"), CurationConfig())
    assert result.annotations.height == frame.height
    bad = pl.col("start_frame").is_null() | pl.col("end_frame").is_null()
    reasons = result.annotations.filter(bad)["reasons"]
    assert all({"empty_interval", "unknown_video"} & set(found) for found in reasons)


def _expected_frame(text: str | None) -> int | None:
    """What a cell means, by Python's own float, which also takes digits of other scripts."""
    stripped = (text or "").strip()
    try:
        value = float(stripped)
    except ValueError:
        return None
    if not stripped.isascii() or "_" in stripped or not math.isfinite(value) or abs(value) > 2**40:
        return None
    return math.floor(value + 0.5)


@given(st.binary(max_size=300))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_end_in_a_table_or_a_clear_error(tmp_path, content) -> None:
    for suffix in (".csv", ".parquet"):
        path = tmp_path / f"table{suffix}"
        path.write_bytes(content)
        with pytest.raises(AnnotationError, match="table"):
            read_crowd_table(path)


# Folders


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_class_folders(tmp_path) -> None:
    touch(
        tmp_path / "serve" / "b 2.mp4",
        tmp_path / "serve" / "session" / "ä.MOV",
        tmp_path / "hit" / "-1.avi",
        tmp_path / "loose.mp4",
        tmp_path / "hit" / "notes.txt",
        tmp_path / "hit" / "._1.mp4",
        tmp_path / ".cache" / "x.mp4",
    )
    source = read_source(tmp_path)
    assert (source.format, source.trimmed) == ("class-folders", True)
    assert source.annotations.select("video_id", "label").rows() == [
        ("hit/-1", "hit"),
        ("loose", None),
        ("serve/b 2", "serve"),
        ("serve/session/ä", "serve"),
    ]
    assert source.annotations["whole_file"].all()
    assert source.annotations["annotation_id"].equals(source.annotations["video_id"])
    assert source.files.schema == FILES
    assert source.files["path"][0] == str(tmp_path / "hit" / "-1.avi")


def test_clips_csv_names_players_sessions_and_labels(tmp_path) -> None:
    touch(tmp_path / "serve" / "1.mp4", tmp_path / "serve" / "2.mp4")
    (tmp_path / "clips.csv").write_text(
        "path,label,player_id,session_id,index\nserve/1.mp4,Smash,p1,s1,1\nserve/9.mp4,serve,,,\n"
    )
    source = read_source(tmp_path)
    assert source.annotations.select("video_id", "label", "player_id").rows() == [
        ("serve/1", "Smash", "p1"),
        ("serve/2", "serve", None),
        ("serve/9", "serve", None),
    ]
    # Listed without a file: an annotation of an unknown video, nothing silent.
    assert source.files.select("video_id", "session_id").rows() == [
        ("serve/1", "s1"),
        ("serve/2", None),
    ]


def test_near_identical_group_is_a_session(tmp_path) -> None:
    touch(tmp_path / "serve" / "1.mp4")
    (tmp_path / "clips.csv").write_text("path,near_identical_group\nserve/1.mp4,28\n")
    assert read_source(tmp_path).files["session_id"].to_list() == ["28"]


def test_two_clips_with_one_id(tmp_path) -> None:
    touch(tmp_path / "serve" / "1.mp4", tmp_path / "serve" / "1.mov")
    with pytest.raises(AnnotationError, match=r"two videos with one id 'serve/1': .*mov and .*mp4"):
        read_source(tmp_path)


def test_mediaeval_folders(tmp_path) -> None:
    touch(
        tmp_path / "train" / "Serve Forehand Loop" / "1.mp4",
        tmp_path / "validation" / "Negative" / "2.mp4",
        *(tmp_path / "test" / f"{index}.mp4" for index in (3, 4, 5)),
    )
    (tmp_path / "test" / "test.xml").write_text(
        '<videos><video name="3.mp4" class="Unknown"/>'
        '<video name="4.mp4" class="Serve Forehand Loop"/></videos>'
    )
    source = read_source(tmp_path)
    assert source.format == "mediaeval-folders"
    joined = source.annotations.join(source.files, on="video_id")
    assert joined.select("video_id", "label", "given_split").rows() == [
        ("test/3", None, "test"),
        ("test/4", "Serve Forehand Loop", "test"),
        ("test/5", None, "test"),
        ("train/Serve Forehand Loop/1", "Serve Forehand Loop", "train"),
        ("validation/Negative/2", "Negative", "validation"),
    ]


def test_split_folders_with_classes_in_test(tmp_path) -> None:
    touch(*(tmp_path / split / "serve" / "1.mp4" for split in ("train", "val", "test")))
    joined = read_source(tmp_path)
    assert set(joined.annotations["label"]) == {"serve"}
    assert joined.files["given_split"].to_list() == ["test", "train", "validation"]


def test_broken_test_xml(tmp_path) -> None:
    touch(tmp_path / "train" / "serve" / "1.mp4", tmp_path / "test" / "3.mp4")
    (tmp_path / "test" / "test.xml").write_text("<videos><video")
    with pytest.raises(AnnotationError, match=r"test.xml: cannot be read as XML"):
        read_source(tmp_path)


def test_nothing_recognised(tmp_path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        read_annotations(tmp_path / "none")
    with pytest.raises(AnnotationError, match="holds no annotations we recognise"):
        read_annotations(tmp_path)
    with pytest.raises(
        InputError,
        match="unknown format 'elan'; known: annotation-project, crowd, mediaeval-folders",
    ):
        read_annotations(tmp_path, format="elan")
    with pytest.raises(AnnotationError, match="holds no video"):
        read_annotations(tmp_path, format="class-folders")


def test_formats_have_distinct_names() -> None:
    assert len({item.NAME for item in FORMATS}) == len(FORMATS)


# Videos


def test_videos_folder_and_list_are_joined(tmp_path) -> None:
    touch(tmp_path / "videos" / "a b.mp4", tmp_path / "videos" / "c.mp4", tmp_path / "x" / "d.mp4")
    (tmp_path / "videos.csv").write_text(
        "video_id,path,player_id,session_id,split\na b,,p,s,Train\nd,x/d.mp4,,,\ne,gone.mp4,,,val\n"
    )
    files = list_videos(tmp_path)
    assert files.select("video_id", "player_id", "given_split").rows() == [
        ("a b", "p", "train"),
        ("c", None, None),
        ("d", None, None),
        ("e", None, "validation"),
    ]
    names = [path and Path(path).name for path in files["path"]]
    assert names == ["a b.mp4", "c.mp4", "d.mp4", None]


SPELT = {
    "train": ("train", "Train", " TRAINING "),
    "validation": ("val", "valid", "Validation"),
    "test": ("test", "Testing"),
}


def test_splits_have_one_spelling_in_lists_and_folders(tmp_path) -> None:
    rows = [(name, text) for name, texts in SPELT.items() for text in texts] + [(None, "")]
    assert [split_named(text) for _, text in rows] == [name for name, _ in rows]
    facts = [f"v{number},{text},30,10,4,4\n" for number, (_, text) in enumerate(rows)]
    (tmp_path / "videos.csv").write_text(
        "video_id,split,fps,num_frames,width,height\n" + "".join(facts)
    )
    assert list_videos(tmp_path)["given_split"].to_list() == [name for name, _ in rows]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,fps\na,1\n", "no column video_id"),
        ("video_id\na\na\n", "video_id 'a' is empty or there twice"),
        ("video_id,split\na,Training\nb,Practice\n", "split 'Practice', expected train"),
        ("", "is empty"),
    ],
)
def test_bad_video_list(tmp_path, text: str, message: str) -> None:
    (tmp_path / "videos.csv").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        list_videos(tmp_path)


def test_no_videos_at_all(tmp_path) -> None:
    with pytest.raises(AnnotationError, match=r"no videos; expected videos/<video_id>.mp4 or"):
        list_videos(tmp_path)


def test_two_videos_with_one_id(tmp_path) -> None:
    touch(tmp_path / "videos" / "a.mp4", tmp_path / "videos" / "a.mkv")
    with pytest.raises(AnnotationError, match="two videos with one id 'a'"):
        list_videos(tmp_path)


def test_the_file_knows_better_than_the_list(tmp_path, write_video) -> None:
    write_video(tmp_path / "videos" / "a.mp4", 12, fps=25)
    touch(tmp_path / "videos" / "broken.mp4")
    (tmp_path / "videos.csv").write_text(
        "video_id,fps,num_frames,width,height,player_id\na,99,9,9,9,p\nfar,120,50,640,360,\n"
        "odd,NaN,50,640,,\n"
    )
    videos, warnings = probe_videos(list_videos(tmp_path))
    assert videos.select(
        "video_id", "fps", "num_frames", "width", "height", "player_id"
    ).rows() == [
        ("a", 25.0, 12, 48, 32, "p"),
        ("far", 120.0, 50, 640, 360, None),
    ]
    assert len(warnings) == 2
    assert "broken.mp4: cannot be read as a video" in warnings[0]
    assert "odd: no video file at hand, and videos.csv gives no positive fps, height" in warnings[1]


def test_listed_paths_that_lead_nowhere_are_named(tmp_path, write_video, caplog) -> None:
    write_video(tmp_path / "rec" / "m1.mp4", 3)
    (tmp_path / "videos.csv").write_text("video_id,path\nm1,rec\\m1.mp4\nm2,rec/m1.mp4\n")
    assert list_videos(tmp_path)["path"].to_list() == [None, str(tmp_path / "rec" / "m1.mp4")]
    (message,) = [record.getMessage() for record in caplog.records]
    assert message == (
        f"{tmp_path}/videos.csv: listed paths that name no file: 1, the first 'rec\\m1.mp4', "
        f"looked for below {tmp_path}; folders are divided by /, not by \\"
    )


def test_a_url_is_kept_and_not_opened(tmp_path) -> None:
    (tmp_path / "videos.csv").write_text(
        "video_id,path,fps,num_frames,width,height\n"
        "a,https://nowhere.invalid/a.mp4,120,50,640,360\nb,s3://lab/b.mp4,,,,\n"
    )
    videos, warnings = probe_videos(list_videos(tmp_path))
    assert videos.select("video_id", "path", "num_frames").rows() == [
        ("a", "https://nowhere.invalid/a.mp4", 50)
    ]
    assert len(warnings) == 1
    assert "b: no video file at hand, and videos.csv gives no positive fps" in warnings[0]
