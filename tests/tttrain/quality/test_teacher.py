"""What a teacher writes: marks of references by clip and by place, players of videos."""

from pathlib import Path
from typing import Any

import pytest

from ttdata.errors import InputError
from tttrain.quality.teacher.marks import Marks, read_marks, same_stroke
from tttrain.quality.teacher.players import Players, read_players

PLACES = "video_id,start_frame,end_frame,label,ready,contact,end\n"


def clip(clip_id: str, start: int, end: int, label: str = "Loop", video: str = "v") -> Any:
    return {
        "clip_id": clip_id, "video_id": video, "start_frame": start, "end_frame": end,
        "label": label, "kind": "stroke",
    }  # fmt: skip


CLIPS = {
    "a": clip("a", 100, 200),
    "b": clip("b", 210, 300),
    "c": clip("c", 215, 300, "Push"),  # the other player, at once with b
    "d": clip("d", 0, 90, video="w"),
    "rest": clip("rest", 300, 400) | {"kind": "negative"},
}


def marks(tmp_path: Path, text: str) -> dict[str, Marks]:
    path = tmp_path / "references.csv"
    path.write_text(text)
    return read_marks(path, CLIPS)


def test_marks_by_place_are_of_the_clip_that_they_overlap_most(tmp_path: Path) -> None:
    found = marks(
        tmp_path,
        PLACES
        + "v,95,190,Loop,96,150,189\n"  # begins before its clip
        + "v,212,300,Push,220,250,290\n"  # nearer to b, which is of another class
        + "w,10,95,Loop,10,50,94\n",
    )
    assert list(found) == ["a", "c", "d"]
    assert found["a"] == Marks(96, 150, 189, 2, (95, 190))
    assert found["d"].line == 4


def test_marks_by_clip_keep_its_bounds(tmp_path: Path) -> None:
    found = marks(tmp_path, "clip_id,ready,contact,end,label\na,100,150,199,Loop\n")
    assert found == {"a": Marks(100, 150, 199, 2)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,400,500,Loop,410,450,490", "no stroke of video 'v' overlaps frames 400 to 500 by 0.5 "
         r"\(intersection over union\); none does at all"),
        ("v,150,250,Loop,160,200,240", "overlaps frames 150 to 250 by 0.5 .*; the nearest, 'a', "
         "by 0.33"),
        ("x,100,200,Loop,110,150,190", "no stroke of video 'x' in what is measured; expected one "
         "of 'v', 'w'"),
        ("v,100,200,Push,110,150,190", "label 'Push', but clip 'a' there is 'Loop'; expected the "
         "same class"),
        ("v,x,200,Loop,110,150,190", "start_frame is 'x', expected a frame of the video"),
        ("v,100,200,Loop,110,150,200", "frames 110 to 200, expected frames inside of the mark's, "
         "100 to 199"),
        ("v,100,200,Loop,110,190,150", "ready 110, contact 190, end 150; expected an order"),
    ],
)  # fmt: skip
def test_marks_without_their_clip_are_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        marks(tmp_path, PLACES + row + "\n")
    assert str(error.value).startswith(f"{tmp_path / 'references.csv'}, line ")
    assert "\n" not in str(error.value)


def test_an_export_is_read_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With marks of two annotators, and strokes that are not in what is measured."""
    found = marks(
        tmp_path,
        PLACES
        + "x,100,200,Loop,110,150,190\n"
        + "v,98,199,Loop,110,150,190\n"
        + "v,101,201,Loop,111,151,191\n"
        + "v,400,500,Loop,410,450,490\n",
    )
    assert found == {"a": Marks(110, 150, 190, 3, (98, 199))}
    path = tmp_path / "references.csv"
    other, twice, nothing = caplog.messages
    assert other.startswith(f"{path}, line 2: no stroke of video 'x' in what is measured")
    assert twice == f"{path}, line 4: clip 'a' is there twice, first in line 3; left out"
    assert nothing.startswith(f"{path}, line 5: no stroke of video 'v' overlaps frames 400 to 500")
    with pytest.raises(InputError, match="line 3: clip 'a' is there twice, first in line 2; exp"):
        marks(tmp_path, "clip_id,ready,contact,end\na,100,150,199\na,101,150,199\n")


def test_the_end_is_the_last_frame_and_lines_are_those_of_the_file(tmp_path: Path) -> None:
    """A frame past a clip's last is none of it; a cell may hold a break."""
    head = "clip_id,ready,contact,end,remark\n"
    with pytest.raises(InputError, match=r"line 2: frames 100 to 200, .* the clip's, 100 to 199"):
        marks(tmp_path, head + "a,100,150,200,\n")
    with pytest.raises(InputError, match="line 6: clip 'rest' is a negative, expected a stroke"):
        marks(tmp_path, head + 'a,100,150,199,"good\nbackswing"\n\n\nrest,310,320,330,\n')
    with pytest.raises(InputError, match="no column start_frame, end_frame, label"):
        marks(tmp_path, "video_id,ready,contact,end\nv,1,2,3\n")


def test_the_same_stroke_overlaps_by_half_in_one_video() -> None:
    assert same_stroke(CLIPS["b"], CLIPS["c"])
    assert not same_stroke(CLIPS["a"], CLIPS["b"])
    assert not same_stroke(CLIPS["a"], CLIPS["a"] | {"video_id": "w"})


def players(tmp_path: Path, text: str) -> Players:
    path = tmp_path / "players.csv"
    path.write_text(text)
    return read_players(path)


def test_who_plays_in_a_video_is_told_where_the_data_do_not_know(tmp_path: Path) -> None:
    found = players(
        tmp_path,
        "video_id,side,player_id,session_id,hand\n"
        "v,left,anna,monday,right\nv,right,bert,monday,\nw,,anna,,Right\n",
    )
    assert found.hands == {"anna": "right"}
    row = {"video_id": "v", "side": "right", "player_id": None, "session_id": None}
    assert found.told(row) == row | {"player_id": "bert", "session_id": "monday"}
    other = row | {"video_id": "w"}  # whose side no line names
    assert found.told(other) == other
    only = other | {"side": None}
    assert found.told(only) == only | {"player_id": "anna"}
    assert found.told(row | {"player_id": "carl", "session_id": "friday"})["player_id"] == "carl"
    assert found.told(row | {"side": None})["player_id"] is None  # which of two?
    lost = found.unknown([row | {"player_id": "bert"}])
    assert lost == ["player 'anna'", "side 'left' of video 'v'", "video 'w'"]
    assert read_players(None) == Players()


def test_two_players_of_a_video_are_never_taken_for_one(tmp_path: Path) -> None:
    found = players(tmp_path, "video_id,player_id\nv,anna\n")
    rows = [{"video_id": "v", "side": side, "player_id": None} for side in ("left", "right")]
    message = r"players.csv, line 2: no side, but in video 'v' .* for each side \(left, right\)"
    with pytest.raises(InputError, match=message):
        found.unknown(rows)
    # Of another folder, where one plays in this video.
    assert found.unknown([*rows, rows[0] | {"side": None, "player_id": "anna"}]) == []
    misspelt = players(tmp_path, "video_id,side,player_id\nv,left,anna\nv,rigth,bert\n")
    assert misspelt.unknown(rows) == ["side 'rigth' of video 'v'"]


def test_hands_and_videos_in_one_file(tmp_path: Path) -> None:
    """Two players without a video are no double."""
    head = "player_id,hand,video_id\n"
    found = players(tmp_path, head + "anna,left,\nbert,right,\nanna,,v\nbert,right,w\n")
    assert found.hands == {"anna": "left", "bert": "right"}
    assert found.ids == {("v", ""): "anna", ("w", ""): "bert"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("player_id\nanna\n", "neither a column hand nor video_id; expected one or both"),
        ("video_id,player_id\nv,anna\nv,bert\n", "line 3: 'v' is there twice, expected once"),
        ("video_id,player_id\nv,\n", "line 2: player_id is empty, expected a name"),
        ("video_id,player_id,hand\nv,anna,left\nw,anna,right\n",
         "line 3: player 'anna' is there twice, before as left"),
        ("video_id,player_id,hand\nv,anna,both\n", "hand 'both', expected left or right"),
        ("video_id,player_id,hand\n,anna,\n", "line 2: hand '', expected left or right"),
        ("video_id,player_id\n,anna\n", "line 2: hand '', expected left or right"),
    ],
)  # fmt: skip
def test_players_that_do_not_fit_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        players(tmp_path, text)
