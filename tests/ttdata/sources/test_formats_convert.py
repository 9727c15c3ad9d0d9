"""Annotations written and read again; what a format cannot hold is told, not lost."""

import math
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ttdata.commands.options import parse_window
from ttdata.curation.filters import apply_filters
from ttdata.errors import InputError, TTError
from ttdata.schema import CurationConfig
from ttdata.sources.annotations import ANNOTATION_COLUMNS, complete
from ttdata.sources.conversion import TARGETS, convert_source, timed_annotations
from ttdata.sources.formats import FORMATS, crowd, read_source
from ttdata.sources.formats.events import EventWindow
from ttdata.sources.videos import probe_videos
from ttdata.taxonomy import TTSTROKE21

RATES = {"a": 120.0, "b/ü c": 30000 / 1001, "-d": 25.0, "videos/e.mp4": 999.0}
VIDEOS = "video_id,fps,num_frames,width,height\n" + "".join(
    f"{name},{fps!r},1000000,640,360\n" for name, fps in RATES.items()
)

# XML and CSV hold no other control characters, and no format blanks around a label.
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.sampled_from("=+-@'\"\t\n"),
    min_size=1,
    max_size=12,
).filter(lambda text: text == text.strip() and text.isprintable())
labels = texts.filter(lambda text: text.lower() != "unknown")
annotations = st.tuples(
    st.sampled_from(list(RATES)),
    st.sampled_from(["ann", "-bob", "=1+1", ""]) | texts,
    st.integers(0, 900_000),
    st.integers(1, 5000),
    st.none() | st.sampled_from(["Push", "Serve & <Loop>", "@home", "'=x", 'a "b"']) | labels,
    st.none() | st.sampled_from(["left", "-right"]) | texts,
)
ROWS = ("video_id", "annotator_id", "start_frame", "end_frame", "label", "player_id")


def table(rows) -> pl.DataFrame:
    columns = {name: [row[index] for row in rows] for index, name in enumerate(ROWS)}
    frame = pl.DataFrame(columns, schema={name: ANNOTATION_COLUMNS[name] for name in ROWS})
    frame = frame.with_columns(end_frame=pl.col("start_frame") + pl.col("end_frame"))
    numbers = pl.int_range(1, pl.len() + 1).cast(pl.String)
    return complete(frame.with_columns(annotation_id=numbers), ANNOTATION_COLUMNS)


def source_of(folder: Path, rows) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "videos.csv").write_text(VIDEOS, encoding="utf-8")
    table(rows).write_parquet(folder / "annotations.parquet")
    return folder


def in_frames(folder: Path, names) -> list[tuple[object, ...]]:
    """Rows in frames, as curation makes them, sorted."""
    source = read_source(folder)
    videos, _ = probe_videos(source.files)
    found = apply_filters(source.annotations, videos, CurationConfig(), TTSTROKE21)
    # Curation gives labels their canonical spelling.
    spelt = found.drop("label").join(
        source.annotations.select("annotation_id", "label"), on="annotation_id"
    )
    return sorted(spelt.select(names).rows(), key=repr)


@pytest.fixture
def new_folder(tmp_path):
    """A folder for every example."""
    count = iter(range(10**9))
    return lambda: tmp_path / str(next(count))


def round_trip(at: Path, rows, to: str, names) -> None:
    source = source_of(at / "source", rows)
    convert_source(source, at / "out", to)
    (at / "out" / "videos.csv").write_text(VIDEOS, encoding="utf-8")
    kept = [row for row in rows if row[4] is not None or to != "activitynet"]
    expected = sorted(table(kept).select(names).rows(), key=repr)
    assert read_source(at / "out").format == to.replace("detection", "xml")
    assert in_frames(at / "out", names) == expected


@given(rows=st.lists(annotations, min_size=1, max_size=8), to=st.sampled_from(sorted(TARGETS)))
@settings(
    max_examples=36, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_round_trips_lose_nothing_that_a_format_holds(new_folder, rows, to: str) -> None:
    assume(to != "mediaeval-folders")
    assume(to != "activitynet" or any(row[4] is not None for row in rows))
    holds = TARGETS[to].holds
    names = [name for name in ROWS if name in holds or name in ("video_id", *ROWS[2:4])]
    round_trip(new_folder(), rows, to, names)


@given(
    frame=st.integers(0, 10**7),
    fps=st.floats(1, 999) | st.sampled_from([24000 / 1001, 59.94, 119.88, 120.0, 240.0]),
)
def test_every_frame_survives_seconds_and_milliseconds(frame: int, fps: float) -> None:
    for seconds in (frame / fps, math.floor(frame / fps * 1000 + 0.5) / 1000):
        videos = pl.DataFrame(
            {"video_id": ["a"], "fps": [fps], "num_frames": [1], "path": [""], "given_split": [""]}
        )
        annotation = pl.DataFrame(
            {"video_id": ["a"], "start_seconds": [seconds], "end_seconds": [1.0]}
        )
        assert timed_annotations(complete(annotation, ANNOTATION_COLUMNS), videos)[
            "start_frame"
        ].to_list() == [frame]


def test_conversion_rounds_as_curation_does(tmp_path) -> None:
    seconds = [frame / 50 / 2 for frame in range(40)]
    rows = "".join(f"a,x,{second!r},{second + 1!r},Push\n" for second in seconds)
    (tmp_path / "annotations.csv").write_text(
        f"video_id,annotator_id,start_seconds,end_seconds,label\n{rows}"
    )
    (tmp_path / "videos.csv").write_text(VIDEOS.replace("a,120.0", "a,50"), encoding="utf-8")
    source = read_source(tmp_path)
    videos, _ = probe_videos(source.files)
    curated = apply_filters(source.annotations, videos, CurationConfig(), TTSTROKE21)
    converted = timed_annotations(source.annotations, videos).sort("start_frame", "end_frame")
    assert_frame_equal(
        curated.select("start_frame", "end_frame").sort("start_frame", "end_frame"),
        converted.select("start_frame", "end_frame"),
    )


def test_csv_cells_that_a_spreadsheet_would_run(tmp_path) -> None:
    dangerous = ["=1+1", "+1", "-1", "@x", "\tx", " =x", "'=x", "''@"]
    frame = table([("a", text, 1, 5, "Push", text) for text in dangerous])
    crowd.write(tmp_path / "x.csv", frame)
    cells = pl.read_csv(tmp_path / "x.csv", infer_schema=False)["annotator_id"]
    assert cells.to_list() == [f"'{text}" for text in dangerous]
    assert crowd.read_crowd_table(tmp_path / "x.csv")["annotator_id"].to_list() == dangerous
    # A table that has no such cell is as it is.
    (tmp_path / "y.csv").write_text(
        "video_id,annotator_id,start_frame,end_frame,label\n'a,-b,1,2,c"
    )
    assert crowd.read_crowd_table(tmp_path / "y.csv").row(0)[1:3] == ("'a", "-b")


def test_overlapping_marks_of_one_person_are_in_tiers_of_their_own(tmp_path) -> None:
    rows = [("a", "ann", start, 120, "Push", None) for start in (100, 160, 220, 340)]
    convert_source(source_of(tmp_path / "s", rows), tmp_path / "out", "eaf")
    text = (tmp_path / "out" / "a.eaf").read_text()
    assert text.count("<TIER ") == 2
    assert 'TIER_ID="ann"' in text
    assert 'TIER_ID="ann 2"' in text


def test_the_same_marks_give_the_same_bytes(tmp_path) -> None:
    rows = [("a", "ann", 100, 120, "Push", None), ("-d", "bob", 5, 120, "Loop", "p")]
    source = source_of(tmp_path / "s", rows)
    for to in TARGETS.keys() - {"mediaeval-folders"}:
        written = []
        for name in ("one", "two"):
            out = tmp_path / to / name
            convert_source(source, out, to)
            files = sorted(path for path in out.rglob("*") if path.is_file())
            written.append([(path.relative_to(out), path.read_bytes()) for path in files])
        assert written[0] == written[1]
        assert written[0]


def test_what_is_left_out_is_told(tmp_path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "annotations.csv").write_text(
        "video_id,annotator_id,start_frame,end_frame,label,player_id\n"
        "a,ann,100,200,Push,left\na,ann,,200,Push,\na,ann,300,290,Push,\na,ann,400,500,,\n"
        "z,ann,1,9,Push,\n"
    )
    (source / "videos.csv").write_text(VIDEOS, encoding="utf-8")
    done = convert_source(source, tmp_path / "eaf", "eaf")
    assert done.summary.startswith("2 of 5 annotations of 1 videos, crowd to eaf: ")
    assert done.notes == (
        "left out: 2 annotations without start_seconds and end_seconds, "
        "or a video that tells its rate",
        "left out: 1 annotations that begin before 0 or end where they begin",
    )
    done = convert_source(source, tmp_path / "xml", "mediaeval-xml")
    assert done.summary.startswith("4 of 5 annotations of 2 videos")
    assert done.notes[-1] == "mediaeval-xml does not hold: annotator_id, player_id"
    done = convert_source(source, tmp_path / "an.json", "activitynet")
    assert "left out: 1 annotations without label" in done.notes
    # A crowd table holds all of it.
    done = convert_source(source, tmp_path / "out.csv", "crowd")
    assert done.summary.startswith("5 of 5 annotations")
    assert done.notes == ()


def test_trimmed_clips_as_a_list_and_as_intervals(tmp_path, write_video) -> None:
    write_video(tmp_path / "clips" / "serve" / "1.mp4", 12)
    write_video(tmp_path / "clips" / "loose.mp4", 7)
    convert_source(tmp_path / "clips", tmp_path / "test.xml", "mediaeval-folders")
    assert (tmp_path / "test.xml").read_text() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<videos>\n'
        '  <video name="loose.mp4" class="Unknown"/>\n'
        '  <video name="serve/1.mp4" class="serve"/>\n</videos>\n'
    )
    convert_source(tmp_path / "clips", tmp_path / "xml", "mediaeval-xml")
    text = (tmp_path / "xml" / "serve" / "1.xml").read_text()
    assert '<action begin="0" end="12" move="serve"/>' in text


def test_detection_files_carry_no_move(tmp_path) -> None:
    source = source_of(tmp_path / "s", [("a", "ann", 100, 120, "Push", None)])
    convert_source(source, tmp_path / "out", "mediaeval-detection")
    assert '  <action begin="100" end="220"/>\n' in (tmp_path / "out" / "a.xml").read_text()


@pytest.mark.parametrize(
    ("video", "fps", "label", "to", "message"),
    [
        ("a", 120, "Push", "coco", "--to coco: expected one of crowd, mediaeval-xml"),
        ("a", 1000, "Push", "eaf", "1000 frames per second, and ELAN holds milliseconds"),
        ("../a", 120, "Push", "eaf", r"video '../a': its id cannot be a file's name"),
        ("a\\b", 120, "Push", "mediaeval-xml", "cannot be a file's name"),
        ("a", 120, "Pu\x01sh", "mediaeval-xml", r"'Pu\\x01sh' holds '\\x01', which XML cannot"),
        ("a", 120, "Push", "mediaeval-folders", "no annotation that mediaeval-folders can hold"),
    ],
)
def test_what_cannot_be_written(tmp_path, video, fps, label, to, message) -> None:
    source = source_of(tmp_path / "s", [(video, "ann", 100, 120, label, None)])
    (source / "videos.csv").write_text(
        f"video_id,fps,num_frames,width,height\n{video},{fps},9000,640,360\n"
    )
    with pytest.raises(InputError, match=message):
        convert_source(source, tmp_path / "out", to)
    assert not list(tmp_path.glob("out/**/*.*"))


def test_the_source_itself_is_not_overwritten(tmp_path) -> None:
    source = source_of(tmp_path / "s", [("a", "ann", 100, 120, "Push", None)])
    for path in (source, source / "annotations.parquet"):
        with pytest.raises(InputError, match="is what is read; expected another"):
            convert_source(path, path, "crowd")


@pytest.mark.parametrize("to", ["eaf", "activitynet", "crowd"])
def test_a_place_where_nothing_can_be_written(tmp_path, to: str) -> None:
    source = source_of(tmp_path / "s", [("a", "ann", 100, 120, "Push", None)])
    (tmp_path / "file").write_text("")
    with pytest.raises(TTError, match=r"file: cannot be written \(.+\)") as caught:
        convert_source(source, tmp_path / "file", to)
    assert caught.value.exit_code == 1


def test_targets_are_formats_that_can_be_read() -> None:
    readable = {item.NAME for item in FORMATS}
    assert TARGETS.keys() - readable == {"mediaeval-detection"}


def test_event_window_from_text() -> None:
    assert parse_window("0.25,1") == EventWindow(0.25, 1)
    for text in ("1", "1,2,3", "a,b", "", "-1,1"):
        with pytest.raises(InputError, match=r"event.window"):
            parse_window(text)


def test_command(tmp_path) -> None:
    source_of(tmp_path / "-s é", [("a", "ann", 100, 120, "Push", None)])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ttdata", "convert", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    result = run("--to", "activitynet", "--from", "crowd", "--", "-s é", "-out é.json")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "1 of 1 annotations of 1 videos, crowd to activitynet: -out é.json\n"
    assert result.stderr == "activitynet does not hold: annotator_id\n"
    assert (tmp_path / "-out é.json").is_file()
    result = run("./-s é", "out", "--to", "nonsense")
    assert result.returncode == 2
    assert result.stderr.startswith("error: --to nonsense: expected one of")
    assert result.stderr.count("\n") == 1
