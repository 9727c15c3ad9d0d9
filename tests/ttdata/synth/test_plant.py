"""Planted errors: as many as asked for, of the kind asked for, each with its truth."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttdata.commands.curate import curate_source
from ttdata.commands.plant import run_plant
from ttdata.commands.split import run_split
from ttdata.errors import InputError
from ttdata.schema import Suspect
from ttdata.storage.dataset import Dataset, load_dataset
from ttdata.storage.tables import conform, write_table
from ttdata.synth.plant import Kind, Planting, plant

HIT, LOOP, PUSH = "Offensive Forehand Hit", "Serve Backhand Loop", "Defensive Forehand Push"
ALL = ("train", "validation", "test")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three videos of twelve strokes, two annotators each, and the negatives between them."""
    folder = tmp_path_factory.mktemp("plant")
    rows = [
        f"v{video},{who},{100 + 300 * at},{200 + 300 * at},{(HIT, LOOP, PUSH)[at % 3]}"
        for video in range(3)
        for at in range(12)
        for who in ("x", "y")
    ]
    source = folder / "source"
    source.mkdir()
    header = "video_id,annotator_id,start_frame,end_frame,label\n"
    (source / "annotations.csv").write_text(header + "\n".join(rows) + "\n")
    facts = "".join(f"v{video},120,4000,640,360\n" for video in range(3))
    (source / "videos.csv").write_text("video_id,fps,num_frames,width,height\n" + facts)
    curate_source(source, folder / "dataset")
    shares = dict(shares="0.4,0.3,0.3", seed=0, assign=None, fresh=False)
    list(run_split(folder / "dataset", strategy="grouped", group="video", **shares))
    return load_dataset(folder / "dataset")


def planted(dataset: Dataset, kind: Kind, rate: float, seed: int = 0) -> tuple[pl.DataFrame, ...]:
    return plant(dataset, Planting(kind, rate, ALL), seed)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(["flips", "hands", "negatives", "bounds"]), st.floats(0, 0.5), st.integers(0)
)
def test_counts_truth_and_repetition(dataset: Dataset, kind: Kind, rate: float, seed: int) -> None:
    before = dataset.clips
    clips, truth = planted(dataset, kind, rate, seed)
    used = before.drop_nulls("split").height
    assert truth.height == int(rate * used + 0.5)
    again = planted(dataset, kind, rate, seed)
    assert clips.equals(again[0])
    assert truth.equals(again[1])
    assert clips.height == before.height
    assert clips["clip_id"].is_unique().all()
    # Undoing what is recorded gives the dataset back.
    names = ("true_clip_id", "true_label", "true_start_frame", "true_end_frame")
    undone = clips.join(truth.select("clip_id", *names), on="clip_id", how="left").select(
        clip_id=pl.coalesce("true_clip_id", "clip_id"),
        label=pl.coalesce("true_label", "label"),
        start_frame=pl.coalesce("true_start_frame", "start_frame"),
        end_frame=pl.coalesce("true_end_frame", "end_frame"),
    )
    assert undone.sort("clip_id").equals(before.select(undone.columns).sort("clip_id"))


def test_flips_are_other_strokes(dataset: Dataset) -> None:
    _, truth = planted(dataset, "flips", 0.2)
    assert (truth["label"] != truth["true_label"]).all()
    strokes = [stroke.label for stroke in dataset.info.taxonomy.strokes]
    assert truth["label"].is_in(strokes).all()
    assert truth["clip_id"].equals(truth["true_clip_id"])


def test_hands_change_and_nothing_else(dataset: Dataset) -> None:
    _, truth = planted(dataset, "hands", 0.3)
    swapped = {HIT: HIT.replace("Fore", "Back"), PUSH: PUSH.replace("Fore", "Back")}
    swapped[LOOP] = LOOP.replace("Back", "Fore")
    assert all(swapped[row["true_label"]] == row["label"] for row in truth.to_dicts())


def test_a_group_errs_as_a_whole_and_alike(dataset: Dataset) -> None:
    _, truth = planted(dataset, "groups", 0.01)
    assert truth.height == 12  # one annotator in one video, though one clip was asked for
    assert truth["video_id"].n_unique() == 1
    assert (
        truth.group_by("true_label").agg(pl.col("label").n_unique())["label"].to_list() == [1] * 3
    )
    assert (truth["label"] != truth["true_label"]).all()


def test_strokes_and_negatives_change_places(dataset: Dataset) -> None:
    clips, truth = planted(dataset, "negatives", 0.2)
    called = truth.filter(pl.col("label") == "Negative").height
    assert 0 <= called - (truth.height - called) <= 1
    assert (truth.filter(pl.col("label") != "Negative")["true_label"] == "Negative").all()
    kinds = clips.join(truth.select("clip_id"), on="clip_id")
    assert ((kinds["kind"] == "negative") == (kinds["label"] == "Negative")).all()


def test_bounds_move_and_stay_in_the_video(dataset: Dataset) -> None:
    clips, truth = planted(dataset, "bounds", 0.3)
    moved = truth.join(clips.select("clip_id", "start_frame", "end_frame"), on="clip_id")
    shift = (moved["start_frame"] - moved["true_start_frame"]).abs()
    assert shift.is_between(40, 70).all()
    assert (moved["end_frame"] - moved["start_frame"] == 100).all()
    assert (moved["label"] == moved["true_label"]).all()
    assert moved["start_frame"].min() >= 0
    assert all(row["clip_id"].startswith(f"{row['video_id']}@") for row in moved.to_dicts())


def test_only_the_splits_asked_for(dataset: Dataset) -> None:
    clips, truth = plant(dataset, Planting("flips", 0.5, ("train",)), 0)
    assert set(clips.join(truth, on="clip_id", how="semi")["split"]) == {"train"}


def test_a_copy_on_disk(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "wrong"
    asked = dict(kind="flips", rate=0.1, splits="train,test", seed=3)
    lines = list(run_plant(dataset.path, out, **asked))
    copy, truth = load_dataset(out), pl.read_csv(out / "planted.csv")
    assert lines[0] == (
        f"{truth.height} of {dataset.clips['split'].count()} clips are wrong now: "
        f"{out / 'planted.csv'}"
    )
    labels = copy.clips.join(dataset.clips, on="clip_id")
    differing = labels.filter(pl.col("label") != pl.col("label_right"))["clip_id"]
    assert sorted(differing) == truth["clip_id"].to_list()
    assert copy.actions.equals(dataset.actions)
    assert copy.annotations.equals(dataset.annotations)
    assert (out / "report" / "index.html").is_file()
    # Planted anew, nothing is left of an audit of the errors before.
    suspect = {"clip_id": truth["clip_id"][0], "label": truth["label"][0], "suspicion": 0.9}
    write_table(conform(pl.DataFrame([suspect]), Suspect), out / "suspects.parquet", Suspect)
    assert load_dataset(out).suspects.height == 1
    list(run_plant(dataset.path, out, **asked | {"seed": 4}))
    assert load_dataset(out).suspects.is_empty()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "typos"}, "--kind typos: expected one of flips, hands"),
        ({"rate": 1.5}, "--rate 1.5: expected a share from 0 to 1"),
        ({"splits": "train,dev"}, "--splits dev: expected one of train, validation, test"),
    ],
)
def test_wrong_words_are_refused(
    dataset: Dataset, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    asked = {"kind": "flips", "rate": 0.1, "splits": "train", "seed": 0} | change
    with pytest.raises(InputError, match=message):
        list(run_plant(dataset.path, tmp_path / "out", **asked))
    assert not (tmp_path / "out").exists()


def test_never_over_the_dataset(dataset: Dataset) -> None:
    with pytest.raises(InputError, match="is what is read"):
        list(run_plant(dataset.path, dataset.path, kind="flips", rate=0.1, splits="train", seed=0))
