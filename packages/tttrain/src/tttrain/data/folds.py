"""Folds of a cross-validation: groups stay together, every clip is tested once (specification 5.7).

Nothing depends on the order of the rows: clips and groups are taken by name.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ttdata.errors import InputError
from ttdata.schema import Group, Split
from ttdata.splits.group_assignment import assign_groups
from tttrain.data.division import Division


def make_folds(
    clips: pl.DataFrame,
    num_folds: int,
    *,
    seed: int = 0,
    validation_share: float = 0.2,
    group: Group = "video",
) -> list[Division]:
    """Divide clips into folds, and what each fold trains on into training and validation.

    Args:
        clips: `clip_id, label, group`, a row per clip, in any order.
        num_folds: at least 2.
        seed: chooses among equally good divisions.
        validation_share: of the clips outside a fold, as near as whole groups allow.
        group: of the datasets', by which the leakage of a fold is told.

    Returns:
        A division per fold; each clip is a test clip in exactly one.

    Raises:
        InputError: for fewer groups than folds; for two folds, if one leaves a single group; for
            numbers that cannot be.
    """
    labels, groups = _by_clip(clips, "label"), _by_clip(clips, "group")
    _check(num_folds, validation_share, len(set(groups.values())))
    fold_of = deal_groups(labels, groups, [1 / num_folds] * num_folds, seed)
    found = []
    for fold in range(num_folds):
        rest = {clip_id: labels[clip_id] for clip_id in labels if fold_of[clip_id] != fold}
        if len({groups[clip_id] for clip_id in rest}) < 2:  # only where there are two folds
            raise InputError(
                f"--folds {num_folds}: beside fold {fold + 1} there is one group, expected one to "
                "learn from, one to validate by; take more folds or smaller groups"
            )
        shares = [1 - validation_share, validation_share]
        part = deal_groups(rest, groups, shares, seed + 1 + fold)
        names: tuple[Split, Split] = ("train", "validation")
        splits: dict[str, Split] = {
            clip_id: names[part[clip_id]] if clip_id in part else "test" for clip_id in labels
        }
        found.append(Division(splits=splits, groups=groups, group=group))
    return found


def _by_clip(clips: pl.DataFrame, column: str) -> dict[str, str]:
    if clips["clip_id"].is_duplicated().any():
        raise ValueError("clip ids must be unique")
    return dict(clips.sort("clip_id").select("clip_id", column).iter_rows())


def _check(num_folds: int, validation_share: float, num_groups: int) -> None:
    if num_folds < 2:
        raise InputError(f"--folds {num_folds}: expected at least 2")
    if not 0 < validation_share < 1:
        raise InputError(f"--validation-share {validation_share:g}: expected a share in (0, 1)")
    # Beside a fold there is one group to learn from, and one to choose the epoch by.
    least = num_folds if num_folds > 2 else 4
    if num_groups < least:
        raise InputError(
            f"--folds {num_folds}: the clips are of {num_groups} groups, expected at least "
            f"{least}; take fewer folds or smaller groups"
        )


def deal_groups(
    labels: Mapping[str, str], groups: Mapping[str, str], shares: Sequence[float], seed: int
) -> dict[str, int]:
    """Deal groups to parts, every class as near the shares as whole groups allow.

    Args:
        labels: of each clip that is dealt, by clip_id.
        groups: of these clips, and maybe others.
        shares: of the parts; they sum to 1.
        seed: chooses among equally good divisions.

    Returns:
        The number of its part by clip_id. No part is empty if there are as many groups as parts.
    """
    clip_ids = sorted(labels)
    names, group_of = np.unique([groups[clip_id] for clip_id in clip_ids], return_inverse=True)
    classes, class_of = np.unique([labels[clip_id] for clip_id in clip_ids], return_inverse=True)
    counts = np.zeros((len(names), len(classes) + 1), np.int64)
    np.add.at(counts, (group_of, class_of), 1)
    counts[:, -1] = counts.sum(axis=1)  # so that parts with few of each class are of one size
    free = np.full(len(names), -1)
    part_of = assign_groups(counts, shares, free, np.random.default_rng(seed))
    return {clip_id: int(part_of[at]) for clip_id, at in zip(clip_ids, group_of, strict=True)}


def first_clips(
    division: Division, labels: Mapping[str, str], size: int, *, seed: int = 0
) -> Division:
    """The division with at most `size` of its training clips, for a learning curve.

    Groups come one after the other, each time the one after which the shares of the classes are
    nearest to those of the whole training part (of equals, by a draw); the last is cut. So what a
    small size takes is part of what a larger one takes, and as few groups as can be are seen, as
    where only so much has been recorded. Validation and test clips stay.

    Args:
        division: a fold.
        labels: by clip_id.
        size: clips to learn from; where there are fewer, all are taken.
        seed: of the draw.
    """
    train = division.clip_ids("train")
    taken = set(_in_order(division, labels, train, seed)[:size])
    kept: dict[str, Split] = {
        clip_id: split
        for clip_id, split in division.splits.items()
        if split != "train" or clip_id in taken
    }
    return division.model_copy(update={"splits": kept})


def _in_order(
    division: Division, labels: Mapping[str, str], train: Sequence[str], seed: int
) -> list[str]:
    """The training clips, group after group."""
    classes = sorted({labels[clip_id] for clip_id in train})
    generator = np.random.default_rng(seed)
    members: dict[str, list[str]] = {}
    for clip_id in train:
        members.setdefault(division.groups[clip_id], []).append(clip_id)
    counts = {
        name: np.bincount([classes.index(labels[item]) for item in clips], minlength=len(classes))
        for name, clips in members.items()
    }
    draws = dict(zip(sorted(members), generator.random(len(members)), strict=True))
    wanted = np.sum(list(counts.values()), axis=0) / len(train)
    found: list[str] = []
    total = np.zeros(len(classes), np.int64)
    while counts:

        def distance(name: str, so_far: np.ndarray = total) -> tuple[float, float]:
            both = so_far + counts[name]
            return round(float(np.square(both / both.sum() - wanted).sum()), 9), draws[name]

        best = min(counts, key=distance)
        total = total + counts.pop(best)
        clips = members[best]
        found += [clips[index] for index in generator.permutation(len(clips))]
    return found
