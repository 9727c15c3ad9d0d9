"""Dataset folders: curated, divided, curated again, reviewed; and what is wrong with them."""

import json
from pathlib import Path

import polars as pl
import pytest

from ttdata.commands.curate import choose_taxonomy, curate_source
from ttdata.commands.split import split_dataset
from ttdata.curation.decisions import no_reviews
from ttdata.errors import AnnotationError, DatasetError, InputError, VersionError
from ttdata.report.stats import dataset_stats
from ttdata.report.text import stats_lines
from ttdata.review.queue import build_review_queue
from ttdata.schema import CurationConfig
from ttdata.sources.annotations import ANNOTATION_COLUMNS, Source
from ttdata.storage.dataset import load_dataset
from ttdata.taxonomy import TTSTROKE21

TABLES = ("videos", "annotations", "actions", "clips")
HEADER = "video_id,annotator_id,start_frame,end_frame,label,player_id\n"
CLASSES = ("Serve Forehand Loop", "Offensive Forehand Hit")


def write_crowd(folder: Path, num_videos: int, per_video: int = 12) -> Path:
    """A crowd source: two annotators agree on strokes of 100 frames, 300 frames apart."""
    folder.mkdir(exist_ok=True)
    videos = [f"v{index},120,20000,640,360,p{index // 2}" for index in range(num_videos)]
    (folder / "videos.csv").write_text(
        "\n".join(["video_id,fps,num_frames,width,height,player_id", *videos]) + "\n"
    )
    rows = [
        f"v{video},{who},{100 + 300 * i},{200 + 300 * i},{CLASSES[i % 2]},\n"
        for video in range(num_videos)
        for i in range(per_video)
        for who in ("x", "y")
    ]
    (folder / "annotations.csv").write_text(HEADER + "".join(rows))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.fixture
def source(tmp_path) -> Path:
    return write_crowd(tmp_path / "source", 10)


@pytest.fixture
def folder(tmp_path, source) -> Path:
    curate_source(source, tmp_path / "dataset")
    return tmp_path / "dataset"


def test_curated_folder(folder: Path) -> None:
    dataset = load_dataset(folder)
    assert dataset.info.taxonomy == TTSTROKE21
    assert dataset.info.counts["clips_stroke"] == 120
    assert dataset.info.counts["clips_negative"] == 110
    assert dataset.clips["split"].null_count() == 230
    assert dataset.clips["player_id"].null_count() == 0
    assert dataset.actions.height == 120
    assert dataset.annotations.height == 240
    assert dataset.videos.height == 10
    assert (
        (folder / "reviews.csv").read_text().startswith("video_id,start_frame,end_frame,decision")
    )
    assert {path.name for path in folder.iterdir()} == {
        "dataset.json",
        "report",
        "reviews.csv",
        *(f"{name}.parquet" for name in TABLES),
    }


def test_curating_again_gives_the_same_bytes(folder: Path, source: Path) -> None:
    before = contents(folder)
    curate_source(source, folder)
    assert contents(folder) == before
    split_dataset(folder, group="player", seed=3)
    divided = contents(folder)
    assert divided != before
    notes = curate_source(source, folder).notes
    assert contents(folder) == divided
    assert notes == ("division kept (grouped, seed 3); 0 strokes are new",)


def test_division_goes_on_with_new_videos(folder: Path, source: Path) -> None:
    split_dataset(folder, group="player")
    before = load_dataset(folder).clips.select("clip_id", before="split")
    write_crowd(source, 14)
    notes = curate_source(source, folder).notes
    assert notes == ("division kept (grouped, seed 0); 48 strokes are new",)
    dataset = load_dataset(folder)
    strokes = dataset.clips.filter(kind="stroke")
    assert strokes["split"].null_count() == 0
    both = strokes.join(before, on="clip_id")
    assert both["split"].equals(both["before"])
    assert dataset.info.split is not None
    assert dataset.info.split.leakage == 0


def test_splitting_again_keeps_unless_fresh(folder: Path) -> None:
    one, _ = split_dataset(folder, "paper", seed=1)
    two, notes = split_dataset(folder, "paper", seed=2)
    assert two.clips.equals(one.clips)
    assert "--fresh divides anew" in notes[0]
    three, _ = split_dataset(folder, "paper", seed=2, fresh=True)
    assert not three.clips.equals(one.clips)
    assert three.info.split is not None
    assert three.info.split.leakage > 0.9
    # Another strategy does not inherit.
    four, _ = split_dataset(folder, "grouped", seed=2)
    assert four.info.split is not None
    assert four.info.split.leakage == 0


def test_split_changes_only_clips_and_info(folder: Path) -> None:
    before = contents(folder)
    split_dataset(folder)
    after = contents(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"clips.parquet", "dataset.json"}


def test_reviews_survive_and_apply(folder: Path, source: Path) -> None:
    reviews = folder / "reviews.csv"
    lines = "v0,100,200,relabel,Def. Backhand Push,,,me\nv0,190,410,reject,,,,me\nv9,1,2,drop,,,,\n"
    reviews.write_text(reviews.read_text() + lines)
    text = reviews.read_bytes()
    notes = curate_source(source, folder).notes
    assert reviews.read_bytes() == text
    assert notes == ("reviews.csv line 4: drop 'v9' [1, 2) finds nothing (IoU below 0.5)",)
    clips = load_dataset(folder).clips
    assert clips.row(0, named=True)["label"] == "Defensive Backhand Push"
    assert "v0@190-410" not in clips["clip_id"]
    reviews.write_text(text.decode() + "v0,1,x,drop,,,,\n")
    with pytest.raises(AnnotationError, match=r"reviews.csv line 5: start_frame and end_frame"):
        curate_source(source, folder)


def test_split_by_file(folder: Path, source: Path, tmp_path) -> None:
    assign = tmp_path / "assign.csv"
    sides = {**dict.fromkeys(range(6), "train"), 6: "validation"}
    rows = [f"v{video},{sides.get(video, 'test')}" for video in range(10)]
    assign.write_text("\n".join(["video_id,split", *rows]) + "\n")
    dataset, _ = split_dataset(folder, "file", assign=assign)
    assert dataset.info.split is not None
    assert dataset.info.split.leakage == 0
    found = dataset.clips.filter(kind="stroke").select("video_id", "split").unique()
    assert dict(found.iter_rows()) == {f"v{v}": sides.get(v, "test") for v in range(10)}
    divided = contents(folder)
    curate_source(source, folder)
    assert contents(folder) == divided
    # A new video has no assignment: its strokes wait.
    write_crowd(source, 11)
    notes = curate_source(source, folder).notes
    assert notes[-1] == "12 strokes have no split: run `ttdata split` with an assignment"
    assert load_dataset(folder).clips.filter(kind="stroke")["split"].null_count() == 12
    with pytest.raises(InputError, match=r"12 of 132 strokes have no split.*'v10'"):
        split_dataset(folder, "file", assign=assign)


def test_split_by_file_names_wrong_lines(folder: Path, tmp_path) -> None:
    assign = tmp_path / "assign.csv"
    assign.write_text("clip_id,split\nv0@100-200,train\nv0@1-2,train\n")
    with pytest.raises(AnnotationError, match=r"assign.csv line 3: clip_id 'v0@1-2'"):
        split_dataset(folder, "file", assign=assign)
    with pytest.raises(InputError, match="needs --assign"):
        split_dataset(folder, "file")
    with pytest.raises(InputError, match="no other strategy"):
        split_dataset(folder, "paper", assign=assign)


def test_given_needs_a_source_with_a_split(folder: Path, source: Path) -> None:
    with pytest.raises(InputError, match="came with no split"):
        split_dataset(folder, "given")
    lines = (source / "videos.csv").read_text().splitlines()
    sides = ["split", *["train"] * 8, "test", "test"]
    with_split = [f"{line},{side}" for line, side in zip(lines, sides, strict=True)]
    (source / "videos.csv").write_text("\n".join(with_split) + "\n")
    curate_source(source, folder)
    dataset, _ = split_dataset(folder, "given")
    found = dataset.clips.filter(kind="stroke")["split"].value_counts()
    assert dict(found.iter_rows()) == {"train": 96, "test": 24}
    divided = contents(folder)
    curate_source(source, folder)
    assert contents(folder) == divided


def test_trimmed_folders(tmp_path, write_video) -> None:
    for name in ("serve", "smash"):
        for index in range(4):
            write_video(tmp_path / "clips" / name / f"{name} {index}.mp4", 60)
    (tmp_path / "clips" / "serve" / "broken.mp4").write_bytes(b"")
    (tmp_path / "clips" / "clips.csv").write_text(
        "path,session_id\n"
        + "".join(f"{n}/{n} {i}.mp4,s{i}\n" for n in ("serve", "smash") for i in range(4))
    )
    config = CurationConfig(clip_frames=57)
    curated = curate_source(tmp_path / "clips", tmp_path / "out", config)
    dataset = curated.dataset
    assert dataset.info.config.trimmed
    assert dataset.info.taxonomy.classes == ("serve", "smash")
    assert dataset.clips["clip_id"][0] == "serve/serve 0@0-57"
    assert dataset.clips.height == 8
    assert curated.funnel["rejected_unknown_video"] == 1
    assert "broken.mp4: cannot be read" in curated.notes[0]
    assert "unknown videos: 1 ('serve/broken')" in curated.notes[1]
    divided, notes = split_dataset(tmp_path / "out", group="session", shares=(0.5, 0.25, 0.25))
    assert dict(divided.clips["split"].value_counts().iter_rows()) == {
        "train": 4,
        "validation": 2,
        "test": 2,
    }
    assert notes == ()
    assert "leakage by video says nothing" in split_dataset(tmp_path / "out")[1][-1]


# Taxonomies


def source_of(labels: list[str], trimmed: bool) -> Source:
    annotations = pl.DataFrame({"label": labels}, schema={"label": ANNOTATION_COLUMNS["label"]})
    return Source("x", annotations, pl.DataFrame(), trimmed)


@pytest.mark.parametrize(
    ("choice", "labels", "trimmed", "classes"),
    [
        (None, ["smash", "serve"], False, TTSTROKE21.classes),
        (None, ["smash", "serve"], True, ("serve", "smash")),
        (None, ["Off. Forehand Hit", "Negative"], True, TTSTROKE21.classes),
        ("ttstroke21", ["smash"], True, TTSTROKE21.classes),
        ("infer", ["b", "A", "a", "Unknown", "--"], False, ("A", "b", "Unknown")),
    ],
)
def test_taxonomy_that_fits(tmp_path, choice, labels, trimmed, classes) -> None:
    assert choose_taxonomy(choice, tmp_path, source_of(labels, trimmed)).classes == classes


def test_taxonomy_of_ones_own(tmp_path) -> None:
    own = {"name": "mine", "strokes": [{"label": "Lob"}], "negative": "Rest"}
    (tmp_path / "taxonomy.json").write_text(json.dumps(own))
    assert choose_taxonomy(None, tmp_path, source_of([], True)).classes == ("Lob", "Rest")
    named = str(tmp_path / "taxonomy.json")
    assert choose_taxonomy(named, tmp_path, source_of([], True)).name == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a readable taxonomy"),
        ('{"name": "x", "strokes": []}', "has no stroke"),
        ('{"name": "x", "strokes": [{"label": "a"}], "foo": 1}', "foo"),
    ],
)
def test_bad_taxonomy(tmp_path, text, message) -> None:
    (tmp_path / "taxonomy.json").write_text(text)
    with pytest.raises(InputError, match=message):
        choose_taxonomy(None, tmp_path, source_of([], True))


def test_no_label_to_infer_from(tmp_path) -> None:
    with pytest.raises(AnnotationError, match="no label to infer"):
        choose_taxonomy("infer", tmp_path, source_of([], False))


# Bad folders


def test_not_a_dataset(tmp_path) -> None:
    with pytest.raises(DatasetError, match=r"no dataset.json"):
        load_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(DatasetError, match="not a readable JSON object"):
        load_dataset(tmp_path)


def test_other_version_and_broken_info(folder: Path) -> None:
    info = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(info | {"schema_version": 99}))
    with pytest.raises(VersionError, match="schema version 99, this release reads 1"):
        load_dataset(folder)
    (folder / "dataset.json").write_text(json.dumps(info | {"counts": "many"}))
    with pytest.raises(DatasetError, match=r"dataset.json: counts"):
        load_dataset(folder)


def test_missing_and_broken_table(folder: Path) -> None:
    (folder / "clips.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match=r"clips.parquet: not a readable Parquet"):
        _ = load_dataset(folder).clips
    (folder / "clips.parquet").unlink()
    with pytest.raises(DatasetError, match=r"clips.parquet: no such file"):
        split_dataset(folder)


def test_nothing_to_divide(tmp_path) -> None:
    source = write_crowd(tmp_path / "source", 1, per_video=0)
    (source / "annotations.csv").write_text(HEADER + "v0,x,0,100,Smash,\n")
    curate_source(source, tmp_path / "out")
    with pytest.raises(DatasetError, match="holds no stroke to divide"):
        split_dataset(tmp_path / "out")
    lines = "\n".join(stats_lines(dataset_stats(load_dataset(tmp_path / "out")), None))
    assert "label outside the taxonomy" in lines
    assert "not divided yet" in lines


def test_covered_spans_are_kept_and_go_with_their_table(tmp_path, source, folder) -> None:
    before = contents(folder)
    (source / "covered.csv").write_text("video_id,start_frame,end_frame\nv0,0,1000\nv9,0,0\n")
    curated = curate_source(source, folder)
    dataset = load_dataset(folder)
    assert dataset.covered.rows() == [("v0", 0, 1000), ("v9", 0, 0)]
    assert dataset.annotated_spans.rows()[:2] == [("v0", 0, 1000), ("v1", 0, 20000)]
    assert dataset.annotated_spans.height == 9  # nothing of v9
    assert "people annotated 2% of the frames of its 2 videos" in curated.notes[0]
    negatives = dataset.clips.filter(kind="negative")
    assert negatives.filter(video_id="v0")["clip_id"].to_list() == [
        *("v0@190-410", "v0@490-710", "v0@790-1000"),
    ]
    assert negatives.filter(video_id="v9").is_empty()
    assert negatives.filter(video_id="v1").height == 11
    queue = build_review_queue(dataset, no_reviews()).filter(kind="negative")
    assert queue.filter(video_id="v0").height == 3  # the queue proposes the same
    (source / "covered.csv").unlink()
    curate_source(source, folder)
    assert contents(folder) == before  # as ever, without the table


def test_a_dataset_of_before_has_no_covered_spans(folder: Path) -> None:
    dataset = load_dataset(folder)
    assert not (folder / "covered.parquet").exists()
    assert dataset.covered.is_empty()
    assert dataset.annotated_spans.select("start_frame", "end_frame").unique().rows() == [
        (0, 20000)
    ]


# Divided again


def moved_by_a_frame(source: Path) -> None:
    """Every annotation of the source begins a frame later."""
    table = pl.read_csv(source / "annotations.csv", infer_schema_length=None)
    table.with_columns(pl.col("start_frame") + 1).write_csv(source / "annotations.csv")


@pytest.mark.parametrize("strategy", ["paper", "grouped", "file"])
def test_test_clips_stay_when_bounds_move(folder: Path, source: Path, strategy: str) -> None:
    assign = None
    if strategy == "file":
        divided, _ = split_dataset(folder, "paper")
        assign = folder.parent / "assign.csv"
        divided.clips.drop_nulls("split").select("clip_id", "split").write_csv(assign)
    before, _ = split_dataset(folder, strategy, assign=assign)
    moved_by_a_frame(source)
    notes = curate_source(source, folder).notes
    assert notes == (f"division kept ({strategy}, seed 0); 0 strokes are new",)
    after = load_dataset(folder).clips
    assert set(after["clip_id"]).isdisjoint(before.clips["clip_id"])
    assert after["split"].to_list() == before.clips["split"].to_list()


def test_clips_that_leave_test_are_said_and_listed(folder: Path, source: Path) -> None:
    before, _ = split_dataset(folder, "paper")
    tested = before.clips.filter(split="test")
    gone = tested.filter(kind="stroke").row(0, named=True)
    drop = f"{gone['video_id']},{gone['start_frame']},{gone['end_frame']},drop\n"
    (folder / "reviews.csv").write_text("video_id,start_frame,end_frame,decision\n" + drop)
    notes = curate_source(source, folder).notes
    report = folder / "report" / "index.html"
    assert notes[0] == (
        "2 clips left test: 1 gone (no clip overlaps it by half any more), 1 unused (fewer "
        f"negatives are used); listed in {report}"
    )
    assert f'<td class="id">{gone["clip_id"]}</td>' in report.read_text()
    again, notes = split_dataset(folder, "paper", seed=5, fresh=True)
    stayed = again.clips.filter(split="test").join(tested, on="clip_id").height
    assert notes[0].startswith(f"{tested.height - 2 - stayed} clips left test: ")
    assert "to train (--fresh divides anew)" in notes[0]
    _, notes = split_dataset(folder, "grouped")
    assert "(divided anew, paper by video before)" in notes[0]
    split_dataset(folder, "grouped")
    assert "left-test" not in report.read_text()


def test_clips_of_unknown_group_are_counted(tmp_path: Path) -> None:
    """Between the strokes of two players a negative shows both: it has no player."""
    source = write_crowd(tmp_path / "source", 10)
    videos = (source / "videos.csv").read_text().splitlines()
    videos = [line.rsplit(",", 1)[0] for line in videos]
    (source / "videos.csv").write_text("\n".join(videos) + "\n")
    rows = (source / "annotations.csv").read_text().splitlines()
    named = [rows[0], *(row + f"p{row[1]}" for row in rows[1:])]
    (source / "annotations.csv").write_text("\n".join(named) + "\n")
    curate_source(source, tmp_path / "dataset")
    dataset, _ = split_dataset(tmp_path / "dataset", group="player")
    held_out = dataset.clips.filter(pl.col("split").is_in(["validation", "test"]))
    unknown = held_out["player_id"].null_count()
    assert unknown > 0
    assert dataset.info.split is not None
    assert dataset.info.split.unknown_group_clips == unknown
    lines = "\n".join(stats_lines(dataset_stats(dataset), dataset.info.split))
    told = f"share their player with training, {unknown} of unknown player left out"
    assert told in lines
    assert dataset_stats(dataset)["split"]["unknown_group_clips"] == unknown
    assert told in (tmp_path / "dataset" / "report" / "index.html").read_text()
