"""Files written by hand, by each format's own conventions: all tell of the same strokes."""

import doctest
import json
from pathlib import Path

import pytest

from ttdata.curation.filters import apply_filters
from ttdata.errors import InputError
from ttdata.schema import CurationConfig
from ttdata.sources.formats import FORMATS, beside, events, read_source
from ttdata.sources.formats.events import EventWindow
from ttdata.sources.videos import probe_videos
from ttdata.taxonomy import TTSTROKE21

STROKES = [
    ("match_01", 280, 372, "Offensive Backhand Hit"),
    ("match_01", 401, 521, "Serve Forehand Loop"),
    ("match_02", 1001, 1100, "Defensive Forehand Push"),
]
"""At 120 frames per second; the ends are exclusive."""

VIDEOS = (
    "video_id,fps,num_frames,width,height\nmatch_01,120,9000,640,360\nmatch_02,120,9000,640,360\n"
)

CSV = """\
video_id,annotator_id,start_frame,end_frame,label
match_01,ann,280,372,Offensive Backhand Hit
match_01,ann,401,521,Serve Forehand Loop
match_02,ann,1001,1100,Defensive Forehand Push
"""

MEDIAEVAL_01 = """\
<video>
\t<action begin="280" end="372" move="Offensive Backhand Hit" />
\t<action begin="401" end="521" move="Serve Forehand Loop" />
</video>
"""
MEDIAEVAL_02 = """\
<?xml version='1.0' encoding='utf-8'?>
<video><action begin="1001" end="1100" move="Defensive Forehand Push" /></video>
"""

# Milliseconds as ELAN stores them: 280 / 120 s = 2333.3 ms, and so on.
ELAN_01 = """\
<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-05-02T10:00:00+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <LICENSE LICENSE_URL=""/>
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/sound/match_01.wav" MIME_TYPE="audio/x-wav"
            RELATIVE_MEDIA_URL="./match_01.wav"/>
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/recordings/match_01.mp4" MIME_TYPE="video/mp4"
            RELATIVE_MEDIA_URL="../recordings/match_01.mp4"/>
        <PROPERTY NAME="lastUsedAnnotationId">3</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="2333"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="3100"/>
        <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="3342"/>
        <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="4342"/>
    </TIME_ORDER>
    <TIER ANNOTATOR="ann" LINGUISTIC_TYPE_REF="default-lt" TIER_ID="strokes">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
                <ANNOTATION_VALUE>Offensive Backhand Hit</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
                <ANNOTATION_VALUE>Serve Forehand Loop</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="note" PARENT_REF="strokes" TIER_ID="remarks">
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">
                <ANNOTATION_VALUE>late</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt"
        TIME_ALIGNABLE="true"/>
</ANNOTATION_DOCUMENT>
"""
ELAN_02 = """\
<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="ann" DATE="2024-05-02T10:00:00+01:00" FORMAT="3.0" VERSION="3.0">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/recordings/match_02.mp4" MIME_TYPE="video/mp4"
            TIME_ORIGIN="1000"/>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="7342"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="8167"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="strokes">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
                <ANNOTATION_VALUE>Defensive Forehand Push</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
</ANNOTATION_DOCUMENT>
"""


def shape(frame: int, outside: int = 0) -> str:
    return (
        f'<box frame="{frame}" keyframe="1" outside="{outside}" occluded="0" xtl="1.0" '
        'ytl="2.0" xbr="30.0" ybr="40.0" z_order="0"></box>'
    )


def cvat(name: str, tracks: str) -> str:
    return f"""\
<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>7</id>
      <name>strokes of {name}</name>
      <size>9000</size>
      <mode>interpolation</mode>
      <segments><segment><id>1</id><start>0</start><stop>8999</stop></segment></segments>
      <original_size><width>640</width><height>360</height></original_size>
      <source>{name}.mp4</source>
    </task>
    <dumped>2024-05-02 15:52:11.138470+03:00</dumped>
  </meta>
{tracks}
</annotations>
"""


# One track with every frame and one with its keyframes only; then one that is there twice.
CVAT_01 = cvat(
    "match_01",
    '<track id="0" label="Offensive Backhand Hit" source="manual">'
    + "".join(shape(frame) for frame in range(280, 372))
    + shape(372, outside=1)
    + '</track>\n<track id="1" label="Serve Forehand Loop" source="manual">'
    + shape(401)
    + shape(450)
    + shape(521, outside=1)
    + "</track>",
)
# The track goes on to its last shape.
CVAT_02 = cvat(
    "match_02",
    '<track id="0" label="Defensive Forehand Push" source="manual">'
    + shape(1001)
    + shape(1099)
    + "</track>",
)

VIA = {
    "project": {
        "pid": "__VIA_PROJECT_ID__",
        "rev": "__VIA_PROJECT_REV_ID__",
        "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
        "pname": "strokes",
        "creator": "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
        "created": 1573815248007,
        "vid_list": ["1", "2"],
    },
    "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}},
    "attribute": {
        "1": {
            "aname": "Label",
            "anchor_id": "FILE1_Z2_XY0",
            "type": 4,
            "desc": "stroke",
            "options": {"0": "Offensive Backhand Hit", "1": "Serve Forehand Loop"},
            "default_option_id": "",
        },
        "2": {
            "aname": "person",
            "anchor_id": "FILE1_Z1_XY1",
            "type": 1,
            "desc": "",
            "options": {},
            "default_option_id": "",
        },
    },
    "file": {
        "1": {"fid": "1", "fname": "match_01.mp4", "type": 4, "loc": 1, "src": ""},
        "2": {"fid": "2", "fname": "match_02.mp4", "type": 4, "loc": 1, "src": ""},
    },
    "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}},
    "metadata": {
        "1_a": {"vid": "1", "flg": 0, "z": [2.33334, 3.1], "xy": [], "av": {"1": "0"}},
        "1_b": {"vid": "1", "flg": 0, "z": [3.34166, 4.34167], "xy": [], "av": {"1": "1"}},
        "1_c": {"vid": "1", "flg": 0, "z": [2.5], "xy": [2, 1, 2, 3, 4], "av": {"2": "ann"}},
        "2_a": {
            "vid": "2",
            "flg": 0,
            "z": [8.34167, 9.16667],
            "xy": [],
            "av": {"1": "Defensive Forehand Push"},
        },
    },
}


def region(start: int, end: int, label: str) -> dict[str, object]:
    return {
        "id": f"r{start}",
        "from_name": "videoLabels",
        "to_name": "video",
        "type": "timelinelabels",
        "origin": "manual",
        "value": {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]},
    }


# The first frame is 1, and the last one belongs to the stroke.
LABEL_STUDIO = [
    {
        "id": 11,
        "data": {"video": "/data/upload/1/3d3ad63e-match_01.mp4", "fps": 120},
        "annotations": [
            {
                "id": 5,
                "completed_by": 3,
                "was_cancelled": False,
                "result": [
                    region(281, 372, "Offensive Backhand Hit"),
                    region(402, 521, "Serve Forehand Loop"),
                    {
                        "id": "c",
                        "type": "choices",
                        "from_name": "quality",
                        "to_name": "video",
                        "value": {"choices": ["good"]},
                    },
                ],
            },
            {"id": 6, "completed_by": 4, "was_cancelled": True, "result": [region(1, 9, "x")]},
        ],
        "predictions": [],
    },
    {
        "id": 12,
        "data": {"clip": "s3://bucket/match_02.mp4", "note": "second", "fps": "120"},
        "annotations": [
            {
                "id": 7,
                "completed_by": {"id": 3, "email": "ann@example.com"},
                "result": [region(1002, 1100, "Defensive Forehand Push")],
            }
        ],
    },
]
LABEL_STUDIO_MIN = [
    {
        "id": task["id"],
        "video": f"/data/upload/1/0a1b2c3d-{name}.mp4",
        "annotator": 3,
        "fps": 120,
        "videoLabels": [
            {
                "ranges": [{"start": start + 1, "end": end}],
                "timelinelabels": [label],
            }
            for video, start, end, label in STROKES
            if video == name
        ],
    }
    for task, name in zip(LABEL_STUDIO, ("match_01", "match_02"), strict=True)
]

ACTIVITYNET = {
    "version": "VERSION 1.3",
    "taxonomy": [{"nodeId": 0, "nodeName": "Root", "parentId": None, "parentName": "None"}],
    "database": {
        "match_01": {
            "duration": 75.0,
            "subset": "training",
            "resolution": "640x360",
            "url": "https://example.com/match_01",
            "annotations": [
                {"segment": [2.333, 3.1], "label": "Offensive Backhand Hit"},
                {"segment": [3.3417, 4.3417], "label": "Serve Forehand Loop"},
            ],
        },
        "match_02": {
            "duration": 75.0,
            "subset": "testing",
            "annotations": [{"segment": [8.3417, 9.1667], "label": "Defensive Forehand Push"}],
        },
    },
}

# Points a quarter of a second after each start, with a window that makes the strokes of them.
SPOT = [
    {
        "video": "match_01",
        "num_frames": 9000,
        "num_events": 2,
        "events": [
            {"frame": 326, "label": "Offensive Backhand Hit", "comment": ""},
            {"frame": 461, "label": "Serve Forehand Loop", "comment": ""},
        ],
        "fps": 120,
        "width": 640,
        "height": 360,
    }
]

SOURCES: dict[str, dict[str, object]] = {
    "crowd": {"annotations.csv": CSV},
    "mediaeval-xml": {"match_01.xml": MEDIAEVAL_01, "match_02.xml": MEDIAEVAL_02},
    "eaf": {"first.eaf": ELAN_01, "match_02.eaf": ELAN_02},
    "cvat": {"one.xml": CVAT_01, "two.xml": CVAT_02},
    "via": {"via_project.json": VIA},
    "label-studio": {"project-1.json": LABEL_STUDIO},
    "activitynet": {"activity_net.v1-3.json": ACTIVITYNET},
}


def put(folder: Path, files: dict[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content, indent=1)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "videos.csv").write_text(VIDEOS)
    return folder


def strokes_of(folder: Path, **options: object) -> list[tuple[object, ...]]:
    """Strokes in frames, as curation sees them."""
    source = read_source(folder, **options)
    videos, warnings = probe_videos(source.files)
    assert not warnings
    rows = apply_filters(source.annotations, videos, CurationConfig(), TTSTROKE21)
    assert rows["accepted"].all(), rows.to_dicts()
    return rows.select("video_id", "start_frame", "end_frame", "label").rows()


@pytest.mark.parametrize("name", SOURCES)
def test_every_format_tells_of_the_same_strokes(tmp_path, name: str) -> None:
    folder = put(tmp_path, SOURCES[name])
    assert read_source(folder).format == name
    assert strokes_of(folder) == STROKES


def test_label_studio_minimal_export(tmp_path) -> None:
    folder = put(tmp_path, {"project.json": LABEL_STUDIO_MIN})
    assert read_source(folder).format == "label-studio"
    assert strokes_of(folder) == STROKES


@pytest.mark.parametrize("name", [name for name in SOURCES if len(SOURCES[name]) == 1])
def test_a_single_file_is_a_source(tmp_path, name: str) -> None:
    (file,) = SOURCES[name]
    assert strokes_of(put(tmp_path, SOURCES[name]) / file) == STROKES


def test_formats_are_recognised_by_content_not_by_name(tmp_path) -> None:
    for name in ("via", "label-studio", "activitynet"):
        (content,) = SOURCES[name].values()
        assert read_source(put(tmp_path / name, {"x.JSON": content})).format == name
    assert read_source(put(tmp_path / "m", {"a.xml": MEDIAEVAL_01})).format == "mediaeval-xml"
    assert read_source(put(tmp_path / "c", {"a.xml": CVAT_01})).format == "cvat"


def test_files_of_ours_are_no_annotations(tmp_path) -> None:
    files = {
        "dataset.json": {"schema_version": 1},
        "taxonomy.json": {"name": "x"},
        "out/dataset.json": {"schema_version": 1},
        "x.json": ACTIVITYNET,
    }
    assert strokes_of(put(tmp_path, files)) == STROKES


def test_every_format_has_an_example_here() -> None:
    elsewhere = {"mediaeval-folders", "class-folders", "events", "annotation-project"}
    assert {item.NAME for item in FORMATS} == SOURCES.keys() | elsewhere


# What one format has and others have not


def test_who_marked_and_who_played(tmp_path) -> None:
    annotations = read_source(put(tmp_path / "eaf", SOURCES["eaf"])).annotations
    assert annotations.select("annotation_id", "annotator_id").rows() == [
        ("first.eaf#a1", "ann"),
        ("first.eaf#a2", "ann"),
        ("match_02.eaf#a1", "ann"),
    ]
    played = ELAN_01.replace('ANNOTATOR="ann"', 'ANNOTATOR="ann" PARTICIPANT="left"')
    annotations = read_source(put(tmp_path / "p", {"a.eaf": played})).annotations
    assert annotations["player_id"].to_list() == ["left", "left"]
    annotations = read_source(put(tmp_path / "ls", SOURCES["label-studio"])).annotations
    assert annotations["annotator_id"].to_list() == ["3", "3", "ann@example.com"]


def test_files_of_two_people_are_two_annotators(tmp_path) -> None:
    """Where nobody is named, two people would else count as one."""
    two = put(tmp_path / "two", {"ann.xml": CVAT_01, "bob.xml": CVAT_01, "c.xml": CVAT_02})
    annotations = read_source(two).annotations
    assert annotations.select("video_id", "annotator_id").rows() == [
        *[("match_01", "ann")] * 2,
        *[("match_01", "bob")] * 2,
        ("match_02", ""),
    ]


def test_mediaeval_splits_and_what_is_to_be_predicted(tmp_path) -> None:
    hidden = MEDIAEVAL_01.replace("Serve Forehand Loop", "Unknown")
    detection = '<video><action begin="5" end="105"/></video>'
    folder = put(
        tmp_path,
        {
            "train/match_01.xml": hidden,
            "test/match_01.xml": MEDIAEVAL_01,
            "test/match_02.xml": detection,
            "test/test.xml": '<videos><video name="x.mp4" class="Unknown"/></videos>',
        },
    )
    source = read_source(folder)
    assert source.annotations.select(
        "annotation_id", "video_id", "annotator_id", "label"
    ).rows() == [
        ("test/match_01#1", "match_01", "", "Offensive Backhand Hit"),
        ("test/match_01#2", "match_01", "", "Serve Forehand Loop"),
        ("test/match_02#1", "match_02", "", None),
        ("train/match_01#1", "match_01", "", "Offensive Backhand Hit"),
        ("train/match_01#2", "match_01", "", None),
    ]
    # A video on both sides has no split of its own.
    assert source.files["given_split"].to_list() == [None, "test"]


def test_activitynet_subsets_are_splits(tmp_path) -> None:
    source = read_source(put(tmp_path, SOURCES["activitynet"]))
    assert source.files["given_split"].to_list() == ["train", "test"]


def test_cvat_track_that_comes_back(tmp_path) -> None:
    track = f'<track id="0" label="Rally">{shape(9, 1)}{shape(2)}{shape(12)}{shape(14)}</track>'
    annotations = read_source(put(tmp_path, {"a.xml": cvat("match_01", track)})).annotations
    assert annotations.select("start_frame", "end_frame").rows() == [(2, 9), (12, 15)]


def test_cvat_project_of_two_tasks(tmp_path) -> None:
    tasks = "".join(
        f"<task><id>{number}</id><name>{name}</name><source>{name}.mp4</source></task>"
        for number, name in ((4, "match_01"), (9, "match_02"))
    )
    text = (
        f"<annotations><meta><project><tasks>{tasks}</tasks></project></meta>"
        f'<track id="0" label="a" task_id="9">{shape(1)}</track>'
        f'<track id="0" label="b" task_id="4">{shape(1)}</track></annotations>'
    )
    annotations = read_source(put(tmp_path, {"a.xml": text})).annotations
    assert annotations.select("video_id", "label").rows() == [("match_02", "a"), ("match_01", "b")]


def test_elan_slot_without_time_is_kept_without_bound(tmp_path) -> None:
    text = ELAN_01.replace('TIME_SLOT_ID="ts2" TIME_VALUE="3100"', 'TIME_SLOT_ID="ts2"')
    annotations = read_source(put(tmp_path, {"a.eaf": text})).annotations
    assert annotations["end_seconds"].to_list() == [None, 4.342]


# Events


def test_spotted_events_with_a_window(tmp_path) -> None:
    folder = put(tmp_path, {"train.json": SPOT})
    source = read_source(folder)
    assert source.format == "events"
    assert source.annotations.select("start_frame", "end_frame").rows() == [(266, 386), (401, 521)]
    narrow = read_source(folder, window=EventWindow(46 / 120, 0.25)).annotations
    assert narrow.select("start_frame", "end_frame").rows() == [(280, 356), (415, 491)]


def test_spotted_events_tell_of_videos_that_are_elsewhere(tmp_path) -> None:
    folder = put(tmp_path, {"train.json": SPOT})
    (folder / "videos.csv").unlink()
    files = read_source(folder).files
    assert files.select("video_id", "fps", "num_frames", "width").rows() == [
        ("match_01", 120.0, 9000, 640)
    ]


def test_open_tt_games(tmp_path) -> None:
    content = {"20": "bounce", "326": "net", "461": "empty_event"}
    folder = put(tmp_path, {"match_01/events_markup.json": content})
    annotations = read_source(folder).annotations
    assert annotations.select("video_id", "start_frame", "end_frame", "label").rows() == [
        ("match_01", 0, 80, "bounce"),
        ("match_01", 266, 386, "net"),
        ("match_01", 401, 521, "empty_event"),
    ]


@pytest.mark.parametrize("bounds", [(-1, 1), (0, 0), (float("nan"), 1), (1, float("inf"))])
def test_event_windows_that_are_none(bounds) -> None:
    with pytest.raises(InputError, match="event window"):
        EventWindow(*bounds)


@pytest.mark.parametrize("module", [events, beside])
def test_examples_of_formats(module) -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize(
    ("media", "video_id"),
    [
        ("match_01.mp4", "match_01"),
        ("match.01", "match.01"),
        ("C:\\films\\match 01.MOV", "match 01"),
        ("/data/videos/monday/a.mp4", "monday/a"),
        ("./videos/videos/a.mp4", "videos/a"),
        ("file:///a%20b/c%23d.mp4", "c#d"),
        ("50%25.mp4", "50%25"),
        ("", ""),
    ],
)
def test_video_named_by_a_path(media: str, video_id: str) -> None:
    assert beside.video_id_of(media) == video_id
