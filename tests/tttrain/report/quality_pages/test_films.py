"""Films of strokes: frame by frame what the video shows, kept where they are."""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ttdata.video.container import Orientation
from ttdata.video.decode import DecodedFrame, decoded
from tttrain.report.quality_pages import films
from tttrain.report.quality_pages.films import Problem, make_films, remove_other_films
from tttrain.report.quality_pages.framing import (
    Cropper,
    aligned,
    framing_of,
    shown_box,
    stored_box,
)
from tttrain.report.quality_pages.sheet import columns_of, cut_of, film_points, player_box

Read = Callable[[np.ndarray], int]


def facts_of(folder: Path, name: str) -> dict[str, Any]:
    text = (folder / f"{name}.js").read_text()
    found = re.fullmatch(r'film\("([^"]+)", (\{.*\})\);\n', text)
    assert found is not None
    assert found[1] == name
    return dict(json.loads(found[2]))


def numbers_in(folder: Path, name: str, read: Read) -> list[int]:
    """What the frames of a film show."""
    facts = facts_of(folder, name)
    sheet = cv2.imread(str(folder / facts["file"]))
    assert sheet is not None
    found = []
    for place in range(len(facts["seconds"])):
        row, column = divmod(place, facts["columns"])
        top, left = row * facts["height"], column * facts["width"]
        found.append(read(sheet[top : top + facts["height"], left : left + facts["width"]]))
    return found


def test_every_frame_of_a_film_is_the_video_s(pages: Path, filmed: Any, read_number: Read) -> None:
    names = {path.stem.rsplit("-", 1)[0]: path.stem for path in (pages / "films").glob("*.js")}
    assert len(names) == 12
    for stroke in filmed.quality.strokes:
        (name,) = [
            each for stem, each in names.items()
            if stem.startswith(re.sub(r"[^\w-]", "_", stroke.clip_id))
        ]  # fmt: skip
        facts = facts_of(pages / "films", name)
        margin = round(stroke.fps / 4)
        # The first videos end before the margin of their last stroke.
        most = 240 if stroke.fps == 60 else 130
        first, end = stroke.start_frame - margin, min(stroke.end_frame + margin, most)
        assert facts["first"] == first
        assert numbers_in(pages / "films", name, read_number) == list(range(first, end))
        expected = np.arange(first, end) / stroke.fps
        assert facts["seconds"] == pytest.approx(expected, abs=0.0006)


def test_joints_are_where_the_landmarks_are(filmed: Any, pages: Path) -> None:
    stroke = filmed.quality.strokes[0]
    pose = filmed.poses[stroke.clip_id]
    (path,) = (pages / "films").glob("anna_monday_20-81*.js")
    facts = facts_of(pages / "films", path.stem)
    assert facts["torso"] == pytest.approx(22, abs=0.5)
    wrist = facts["points"][stroke.start_frame - facts["first"] + 7][2 * 6 : 2 * 6 + 2]
    # The whole picture at its own size.
    assert wrist == pytest.approx(pose.points[7, 16], abs=0.06)
    # Before the stroke nothing was estimated.
    assert facts["points"][0] == [None] * 26


def test_what_is_there_is_kept(
    filmed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: Path
) -> None:
    strokes = filmed.quality.strokes[:3]
    names, problems = make_films(tmp_path, strokes, filmed.poses)
    assert problems == []
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {name: (pages / "films" / name).read_bytes() for name in made}
    victim = tmp_path / f"{names[strokes[1].clip_id]}.js"
    victim.unlink()
    used: list[int] = []
    real = films.SheetMaker.finish
    monkeypatch.setattr(films.SheetMaker, "finish", lambda maker: (used.append(1), real(maker))[1])
    assert make_films(tmp_path, strokes, filmed.poses)[0] == names
    assert len(used) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == made
    # All is there: nothing is decoded.
    monkeypatch.setattr(films, "decoded", lambda _: pytest.fail("decoded"))
    assert make_films(tmp_path, strokes, filmed.poses)[0] == names


def test_other_films_go(filmed: Any, tmp_path: Path) -> None:
    strokes = filmed.quality.strokes[:2]
    names, _ = make_films(tmp_path, strokes, filmed.poses)
    (tmp_path / "mine.jpg").write_text("a file of somebody else")
    moved = strokes[0].model_copy(update={"end_frame": strokes[0].end_frame + 2})
    new, _ = make_films(tmp_path, [moved, strokes[1]], filmed.poses)
    assert new[moved.clip_id] != names[moved.clip_id]
    remove_other_films(tmp_path, new, names)
    expected = {f"{name}.{suffix}" for name in new.values() for suffix in ("jpg", "js")}
    assert {path.name for path in tmp_path.iterdir()} == {"mine.jpg", *expected}
    # The video of one cannot be reached now; the other is no stroke of the measurement any more.
    remove_other_films(tmp_path, {}, [moved.clip_id])
    waiting = {f"{new[moved.clip_id]}.{suffix}" for suffix in ("jpg", "js")}
    assert {path.name for path in tmp_path.iterdir()} == {"mine.jpg", *waiting}


def test_a_video_that_ends_before_its_strokes(filmed: Any, tmp_path: Path) -> None:
    first, second, third = filmed.quality.strokes[:3]
    far = second.model_copy(update={"start_frame": 9000, "end_frame": 9060})
    late = third.model_copy(update={"end_frame": 9060})
    names, problems = make_films(tmp_path, [first, far, late], filmed.poses)
    assert set(names) == {first.clip_id, late.clip_id}
    assert len(facts_of(tmp_path, names[late.clip_id])["seconds"]) == 240 - late.start_frame + 15
    (problem,) = problems
    assert problem.text == f"{filmed.videos['anna monday']}: ends before 1 of its strokes"
    assert problem.for_others == "anna monday.mp4: ends before 1 of its strokes"


def test_videos_that_cannot_be_read(filmed: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    strokes = [filmed.quality.strokes[place] for place in (0, 3, 6, 7)]
    for place, path in enumerate((str(broken), str(tmp_path / "gone.mp4"), None)):
        strokes[place] = strokes[place].model_copy(update={"video_path": path})
    names, problems = make_films(tmp_path / "films", strokes, filmed.poses)
    assert set(names) == {strokes[3].clip_id}
    unknown, opened, gone = (problem.text for problem in problems)
    assert unknown == "of 1 strokes it is not known where their videos lie"
    assert str(broken) in opened
    assert "gone.mp4" in gone


def test_a_copy_of_the_pages_names_no_folders() -> None:
    path = "/home/anna/a.mp4"
    text = f"{path}: cannot be opened (moov/trak missing in '{path}')"
    assert (
        Problem(path, text).for_others == "a.mp4: cannot be opened (moov/trak missing in 'a.mp4')"
    )
    url = "https://host.example/films/b.mp4?token=1/2"
    assert "token" not in Problem(url, f"{url}: cannot be opened (404)").for_others
    file = Problem("file:///home/c.mp4", "/home/c.mp4: cannot be read (No such file)")
    assert file.for_others == "c.mp4: cannot be read (No such file)"
    assert Problem("", "of 2/3 it is not known").for_others == "of 2/3 it is not known"


def frame_of(path: Path, number: int) -> DecodedFrame:
    return next(frame for frame in decoded(path) if frame.index == number)


def test_a_film_shows_the_player_and_not_more(filmed: Any) -> None:
    pose = next(iter(filmed.poses.values()))
    low, high = pose.points.min(axis=(0, 1)), pose.points.max(axis=(0, 1))
    larger = replace(pose, picture_hw=(800, 3200))
    box = player_box(larger)
    assert box is not None
    side = 1.4 * float((high - low).max())
    assert (box[2] - box[0]) * 3200 == pytest.approx(side, abs=1)
    assert (box[3] - box[1]) * 800 == pytest.approx(side, abs=1)
    assert box[0] == 0.0  # the player is at the picture's left
    assert player_box(None) is None
    assert player_box(replace(pose, visibility=pose.visibility * 0)) is None


def test_a_part_of_the_picture_is_cut_where_it_is(filmed: Any, read_number: Read) -> None:
    """Frame 150 is 10010110: the third quarter of its picture shows 01."""
    frame = frame_of(Path(filmed.videos["anna monday"]), 150)
    framing = framing_of(frame, (0.5, 0.1, 0.75, 0.9), 320, 1e9)
    picture = Cropper().cropped(frame, framing).image(framing.film_hw)
    assert picture.shape == (64, 80, 3)
    assert picture[:, 4:36].mean() < 60
    assert picture[:, 44:76].mean() > 200
    # The pixel in the middle of the picture's right half's left half.
    pose = next(iter(filmed.poses.values()))
    points = np.full_like(pose.points, 0)
    points[..., 0], points[..., 1] = 199.5, 39.5
    found, seen = film_points(replace(pose, points=points), pose.frames[:1], framing)
    assert found[0, 0] == pytest.approx([39.5, 31.5])
    assert seen.all()
    small = framing_of(frame, (0.5, 0.1, 0.75, 0.9), 32, 1e9)
    assert small.film_hw == (16, 32)  # sides are multiples of 16
    whole = framing_of(frame, None, 320, 1e9)
    assert read_number(Cropper().cropped(frame, whole).image(whole.film_hw)) == 150


def test_parts_of_turned_pictures() -> None:
    stored = np.arange(40 * 80).reshape(40, 80)
    box = (0.125, 0.25, 0.5, 0.875)
    for mirrored, turns in itertools.product((False, True), range(4)):
        how = Orientation(mirrored, turns)

        def shown(picture: np.ndarray, how: Orientation = how) -> np.ndarray:
            return np.rot90(picture[::-1] if how.mirrored else picture, how.turns)

        found = part(stored, stored_box(box, how))
        assert np.array_equal(shown(found), part(shown(stored), box))
        assert shown_box(stored_box(box, how), how) == pytest.approx(box)
    assert aligned((0.11, 0.0, 0.49, 0.999), (100, 50)) == (0.08, 0.0, 0.52, 1.0)


def part(picture: np.ndarray, box: tuple[float, ...]) -> np.ndarray:
    height, width = picture.shape
    left, right = round(box[0] * width), round(box[2] * width)
    return picture[round(box[1] * height) : round(box[3] * height), left:right]


def test_long_strokes_have_smaller_films(filmed: Any) -> None:
    cut = cut_of(100, 5000, 120.0, None)
    assert (cut.start_frame, cut.end_frame, cut.box) == (70, 5030, None)
    assert cut_of(3, 60, 60.0, None).start_frame == 0
    frame = frame_of(Path(filmed.videos["anna monday"]), 0)
    for root in (70.0, 1e9):
        height, width = framing_of(frame, None, 320, root).film_hw
        assert height * width <= root**2
        assert (height % 16, width % 16) == (0, 0)
    for count in (1, 7, 150):
        columns = columns_of(count, (320, 240))
        assert 1 <= columns <= count
