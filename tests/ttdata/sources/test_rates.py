"""Frames counted at a stated rate are those of the video, or are placed by time and named."""

import json
from pathlib import Path

import pytest

from ttdata.commands.curate import curate_source
from ttdata.errors import AnnotationError
from ttdata.sources.conversion import convert_source
from ttdata.sources.formats import read_source

VIDEOS = "video_id,fps,num_frames,width,height\nm1,{},1200,64,36\n"


def put(folder: Path, fps: float, content: object, name: str = "p.json") -> Path:
    source = folder / "source"
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).write_text(json.dumps(content))
    (source / "videos.csv").write_text(VIDEOS.format(fps))
    return source


def bounds_and_notes(source: Path, out: Path) -> tuple[list[tuple[int, int]], tuple[str, ...]]:
    """As curation has them; conversion agrees."""
    curated = curate_source(source, out / "data", taxonomy="infer")
    bounds = curated.dataset.annotations.select("start_frame", "end_frame").rows()
    converted = convert_source(source, out / "out.csv", "crowd")
    assert (
        read_source(out / "out.csv", need_videos=False)
        .annotations.select("start_frame", "end_frame")
        .rows()
        == bounds
    )
    notes = tuple(note for note in curated.notes if note in converted.notes)
    return bounds, notes


def spotted(fps: float) -> object:
    return [{"video": "m1", "fps": fps, "events": [{"frame": 30, "label": "Push"}]}]


def test_events_of_another_rate_are_placed_by_time(tmp_path: Path) -> None:
    bounds, notes = bounds_and_notes(put(tmp_path, 30, spotted(15)), tmp_path)
    assert bounds == [(45, 75)]
    assert notes == (
        "video 'm1': its annotations count 15 frames a second, the video has 30; "
        "they are placed by time",
    )


def test_events_of_nearly_the_rate_of_the_video_keep_their_frames(tmp_path: Path) -> None:
    assert bounds_and_notes(put(tmp_path, 29.97, spotted(30)), tmp_path) == ([(15, 45)], ())


def test_open_tt_games_at_another_rate(tmp_path: Path) -> None:
    source = put(tmp_path, 30, {"240": "net"}, "m1/events_markup.json")
    bounds, notes = bounds_and_notes(source, tmp_path)
    assert bounds == [(45, 75)]
    assert "count 120 frames a second, the video has 30" in notes[0]


def test_one_video_has_one_rate(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="expected one rate for all events of a video"):
        read_source(put(tmp_path, 30, [*spotted(15), *spotted(30)]))  # type: ignore[misc]


def label_studio(**data: object) -> object:
    value = {"ranges": [{"start": 49, "end": 72}], "timelinelabels": ["Push"]}
    result = [{"type": "timelinelabels", "value": value}]
    return [{"data": {"video": "m1.mp4", **data}, "annotations": [{"result": result}]}]


@pytest.mark.parametrize("name", ["fps", "frameRate"])
@pytest.mark.parametrize("rate", [24, "24"])
def test_the_rate_of_a_label_studio_task(tmp_path: Path, name: str, rate: object) -> None:
    source = put(tmp_path, 30, label_studio(**{name: rate}))
    bounds, notes = bounds_and_notes(source, tmp_path)
    assert bounds == [(60, 90)]
    assert "count 24 frames a second, the video has 30" in notes[0]


def test_a_label_studio_task_without_a_rate_counts_24_and_is_warned_of(tmp_path: Path) -> None:
    """Its player's time times 24 is what Label Studio stores: 2 to 3 s here."""
    bounds, notes = bounds_and_notes(put(tmp_path, 30, label_studio()), tmp_path)
    assert bounds == [(60, 90)]
    assert "label-studio states no rate and counts 24 frames a second" in notes[0]
    assert "'m1' (30 a second) are placed by time; if the project had another" in notes[0]
    assert "give it in videos.csv as annotation_fps, or in each task's data as" in notes[0]


@pytest.mark.parametrize(("data", "expected"), [({}, (48, 72)), ({"fps": 24}, (60, 90))])
def test_the_rate_of_a_label_studio_project_in_videos_csv(tmp_path, data, expected) -> None:
    """So an export needs no editing; what a task states itself goes before."""
    source = put(tmp_path, 30, label_studio(**data))
    (source / "videos.csv").write_text(
        "video_id,fps,num_frames,width,height,annotation_fps\nm1,30,1200,64,36,30\n"
    )
    bounds, notes = bounds_and_notes(source, tmp_path)
    assert bounds == [expected]
    assert len(notes) == len(data)


def test_label_studio_counts_by_the_clock_where_rates_are_nearly_equal(tmp_path: Path) -> None:
    """Frame 3001 at 30 a second is 100 s: 2997 frames of a video of 29.97."""
    value = {"ranges": [{"start": 3001, "end": 3030}], "timelinelabels": ["Push"]}
    task = {"data": {"video": "m1.mp4", "fps": 30}, "annotations": [{"result": [{"value": value}]}]}
    source = put(tmp_path, 29.97, [task])
    (source / "videos.csv").write_text(VIDEOS.format(29.97).replace("1200", "9000"))
    assert bounds_and_notes(source, tmp_path) == ([(2997, 3027)], ())


def test_a_label_studio_task_of_a_video_with_the_usual_rate(tmp_path: Path) -> None:
    assert bounds_and_notes(put(tmp_path, 24, label_studio()), tmp_path) == ([(48, 72)], ())


@pytest.mark.parametrize("rate", [0, "x", -1, "nan"])
def test_a_rate_that_is_none(tmp_path: Path, rate: object) -> None:
    with pytest.raises(AnnotationError, match=r"data.fps: found .*expected a rate above 0"):
        read_source(put(tmp_path, 30, label_studio(fps=rate)))
