"""The share of labels that are wrong, from a second training with labels flipped on purpose.

Counting suspects overestimates it: a network is unsure of rare and hard classes, too. Of the labels
that were flipped it is known that they are wrong, so their AUM shows how wrong labels behave in
this very training; the share of the others that behave so is the share of wrong ones among them.

Source: own; a threshold from labels known to be wrong as Pleiss et al., NeurIPS 2020, 3.3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ttdata.confidence import wilson

FLIPPED_SHARE = 0.1
QUANTILES = (0.25, 0.5)
"""Of the flipped labels' AUM: below it lie few right labels, and enough wrong ones to count."""
_RESAMPLES = 1000


@dataclass(frozen=True)
class Rate:
    """An estimated share of wrong labels, with its 95 % interval."""

    rate: float
    low: float
    high: float
    n: int
    """Labels that were left as they are."""
    num_flipped: int
    thresholds: tuple[float, ...]
    """The AUM below which labels are counted, at each of QUANTILES."""
    caught: tuple[float, ...]
    """The share of the flipped labels that lies there."""


def flipped(labels: Mapping[str, int], seed: int, share: float = FLIPPED_SHARE) -> dict[str, int]:
    """Other classes for a random share of clips, each other class that occurs equally likely.

    Of a class without clips training learns nothing: labels flipped to it would lie lower than any
    that a person gets wrong, and the rate would be too low.

    Args:
        labels: class indices by clip_id, of at least two classes.
        seed: the draw follows from it and from the clip ids.
        share: of the clips, half up, at least one.

    Returns:
        The new class index by clip_id, of the flipped clips alone.
    """
    draw = np.random.default_rng([seed, 58])
    clip_ids = sorted(labels)
    count = max(1, int(share * len(clip_ids) + 0.5))
    chosen = sorted(draw.choice(len(clip_ids), size=count, replace=False))
    classes = sorted(set(labels.values()))
    steps = draw.integers(1, len(classes), size=count)
    names = [clip_ids[place] for place in chosen]
    return {
        name: classes[(classes.index(labels[name]) + int(step)) % len(classes)]
        for name, step in zip(names, steps, strict=True)
    }


def wrong_rate(left: ArrayLike, turned: ArrayLike, seed: int = 0) -> Rate:
    """The share of wrong labels among those left as they are.

    At the quantile q of the flipped labels' AUM, the share of all others that lies below is divided
    by the share of flipped labels there; the mean over `QUANTILES` counts: at the lower one few
    labels are counted, at the upper one some right ones are. The interval is the 2.5th to the
    97.5th percentile over 1000 draws with replacement from both.

    Args:
        left: (N,) AUM of the labels left as they are.
        turned: (M,) AUM of the flipped ones, in the same training; at least one.
        seed: of the draws.
    """
    rest, known = np.sort(np.asarray(left, np.float64)), np.sort(np.asarray(turned, np.float64))
    thresholds, caught = _thresholds(known)
    rate = _mean_rate(rest, thresholds, caught)
    draw = np.random.default_rng([seed, 59])
    found = [
        _mean_rate(_again(rest, draw), *_thresholds(_again(known, draw))) for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(found, [0.025, 0.975])
    # Resampling cannot see what no clip shows: of none below, the interval still has a width.
    high = max(float(high), _bounds(rest, thresholds, caught)[1])
    return Rate(rate, min(float(low), rate), high, len(rest), len(known), thresholds, caught)


def rate_of(left: ArrayLike, whole: Rate) -> tuple[float, float, float]:
    """Rate and 95 % interval of some of the labels, such as those of a class.

    Args:
        left: (n,) AUM of these labels, at least one, in the training that gave `whole`.
        whole: of all labels, whose threshold counts.
    """
    values = np.asarray(left, np.float64)
    rate = _mean_rate(values, whole.thresholds, whole.caught)
    return (rate, *_bounds(values, whole.thresholds, whole.caught))


def _thresholds(known: NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Thresholds at QUANTILES, and the share of the flipped labels below each."""
    found = tuple(float(value) for value in np.quantile(known, QUANTILES))
    # Interpolation may lie a rounding below the label that it should catch.
    return found, tuple(max(float((known <= at).mean()), 1 / len(known)) for at in found)


def _mean_rate(
    values: NDArray[np.float64], thresholds: Sequence[float], caught: Sequence[float]
) -> float:
    shares = [
        min(1.0, float((values <= at).mean()) / share)
        for at, share in zip(thresholds, caught, strict=True)
    ]
    return sum(shares) / len(shares)


def _bounds(
    values: NDArray[np.float64], thresholds: Sequence[float], caught: Sequence[float]
) -> tuple[float, float]:
    """The mean over thresholds of Wilson's bounds, over the share of flipped labels."""
    found = [
        [min(1.0, bound / share) for bound in wilson(int((values <= at).sum()), len(values))]
        for at, share in zip(thresholds, caught, strict=True)
    ]
    low, high = (sum(pair[side] for pair in found) / len(found) for side in (0, 1))
    return low, high


def _again(values: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.float64]:
    return draw.choice(values, size=len(values))
