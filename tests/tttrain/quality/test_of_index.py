"""From what `tttrain index` wrote straight to a measurement; landmarks are made of formulas."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ttdata.errors import InputError
from ttflow import ClipPose
from ttflow.errors import PoseUnavailable
from ttflow.shards.poses import write_poses
from tttrain import measure_strokes, suggest_references
from tttrain.indexing.document import IndexedStroke, VideoIndex
from tttrain.indexing.exports import write_exports
from tttrain.indexing.jobs.items import OnFrame, VideoFunction, VideoItem
from tttrain.quality.document import Quality
from tttrain.quality.sources import found_poses as kept
from tttrain.quality.sources.found_poses import PoseWork

FPS, MARGIN = 60.0, 15
STARTS = (50, 150, 250, 350)
SIZES = {"first": (1.0, 1.05, 0.96, 0.5), "second": (1.02, 0.97, 1.0, 1.0)}
"""Of the strokes of each video: the last of the first video is half as large."""


def stroke(start: int, label: str, score: float = 0.9, player: str | None = None) -> IndexedStroke:
    return IndexedStroke(
        start_frame=start, end_frame=start + 61, start_seconds=start / FPS,
        end_seconds=(start + 61) / FPS, label=label, score=score, player=player,
    )  # fmt: skip


def write_index(folder: Path, videos: dict[str, list[IndexedStroke]], **more: object) -> Path:
    """An index of videos whose files hold their names."""
    documents = []
    for video_id, strokes in videos.items():
        video = folder.parent / f"{video_id}.mp4"
        video.write_text(video_id)
        found = VideoIndex(
            video_id=video_id, video=str(video), fps=FPS, num_frames=420, model="m",
            classes=("Loop", "Push"), decoder="tag", strokes=tuple(strokes),
        ).model_copy(update=more)  # fmt: skip
        page = folder / "videos" / video_id
        page.mkdir(parents=True)
        (page / "strokes.json").write_text(found.model_dump_json())
        documents.append(found)
    (folder / "index.json").write_text("{}")
    write_exports(folder, documents)
    return folder


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Two videos of four loops; in the second one is uncertain, and one is no stroke at all."""
    loops = [stroke(start, "Loop") for start in STARTS]
    second = [*loops[:3], stroke(350, "Loop", 0.31), stroke(120, "Negative")]
    return write_index(tmp_path / "index", {"first": loops, "second": second})


@pytest.fixture
def estimated(
    monkeypatch: pytest.MonkeyPatch, make_pose: Callable[..., ClipPose], even: np.ndarray
) -> list[str]:
    """The videos whose landmarks were estimated, by a network that is a formula."""
    seen: list[str] = []

    def load(_: PoseWork, device: str) -> VideoFunction:
        def function(item: VideoItem, on_frame: OnFrame) -> int:
            clips, fps, file = item.arguments
            poses = []
            for clip in clips:
                start = clip.stored[0] + MARGIN
                size = SIZES[item.video_id][STARTS.index(start)]
                share = np.concatenate([np.zeros(MARGIN), even, np.ones(MARGIN)])
                pose = make_pose(share, size, clip_id=clip.clip_id, noise=0.002, seed=start)
                poses.append(replace(pose, frames=pose.frames + clip.stored[0], fps=fps))
            seen.append(item.video_id)
            write_poses(file, poses)
            return item.expected_frames

        return function

    monkeypatch.setattr(PoseWork, "load", load)
    monkeypatch.setattr(kept, "check_runtime", lambda: None)
    monkeypatch.setattr(kept, "read_weights", dict)
    monkeypatch.setattr("tttrain.indexing.jobs.run.available_cores", lambda: 1)  # so without Ray
    return seen


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """Three references in the first video, two in the second, as the platform exports them."""
    path = tmp_path / "references.csv"
    places = [("first", start) for start in STARTS[:3]] + [("second", 50), ("second", 150)]
    lines = [
        f"{video_id},{start - 2},{start + 60},Loop,{start},{start + 30},{start + 59}"
        for video_id, start in places
    ]
    path.write_text("\n".join(["video_id,start_frame,end_frame,label,ready,contact,end", *lines]))
    return path


def gains(found: Quality) -> dict[str, float]:
    return {
        item.clip_id: next(one.value or 0 for one in item.phases[3].measures if one.name == "gain")
        for item in found.strokes
        if item.phases
    }


def test_an_index_is_measured_and_its_landmarks_are_kept(
    index: Path, marks: Path, estimated: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = measure_strokes(index, marks, out)
    assert estimated == ["first", "second"]
    assert [item.clip_id for item in found.strokes][:2] == ["first@50-111", "first@150-211"]
    assert len(found.strokes) == 8  # what is of the rejection class is no stroke
    assert [item.is_reference for item in found.strokes] == [True] * 3 + [False] + [True] * 2 + (
        [False] * 2
    )
    assert gains(found)["first@350-411"] == pytest.approx(0.5, abs=0.03)
    assert found.strokes[3].words
    assert {item.video_path for item in found.strokes[:4]} == {str(tmp_path / "first.mp4")}
    assert found.strokes[0].player_id is None
    unsure = found.strokes[7]
    assert any("found with a certainty of 0.31 only" in text for text in unsure.notes)
    assert not any("certainty" in text for text in found.strokes[3].notes)
    assert found.references[0].sessions == ("/first", "/second")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    measure_strokes(index, marks, out)
    assert estimated == ["first", "second"]  # nothing again
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_only_what_is_not_there_is_estimated(
    index: Path, marks: Path, estimated: list[str], tmp_path: Path
) -> None:
    """After a stop, of a damaged file, of another video under the name; what is stale goes."""
    measure_strokes(index, marks, tmp_path / "out")
    first, second = sorted((index / "pose").iterdir())
    second.unlink()
    measure_strokes(index, marks, tmp_path / "out")
    assert estimated == ["first", "second", "second"]
    first.write_bytes(b"no table")
    measure_strokes(index, marks, tmp_path / "out")
    assert estimated[3:] == ["first"]
    (tmp_path / "second.mp4").write_text("another film")
    measure_strokes(index, marks, tmp_path / "out")
    assert estimated[4:] == ["second"]
    files = sorted((index / "pose").iterdir())
    assert len(files) == 2
    assert second not in files


def test_a_video_that_is_gone_costs_its_strokes_alone(
    index: Path, marks: Path, estimated: list[str], tmp_path: Path
) -> None:
    measure_strokes(index, marks, tmp_path / "out")
    before = {path: path.read_bytes() for path in (index / "pose").iterdir()}
    (tmp_path / "second.mp4").rename(tmp_path / "unplugged")
    marks.write_text("\n".join(marks.read_text().splitlines()[:4]))
    found = measure_strokes(index, marks, tmp_path / "out")
    assert found.strokes[3].refused is None
    assert all("second.mp4: cannot be read" in str(item.refused) for item in found.strokes[4:])
    # Its landmarks wait for it.
    assert {path: path.read_bytes() for path in (index / "pose").iterdir()} == before
    (tmp_path / "unplugged").rename(tmp_path / "second.mp4")
    measure_strokes(index, marks, tmp_path / "out")
    assert estimated == ["first", "second"]


def test_a_mark_beyond_the_landmarks_is_no_reference(
    index: Path, marks: Path, estimated: list[str], tmp_path: Path
) -> None:
    head = marks.read_text().splitlines()[0]
    marks.write_text(f"{head}\nfirst,30,111,Loop,31,80,109\n")
    message = r"line 2: .* marked from frame 31 to 109, its poses are of 35 to 125"
    with pytest.raises(InputError, match=message):
        measure_strokes(index, marks, tmp_path / "out")


def test_references_of_shards_and_of_the_index(
    index: Path,
    marks: Path,
    estimated: list[str],
    shards_of: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_pose: Callable[..., ClipPose],
    even: np.ndarray,
) -> None:
    """Marked clips of shards join in; a stroke of the index that is one of them is left out."""
    shards = shards_of(tmp_path / "shards", {"train": 4}, 57)
    sources = "tttrain.quality.sources.stroke_sources"
    real = __import__(sources, fromlist=["stroke_rows"]).stroke_rows

    def rows(shards: object) -> dict[str, dict[str, object]]:
        found = [row | {"label": "Loop", "fps": FPS} for row in real(shards).values()]
        found[0] |= {"video_id": "second", "start_frame": 255, "end_frame": 312}
        return {str(row["clip_id"]): row for row in found}

    def poses(shards: object, clip_ids: list[str]) -> tuple[dict[str, ClipPose], dict[str, str]]:
        made = {name: make_pose(even, clip_id=name) for name in clip_ids}
        starts = [255 if name == clip_ids[0] else 5 for name in clip_ids]
        return {
            name: replace(pose, frames=pose.frames + start)
            for (name, pose), start in zip(made.items(), starts, strict=True)
        }, {}

    monkeypatch.setattr(f"{sources}.stroke_rows", rows)
    monkeypatch.setattr(f"{sources}.stroke_poses", poses)
    with marks.open("a") as file:
        file.write("\nsecond,255,312,Loop,256,280,310\nvideo 03,5,62,Loop,6,35,60\n")
    found = measure_strokes(index, marks, tmp_path / "out", reference_shards=shards)
    assert found.reference_data == str(shards)
    # Two of the shards' twelve, and all of the index but the one that is the first of them.
    ids = [item.clip_id for item in found.strokes]
    assert len(ids) == 2 + 7
    assert "second@250-311" not in ids
    assert len(found.references[0].clip_ids) == 5 + 2
    assert all(item.is_reference for item in found.strokes[:2])


def test_players_of_videos_are_told(
    index: Path, marks: Path, estimated: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    players = tmp_path / "players.csv"
    players.write_text("video_id,player_id,session_id\nfirst,anna,day 2\nsecond,anna,day 10\n")
    found = measure_strokes(index, marks, tmp_path / "out", players=players, by_player=True)
    assert {item.player_id for item in found.strokes} == {"anna"}
    assert found.references[0].sessions == ("anna/day 2", "anna/day 10")
    assert {item.sessions for item in found.progress} == {("day 2", "day 10")}
    players.write_text("video_id,player_id\nfirst,anna\nscond,anna\n")
    measure_strokes(index, marks, tmp_path / "out", players=players)
    assert "no stroke of video 'scond'; is it spelt as in the data?" in caplog.text


def test_without_weights_the_command_to_fetch_them_is_named(
    index: Path, marks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "check_runtime", lambda: None)
    monkeypatch.setenv("TTFLOW_POSE_DIR", str(tmp_path))
    with pytest.raises(PoseUnavailable, match="expected weights of BlazePose: run `ttflow fetch-"):
        measure_strokes(index, marks, tmp_path / "out")
    assert not (index / "pose").exists()
    monkeypatch.undo()
    monkeypatch.setattr("ttflow.pose.runtime.find_spec", lambda name: None)
    with pytest.raises(PoseUnavailable, match=r"ttflow\[pose\]'.*ttflow fetch-pose"):
        measure_strokes(index, marks, tmp_path / "out")


def test_an_index_has_its_central_strokes(
    index: Path, estimated: list[str], tmp_path: Path
) -> None:
    table = suggest_references(index, tmp_path / "todo.csv", count=4)
    assert table.height == 4
    assert "first@350-411" not in table["clip_id"].to_list()


def test_two_players_are_looked_for_on_their_sides(tmp_path: Path) -> None:
    strokes = [stroke(50, "Loop", player="left"), stroke(50, "Loop", player="right")]
    folder = write_index(tmp_path / "index", {"both": strokes})
    rows = kept_rows(folder)
    assert list(rows) == ["both@50-111 left", "both@50-111 right"]
    item = kept._item(folder, "both", rows, kept.PoseConfig())
    assert [clip.region for clip in item.arguments[0]] == [(0, 0, 0.5, 1), (0.5, 0, 1, 1)]
    assert [clip.stored for clip in item.arguments[0]] == [(35, 126)] * 2


def test_players_are_looked_for_where_the_index_followed_them(tmp_path: Path) -> None:
    """In regions of a dataset: one player of two, near and far, three at once."""
    near, far = (0.1, 0.5, 0.9, 1.0), (0.3, 0.0, 0.7, 0.4)
    regions = {"": near, "left": near, "right": far, "player 3": None}
    strokes = [stroke(50, "Loop", player=name or None) for name in regions]
    folder = write_index(tmp_path / "index", {"all": strokes}, regions=regions)
    item = kept._item(folder, "all", kept_rows(folder), kept.PoseConfig())
    assert [clip.region for clip in item.arguments[0]] == [near, near, far, None]


def test_a_player_of_whom_the_index_does_not_say_where_he_is_has_no_landmarks(
    estimated: list[str], tmp_path: Path
) -> None:
    strokes = [stroke(50, "Loop"), stroke(150, "Loop", player="player 3")]
    folder = write_index(tmp_path / "index", {"first": strokes})
    poses, missing = kept.found_poses(folder, kept_rows(folder))
    assert list(poses) == ["first@50-111"]
    assert missing == {
        "first@150-211 player 3": "video 'first': the index does not say where player 'player 3' "
        "is; run `tttrain index` again, which adds it"
    }


def kept_rows(folder: Path) -> dict[str, dict[str, object]]:
    from tttrain.quality.sources.stroke_sources import IndexSource

    return IndexSource(folder).rows


def test_what_is_no_index_to_measure_is_named(
    index: Path, marks: Path, estimated: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="--coarse: needs the stored flow of one shards folder"):
        measure_strokes(index, marks, out, coarse=True)
    empty = tmp_path / "empty"
    write_index(empty, {"third": []})
    with pytest.raises(InputError, match="no stroke was found in its videos"):
        measure_strokes(empty, marks, out)
    shutil.copytree(index, tmp_path / "broken")
    (tmp_path / "broken" / "videos" / "first" / "strokes.json").write_text("{}")
    with pytest.raises(InputError, match=r"strokes\.json: video_id: field required; run `tttrain "):
        measure_strokes(tmp_path / "broken", marks, out)
    (index / "strokes.csv").unlink()
    with pytest.raises(InputError, match=r"no strokes\.csv; run `tttrain index` again, to its end"):
        measure_strokes(index, marks, out)
    assert estimated == []
