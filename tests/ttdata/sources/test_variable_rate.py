"""Marks in seconds on a video whose rate changes, from a source to the report and back."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ttdata.commands.curate import curate_source
from ttdata.curation.negatives import propose
from ttdata.report.stats import dataset_stats
from ttdata.report.timeline import timelines
from ttdata.review.queue import read_review_queue
from ttdata.schema import Action, Annotation, CurationConfig
from ttdata.sources.conversion import convert_source
from ttdata.sources.formats import read_source
from ttdata.storage.dataset import load_dataset
from ttdata.storage.tables import conform, empty

# 15 frames a second for 4 s, then 30 for 4 s: 6 to 7 s are the frames [120, 150).
TIMES = [*(i / 15 for i in range(60)), *(4 + i / 30 for i in range(120))]
CROWD = "video_id,annotator_id,{},label\n"
ELAN = """<ANNOTATION_DOCUMENT AUTHOR="ann" FORMAT="3.0" VERSION="3.0">
<HEADER TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///x/videos/m1.mp4"/></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="6000"/>
<TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="7000"/></TIME_ORDER><TIER TIER_ID="t"><ANNOTATION>
<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="a" TIME_SLOT_REF2="b">
<ANNOTATION_VALUE>Push</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
</ANNOTATION_DOCUMENT>"""
VIA = {
    "project": {},
    "attribute": {},
    "file": {"1": {"fname": "m1.mp4"}},
    "view": {"1": {"fid_list": ["1"]}},
    "metadata": {"1_a": {"vid": "1", "z": [6.0, 7.0], "av": {}}},
}
ACTIVITYNET = {"database": {"m1": {"annotations": [{"segment": [6.0, 7.0], "label": "Push"}]}}}
REGION = {"ranges": [{"start": 145, "end": 168}], "timelinelabels": ["Push"]}
LABEL_STUDIO = [
    {"data": {"video": "m1.mp4"}, "annotations": [{"result": [{"value": REGION}]}]},
]
SPOT = [{"video": "m1", "fps": 30, "events": [{"frame": 195, "label": "Push"}]}]
SOURCES = {
    "annotations.csv": CROWD.format("start_seconds,end_seconds") + "m1,ann,6.0,0:07,Push\n",
    "m1.eaf": ELAN,
    "via.json": json.dumps(VIA),
    "activitynet.json": json.dumps(ACTIVITYNET),
    "studio.json": json.dumps(LABEL_STUDIO),
    "spot.json": json.dumps(SPOT),
}


@pytest.fixture(scope="module")
def video(write_timed_video, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    milliseconds = [round(1000 * time) for time in TIMES]
    return write_timed_video(folder / "m1.mp4", milliseconds, options={"preset": "ultrafast"})


@pytest.fixture
def source_of(tmp_path: Path, video: Path) -> Callable[..., Path]:
    def make(name: str, text: str) -> Path:
        (tmp_path / "source" / "videos").mkdir(parents=True)
        (tmp_path / "source" / "videos" / "m1.mp4").hardlink_to(video)
        (tmp_path / "source" / name).write_text(text)
        return tmp_path / "source"

    return make


@pytest.mark.parametrize("name", SOURCES)
def test_marks_in_seconds_are_placed_by_presentation_times(source_of, tmp_path, name) -> None:
    """The average rate, 22.5, would give [135, 158)."""
    source = source_of(name, SOURCES[name])
    dataset = curate_source(source, tmp_path / "out", taxonomy="ttstroke21").dataset
    # The spotted event at 6.5 s is widened to this second, too.
    assert dataset.annotations.select("start_frame", "end_frame").rows() == [(120, 150)]
    convert_source(source, tmp_path / "crowd.csv", "crowd")
    written = read_source(tmp_path / "crowd.csv", need_videos=False).annotations
    assert written.select("start_frame", "end_frame").rows() == [(120, 150)]


@pytest.mark.parametrize("fps", [22.5, 22.51])
def test_an_event_of_the_average_rate_is_a_frame_with_seconds_around_it(
    source_of, tmp_path, fps: float
) -> None:
    """Frame 60 is 4 s: half a second before are 7 to 8 frames, after it 15."""
    spot = [{"video": "m1", "fps": fps, "events": [{"frame": 60, "label": "Push"}]}]
    source = source_of("spot.json", json.dumps(spot))
    annotations = curate_source(source, tmp_path / "out", taxonomy="infer").dataset.annotations
    assert annotations.select("start_frame", "end_frame").rows() == [(53, 75)]


@pytest.mark.parametrize("to", ["eaf", "activitynet"])
def test_frames_survive_formats_in_seconds(source_of, tmp_path, to: str) -> None:
    rows = "".join(f"m1,ann,{start},{start + 17},Push\n" for start in range(0, 163, 9))
    source = source_of("annotations.csv", CROWD.format("start_frame,end_frame") + rows)
    convert_source(source, tmp_path / "there", to)
    (tmp_path / "there" / "videos").symlink_to(source / "videos")
    first = read_source(tmp_path / "there").annotations.sort("start_seconds").row(7, named=True)
    assert first["start_seconds"] == pytest.approx((4 + 3 / 30) if to == "eaf" else 4.1, abs=1e-3)
    convert_source(tmp_path / "there", tmp_path / "back.csv", "crowd")
    back = read_source(tmp_path / "back.csv", need_videos=False).annotations
    bounds = [(start, start + 17) for start in range(0, 163, 9)]
    assert back.select("start_frame", "end_frame").sort("start_frame").rows() == bounds


def test_the_duration_that_activitynet_is_told(source_of, tmp_path) -> None:
    source = source_of("annotations.csv", SOURCES["annotations.csv"])
    convert_source(source, tmp_path / "out.json", "activitynet")
    written = json.loads((tmp_path / "out.json").read_text())["database"]["m1"]
    assert written["duration"] == pytest.approx(8.0, abs=2e-3)


def test_durations_in_filters_and_reports(source_of, tmp_path) -> None:
    """20 frames are 1.33 s of the slow part and 0.67 s of the fast one, 0.89 s on average."""
    rows = "m1,ann,10,30,Push\nm1,ann,100,120,Push\nm1,ann,150,157,Push\n"
    source = source_of("annotations.csv", CROWD.format("start_frame,end_frame") + rows)
    config = CurationConfig(min_duration_seconds=0.5, max_duration_seconds=1.0)
    dataset = curate_source(source, tmp_path / "out", config, taxonomy="infer").dataset
    reasons = dataset.annotations["reasons"].to_list()
    assert reasons == [["too_long"], [], ["too_short"]]
    lasts = dataset_stats(dataset)["durations"]["stroke"]["seconds"]
    assert lasts["min"] == lasts["max"] == pytest.approx(2 / 3, abs=2e-3)
    (timeline,), _ = timelines(dataset, read_review_queue(dataset))
    assert timeline.seconds == pytest.approx(8.0, abs=2e-3)
    (bar,) = (bar for lane in timeline.lanes for bar in lane.bars if lane.name == "result")
    # 5.33 s of 8.
    assert (bar.left, bar.width) == pytest.approx((66.67, 8.33), abs=0.03)


def test_the_start_in_the_review_list(source_of, tmp_path) -> None:
    rows = "m1,ann,120,150,Push\nm1,bob,120,150,Loop\n"
    source = source_of("annotations.csv", CROWD.format("start_frame,end_frame") + rows)
    dataset = curate_source(source, tmp_path / "out", taxonomy="infer").dataset
    assert read_review_queue(dataset)["start_seconds"].to_list() == [6.0]


def test_the_centre_of_a_long_gap() -> None:
    """Between 1 s and 7 s the middle is 4 s; one second around it is 8 slow and 15 fast frames."""
    videos = pl.DataFrame(
        {"video_id": ["a"], "fps": [22.5], "num_frames": [180], "frame_seconds": [TIMES]}
    )
    actions = conform(
        pl.DataFrame({"video_id": ["a", "a"], "start_frame": [0, 150], "end_frame": [15, 170]}),
        Action,
    )
    config = CurationConfig(
        negative_min_actions=2, negative_max_seconds=1, window_frames=10, negative_widen_frames=0
    )
    found, _ = propose(actions, empty(Annotation), videos, config)
    # 3.5 s is half way between frames 52 and 53; 4.5 s is frame 75.
    assert found.select("start_frame", "end_frame", "shortened").rows() == [(53, 75, True)]
    wide = config.model_copy(update={"window_frames": 30})
    found, _ = propose(actions, empty(Annotation), videos, wide)
    assert found.select("start_frame", "end_frame").rows() == [(49, 79)]


def test_the_times_are_kept_in_the_dataset(source_of, tmp_path, write_video) -> None:
    source = source_of("annotations.csv", SOURCES["annotations.csv"])
    write_video(source / "videos" / "m2.mp4", 30, fps=30)
    curate_source(source, tmp_path / "out", taxonomy="infer")
    videos = load_dataset(tmp_path / "out").videos
    assert [None if s is None else len(s) for s in videos["frame_seconds"]] == [180, None]
    assert videos["frame_seconds"][0][120] == pytest.approx(6.0, abs=1e-3)
