"""Broken files end in one line that names the file and the line or element."""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ttdata.errors import AnnotationError, InputError
from ttdata.sources.formats import FORMATS, read_source
from ttdata.sources.formats.json_tree import read_json
from ttdata.sources.formats.xml_tree import read_xml

CVAT = "<annotations><meta><task><id>1</id><name>m</name></task></meta>\n{}</annotations>"
EAF = "<ANNOTATION_DOCUMENT>{}</ANNOTATION_DOCUMENT>"
EAF_MARK = (
    '<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="{}"/></TIME_ORDER>\n<TIER><ANNOTATION>'
    '<ALIGNABLE_ANNOTATION ANNOTATION_ID="a" TIME_SLOT_REF1="t1" TIME_SLOT_REF2="{}">'
    "<ANNOTATION_VALUE>Push</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>"
)
VIA = {
    "project": {},
    "attribute": {"1": {"aname": "label", "anchor_id": "FILE1_Z2_XY0", "options": {}}},
    "file": {"1": {"fname": "m.mp4"}},
    "view": {"1": {"fid_list": ["1"]}},
    "metadata": {"x": {"vid": "1", "z": [1, 2], "av": {"1": "Push"}}},
}
STUDIO = {
    "data": {"video": "m.mp4"},
    "annotations": [
        {"result": [{"value": {"ranges": [{"start": 1, "end": 9}], "timelinelabels": ["x"]}}]}
    ],
}
SPOT = {"video": "m", "fps": 25, "events": [{"frame": 3, "label": "x"}]}


def changed(content: object, *path: object, to: object) -> object:
    """A copy with the value at this path replaced."""
    copy = json.loads(json.dumps(content))
    here = copy
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = to
    return copy


CASES: list[tuple[str, object, str]] = [
    # Neither XML nor JSON.
    ("m.xml", "<video>\n<action", r"m.xml: cannot be read as XML \(line 2: unclosed token\)"),
    ("m.xml", "", r"m.xml: cannot be read as XML \(line 1: no element found\)"),
    ("m.eaf", "\0", r"m.eaf: cannot be read as XML"),
    ("m.xml", '<?xml version="1.0" encoding="nonsense"?><video/>', r"cannot be read as XML"),
    ("m.json", '{"a": 1,\n "b": }', r"m.json: cannot be read as JSON \(line 2: Expecting value"),
    ("m.json", "[" * 100_000, r"m.json: cannot be read as JSON"),
    ("m.json", '{"5": "\\uD83D"}', r"m.json: cannot be read as JSON \('utf-8' codec can't encode"),
    ("m.json", "1" * 10_000, r"m.json: cannot be read as JSON"),
    # The right shape with a hole in it.
    (
        "m.xml",
        '<video>\n<action end="2"/></video>',
        r"m.xml: line 2: <action> has no attribute begin",
    ),
    (
        "m.xml",
        '<video><action begin="1.5" end="2"/></video>',
        r"m.xml: line 1: <action> has begin='1.5', expected a whole number",
    ),
    ("m.xml", f'<video><action begin="{"9" * 99}" end="2"/></video>', r"expected a whole number"),
    ("m.xml", "<video></video>", r"holds no annotation in the format mediaeval-xml"),
    (
        "m.xml",
        CVAT.format('<track id="0"><box frame="1"/></track>'),
        r"m.xml: line 2: <track> has no attribute label",
    ),
    (
        "m.xml",
        CVAT.format('<track id="0" label="x"><box frame="one"/></track>'),
        r"m.xml: line 2: <box> has frame='one', expected a whole number",
    ),
    (
        "m.xml",
        CVAT.format('<track id="0" label="x" task_id="5"><box frame="1"/></track>'),
        r"m.xml: line 2: <track> is of the task '5'",
    ),
    ("m.xml", CVAT.format('<image id="0"/>'), r"line 2: <image> is of CVAT for images"),
    (
        "m.eaf",
        EAF.format(EAF_MARK.format("1", "t9")),
        r"m.eaf: line 2: <ALIGNABLE_ANNOTATION> refers to the time slot 't9'",
    ),
    (
        "m.eaf",
        EAF.format(EAF_MARK.format("soon", "t1")),
        r"m.eaf: line 1: <TIME_SLOT> has TIME_VALUE='soon'",
    ),
    (
        "m.eaf",
        EAF.format('<HEADER TIME_UNITS="PAL-frames"/>'),
        r"m.eaf: line 1: <HEADER> has TIME_UNITS='PAL-frames', expected milliseconds",
    ),
    (
        "m.json",
        {"database": {"a": {"annotations": [{"segment": [1, 2, 3]}]}}},
        r"m.json: database.a.annotations\[0\].segment: found \[1, 2, 3\], expected two numbers",
    ),
    (
        "m.json",
        {"database": {"a": {"annotations": [{"segment": [1, "2"]}]}}},
        r"segment\[1\]: found \"2\", expected a number",
    ),
    (
        "m.json",
        '{"database": {"a": {"annotations": [{"segment": [1, Infinity]}]}}}',
        r"segment\[1\]: found Infinity, expected a number",
    ),
    (
        "m.json",
        {"database": {"a": {"annotations": [{"label": "x"}]}}},
        r"annotations\[0\]: found .*, expected an object with 'segment'",
    ),
    ("m.json", {"database": {"a": 5}}, r"holds no annotation in the format activitynet"),
    ("m.json", {"database": {"a": {"annotations": 5}}}, r"annotations: found 5, expected a list"),
    (
        "m.json",
        changed(VIA, "metadata", "x", "z", to=[1, 2, 3]),
        r"m.json: metadata.x.z: found \[1, 2, 3\], expected two times",
    ),
    (
        "m.json",
        changed(VIA, "metadata", "x", "vid", to="7"),
        r"m.json: view: found .*, expected an object with '7'",
    ),
    ("m.json", changed(VIA, "view", "1", "fid_list", to=[]), r"view.1.fid_list: found \[\]"),
    ("m.json", changed(VIA, "metadata", "x", "av", "1", to=[]), r"metadata.x.av.1: found \[\]"),
    (
        "m.json",
        changed(STUDIO, "annotations", 0, "result", 0, "value", "ranges", 0, "end", to=2.5),
        r"annotations\[0\].result\[0\].value.ranges\[0\].end: found 2.5, expected a whole number",
    ),
    (
        "m.json",
        changed(STUDIO, "data", to={}),
        r"m.json: data: found {}, expected a member 'video'",
    ),
    (
        "m.json",
        [changed(SPOT, "fps", to=0)],
        r"m.json: the file\[0\].fps: found 0, expected a rate",
    ),
    ("m.json", [changed(SPOT, "events", 0, "frame", to=None)], r"events\[0\].frame: found null"),
]


@pytest.mark.parametrize(("name", "content", "message"), CASES)
def test_a_broken_file(tmp_path, name: str, content: object, message: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(AnnotationError, match=message) as caught:
            read_source(path)
        assert str(tmp_path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_a_broken_file_beside_a_good_one(tmp_path) -> None:
    (tmp_path / "a.xml").write_text('<video><action begin="1" end="2"/></video>')
    (tmp_path / "b.xml").write_text("<video>\n</vid>")
    with pytest.raises(AnnotationError, match=r"b.xml: cannot be read as XML \(line 2: mismatched"):
        read_source(tmp_path)
    (tmp_path / "b.xml").write_text("<annotation/>")
    with pytest.raises(AnnotationError, match=r"b.xml: line 1: <annotation> is the root, expected"):
        read_source(tmp_path)


def test_the_format_that_a_person_names_holds(tmp_path) -> None:
    (tmp_path / "m.xml").write_text('<video><action begin="1" end="2"/></video>')
    with pytest.raises(AnnotationError, match=r"m.xml: line 1: <video> is the root, expected <ann"):
        read_source(tmp_path, "cvat")
    with pytest.raises(AnnotationError, match="holds no annotation in the format via"):
        read_source(tmp_path, "via")


def test_marks_without_videos_cannot_be_curated(tmp_path) -> None:
    (tmp_path / "m.xml").write_text('<video><action begin="1" end="2"/></video>')
    with pytest.raises(AnnotationError, match=r"no videos; expected videos/<video_id>.mp4 or"):
        read_source(tmp_path)
    assert read_source(tmp_path, need_videos=False).annotations.height == 1


# Entities


BOMB = """<?xml version="1.0"?>
<!DOCTYPE video [
 <!ENTITY a "aaaaaaaaaa">
 <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
]>
<video><action begin="1" end="2" move="&b;"/></video>"""


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        '<!DOCTYPE v [<!ENTITY x SYSTEM "file:///etc/passwd">]><video>&x;</video>',
        '<!DOCTYPE v [<!ENTITY % p SYSTEM "http://localhost/x.dtd"> %p;]><video/>',
        '<!DOCTYPE v SYSTEM "http://localhost/x.dtd"><video>&later;</video>',
        '<!DOCTYPE v [<!ENTITY unused "x">]><video/>',
    ],
)
@pytest.mark.parametrize("name", ["m.xml", "m.eaf"])
def test_entities_are_refused(tmp_path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(AnnotationError, match=r"cannot be read as XML \(line \d+: .*refused"):
        read_source(tmp_path)


def test_entities_are_refused_in_lists_of_trimmed_files(tmp_path) -> None:
    (tmp_path / "train" / "serve").mkdir(parents=True)
    (tmp_path / "test").mkdir()
    (tmp_path / "train" / "serve" / "1.mp4").write_bytes(b"")
    (tmp_path / "test" / "3.mp4").write_bytes(b"")
    (tmp_path / "test" / "test.xml").write_text(BOMB)
    with pytest.raises(AnnotationError, match=r"test.xml: cannot be read as XML \(line 3: .*refu"):
        read_source(tmp_path)


def test_a_plain_doctype_and_the_five_entities_of_xml_are_fine(tmp_path) -> None:
    path = tmp_path / "m.xml"
    path.write_text(
        '<!DOCTYPE video><video><action begin="1" end="2" move="a &amp; &#98;"/></video>'
    )
    assert read_source(path, need_videos=False).annotations["label"].to_list() == ["a & b"]


# Anything at all

SEEDS: list[tuple[str, bytes]] = [
    (name, (content if isinstance(content, str) else json.dumps(content)).encode())
    for name, content in [
        ("m.xml", '<video><action begin="1" end="2" move="Push"/></video>'),
        ("m.xml", CVAT.format('<track id="0" label="x"><box frame="1" outside="0"/></track>')),
        ("m.eaf", EAF.format(EAF_MARK.format("100", "t1"))),
        ("m.json", {"database": {"a": {"annotations": [{"segment": [1, 2], "label": "x"}]}}}),
        ("m.json", VIA),
        ("m.json", [STUDIO]),
        ("m.json", [SPOT]),
        ("m.json", {"12": "bounce"}),
        ("m.csv", "video_id,annotator_id,start_frame,end_frame,label\na,b,1,2,c\n"),
    ]
]
PIECES = [b"", b"<", b">", b'"', b"&x;", b"{", b"]", b",", b"-", b"9" * 20, b"null", b"\xff", b"\0"]


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, bytes]:
    """A good file with a few bytes replaced."""
    name, content = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 12)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=4))
        content = content[:start] + piece + content[end:]
    return name, content


KEYS = re.findall(
    r"\w+",
    "database annotations segment label project metadata view file attribute z av vid data video "
    "ranges timelinelabels start end result value events fps frame 1",
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
random_files = st.tuples(
    st.sampled_from(["m.xml", "m.eaf", "m.json", "m.csv"]), st.binary(max_size=60)
)
json_files = json_values.map(lambda value: ("m.json", json.dumps(value).encode()))


# Each file goes to every reader: 10000 files are over 100000 inputs.
FUZZ_FILES = int(os.environ.get("TT_FUZZ_FILES", "150"))


def read_or_error(path: Path, format: str | None) -> tuple[str, list[str]]:
    """The message of our own error, or the ids of the annotations; any other error passes."""
    try:
        return "", read_source(path, format, need_videos=False).annotations[
            "annotation_id"
        ].to_list()
    except InputError as error:
        return str(error), []


@given(file=mutants() | json_files | random_files)
@settings(
    max_examples=FUZZ_FILES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_anything_ends_in_marks_or_in_one_line(tmp_path, file) -> None:
    name, content = file
    for old in tmp_path.iterdir():
        old.unlink()
    path: Path = tmp_path / name
    path.write_bytes(content)
    (tmp_path / "videos.csv").write_text("video_id\nm\n")
    for format in (None, *(item.NAME for item in FORMATS)):
        problem, ids = read_or_error(path, format)
        assert len(problem.splitlines()) == (0 if problem == "" else 1), problem
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("read", [read_xml, read_json])
def test_a_folder_in_place_of_a_file(tmp_path, read) -> None:
    with pytest.raises(AnnotationError, match="cannot be read as"):
        read(tmp_path)
