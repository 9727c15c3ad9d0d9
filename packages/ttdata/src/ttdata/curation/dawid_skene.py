"""Labels and annotators' error rates at once, by expectation maximisation (specification 1.3).

Source: Dawid and Skene, 1979, "Maximum likelihood estimation of observer error-rates using the EM
algorithm". An annotator has one confusion matrix for all actions, so one who mixes up two strokes
weighs less where it is about these two, and one who is careless weighs less everywhere.
"""

from dataclasses import dataclass

import numpy as np

from ttdata.curation.overlaps import Floats, Ints

_LEAST = 1e-10
"""Keeps a mix-up that was never seen from being impossible."""


@dataclass(frozen=True)
class LabelPosterior:
    """The result of `dawid_skene`."""

    labels: Floats
    """(units, classes) how probable each label is; rows sum to 1."""
    errors: Floats
    """(annotators, classes, classes) how probable an annotator's label (last) is under the true
    one; zero rows where an annotator never met a class."""
    priors: Floats
    """(classes,) how frequent each label is."""
    rounds: int
    """Rounds until the log-likelihood stood still."""


def dawid_skene(
    unit: Ints,
    annotator: Ints,
    label: Ints,
    num_classes: int,
    max_rounds: int = 100,
    tolerance: float = 1e-5,
) -> LabelPosterior:
    """The maximum-likelihood labels of units that several annotators named.

    Args:
        unit: (votes,) the unit a vote is about; numbers from 0 without a gap.
        annotator: (votes,) who voted; numbers from 0 without a gap.
        label: (votes,) the label given, below `num_classes`.
        num_classes: how many labels there are.
        max_rounds: at most so many rounds of expectation and maximisation.
        tolerance: stop when the log-likelihood of all votes grows by less.

    The first guess is each unit's share of votes; the result depends on nothing drawn.
    """
    units, people = int(unit.max()) + 1, int(annotator.max()) + 1
    posterior = _per_unit(unit, np.eye(num_classes)[label], units)
    posterior /= posterior.sum(axis=1, keepdims=True)
    likelihood = -np.inf
    rounds = 0
    while rounds < max_rounds:
        rounds += 1
        priors = posterior.mean(axis=0)
        errors = _errors(posterior[unit], annotator * num_classes + label, people, num_classes)
        # log p(label of the vote | true class), a row per vote.
        log_votes = np.log(np.maximum(errors, _LEAST))[annotator, :, label]
        log_joint = _per_unit(unit, log_votes, units) + np.log(np.maximum(priors, _LEAST))
        largest = log_joint.max(axis=1, keepdims=True)
        joint = np.exp(log_joint - largest)
        total = joint.sum(axis=1, keepdims=True)
        posterior = joint / total
        before, likelihood = likelihood, float((np.log(total) + largest).sum())
        if likelihood - before < tolerance:
            break
    return LabelPosterior(posterior, errors, priors, rounds)


def _per_unit(unit: Ints, rows: Floats, units: int) -> Floats:
    """The sum of the rows of each unit."""
    columns = [np.bincount(unit, weights=column, minlength=units) for column in rows.T]
    return np.stack(columns, axis=1)


def _errors(truth: Floats, cell: Ints, people: int, classes: int) -> Floats:
    """(annotators, true, given) rates from the posterior of each vote's unit."""
    size = people * classes
    given = [np.bincount(cell, weights=column, minlength=size) for column in truth.T]
    counts = np.stack(given, axis=1).reshape(people, classes, classes).transpose(0, 2, 1)
    seen = counts.sum(axis=2, keepdims=True)
    rates: Floats = np.divide(counts, seen, out=np.zeros_like(counts), where=seen > 0)
    return rates
