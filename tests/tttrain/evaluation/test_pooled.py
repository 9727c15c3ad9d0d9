"""Folds as one result, against figures worked out by hand."""

from typing import Any

import pytest

from ttdata.taxonomy import Taxonomy
from tttrain.data.division import Division
from tttrain.evaluation.pooled import (
    against_baselines,
    against_network,
    pool,
    pool_baselines,
    predictions,
)

CLASSES = Taxonomy.infer(["a", "b", "c"])


def result(*clips: tuple[str, str, str, str]) -> dict[str, Any]:
    """Of clips (name, truth, the network's answer, the background's)."""
    rows = [
        {
            "clip_id": name,
            "truth": truth,
            "answers": dict.fromkeys(("test", "test_vote", "test_avg"), answer),
            "baselines": {"background": background},
            "scores": [0.8 if label == answer else 0.1 for label in CLASSES.classes],
        }
        for name, truth, answer, background in clips
    ]
    right = sum(row["truth"] == row["answers"]["test"] for row in rows)
    test = {"correct": right, "n": len(rows), "accuracy": right / len(rows)}
    return {
        "classes": list(CLASSES.classes),
        "methods": {"test": test},
        "baselines": {"background": {}},
        "clips": rows,
    }


FOLDS = [
    result(("1", "a", "a", "b"), ("2", "b", "b", "b"), ("3", "c", "a", "c")),
    result(("4", "a", "a", "c"), ("5", "b", "b", "a")),
]


def test_pooled_figures() -> None:
    found = pool(FOLDS, CLASSES)
    test = found["methods"]["test"]
    assert (test["correct"], test["n"], test["accuracy"]) == (4, 5, 0.8)
    # Wilson by hand: (0.8 + 3.8415/10 +- 1.96 sqrt(0.032 + 3.8415/100)) / 1.7683.
    assert test["interval"] == pytest.approx([0.3755, 0.9638], abs=1e-4)
    assert found["confusion"] == [[2, 0, 0], [0, 2, 0], [1, 0, 0]]
    assert [(item["correct"], item["n"]) for item in found["per_class"]] == [(2, 2), (2, 2), (0, 1)]
    assert [(item["correct"], item["n"]) for item in found["folds"]] == [(2, 3), (2, 2)]


def test_baselines_and_networks_are_compared_clip_by_clip() -> None:
    assert pool_baselines(FOLDS, CLASSES)["background"]["correct"] == 2
    against = against_baselines(FOLDS, ["background"])["background"]
    # 3 clips for the network alone, 1 for the background: 2 (1 + 4) / 16.
    assert (against["only_it_right"], against["only_this_right"]) == (1, 3)
    assert against["p"] == pytest.approx(10 / 16)
    other = [result(("1", "a", "b", "b"), ("2", "b", "b", "b"), ("3", "c", "c", "c")), FOLDS[1]]
    found = against_network("first", FOLDS, other)
    assert (found["against"], found["only_it_right"], found["only_this_right"]) == ("first", 1, 1)
    assert found["p"] == 1
    with pytest.raises(ValueError, match="different clips"):
        against_network("first", FOLDS, other[:1])


def test_a_baseline_that_a_fold_lacks_is_none() -> None:
    without = {**FOLDS[1], "baselines": {}}
    assert pool_baselines([FOLDS[0], without], CLASSES) == {}


def test_a_clip_counts_once() -> None:
    with pytest.raises(ValueError, match="several folds"):
        pool([FOLDS[0], FOLDS[0]], CLASSES)


def test_predictions() -> None:
    groups = {str(clip): "g" if clip < 4 else "h" for clip in range(1, 6)}
    divisions = [Division(splits={}, groups=groups)] * 2
    found = predictions({"pose": FOLDS, "rgb": FOLDS}, divisions)
    assert found["recipe"].to_list() == ["pose"] * 5 + ["rgb"] * 5
    assert found["clip_id"].to_list() == list("12345") * 2
    row = found.row(2, named=True)
    assert row == {
        "recipe": "pose",
        "clip_id": "3",
        "group": "g",
        "fold": 1,
        "label": "c",
        "predicted": "a",
        "probability": 0.8,
        "label_probability": 0.1,
        "scores": [0.8, 0.1, 0.1],
    }
    assert found.row(3, named=True)["fold"] == 2
