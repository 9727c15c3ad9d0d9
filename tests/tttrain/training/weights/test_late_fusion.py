"""Late fusion: branches that learn apart, factors with known answers, weights that hold them."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ttmodels import ThreeStreams
from tttrain.evaluation.calibration import fit_temperature
from tttrain.training.gradient_factors import LEAST_WEIGHTS, use_factors
from tttrain.training.loop import Batch, weights_of
from tttrain.training.step.train_step import forward
from tttrain.training.weights.late_fusion import (
    LARGEST,
    BranchesApart,
    shares,
    validate_apart,
    weighed,
)
from tttrain.training.weights.level_head import merge, share_levels

LEVELS = {"type": ("vertical", "sideways", "sideways")}


def network() -> ThreeStreams:
    torch.manual_seed(3)
    return ThreeStreams(3, (8, 8, 8), head="pooled", pool_fields=1)


def batch(model: ThreeStreams, count: int = 4) -> Batch:
    torch.manual_seed(4)
    clips = [torch.rand(count, *clip.shape[1:]) for clip in model.example_inputs()]
    inputs = dict(zip(model.inputs, clips, strict=True))
    return Batch([f"clip {at}" for at in range(count)], inputs, torch.arange(count) % 3, count)


def inputs_of(given: Batch) -> list[Tensor]:
    return list(given.inputs.values())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_each_branch_learns_by_a_loss_of_its_own(smoothing: float) -> None:
    model = network()
    given = batch(model)
    answer = forward(BranchesApart(model), given, model.inputs, "float32", smoothing)
    apart = model.branch_logits(*inputs_of(given))
    alone = [
        cross_entropy(apart[:, at], given.labels, reduction="sum", label_smoothing=smoothing)
        for at in range(3)
    ]
    torch.testing.assert_close(answer.loss, sum(alone) / 3)
    torch.testing.assert_close(answer.logits, model(*inputs_of(given)))
    # The landmarks learn as they would without the pictures.
    weights = [*model.pose_branch.parameters()]
    found = torch.autograd.grad(answer.loss, weights, retain_graph=True)
    for ours, theirs in zip(found, torch.autograd.grad(alone[2] / 3, weights), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_what_branches_are_worth() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    sure = np.eye(3)[np.where(rng.random(200) < 0.7, labels, (labels + 1) % 3)] * 9
    # Alone, the factor is the inverse temperature.
    (alone,) = shares(sure[:, None], labels)
    scores = np.exp(sure) / np.exp(sure).sum(axis=1, keepdims=True)
    assert alone == pytest.approx(1 / fit_temperature(scores, labels).temperature, abs=1e-4)
    # A branch that is always wrong, or says nothing of the label, is not heard.
    wrong = np.eye(3)[(labels + 1) % 3] * 9
    guesses = np.eye(3)[(np.arange(200) * 7) % 3] * 9
    heard, not_heard, hardly = shares(np.stack([sure, wrong, guesses], axis=1), labels)
    assert not_heard == 0
    assert hardly < 0.2 * heard
    # Where all are right, more were always better.
    assert shares(np.eye(3)[labels][:, None], labels)[0] == pytest.approx(LARGEST, abs=1e-6)


def test_two_branches_that_say_the_same_share_its_worth() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 100)
    said = rng.normal(size=(100, 3)) + np.eye(3)[labels]
    (alone,) = shares(said[:, None], labels)
    assert sum(shares(np.stack([said, said], axis=1), labels)) == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("levels", [{}, LEVELS])
def test_weights_hold_the_factors(levels: dict[str, tuple[str, ...]]) -> None:
    model = network()
    if levels:
        share_levels(model, levels)
    given = batch(model)
    apart = model.branch_logits(*inputs_of(given)).detach()
    weights = weights_of(model)
    assert weighed(weights, ()).keys() == weights.keys()
    model.load_state_dict(weighed(weights, (0.5, 0.0, 2.0)))
    merge(model)
    expected = 0.5 * apart[:, 0] + 2.0 * apart[:, 2]
    torch.testing.assert_close(model(*inputs_of(given)), expected)


def test_the_score_is_that_of_the_weighed_network() -> None:
    model = network()
    given = batch(model, 6)
    score, factors = validate_apart(model, [given], model.inputs, "float32")
    model.load_state_dict(weighed(weights_of(model), factors))
    logits = model(*inputs_of(given))
    assert score.loss == pytest.approx(cross_entropy(logits, given.labels).item(), abs=1e-5)
    assert (score.correct, score.n) == (int((logits.argmax(1) == given.labels).sum()), 6)


def test_workers_send_the_heads_gradient_as_it_is() -> None:
    """Its columns are read apart, which a layer that gathers its inputs does not see."""
    model = ThreeStreams(60, (8, 8, 8))
    assert model.head.weight.numel() >= LEAST_WEIGHTS
    sent = use_factors(BranchesApart(model), batch_size=10, num_workers=2)
    assert not [name for name in sent if "head" in name]


def test_without_validation_clips_all_are_worth_the_same() -> None:
    model = network()
    score, factors = validate_apart(model, [], model.inputs, "float32")
    assert (score.n, factors) == (0, ())
