"""What wants a look, worst first, and the decisions that people send back."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from ttdata.commands.curate import curate_source
from ttdata.errors import AnnotationError
from ttdata.review.ingest import Taken, take_decisions
from ttdata.review.queue import check_undecided, read_review_queue, write_review_queue
from ttdata.storage.dataset import load_dataset

LOOP, FLIP = "Serve Forehand Loop", "Offensive Backhand Flip"
ROWS = (
    # v: twelve strokes; the second is contradicted, the fourth annotated by one, the fifth spread.
    *(
        f"v,{who},{100 + 300 * i},{200 + 300 * i},{LOOP}"
        for i in (0, 2, *range(5, 12))
        for who in "xy"
    ),
    *(f"v,{who},400,500,{label}" for who, label in (("x", LOOP), ("y", FLIP), ("z", LOOP))),
    f"v,x,1000,1100,{LOOP}",
    *(f"v,x,1300,1400,{LOOP}", f"v,y,1330,1410,{LOOP}"),
    # Rejected, in the gap between the last two strokes.
    f"v,z,3230,3250,{LOOP}",
    # w: one annotator saw the whole video, nobody contradicts him.
    f"-w,x,100,200,{LOOP}",
)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source and its dataset."""
    at = tmp_path_factory.mktemp("review")
    source = at / "source"
    source.mkdir()
    header = "video_id,annotator_id,start_frame,end_frame,label\n"
    (source / "annotations.csv").write_text(header + "\n".join(ROWS) + "\n")
    facts = "v,120,4000,640,360\n-w,120,4000,640,360\n"
    (source / "videos.csv").write_text("video_id,fps,num_frames,width,height\n" + facts)
    curate_source(source, at / "dataset")
    return at


@pytest.fixture
def folder(made_once: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made_once, tmp_path, dirs_exist_ok=True) / "dataset"


def again(folder: Path) -> None:
    curate_source(folder.parent / "source", folder)


def test_worst_first(folder: Path) -> None:
    queue = read_review_queue(load_dataset(folder))
    first = queue.head(5).select("kind", "start_frame", "end_frame", "why", "labels")
    assert first.rows() == [
        ("action", 400, 500, "annotators disagree", f"2 x {LOOP}, 1 x {FLIP}"),
        ("negative", 3190, 3410, "a rejected annotation lies in this gap", None),
        ("action", 1315, 1405, "bounds spread by 30 of 90 frames", f"2 x {LOOP}"),
        ("action", 1000, 1100, "annotated by one of 3 annotators", f"1 x {LOOP}"),
        ("negative", 190, 410, "negative nobody has seen", None),
    ]
    assert queue["measure"].to_list()[:3] == pytest.approx([1 / 3, 0, 1 / 3])
    assert queue["start_seconds"][0] == 400 / 120
    # All gaps of v are negatives to be seen; w's stroke is beyond doubt.
    assert queue.height == 3 + 11
    assert queue["video_id"].unique().to_list() == ["v"]


def fill_in(folder: Path, decisions: dict[int, str]) -> Path:
    """The file that `review --out` writes, with decisions (and what follows) typed into lines."""
    path = folder.parent / "todo.csv"
    write_review_queue(read_review_queue(load_dataset(folder)), path)
    lines = path.read_text().splitlines()
    head = "video_id,start_frame,end_frame,decision,label,new_start_frame,new_end_frame,"
    player = "player_id,x_min,y_min,x_max,y_max,"
    assert lines[0] == head + "reviewer_id," + player + "kind,start_seconds,why,labels"
    for line, text in decisions.items():
        assert ",,,,,," in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(",,,,,,", f",{text},", 1)
    path.write_text("\n".join(lines) + "\n")
    return path


def test_decisions_come_back_and_hold(folder: Path) -> None:
    before = read_review_queue(load_dataset(folder)).height
    path = fill_in(
        folder,
        {
            2: "relabel,Off. Backhand Flip,,,me",
            3: "accept,,,,me",
            4: "move,,1300,1400,me",
            5: "drop,,,,",
            6: "reject,,,,",
        },
    )
    assert take_decisions(load_dataset(folder), path) == Taken(5, before - 5, known=False)
    assert take_decisions(load_dataset(folder), path) == Taken(0, before - 5, known=True)
    again(folder)
    dataset = load_dataset(folder)
    clips = {row["clip_id"]: row["label"] for row in dataset.clips.iter_rows(named=True)}
    assert clips["v@400-500"] == FLIP
    assert clips["v@3190-3410"] == "Negative"
    assert "v@1300-1400" in clips
    assert "v@1000-1100" not in clips
    assert "v@190-410" not in clips
    # What was decided is not asked again, also where the move has taken the action.
    assert read_review_queue(dataset).height == before - 5
    assert (folder / "reviews.csv").read_text().count("\n") == 6


def test_decisions_are_added_and_never_overwritten(folder: Path) -> None:
    head = "note,video_id,start_frame,end_frame,decision"
    (folder / "reviews.csv").write_text(f"{head}\nearlier,v,100,200,drop\n")
    taken = take_decisions(load_dataset(folder), fill_in(folder, {2: "drop,,,,=cmd()"}))
    assert taken.taken == 1
    found = pl.read_csv(folder / "reviews.csv", infer_schema=False)
    assert found["note"].to_list() == ["earlier", None]
    assert found["decision"].to_list() == ["drop", "drop"]
    # Harmless in a spreadsheet, and itself again when read.
    assert found["reviewer_id"].to_list() == [None, "'=cmd()"]
    again(folder)
    assert load_dataset(folder).info.counts["reviews_unmatched"] == 0


def test_the_list_names_player_and_region(tmp_path: Path) -> None:
    """Two strokes at one time, both annotated by one of two people, are two items."""
    source = tmp_path / "source"
    source.mkdir()
    head = "video_id,annotator_id,start_frame,end_frame,label,player_id,x_min,y_min,x_max,y_max"
    rows = (
        f"v,x,100,200,{LOOP},left,0.1,0.2,0.333333,1",
        f"v,x,100,200,{LOOP},,0.6,0.2,1,1",
        f"v,y,500,600,{LOOP},,,,,",
    )
    (source / "annotations.csv").write_text("\n".join([head, *rows]) + "\n")
    (source / "videos.csv").write_text("video_id,fps,num_frames,width,height\nv,120,4000,640,360\n")
    dataset = curate_source(source, tmp_path / "dataset").dataset
    todo = tmp_path / "todo.csv"
    write_review_queue(read_review_queue(dataset), todo)
    items = pl.read_csv(todo).filter(start_frame=100)
    assert items.sort("x_min").select("player_id", "x_min", "x_max").rows() == [
        ("left", 0.1, 0.333333),
        (None, 0.6, 1.0),
    ]
    # Only the second is decided on, and the list may be written anew over an unfilled one.
    check_undecided(todo)
    lines = todo.read_text().splitlines()
    second = next(i for i, line in enumerate(lines) if ",0.6,0.2,1.0,1.0," in line)
    lines[second] = lines[second].replace("100,200,,", "100,200,drop,", 1)
    todo.write_text("\n".join(lines) + "\n")
    take_decisions(dataset, todo)
    again = curate_source(source, tmp_path / "dataset").dataset
    assert again.clips["player_id"].to_list() == ["left", None]
    assert again.clips["start_frame"].to_list() == [100, 500]
    left = read_review_queue(again)
    assert left.filter(start_frame=100)["player_id"].to_list() == ["left"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,100,200,maybe,,,,", "line 3: decision 'maybe', expected one of"),
        ("x,100,200,drop,,,,", "line 3: video 'x', expected one of the dataset"),
        ("v,100,200,move,,100,4001,", "line 3: move to frame 4001, but video 'v' has 4000"),
        ("v,100,200,relabel,Smash,,,", "line 3: label 'Smash' is not in the taxonomy"),
        ("v,100,50,drop,,,,", "line 3: start_frame and end_frame must be"),
    ],
)
def test_one_bad_decision_takes_none(folder: Path, row: str, message: str) -> None:
    path = folder.parent / "mine.csv"
    head = "video_id,start_frame,end_frame,decision,label,new_start_frame,new_end_frame,reviewer_id"
    path.write_text(f"{head}\nv,100,200,drop,,,,\n{row}\n")
    before = (folder / "reviews.csv").read_bytes()
    with pytest.raises(AnnotationError, match=r"mine\.csv") as caught:
        take_decisions(load_dataset(folder), path)
    assert message in str(caught.value)
    assert (folder / "reviews.csv").read_bytes() == before
    assert not list(folder.glob(".*.tmp"))


def test_a_trimmed_source_has_nothing_to_look_at(tmp_path: Path, write_video) -> None:
    for name in ("serve/1.mp4", "smash/1.mp4"):
        write_video(tmp_path / "clips" / name, 40)
    curate_source(tmp_path / "clips", tmp_path / "dataset")
    queue = read_review_queue(load_dataset(tmp_path / "dataset"))
    assert queue.is_empty()
    write_review_queue(queue, tmp_path / "todo.csv")
    assert json.dumps(queue.to_dicts()) == "[]"
