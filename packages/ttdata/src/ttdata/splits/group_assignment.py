"""Groups (videos, players, sessions) assigned to splits, as near the shares per class as possible.

The splits of a dataset are three; folds of a cross-validation may be more.

What is minimised is first the number of classes that a split lacks, then the sum over splits and
classes of (clips in the split - share * clips of the class) squared. Of few groups every division
is tried. Many are assigned greedily, each where it adds least; then single groups move and pairs
swap as long as that helps. The best of several starts counts: the first takes the largest group
first, the others any order.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ttdata.curation.overlaps import Bools, Floats, Ints

_MOST_DIVISIONS = 3**8
"""Every division is tried where there are at most so many."""
_MAX_STEPS = 2000
_STARTS = 16
_MANY_GROUPS = 400
"""Above this number of groups one start is enough, and swaps are too many to look at."""


def assign_groups(
    counts: Ints, shares: Sequence[float], fixed: Ints, generator: np.random.Generator
) -> Ints:
    """The split of every group, as an index into the shares.

    Every split with a share holds a group, if there are as many groups as such splits.

    Args:
        counts: (groups, classes) clips of each class in each group.
        shares: of each split, such as train, validation, test; they sum to 1.
        fixed: (groups,) split of the groups that stay where they are, -1 for the others.
        generator: chooses among equals, and where a search starts.
    """
    targets = np.outer(shares, counts.sum(axis=0))
    if len(shares) ** int(np.count_nonzero(fixed < 0)) <= _MOST_DIVISIONS:
        return _best_of_all(counts, targets, fixed, generator)
    starts = 1 if len(counts) > _MANY_GROUPS else _STARTS
    sizes = [counts.sum(axis=1), *[np.zeros(len(counts))] * (starts - 1)]
    orders = [np.lexsort((generator.random(len(counts)), -size)) for size in sizes]
    results = [_improved(counts, targets, fixed, order) for order in orders]
    costs = [_cost(counts, targets, result) for result in results]
    return results[int(np.argmin(np.round(costs, 6)))]


def _cost(counts: Ints, targets: Floats, split: Ints) -> float:
    totals = _totals(counts, split, len(targets))
    missing = np.count_nonzero((totals == 0) & (targets > 0))
    return float(np.square(totals - targets).sum()) + missing * _penalty(counts)


def _penalty(counts: Ints) -> float:
    """The cost of a class that a split lacks: more than all squares together can be."""
    return 3 * float(np.square(counts.sum(axis=0)).sum()) + 1


def _totals(counts: Ints, split: Ints, num_splits: int) -> Floats:
    totals = np.zeros((num_splits, counts.shape[1]))
    np.add.at(totals, split, counts)
    return totals


def _best_of_all(
    counts: Ints, targets: Floats, fixed: Ints, generator: np.random.Generator
) -> Ints:
    """The best of every division, with as few splits empty as can be; equals by lot."""
    free = np.flatnonzero(fixed < 0)
    choices = np.array(list(itertools.product(range(len(targets)), repeat=len(free))), np.int64)
    every = np.tile(fixed, (len(choices), 1))
    every[:, free] = choices
    costs, empty = np.zeros(len(every)), np.zeros(len(every))
    for side, target in enumerate(targets):
        inside = every == side
        totals = inside @ counts
        costs += np.square(totals - target).sum(axis=1)
        costs += ((totals == 0) & (target > 0)).sum(axis=1) * _penalty(counts)
        empty += ~inside.any(axis=1) if target.sum() else inside.any(axis=1) * len(every)
    order = np.lexsort((generator.random(len(every)), np.round(costs, 6), empty))
    best: Ints = every[order[0]]
    return best


def _improved(counts: Ints, targets: Floats, fixed: Ints, order: Ints) -> Ints:
    split = _assign_greedily(counts, targets, fixed, order)
    open_splits = np.flatnonzero(targets.sum(axis=1) > 0)
    split = _none_empty(counts, targets, split, fixed, open_splits)
    for _ in range(_MAX_STEPS):
        better = _best_move(counts, targets, split, fixed, open_splits)
        if better is None and len(counts) <= _MANY_GROUPS:
            better = _best_swap(counts, targets, split, fixed)
        if better is None:
            break
        split = better
    return split


def _assign_greedily(counts: Ints, targets: Floats, fixed: Ints, order: Ints) -> Ints:
    """Assign each free group, in order, to the split where it adds least."""
    split = fixed.copy()
    excess = -targets.copy()
    np.add.at(excess, fixed[fixed >= 0], counts[fixed >= 0])
    closed = np.where(targets.sum(axis=1) > 0, 0.0, math.inf)
    for group in order[fixed[order] < 0]:
        # |e + x|^2 - |e|^2 = 2 e.x + |x|^2, and |x|^2 is the same for every split.
        choice = int(np.argmin(excess @ counts[group] + closed))
        split[group] = choice
        excess[choice] += counts[group]
    return split


def _none_empty(counts: Ints, targets: Floats, split: Ints, fixed: Ints, open_splits: Ints) -> Ints:
    """Give every empty split the group that harms least, from a split with more than one."""
    split = split.copy()
    for empty in open_splits:
        members = np.bincount(split, minlength=len(targets))
        if members[empty]:
            continue
        donors = np.flatnonzero((fixed < 0) & (members[split] > 1))
        if len(donors):
            change = _move_changes(counts, targets, split)[donors, empty]
            split[donors[np.argmin(change)]] = empty
    return split


def _move_changes(counts: Ints, targets: Floats, split: Ints) -> Floats:
    """(groups, splits): how the cost changes when a group moves to a split; 0 where it is."""
    excess = _totals(counts, split, len(targets)) - targets
    reach = counts @ excess.T
    here = reach[np.arange(len(split)), split]
    change: Floats = 2 * (reach - here[:, None]) + 2 * np.square(counts).sum(axis=1)[:, None]
    change[np.arange(len(split)), split] = 0
    return change


def _held_alone(counts: Ints, targets: Floats, split: Ints) -> tuple[Bools, Bools]:
    """(groups, classes): what only this group brings to its split; what its split lacks."""
    totals = _totals(counts, split, len(targets))[split]
    wanted = (targets > 0)[split]
    return (counts > 0) & (totals == counts) & wanted, (totals == 0) & wanted


def _move_losses(counts: Ints, targets: Floats, split: Ints) -> Ints:
    """(groups, splits): how many more classes are missing when a group moves to a split."""
    alone, _ = _held_alone(counts, targets, split)
    lacking = (_totals(counts, split, len(targets)) == 0) & (targets > 0)
    change: Ints = alone.sum(axis=1)[:, None] - (counts > 0).astype(np.int64) @ lacking.T
    change[np.arange(len(split)), split] = 0
    return change


def _swap_losses(counts: Ints, targets: Floats, split: Ints) -> Ints:
    """(groups, groups): how many more classes the first's split lacks when two groups swap."""
    alone, lacking = _held_alone(counts, targets, split)
    brings = (counts > 0).astype(np.int64)
    lost = alone.astype(np.int64) @ (1 - brings).T
    found: Ints = lost - lacking.astype(np.int64) @ brings.T
    return found


def _best_move(
    counts: Ints, targets: Floats, split: Ints, fixed: Ints, open_splits: Ints
) -> Ints | None:
    change = _move_changes(counts, targets, split)
    change += _penalty(counts) * _move_losses(counts, targets, split)
    movable: Bools = (fixed < 0) & (np.bincount(split, minlength=len(targets))[split] > 1)
    change[~movable] = math.inf
    change[:, np.setdiff1d(np.arange(len(targets)), open_splits)] = math.inf
    group, target = np.unravel_index(int(np.argmin(change)), change.shape)
    if change[group, target] >= -1e-9:
        return None
    moved = split.copy()
    moved[group] = target
    return moved


def _best_swap(counts: Ints, targets: Floats, split: Ints, fixed: Ints) -> Ints | None:
    change = _move_changes(counts, targets, split)
    to_other = change[:, split]
    # Both moves together, less what each counts of the other: -4 x.y.
    both = to_other + to_other.T - 4 * (counts @ counts.T)
    losses = _swap_losses(counts, targets, split)
    both += _penalty(counts) * (losses + losses.T)
    able = (split[:, None] != split[None, :]) & (fixed < 0)[:, None] & (fixed < 0)[None, :]
    both = np.where(able, both, math.inf)
    one, other = np.unravel_index(int(np.argmin(both)), both.shape)
    if not both[one, other] < -1e-9:
        return None
    swapped = split.copy()
    swapped[one], swapped[other] = split[other], split[one]
    return swapped
