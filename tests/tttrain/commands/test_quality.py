"""`tttrain quality` from shards with poses to its tables; every refusal in its words."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from ttdata.errors import InputError
from ttdata.storage.tables import write_table
from ttflow import ClipPose, open_shards
from ttflow.pose.config import PoseConfig
from ttflow.schema import ClipRecord
from ttflow.shards.poses import agreed_info, expected_files, write_info, write_poses
from tttrain import measure_strokes, suggest_references
from tttrain.cli import app
from tttrain.quality.document import Quality, StrokeQuality
from tttrain.quality.reference import quantile
from tttrain.quality.strokes import guess_hands, load_strokes

measure = partial(measure_strokes, pages=False)
"""Pages take their time, and have tests of their own."""
SIZES = [1.0, 1.06, 0.95, 1.0, 1.04, 0.96, 0.5, 1.0, 1.0, 1.0]
"""Of the strokes of class down: six references, half as large, left-handed, other camera, lost."""
HALF, LEFT, CAMERA, LOST = 6, 7, 8, 9


def swing(count: int, size: float) -> np.ndarray:
    """(T, 2): the wrist seen from the shoulder in torso lengths; back, through, to the start."""
    share = np.linspace(0, 3, count)
    low = np.minimum(share.astype(int), 2)
    ease = (1 - np.cos(np.pi * (share - low))) / 2
    places = np.array([0.0, -1.0, 1.0, 0.0])
    x = places[low] * (1 - ease) + places[low + 1] * ease
    return np.stack([0.6 + size * x, 0.2 - size * 0.4 * x], axis=1)


def pose_of(row: dict[str, Any], place: int) -> ClipPose:
    """A body that stands still, its right wrist swinging; some places have what is wrong there."""
    frames = np.arange(row["start_frame"], row["end_frame"])
    points = np.zeros((len(frames), 33, 2))
    for left, x, y in ((11, 0.3, -1.0), (13, 0.4, -0.6), (15, 0.4, -0.2), (23, 0.2, 0.0)):
        points[:, left], points[:, left + 1] = (-x, y), (x, y)
    size = SIZES[place] if place < len(SIZES) else 1.0 + 0.03 * (place % 3)
    noise = np.random.default_rng(place).normal(0, 0.01, points.shape)
    points[:, 16] = points[:, 12] + swing(len(frames), size)
    points += noise
    world = np.concatenate([points * 0.5, np.zeros((len(frames), 33, 1))], axis=2)
    seen = np.ones((len(frames), 33), np.float32)
    if place == LEFT:
        order = [*range(11), *(p + 1 if p % 2 else p - 1 for p in range(11, 33))]
        points, world = points[:, order] * [-1, 1], world[:, order] * [-1, 1, 1]
    if place == CAMERA:
        angle = np.deg2rad(40)
        x = world[..., 0].copy()
        world[..., 0], world[..., 2] = np.cos(angle) * x, np.sin(angle) * x
    if place == LOST:
        seen[10:40] = 0
    pixels = (points * 20 + 80).astype(np.float32)
    return ClipPose(
        frames, pixels, world.astype(np.float32), seen, seen[:, 0], row["clip_id"], row["fps"]
    )


@pytest.fixture(scope="module")
def measured_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Filled by `filled`, which needs fixtures of functions."""
    return tmp_path_factory.mktemp("quality") / "shards"


@pytest.fixture
def filled(measured_shards: Path, shards_of: Callable[..., Path]) -> Path:
    """Ten strokes of down, two of left, three of right; the references' sessions are two."""
    path = measured_shards
    if path.exists():
        return path
    shards_of(path, {"train": 5}, 57)
    (path.parent / "players.csv").write_text("player_id,hand\nbert,Left\n")
    clips = open_shards(path).clips
    labels = ["down"] * 10 + ["left"] * 2 + ["right"] * 3
    players = ["anna"] * LEFT + ["bert", "anna", "anna"] + ["anna"] * 5
    sessions = ["monday", "tuesday"] * 5 + ["monday"] * 5
    clips = clips.with_columns(
        label=pl.Series(labels), player_id=pl.Series(players), session_id=pl.Series(sessions)
    )
    write_table(clips, path / "clips.parquet", ClipRecord)
    shards = open_shards(path)
    info = agreed_info(shards.path, PoseConfig())
    write_info(shards.path, info)
    files = expected_files(shards, info)
    for place, row in enumerate(shards.clips.to_dicts()):
        write_poses(files[row["video_id"]], [pose_of(row, place)])
    return path


def marks_of(path: Path, places: list[int]) -> list[str]:
    """Lines of a CSV: contact at half of the stroke."""
    rows = open_shards(path).clips.to_dicts()
    lines = []
    for place in places:
        first, last = rows[place]["start_frame"], rows[place]["end_frame"] - 1
        lines.append(f"{rows[place]['clip_id']},{first},{round((first + last) / 2)},{last}")
    return lines


@pytest.fixture
def marks(filled: Path, tmp_path: Path) -> Path:
    """Six references of down, two of left, three of right (of one session)."""
    path = tmp_path / "refs.csv"
    lines = marks_of(filled, [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14])
    path.write_text("\n".join(["clip_id,ready,contact,end", *lines]) + "\n")
    return path


@pytest.fixture
def found(filled: Path, marks: Path, tmp_path: Path) -> tuple[Quality, Path]:
    players = filled.parent / "players.csv"
    return measure(filled, marks, tmp_path / "out", players=players), tmp_path / "out"


def measure_of(stroke: StrokeQuality, phase: str, name: str) -> Any:
    measures = next(item.measures for item in stroke.phases if item.name == phase)
    return next(item for item in measures if item.name == name)


def gain_of(stroke: StrokeQuality, phase: str) -> Any:
    return measure_of(stroke, phase, "gain")


def test_a_small_stroke_is_small(found: tuple[Quality, Path]) -> None:
    strokes = found[0].strokes
    half = gain_of(strokes[HALF], "forward")
    assert half.value == pytest.approx(0.5, abs=0.05)
    assert half.reference == pytest.approx(1.0, abs=0.05)
    assert (half.percentile, half.outside) == (1.0, True)
    assert any("arm's movement 50 % smaller" in text or "49 %" in text or "51 %" in text
               for text in strokes[HALF].words)  # fmt: skip
    assert strokes[HALF].distance is not None
    assert strokes[HALF].distance > max(strokes[place].distance or 0 for place in range(6))
    assert strokes[HALF].distance_percentile == pytest.approx(1 / 7, abs=1e-6)
    moments = strokes[HALF].moments
    assert list(moments) == ["ready", "backswing", "contact", "end"]
    first, last = strokes[HALF].start_frame, strokes[HALF].end_frame - 1
    assert moments["contact"] == pytest.approx((first + last) / 2, abs=1)
    assert moments["backswing"] == pytest.approx(first + (last - first) / 3, abs=1.5)


def test_references_are_compared_with_the_other_ones(found: tuple[Quality, Path]) -> None:
    strokes, told = found[0].strokes, found[0].references[0]
    assert [item.is_reference for item in strokes[:7]] == [True] * 6 + [False]
    assert all(item.refused is None and item.distance is not None for item in strokes[:6])
    assert gain_of(strokes[1], "stroke").value > gain_of(strokes[2], "stroke").value
    assert told.sessions == ("anna/monday", "anna/tuesday")
    assert told.cannot_tell is None
    spread = told.spreads["stroke"]["gain"]
    assert spread is not None
    assert (spread.n, spread.sessions) == (6, 2)


def test_a_left_hander_is_mirrored_and_that_is_said(found: tuple[Quality, Path]) -> None:
    stroke = found[0].strokes[LEFT]
    assert (stroke.hand, stroke.mirrored, stroke.refused) == ("left", True, None)
    assert any("another player than the references'" in text for text in stroke.notes)
    assert not any("another player" in text for text in found[0].strokes[HALF].notes)
    assert any("left-handed: mirrored" in text for text in stroke.notes)
    assert not any("was guessed" in text for text in stroke.notes)  # it was told
    other = found[0].strokes[HALF]
    assert (other.hand, "was guessed" in other.notes[0]) == ("right", True)
    assert gain_of(stroke, "stroke").value == pytest.approx(1.0, abs=0.06)
    # `difference` is of the mirrored picture, words are of the film.
    for one in (stroke, other):
        ends = [measure_of(one, phase, "wrist_x") for phase in ("backswing", "forward")]
        place = max(ends, key=lambda item: abs(item.difference))
        right = (place.difference > 0) != one.mirrored
        assert ("to the right" in place.words, "to the left" in place.words) == (right, not right)


def test_what_cannot_be_compared_is_refused(found: tuple[Quality, Path]) -> None:
    strokes = found[0].strokes
    assert "another camera angle: 40 degrees" in str(strokes[CAMERA].refused)
    assert "no player was tracked for" in str(strokes[LOST].refused)
    for stroke in (*strokes[10:12], strokes[CAMERA], strokes[LOST]):
        assert (stroke.phases, stroke.distance) == ((), None)
    assert str(strokes[10].refused).startswith("2 references of left, expected at least 3")


def test_one_session_cannot_tell(found: tuple[Quality, Path]) -> None:
    stroke, told = found[0].strokes[12], found[0].references[2]
    assert "all references are of one session" in str(told.cannot_tell)
    assert "one of three references" in stroke.notes[-1]
    assert gain_of(stroke, "stroke").outside is None


def test_one_session_of_three_references(filled: Path, tmp_path: Path) -> None:
    lines = marks_of(filled, [0, 2, 4])
    path = tmp_path / "refs.csv"
    path.write_text("\n".join(["clip_id,ready,contact,end", *lines]) + "\n")
    found = measure(filled, path, tmp_path / "out")
    half = gain_of(found.strokes[HALF], "stroke")
    assert (half.outside, half.chance, half.percentile) == (None, None, 1.0)
    assert half.words.endswith("how unusual that is cannot be told")
    assert any("of one session" in text for text in found.strokes[HALF].notes)
    # A place among three references, each of two others, is none.
    assert found.strokes[HALF].distance is not None
    assert found.strokes[HALF].distance_percentile is None


def test_what_is_there_twice_is_judged_once(found: tuple[Quality, Path]) -> None:
    """The stroke ends where its follow-through does, and its share of itself is 1."""
    half = found[0].strokes[HALF]
    judged = [
        (phase.name, item.name)
        for phase in half.phases
        for item in phase.measures
        if item.outside is not None
    ]
    # The trunk of these bodies does not turn at all, so three more cannot tell.
    assert len(judged) == 4 * 8 - 4 - 3
    for name in ("duration_share", "wrist_x", "wrist_y", "trunk_turn"):
        again = measure_of(half, "stroke", name)
        assert (again.chance, again.outside, again.words) == (None, None, None)
        assert again.reference is not None
        if name != "duration_share":
            assert again.value == measure_of(half, "follow_through", name).value


def test_unknown_players_have_no_progress(filled: Path, marks: Path, tmp_path: Path) -> None:
    """They may be several: they are no player's sessions."""
    data = tmp_path / "shards"
    shutil.copytree(filled, data)
    clips = open_shards(data).clips.with_columns(
        player_id=pl.when(pl.col("label") == "right").then(pl.col("player_id"))
    )
    write_table(clips, data / "clips.parquet", ClipRecord)
    found = measure(data, marks, tmp_path / "out")
    assert found.strokes[HALF].phases
    assert {(item.player_id, item.label) for item in found.progress} == {("anna", "right")}


def test_clips_of_unknown_sessions_and_a_clip_of_nobody(
    filled: Path, marks: Path, tmp_path: Path
) -> None:
    """In a folder of clips each would be a session of its own, and a difference said to be told."""
    data = tmp_path / "shards"
    shutil.copytree(filled, data)
    clips = open_shards(data).clips.with_columns(session_id=pl.lit(None, pl.String))
    write_table(clips, data / "clips.parquet", ClipRecord)
    shards = open_shards(data)
    row = clips.row(HALF, named=True)
    nobody = replace(pose_of(row, HALF), visibility=np.zeros((57 + HALF % 4, 33), np.float32))
    info = agreed_info(data, PoseConfig())
    write_poses(expected_files(shards, info)[row["video_id"]], [nobody])
    found = measure(data, marks, tmp_path / "out")
    told = found.references[0]
    assert told.sessions == ("anna/unknown",)
    assert str(told.cannot_tell).startswith("sessions of the references are not known")
    assert "no player was tracked in this clip" in str(found.strokes[HALF].refused)
    assert {item.session for item in found.strokes} == {None}
    left = found.strokes[LEFT]
    assert any("sessions of the references are not known" in text for text in left.notes)
    assert gain_of(left, "stroke").outside is None
    assert {item.sessions for item in found.progress} == {("unknown",)}


def test_tables(found: tuple[Quality, Path]) -> None:
    result, out = found
    assert Quality.model_validate_json((out / "quality.json").read_text()) == result
    table = pl.read_csv(out / "quality.csv")
    # Eleven strokes with four phases each; four that were refused.
    assert table.height == 11 * 4 + 4
    row = table.filter(clip_id=result.strokes[HALF].clip_id, phase="forward").to_dicts()[0]
    assert row["gain"] == gain_of(result.strokes[HALF], "forward").value
    assert row["gain_outside"] is True
    assert "smaller" in row["words"]
    assert table.filter(pl.col("phase").is_null())["refused"].null_count() == 0
    progress = {
        (item.player_id, item.label, item.phase, item.measure): item for item in result.progress
    }
    seen = progress["anna", "down", "stroke", "gain"]
    assert (seen.sessions, seen.n) == (("monday", "tuesday"), (4, 3))
    usual = result.references[0].spreads["stroke"]["gain"]
    assert usual is not None
    assert seen.sem is not None
    assert usual.between is not None
    # Of five and of one degrees: strokes in two sessions, and the references' sessions.
    inner, outer = seen.sem**2 * (1 / 4 + 1 / 3), 2 * usual.between**2
    degrees = (inner + outer) ** 2 / (inner**2 / 5 + outer**2)
    least = quantile(degrees) * np.sqrt(inner + outer)
    assert seen.minimal_change_of_means == pytest.approx(least)
    assert seen.changed is False


def test_the_same_bytes_again(filled: Path, marks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    measure_strokes(filled, marks, out, players=filled.parent / "players.csv")

    def content() -> dict[str, bytes]:
        files = (path for path in out.rglob("*") if path.is_file())
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}

    before = content()
    measure_strokes(filled, marks, out, players=filled.parent / "players.csv")
    assert content() == before
    assert {"quality.csv", "quality.json", "index.html"} < set(before)
    assert sum(name.startswith("players/") for name in before) == 2
    assert sum(name.startswith("classes/") for name in before) == 3


def test_strokes_have_films_where_their_videos_are(
    filled: Path, marks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / "videos" / "all.mp4"
    write_film(video)
    names = set(open_shards(filled).clips["video_id"])
    monkeypatch.setattr(
        "tttrain.quality.strokes.video_paths", lambda *_: dict.fromkeys(names, str(video))
    )
    with pytest.raises(InputError, match=r"videos: holds .*all.mp4, which is read"):
        measure_strokes(filled, marks, video.parent)
    assert [path.name for path in video.parent.iterdir()] == ["all.mp4"]
    out = tmp_path / "out"
    measure_strokes(filled, marks, out)
    films = sorted(path.name for path in (out / "films").iterdir())
    assert len(films) == 2 * 15
    # A film is of the clip: its last frame is the video's.
    facts = json.loads((out / "films" / films[1]).read_text().split(", ", 1)[1].rstrip(");\n"))
    assert len(facts["seconds"]) == 66 - facts["first"]
    assert facts["points"] is None  # these landmarks do not say how large their picture is


def write_film(path: Path) -> None:
    """66 frames at 30 a second."""
    path.parent.mkdir()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for index in range(66):
            picture = np.full((32, 48, 3), index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_own_references_only(filled: Path, marks: Path, tmp_path: Path) -> None:
    found = measure(filled, marks, tmp_path / "out", by_player=True)
    assert "0 references of down by player bert" in str(found.strokes[LEFT].refused)
    assert (found.strokes[0].compared_with, found.strokes[LEFT].compared_with) == ("anna", "bert")
    assert found.strokes[HALF].refused is None


def test_hands_are_told_or_taken_for_right(filled: Path, marks: Path, tmp_path: Path) -> None:
    """One stroke is too few to guess by."""
    hands = tmp_path / "players.csv"
    found = measure(filled, marks, tmp_path / "out")
    assert found.strokes[LEFT].hand == "right"
    assert any("taken for right-handed" in text for text in found.strokes[LEFT].notes)
    for text, message in (
        ("player_id,hand\nanna,both\n", "line 2: hand 'both', expected left or right"),
        ("player_id,hand\nanna,left\n\nanna,left\n", "line 4: player 'anna' is there twice"),
    ):
        hands.write_text(text)
        with pytest.raises(InputError, match=message):
            measure(filled, marks, tmp_path / "out", players=hands)


def test_a_hand_is_guessed_by_how_far_it_gets_and_is_seen() -> None:
    rows, poses = {}, {}
    for place in range(4):
        row = {
            "clip_id": str(place),
            "player_id": "p",
            "start_frame": 0,
            "end_frame": 60,
            "fps": 30.0,
        }
        pose = pose_of(row, LEFT if place else 0)
        # The other, hidden hand jumps.
        pose.points[::2, 16] += 25
        pose.visibility[:, 16] = 0.2
        rows[str(place)], poses[str(place)] = row, pose
    assert guess_hands(rows, poses) == {"p": "left"}
    few = dict(list(poses.items())[:2])
    assert guess_hands(rows, few) == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nobody,1,2,3", "line 3: no clip 'nobody'; expected a clip_id of what is measured"),
        ("FIRST", "line 3: clip '.*' is there twice, first in line 2"),
        ("SECOND,5,,60", "line 3: contact is '', expected a frame of the video"),
        ("SECOND,5,2.5,60", "line 3: contact is '2.5', expected a frame"),
        ("SECOND,30,20,60", "line 3: ready 30, contact 20, end 60; expected an order"),
        ("SECOND,0,20,50", "line 3: frames 0 to 50, expected frames inside of the clip's, 5 to"),
        ("LOST,6,20,50", "line 3: clip '.*' cannot be a reference: no player was tracked for"),
    ],
)
def test_errors_name_file_and_line(filled: Path, tmp_path: Path, line: str, message: str) -> None:
    first, second, lost = marks_of(filled, [0, 1, LOST])
    line = line.replace("FIRST", first).replace("SECOND", second.split(",")[0])
    line = line.replace("LOST", lost.split(",")[0])
    path = tmp_path / "refs.csv"
    path.write_text(f"clip_id,ready,contact,end\n{first}\n{line}\n")
    with pytest.raises(InputError, match=message) as error:
        measure(filled, path, tmp_path / "out")
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_files_that_do_not_fit(filled: Path, marks: Path, tmp_path: Path) -> None:
    path = tmp_path / "refs.csv"
    path.write_text("clip_id,contact\n")
    with pytest.raises(InputError, match="no column ready, end"):
        measure(filled, path, tmp_path / "out")
    path.write_text("clip_id,ready,contact,end\n")
    with pytest.raises(InputError, match="no reference; expected a row per marked stroke"):
        measure(filled, path, tmp_path / "out")


def test_without_poses(filled: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(filled, bare, ignore=shutil.ignore_patterns("pose"))
    lines = marks_of(filled, [0, 1, 2, 3, 10, 11])
    marks = tmp_path / "refs.csv"
    marks.write_text("\n".join(["clip_id,ready,contact,end", *lines]) + "\n")
    with pytest.raises(
        InputError, match=r"no poses; run `ttflow pose .*`, or measure with --coarse"
    ):
        measure(bare, marks, tmp_path / "out")
    found = measure(bare, marks, tmp_path / "out", coarse=True)
    assert found.coarse
    assert found.strokes[HALF].distance is not None
    assert found.strokes[HALF].phases == ()
    assert "without pose" in found.strokes[HALF].notes[0]
    assert "2 references, expected at least 3" in str(found.strokes[10].refused)
    table = pl.read_csv(tmp_path / "out" / "quality.csv")
    assert table.height == 15


def test_suggested_references_are_to_be_marked(filled: Path, tmp_path: Path) -> None:
    path = tmp_path / "todo.csv"
    table = suggest_references(filled, path, count=3)
    assert table["label"].value_counts().sort("label")["count"].to_list() == [3, 2, 3]
    down = table.filter(label="down")
    assert set(down["session_id"]) == {"monday", "tuesday"}
    rows = open_shards(filled).clips.to_dicts()
    assert rows[LOST]["clip_id"] not in table["clip_id"].to_list()
    assert pl.read_csv(path).columns[:4] == ["clip_id", "ready", "contact", "end"]
    with pytest.raises(InputError, match="line 2: ready is '', expected a frame"):
        measure(filled, path, tmp_path / "out")


def test_suggestions_of_many_strokes_of_unknown_players(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows without a player than a table's columns are guessed from, then one with his."""
    strokes = load_strokes(open_shards(filled), {})
    item = strokes[open_shards(filled).clips["clip_id"][0]]
    many = {str(k): replace(item, row=item.row | {"clip_id": str(k), "player_id": None})
            for k in range(120)}  # fmt: skip
    many["120"] = replace(item, row=item.row | {"clip_id": "120"})
    monkeypatch.setattr("tttrain.commands.quality.measurable", lambda *_: many)
    monkeypatch.setattr(
        "tttrain.commands.quality.central", lambda signals, *_: [(name, 0.0) for name in signals]
    )
    table = suggest_references(filled, tmp_path / "todo.csv", count=200)
    assert table["player_id"].to_list() == [None] * 120 + ["anna"]
    monkeypatch.setattr(
        "tttrain.commands.quality.measurable",
        lambda *_: {name: replace(one, problem="lost") for name, one in many.items()},
    )
    with pytest.raises(InputError, match="no stroke that can be measured, so none to suggest"):
        suggest_references(filled, tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()


def test_the_command_line(filled: Path, marks: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    out = tmp_path / "out"
    done = run(app, ["quality", str(filled), "--references", str(marks), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert f"pages: {out / 'index.html'}" in done.output
    assert "11 of 15 strokes compared" in done.output
    # Two strokes are judged, 25 measures each: those that are 28, without the trunk's turns.
    assert re.search(r"\d+ of 50 single measures outside; chance alone gives about 2", done.output)
    assert "1 stroke not compared: another camera angle" in done.output
    assert "left: 2 references of left" in done.output
    done = run(
        app, ["quality", str(filled), "--references", str(marks), "--out", str(out), "--json"]
    )
    assert len(json.loads(done.stdout)["strokes"]) == 15
    bare = ["quality", str(filled), "--references", str(marks), "--out", str(tmp_path / "bare")]
    assert "pages:" not in run(app, [*bare, "--no-pages"]).output
    assert {path.name for path in (tmp_path / "bare").iterdir()} == {"quality.csv", "quality.json"}
    # The pages of a former measurement do not pass for those of this one.
    again = ["quality", str(filled), "--references", str(marks), "--out", str(out), "--no-pages"]
    assert "pages:" not in run(app, again).output
    assert not (out / "index.html").exists()
    done = run(app, ["quality", str(filled), "--suggest-references", "--out", str(out) + ".csv"])
    assert "11 strokes to mark" in done.output
    assert run(app, ["quality", str(filled), "--out", str(out)]).exit_code == 2
