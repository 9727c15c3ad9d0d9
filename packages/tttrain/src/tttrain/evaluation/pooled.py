"""Results of the folds of a cross-validation as one: every clip counts once (specification 5.7)."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from pydantic import Field

from ttdata.settings import FrozenModel
from ttdata.taxonomy import Taxonomy
from tttrain.data.dataset import TrainingData
from tttrain.data.division import Division
from tttrain.evaluation.metrics import accuracy, coarser, confusion, mcnemar, per_class
from tttrain.evaluation.scoring import METHODS

Result = Mapping[str, Any]
"""What `evaluate` returns for the test clips of a fold."""
Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""By recipe, what training and testing gave in each fold; `result` is a Result."""

PREDICTIONS_VERSION = 1


class PredictionRow(FrozenModel):
    """A row of `predictions.parquet`: what a recipe's network says of a clip it has not seen."""

    recipe: str = Field(description="which network")
    clip_id: str = Field(description="of the shards")
    group: str = Field(description="that no network which names this clip has seen")
    fold: int = Field(description="in which the clip is tested, from 1 on")
    label: str = Field(description="as the shards say")
    predicted: str = Field(description="of the central window")
    probability: float = Field(description="of the predicted name, as the network says")
    label_probability: float = Field(description="of the label")
    scores: list[float] = Field(description="of all classes, in the taxonomy's order")


def table(
    plan: Mapping[str, Any], results: Mapping[int | None, Rows], data: TrainingData
) -> dict[str, Any]:
    """What `cross_validation.json` holds.

    Args:
        plan: the folds, as `folds.json` tells them.
        results: by the number of clips learned from (None: all), by recipe, by fold.
        data: the shards.
    """
    rows = results[None]
    first = next(iter(rows))
    reference = _tests(rows[first])
    baselines = pool_baselines(reference, data.taxonomy)
    left_out: dict[str, str] = {}
    for result in reference:
        left_out |= result["baselines_left_out"]
    return {
        **plan,
        "rows": [
            {
                "name": name,
                **pool(_tests(row), data.taxonomy),
                **_effort(row),
                "against_baselines": against_baselines(_tests(row), list(baselines)),
                "mcnemar": None
                if name == first
                else against_network(first, reference, _tests(row)),
            }
            for name, row in rows.items()
        ],
        "baselines": baselines,
        "baselines_left_out": left_out,
        "learning_curve": _learning_curve(results, data.taxonomy),
    }


def _tests(row: Sequence[Mapping[str, Any]]) -> list[Result]:
    return [item["result"] for item in row]


def _effort(row: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Parameters of one network; epochs and seconds of all folds together."""
    return {
        "parameters": row[0]["parameters"],
        "epochs": sum(item["epochs"] for item in row),
        "training_seconds": round(sum(item["training_seconds"] for item in row), 1),
    }


def _learning_curve(results: Mapping[int | None, Rows], taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """By rising number of clips to learn from, all of them last; empty where none was asked for."""
    sizes = [size for size in results if size is not None]
    if not sizes:
        return []
    return [
        {
            "size": size,
            "rows": {
                name: pool(_tests(row), taxonomy)["methods"]["test"]
                for name, row in results[size].items()
            },
            "baselines": pool_baselines(_tests(next(iter(results[size].values()))), taxonomy),
        }
        for size in (*sorted(sizes), None)
    ]


def pool(results: Sequence[Result], taxonomy: Taxonomy) -> dict[str, Any]:
    """The figures of a network over the test clips of all folds.

    Args:
        results: of one network, by fold.
        taxonomy: of the clips.

    Returns:
        `methods` and `levels` (accuracies), `confusion`, `per_class` and, by fold, `folds`.
    """
    clips, index = _clips(results), {name: at for at, name in enumerate(taxonomy.classes)}
    truth = [index[clip["truth"]] for clip in clips]
    answers = {name: [index[clip["answers"][name]] for clip in clips] for name in METHODS}
    matrix = confusion(truth, answers["test"], len(index))
    levels = coarser(truth, answers["test"], taxonomy)
    return {
        "methods": {name: accuracy(truth, found).as_dict() for name, found in answers.items()},
        "levels": {name: item.as_dict() for name, item in levels.items()},
        "per_class": [item.as_dict() for item in per_class(matrix)],
        "confusion": matrix.tolist(),
        "folds": [dict(result["methods"]["test"]) for result in results],
    }


def pool_baselines(results: Sequence[Result], taxonomy: Taxonomy) -> dict[str, Any]:
    """The accuracies of the baselines over all folds; only of those that every fold has.

    Args:
        results: of any network, by fold: the baselines are the same for all.
        taxonomy: of the clips.
    """
    clips, index = _clips(results), {name: at for at, name in enumerate(taxonomy.classes)}
    truth = [index[clip["truth"]] for clip in clips]
    names = [
        name
        for name in results[0]["baselines"]
        if all(name in result["baselines"] for result in results)
    ]
    return {
        name: accuracy(truth, [index[clip["baselines"][name]] for clip in clips]).as_dict()
        for name in names
    }


def against_baselines(results: Sequence[Result], names: Sequence[str]) -> dict[str, Any]:
    """The McNemar test of a network's central windows against each of these baselines."""
    clips = _clips(results)
    mine = _right(clips)
    found = {}
    for name in names:
        theirs = [clip["truth"] == clip["baselines"][name] for clip in clips]
        found[name] = mcnemar(theirs, mine).as_dict(name)
    return found


def against_network(
    name: str, reference: Sequence[Result], results: Sequence[Result]
) -> dict[str, Any]:
    """The McNemar test of a network against another one, of this name, in the same folds."""
    first, second = _clips(reference), _clips(results)
    if [clip["clip_id"] for clip in first] != [clip["clip_id"] for clip in second]:
        raise ValueError("the networks were tested on different clips")
    return mcnemar(_right(first), _right(second)).as_dict(name)


def predictions(
    results: Mapping[str, Sequence[Result]], divisions: Sequence[Division]
) -> pl.DataFrame:
    """What every network says of every clip, by a network that has not seen the clip's group.

    Args:
        results: by network, then by fold.
        divisions: of the folds.

    Returns:
        `recipe, clip_id, group, fold` (from 1 on), `label, predicted`, `probability` of the
        predicted name and `label_probability` (central window, as the network says), `scores` of
        all classes in the taxonomy's order; by recipe, then by clip_id.
    """
    parts = []
    for recipe, of_folds in results.items():
        rows = [
            _row(recipe, fold, clip, result["classes"], division)
            for fold, (result, division) in enumerate(zip(of_folds, divisions, strict=True), 1)
            for clip in result["clips"]
        ]
        parts.append(pl.DataFrame(rows).sort("clip_id"))
    return pl.concat(parts)


def _row(
    recipe: str, fold: int, clip: Result, classes: Sequence[str], division: Division
) -> dict[str, Any]:
    scores = clip["scores"]
    return {
        "recipe": recipe,
        "clip_id": clip["clip_id"],
        "group": division.groups[clip["clip_id"]],
        "fold": fold,
        "label": clip["truth"],
        "predicted": clip["answers"]["test"],
        "probability": max(scores),
        "label_probability": scores[classes.index(clip["truth"])],
        "scores": scores,
    }


def _clips(results: Sequence[Result]) -> list[dict[str, Any]]:
    clips = [clip for result in results for clip in result["clips"]]
    if len({clip["clip_id"] for clip in clips}) != len(clips):
        raise ValueError("a clip was tested in several folds")
    return clips


def _right(clips: Sequence[Mapping[str, Any]]) -> list[bool]:
    return [clip["truth"] == clip["answers"]["test"] for clip in clips]
