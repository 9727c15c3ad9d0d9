"""Folds: groups whole, every clip tested once, whatever the order; learning curves are nested."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttdata.errors import InputError
from tttrain.data.dataset import open_data
from tttrain.data.division import Division, write_division
from tttrain.data.folds import first_clips, make_folds
from tttrain.data.groups import clips_to_divide, groups_of
from tttrain.run import Run


def table(members: list[tuple[int, int]]) -> pl.DataFrame:
    """Clips of (group, class)."""
    rows = [(f"clip {at:03d}", f"c{c}", f"g{g}") for at, (g, c) in enumerate(members)]
    return pl.DataFrame(rows, schema=["clip_id", "label", "group"], orient="row")


CLIPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=8, max_size=40).filter(
    lambda items: len({group for group, _ in items}) >= 4
)


@given(members=CLIPS, num_folds=st.integers(3, 4), seed=st.integers(0, 9), data=st.data())
@settings(max_examples=12, deadline=None)
def test_groups_are_whole_and_every_clip_is_tested_once(
    members: list[tuple[int, int]], num_folds: int, seed: int, data: st.DataObject
) -> None:
    clips = table(members)
    folds = make_folds(clips, num_folds, seed=seed)
    tested = Counter(clip_id for fold in folds for clip_id in fold.clip_ids("test"))
    assert tested == Counter(clips["clip_id"])
    group_of = dict(clips.select("clip_id", "group").iter_rows())
    for fold in folds:
        assert fold.splits.keys() == group_of.keys()
        seen = [
            {group_of[clip_id] for clip_id in fold.clip_ids(name)}
            for name in ("train", "validation", "test")
        ]
        assert all(seen)
        assert sum(map(len, seen)) == len(set.union(*seen))
        assert fold.leaking() == 0
    order = data.draw(st.permutations(range(clips.height)))
    again = make_folds(clips[list(order)], num_folds, seed=seed)
    assert [fold.sha256 for fold in again] == [fold.sha256 for fold in folds]


def test_classes_are_dealt_evenly() -> None:
    """24 groups of 4 clips of a class each, 6 classes of 4 groups: 4 folds have one of each."""
    members = [(group, group % 6) for group in range(24) for _ in range(4)]
    for fold in make_folds(table(members), 4):
        assert Counter(label_of(members, clip) for clip in fold.clip_ids("test")) == Counter(
            {f"c{index}": 4 for index in range(6)}
        )


def test_folds_are_of_one_size_where_classes_are_rare() -> None:
    """Two clips of each class: which two of three folds get one decides the folds' sizes."""
    clips = table([(group, group % 3) for group in range(6)])
    for seed in range(5):
        assert {len(fold.clip_ids("test")) for fold in make_folds(clips, 3, seed=seed)} == {2}


def label_of(members: list[tuple[int, int]], clip_id: str) -> str:
    return f"c{members[int(clip_id.split()[1])][1]}"


def test_what_leaks_is_counted() -> None:
    groups = {"a": "x", "b": "x", "c": "y", "d": "z", "e": "y"}
    splits = {"a": "train", "b": "test", "c": "validation", "d": "test", "e": "test"}
    division = Division.model_validate({"splits": splits, "groups": groups})
    assert division.leaking() == 2  # b with training, e with validation


@pytest.mark.parametrize(
    ("groups", "num_folds", "share", "message"),
    [
        (5, 6, 0.2, r"--folds 6: the clips are of 5 groups, expected at least 6"),
        (3, 2, 0.2, r"--folds 2: the clips are of 3 groups, expected at least 4"),
        (9, 1, 0.2, r"--folds 1: expected at least 2"),
        (9, 3, 1.0, r"--validation-share 1: expected a share in \(0, 1\)"),
    ],
)
def test_what_cannot_be_divided(groups: int, num_folds: int, share: float, message: str) -> None:
    clips = table([(group, 0) for group in range(groups)])
    with pytest.raises(InputError, match=message):
        make_folds(clips, num_folds, validation_share=share)


def test_two_folds_leave_each_other_two_groups() -> None:
    (first, second) = make_folds(table([(group, 0) for group in range(4)]), 2)
    assert first.clip_ids("test") == sorted(
        [*second.clip_ids("train"), *second.clip_ids("validation")]
    )
    large = table([(0, 0)] * 9 + [(1, 0), (2, 0), (3, 0)])
    with pytest.raises(InputError, match=r"beside fold \d there is one group, expected one to"):
        make_folds(large, 2)


def test_learning_curves_are_nested_and_take_few_groups() -> None:
    members = [(group, at % 2) for group in range(12) for at in range(4)]
    labels = dict(table(members).select("clip_id", "label").iter_rows())
    (fold, *_) = make_folds(table(members), 3)
    whole = set(fold.clip_ids("train"))
    parts = [first_clips(fold, labels, size) for size in (6, 10, 1000)]
    small, middle, large = (set(part.clip_ids("train")) for part in parts)
    assert (len(small), len(middle)) == (6, 10)
    assert small < middle < large == whole
    assert len({fold.groups[clip_id] for clip_id in middle}) == 3
    for part in parts:
        assert part.clip_ids("test") == fold.clip_ids("test")
        assert part.clip_ids("validation") == fold.clip_ids("validation")


def test_shards_with_a_division(shards: Path, tmp_path: Path) -> None:
    """Splits, leakage and hash are those of the division; a run keeps it beside its hash."""
    stored = open_data(shards)
    clips = clips_to_divide(stored, "player")
    assert clips.height == 24
    first, second, _ = make_folds(clips, 3, group="player")
    data = open_data(shards, first)
    for split, found in data.clips.items():
        assert [clip.clip_id for clip in found] == first.clip_ids(split)
    assert len({stored.hash, data.hash, open_data(shards, second).hash}) == 3
    assert data.split is not None
    assert (data.split.group, data.split.leakage) == ("player", 0)
    test = data.clips["test"]
    assert groups_of(data, test) == [first.groups[clip.clip_id] for clip in test]
    assert groups_of(stored, stored.clips["test"][:1])[0].startswith("player ")


def test_a_division_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path)
    division = Division.model_validate({"splits": {"b": "test", "a": "train"}, "groups": {}})
    write_division(run, division)
    assert list(json.loads(run.division_path.read_text())["splits"]) == ["a", "b"]
    swapped = Division.model_validate({"splits": {"a": "train", "b": "test"}, "groups": {}})
    assert swapped.sha256 == division.sha256


def test_groups_of_ones_own(shards: Path, tmp_path: Path) -> None:
    data, path = open_data(shards), tmp_path / "groups.csv"
    ids = [clip.clip_id for _, clip in data.everything()]
    rows = [f"{clip_id},{at // 4}" for at, clip_id in enumerate(ids)]
    random.Random(1).shuffle(rows)
    path.write_text("clip_id,group\n" + "\n".join(rows) + "\n")
    found = clips_to_divide(data, None, path)
    assert found["clip_id"].to_list() == ids
    assert found["group"].to_list() == [str(at // 4) for at in range(24)]
    for text, message in (
        ("clip_id,group\n" + "\n".join(rows[1:]), r"no row for 1 of 24 clips, the first is "),
        ("clip_id,group\n" + "\n".join([*rows, rows[0]]), r"is there twice, expected one group"),
        ("clip_id,group\nother,1\n", r"clip other is not in .*; clip_id is the column"),
        ("clip,group\na,1\n", r"columns clip, group, expected clip_id, group"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            clips_to_divide(data, "file", path)
    for by, groups, message in (
        ("file", None, r"--group file, no --groups: "),
        ("video", path, r"--group video, --groups .*groups.csv: "),
        ("room", None, r"--group room: expected one of video, player, session, file"),
        ("session", None, r"no session_id for 24 of 24 clips, the first is .*--group video"),
    ):
        with pytest.raises(InputError, match=message):
            clips_to_divide(data, by, groups)


def test_groups_as_a_spreadsheet_writes_them(
    shards_of: Callable[..., Path], tmp_path: Path
) -> None:
    """Blanks beside a name and another spelling of the same letters make no group of their own."""
    path = shards_of(tmp_path / "s", {"train": 2})
    data, table = open_data(path), tmp_path / "groups.csv"
    spellings = ("m\u00fcnchen", " m\u00fcnchen ", "mu\u0308nchen")
    ids = [clip.clip_id for _, clip in data.everything()]
    rows = [f"{clip_id} ;{spellings[at % 3]}" for at, clip_id in enumerate(ids)]
    table.write_text("clip_id;group\n" + "\n".join(rows) + "\n", encoding="utf-16")
    assert clips_to_divide(data, None, table)["group"].unique().to_list() == ["m\u00fcnchen"]
    table.write_text("clip_id,group\n" + "".join(f"{clip_id}, \n" for clip_id in ids))
    with pytest.raises(InputError, match=r"no row for 6 of 6 clips"):
        clips_to_divide(data, None, table)


def test_unused_negatives_take_no_part(shards_of: Callable[..., Path], tmp_path: Path) -> None:
    """Those that the split left out; strokes take part whatever their split."""
    path = shards_of(tmp_path / "s", {"train": 1, "test": 1})
    stored = pl.read_parquet(path / "clips.parquet")
    ids = stored["clip_id"].to_list()
    kinds = (
        pl.when(pl.col("clip_id").is_in(ids[:2])).then(pl.lit("negative")).otherwise(pl.col("kind"))
    )
    without = pl.when(pl.col("clip_id").is_in(ids[1:3])).then(None).otherwise(pl.col("split"))
    data = open_data(path)
    object.__setattr__(
        data._shards, "clips", stored.with_columns(kind=kinds, split=without.cast(pl.String))
    )
    assert clips_to_divide(data)["clip_id"].to_list() == sorted({*ids} - {ids[1]})
