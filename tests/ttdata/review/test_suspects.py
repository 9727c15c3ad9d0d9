"""An audit's suspects are doubts of the review queue until a person decides; labels stay."""

from pathlib import Path

import polars as pl
import pytest

from ttdata.commands.curate import curate_source
from ttdata.commands.review import run_review
from ttdata.errors import InputError
from ttdata.review.queue import REVIEW_REASONS, read_review_queue
from ttdata.storage.dataset import load_dataset

LOOP, FLIP = "Serve Forehand Loop", "Offensive Backhand Flip"
HEAD = "clip_id,label,split,suspicion,rank,suspected,suggested_label"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve strokes that nobody doubts, and the negatives between them."""
    source = tmp_path / "source"
    source.mkdir()
    rows = [f"v,x,{100 + 300 * at},{200 + 300 * at},{LOOP}" for at in range(12)]
    header = "video_id,annotator_id,start_frame,end_frame,label\n"
    (source / "annotations.csv").write_text(header + "\n".join(rows) + "\n")
    facts = "video_id,fps,num_frames,width,height\nv,120,4000,640,360\n"
    (source / "videos.csv").write_text(facts)
    curate_source(source, tmp_path / "dataset")
    return tmp_path / "dataset"


def suspects(folder: Path, *rows: str) -> Path:
    path = folder.parent / "audit.csv"
    path.write_text("\n".join([HEAD, *rows]) + "\n")
    return path


THREE = (
    f"v@400-500,{LOOP},test,0.9,1,true,{FLIP}",
    f"v@700-800,{LOOP},train,0.95,1,true,",
    f"v@1000-1100,{LOOP},train,0.3,2,false,{FLIP}",
    "v@190-410,Negative,train,0.8,3,True," + LOOP,
)


def test_suspects_lead_the_queue(folder: Path) -> None:
    before = load_dataset(folder).clips
    lines = list(run_review(folder, suspects=suspects(folder, *THREE)))
    assert lines[0].startswith("3 suspects taken into")
    dataset = load_dataset(folder)
    assert dataset.clips.equals(before)
    queue = read_review_queue(dataset)
    first = queue.head(3).select("kind", "start_frame", "measure", "why", "labels")
    assert first.rows() == [
        ("action", 700, 0.95, f"label {LOOP} is probably wrong", f"1 x {LOOP}"),
        (
            "action",
            400,
            0.9,
            f"label {LOOP} is probably wrong, maybe {FLIP} (a test clip)",
            f"1 x {LOOP}",
        ),
        (
            "negative",
            190,
            0.8,
            f"label Negative is probably wrong, maybe {LOOP}; negative nobody has seen",
            None,
        ),
    ]
    assert {REVIEW_REASONS[doubt] for doubt in queue["doubt"].head(3)} == {
        "label is probably wrong"
    }
    page = (folder / "report" / "index.html").read_text()
    assert f"maybe {FLIP} (a test clip)" in page


def test_a_decision_ends_the_doubt(folder: Path) -> None:
    list(run_review(folder, suspects=suspects(folder, *THREE)))
    path = folder.parent / "mine.csv"
    head = "video_id,start_frame,end_frame,decision,label\n"
    path.write_text(head + f"v,400,500,relabel,{FLIP}\nv,700,800,accept,\nv,190,410,reject,\n")
    list(run_review(folder, decisions=path))
    assert not read_review_queue(load_dataset(folder))["why"].str.contains("probably wrong").any()
    curate_source(folder.parent / "source", folder)
    dataset = load_dataset(folder)
    labels = dict(dataset.clips.select("clip_id", "label").iter_rows())
    assert labels["v@400-500"] == FLIP
    assert labels["v@700-800"] == LOOP  # looked at, and right
    assert "v@190-410" not in labels
    assert not read_review_queue(dataset)["why"].str.contains("probably wrong").any()
    assert dataset.suspects.height == 3  # curating again forgets no audit


def test_a_later_audit_takes_the_place_of_an_earlier(folder: Path) -> None:
    list(run_review(folder, suspects=suspects(folder, *THREE)))
    list(run_review(folder, suspects=suspects(folder, THREE[1])))
    assert load_dataset(folder).suspects["clip_id"].to_list() == ["v@700-800"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"v@1-2,{LOOP},train,0.9,1,true,", "line 2: clip 'v@1-2', expected one of"),
        (f"v@400-500,{LOOP},train,much,1,true,", "line 2: suspicion: "),
        (f"v@400-500,{LOOP},train,0.9,1,true,Smash", "line 2: label 'Smash', expected a class"),
    ],
)
def test_what_does_not_fit_is_refused(folder: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=r"audit\.csv") as caught:
        list(run_review(folder, suspects=suspects(folder, row)))
    assert message in str(caught.value)
    assert load_dataset(folder).suspects.is_empty()


def test_a_table_without_the_columns_is_refused(folder: Path) -> None:
    path = folder.parent / "other.csv"
    pl.DataFrame({"clip_id": ["a"]}).write_csv(path)
    with pytest.raises(InputError, match="label"):
        list(run_review(folder, suspects=path))
