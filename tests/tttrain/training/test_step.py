"""A step asks for no value; read late or replayed, it trains as one by one."""

import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ttmodels import RGBNet
from tttrain.config import OptimizerConfig, TrainConfig
from tttrain.errors import TrainingError
from tttrain.training.collective import Worker
from tttrain.training.loop import ClipLogits, make_optimizer, set_epoch, train_epoch, weights_of
from tttrain.training.step.graph import StepGraph
from tttrain.training.step.train_step import Answer, Batch, TrainStep
from tttrain.training.worker import Trainer

SIZE = 2


def config(name: str = "sgd") -> TrainConfig:
    return TrainConfig(
        batch_size=SIZE, optimizer=OptimizerConfig(name=name, learning_rate=0.1, gradient_clip=1.0)
    )


def network() -> RGBNet:
    torch.manual_seed(0)
    return RGBNet(3, (8, 8, 8))


def batches(*sizes: int) -> Iterator[Batch]:
    generator, numbers = torch.Generator().manual_seed(1), itertools.count()
    for size in sizes:
        clips = torch.rand((size, 3, 8, 8, 8), generator=generator)
        ids = [f"clip {next(numbers)}" for _ in range(size)]
        yield Batch(ids, {"rgb": clips}, torch.arange(size) % 3, size)


class NoValues(TorchDispatchMode):
    """Refuses what makes a host wait for a GPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert "_local_scalar_dense" not in str(func), "a number was read"
        assert "nonzero" not in str(func), "places were counted"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_step_reads_no_value(name: str) -> None:
    model = network()
    optimizer = make_optimizer(model, config(name))
    step = TrainStep(model, optimizer, config(name), model.inputs)
    answers = ClipLogits()
    with NoValues():
        for batch in batches(2, 2, 1):
            answer = step(batch)
            answers.add(batch.clip_ids, answer.logits, batch.labels)
    assert answer.right.shape == answer.loss.shape == ()
    with pytest.raises(AssertionError, match="a number was read"), NoValues():
        float(answer.loss)


@pytest.mark.parametrize("unread", [1, 2, 64])
def test_losses_read_late_are_the_same(unread: int) -> None:
    expected_model, model = network(), network()
    expected = train_epoch(
        expected_model,
        batches(2, 2, 1),
        make_optimizer(expected_model, config()),
        config(),
        model.inputs,
    )
    optimizer, answers = make_optimizer(model, config()), ClipLogits()
    found = train_epoch(
        model, batches(2, 2, 1), optimizer, config(), model.inputs, answers=answers, unread=unread
    )
    assert found == expected
    assert found.n == 5
    assert len(answers.of_all_workers()) == 5
    same(model, expected_model)


def same(model: nn.Module, expected: nn.Module) -> None:
    ours, theirs = weights_of(model), weights_of(expected)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_loss_that_is_read_late_names_its_own_clips() -> None:
    model, parts = network(), list(batches(2, 2, 2))
    parts[1].inputs["rgb"][1] = torch.nan
    optimizer = make_optimizer(model, config())
    with pytest.raises(TrainingError, match=r"loss is nan after 2 clips.*: clip 2, clip 3; look"):
        train_epoch(model, parts, optimizer, config(), model.inputs, unread=64)


class Again:
    """A recording on a CPU: replaying does the work."""

    made = 0
    answer: Answer

    def __init__(self, work: Any) -> None:
        self.work = work
        Again.made += 1

    def replay(self) -> None:
        self.answer = self.work()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_replayed_step_trains_as_the_step_itself(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a short batch in between, and a learning rate that changes."""
    monkeypatch.setattr(Again, "made", 0)
    sizes = (2, 2, 2, 1, 2, 2)
    scores, models = [], []
    eager: list[object] = []
    for graphed in (False, True):
        model = network()
        optimizer = make_optimizer(model, config(name))
        step = TrainStep(model, optimizer, config(name), model.inputs)
        graph = StepGraph(step, SIZE, Again, lambda work: eager.append(work) or work())
        for epoch in range(2):
            set_epoch(optimizer, config(name), epoch)
            optimizer.param_groups[0]["lr"] = 0.1 / (epoch + 1)
            scores.append(
                train_epoch(
                    model,
                    batches(*sizes),
                    optimizer,
                    config(name),
                    model.inputs,
                    step=graph if graphed else step,
                )
            )
        models.append(model)
    assert scores[:2] == scores[2:]
    same(*models)
    assert Again.made == 2  # one for each learning rate
    assert len(eager) == 4


def test_a_recording_has_one_shape() -> None:
    """Its inputs are copies at fixed addresses; what it answered earlier stays as it was."""
    model = network()
    step = TrainStep(model, make_optimizer(model, config()), config(), model.inputs)
    seen: list[tuple[int, torch.Size]] = []
    inner = step.__call__

    class Watched(TrainStep):
        def __call__(self, batch: Batch, check: Any = None) -> Answer:
            seen.append((batch.inputs["rgb"].data_ptr(), batch.inputs["rgb"].shape))
            return inner(batch)

    step.__class__ = Watched
    graph = StepGraph(step, SIZE, Again, lambda work: work())
    losses = [graph(batch).loss for batch in batches(2, 2, 2, 2, 2)]
    assert len(set(seen[2:])) == 1
    assert len({float(loss) for loss in losses}) == 5


@pytest.mark.parametrize(
    ("worker", "asked", "kind"),
    [
        (Worker(device="cuda:0"), True, StepGraph),
        (Worker(device="cuda:0"), False, TrainStep),
        (Worker(num_workers=2, device="cuda:0"), True, TrainStep),
        (Worker(), True, TrainStep),
    ],
)
def test_which_runs_take_a_graph(worker: Worker, asked: bool, kind: type) -> None:
    model, chosen = network(), config().with_changes(execution={"step_graph": asked})
    optimizer = make_optimizer(model, chosen)
    trainer = SimpleNamespace(
        wrapped=model, optimizer=optimizer, config=chosen, names=model.inputs, worker=worker
    )
    assert type(Trainer._step(trainer)) is kind
