"""The loop learns, keeps the best, stops on nonsense, and goes on as if never interrupted."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from ttdata.errors import InputError, TTError, VersionError
from tttrain.config import (
    ExecutionConfig,
    Milestone,
    NetworkConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)
from tttrain.errors import TrainingError
from tttrain.recipes import RECIPES, siamese
from tttrain.training import checkpoint as checkpoints
from tttrain.training.best_epoch import Best
from tttrain.training.checkpoint import Checkpoint
from tttrain.training.loop import (
    Batch,
    Score,
    make_optimizer,
    restore,
    set_epoch,
    train_epoch,
    validate,
)
from tttrain.training.networks import build
from tttrain.training.schedule import Plateau, learning_rate_at, momentum_at

NAMES = ("rgb", "flow")


class Linear(nn.Module):
    """Logits from a linear layer on flattened rgb and flow."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(5 * 8, 4)

    def forward(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.cat([rgb, flow], dim=1).flatten(1))


def samples(count: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = {
        "rgb": torch.rand((count, 3, 2, 2, 2), generator=generator),
        "flow": torch.rand((count, 2, 2, 2, 2), generator=generator),
    }
    return inputs, torch.arange(count) % 4


def batch(first: int, last: int, total: int | None = None) -> Batch:
    inputs, labels = samples(8)
    return Batch(
        [f"clip {index}" for index in range(first, last)],
        {name: value[first:last] for name, value in inputs.items()},
        labels[first:last],
        last - first if total is None else total,
    )


@pytest.mark.parametrize(("optimizer_name", "rate"), [("sgd", 0.5), ("adamw", 0.1)])
def test_linear_model_overfits_eight_samples(optimizer_name: str, rate: float) -> None:
    config = TrainConfig(
        optimizer=OptimizerConfig(
            name=optimizer_name, learning_rate=rate, momentum=0.9, weight_decay=0.0
        )
    )
    model = Linear()
    optimizer = make_optimizer(model, config)
    for epoch in range(200):
        set_epoch(optimizer, config, epoch)
        score = train_epoch(model, [batch(0, 4), batch(4, 8)], optimizer, config, NAMES)
    assert score.n == 8
    assert score.correct == 8
    assert score.loss < 0.05
    assert validate(model, [batch(0, 8)], NAMES).accuracy == 1.0


def test_step_follows_the_mean_over_the_global_batch() -> None:
    """Two workers' gradients, averaged, are the gradient of one worker's batch; ragged too."""
    config = TrainConfig(
        optimizer=OptimizerConfig(
            learning_rate=1.0, momentum=0.0, momentum_milestones=(), weight_decay=0.0
        )
    )

    def step(part: Batch, workers: int) -> list[torch.Tensor]:
        model = Linear()
        before = [value.detach().clone() for value in model.parameters()]
        train_epoch(model, [part], make_optimizer(model, config), config, NAMES, workers)
        return [b - a.detach() for a, b in zip(model.parameters(), before, strict=True)]

    whole = step(batch(0, 3), 1)
    first, second = step(batch(0, 2, total=3), 2), step(batch(2, 3, total=3), 2)
    for one, a, b in zip(whole, first, second, strict=True):
        assert torch.allclose(one, (a + b) / 2, atol=1e-6)
    inputs = {name: value[:1] * 0 for name, value in samples(8)[0].items()}
    idle = step(Batch([], inputs, torch.tensor([0]), 3), 2)
    assert all(float(value.abs().max()) == 0 for value in idle)


def test_label_smoothing_is_of_training_alone() -> None:
    """By hand: the mean of -log p over (1 - e) of the label and e of all classes alike."""
    config = TrainConfig(optimizer=OptimizerConfig(label_smoothing=0.2, weight_decay=0.0))
    model, whole = Linear(), batch(0, 8)
    with torch.no_grad():
        logs = model(*[whole.inputs[name] for name in NAMES]).log_softmax(dim=1)
    given = -logs[torch.arange(8), whole.labels].mean()
    smoothed = 0.8 * given - 0.2 * logs.mean()
    assert validate(model, [whole], NAMES).loss == pytest.approx(float(given), rel=1e-6)
    found = train_epoch(model, [whole], make_optimizer(model, config), config, NAMES)
    assert found.loss == pytest.approx(float(smoothed), rel=1e-6)
    for wrong in (-0.1, 1.0):
        with pytest.raises(ValueError, match="label_smoothing"):
            OptimizerConfig(label_smoothing=wrong)


def test_no_clip_leaves_running_statistics_alone() -> None:
    model = nn.Sequential(nn.BatchNorm3d(3), nn.Flatten(), nn.Linear(24, 4))
    before = [value.clone() for value in model.buffers()]
    inputs = {"rgb": torch.zeros((1, 3, 2, 2, 2))}
    nothing, config = Batch([], inputs, torch.tensor([0]), 3), TrainConfig()
    train_epoch(model, [nothing], make_optimizer(model, config), config, ["rgb"], 2)
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))
    some, labels = samples(2)
    train_epoch(
        model,
        [Batch(["a", "b"], some, labels, 2)],
        make_optimizer(model, config),
        config,
        ["rgb"],
    )
    assert float(model[0].running_mean.abs().min()) > 0


def test_a_loss_that_is_not_finite_stops_with_its_clips() -> None:
    broken = batch(2, 4)
    broken.inputs["flow"][0] = math.nan
    model, config = Linear(), TrainConfig()
    before = model.layer.weight.detach().clone()
    with pytest.raises(TrainingError, match=r"loss is nan after 0 clips .* clip 2, clip 3"):
        train_epoch(model, [broken], make_optimizer(model, config), config, NAMES)
    assert torch.equal(model.layer.weight, before)


def test_so_does_a_validation_loss() -> None:
    broken, sound = batch(2, 4), batch(0, 2)
    broken.inputs["rgb"][1] = math.inf
    with pytest.raises(TrainingError, match=r"validation loss is nan.* gave it: clip 2, clip 3;"):
        validate(Linear(), [sound, broken], NAMES)


def test_the_papers_schedule() -> None:
    config = siamese()
    expected = {0: 0.5, 999: 0.5, 1000: 0.1, 1499: 0.1, 1500: 0.05, 1999: 0.05}
    assert {epoch: momentum_at(config, epoch) for epoch in expected} == expected
    optimizer = make_optimizer(Linear(), config)
    set_epoch(optimizer, config, 1200)
    (group,) = optimizer.param_groups
    assert group["nesterov"]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.001, 0.1, 0.005)
    rates = [RECIPES[name]().optimizer.learning_rate for name in ("rgb", "early")]
    assert rates == [0.01, 0.01]
    assert (config.batch_size, config.schedule.epochs) == (10, 2000)
    assert config.network.clip_shape == (100, 120, 120)


@pytest.mark.parametrize(
    ("name", "parameters"), [("i3d_rgb", 12_308_789), ("i3d_flow", 12_286_837)]
)
def test_the_papers_i3d(name: str, parameters: int) -> None:
    config = RECIPES[name]()
    optimizer, schedule = config.optimizer, config.schedule
    assert (optimizer.learning_rate, optimizer.momentum, optimizer.weight_decay) == (0.1, 0.9, 1e-7)
    assert (schedule.decay, schedule.plateau_factor) == ("plateau", 0.1)
    assert (config.network.clip_shape, optimizer.momentum_milestones) == ((64, 120, 120), ())
    with torch.device("meta"):
        model = build(config, 21)
    assert sum(weight.numel() for weight in model.parameters()) == parameters
    assert (model.config.first_pool, model.config.dropout) == (False, 0.5)
    assert model.inputs == (name.removeprefix("i3d_"),)


def test_cosine_and_warmup() -> None:
    config = TrainConfig(
        optimizer=OptimizerConfig(learning_rate=0.8),
        schedule=ScheduleConfig(decay="cosine", warmup_epochs=3, epochs=7),
    )
    rates = [learning_rate_at(config, epoch) for epoch in range(7)]
    half = math.sqrt(0.5)
    expected = [0.2, 0.4, 0.6, 0.8, 0.4 * (1 + half), 0.4, 0.4 * (1 - half)]
    assert rates == pytest.approx(expected)


def test_plateau_drops_where_validation_stalls() -> None:
    config = TrainConfig(
        optimizer=OptimizerConfig(learning_rate=0.1),
        schedule=ScheduleConfig(decay="plateau", plateau_epochs=2),
    )
    plateau, reductions = Plateau(), []
    for loss in (3.0, 2.0, 2.0, 2.5, 2.1, 1.0, 1.5, 1.0, 1.0, 1.0):
        plateau = plateau.after(loss, config)
        reductions.append(plateau.reductions)
    # Epochs 3 and 4 are not below 2, nor is 5; 7 and 8 not below 1, nor 9 and 10.
    assert reductions == [0, 0, 0, 1, 1, 1, 1, 2, 2, 3]
    assert learning_rate_at(config, 9, reductions=3) == pytest.approx(1e-4)
    optimizer = make_optimizer(Linear(), config)
    set_epoch(optimizer, config, 4, reductions=1)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


def test_scaling_is_asked_for() -> None:
    plain = siamese().with_changes(batch_size=40, schedule={"epochs": 200})
    assert learning_rate_at(plain, 0) == 0.001
    assert momentum_at(plain, 199) == 0.5
    scaled = plain.with_changes(
        optimizer={"reference_batch_size": 10}, schedule={"reference_epochs": 2000}
    )
    assert learning_rate_at(scaled, 0) == pytest.approx(0.004)
    assert [momentum_at(scaled, epoch) for epoch in (99, 100, 149, 150)] == [0.5, 0.1, 0.1, 0.05]
    stall = scaled.with_changes(schedule={"plateau_epochs": 30})
    assert Plateau(1.0, 2, 0).after(1.0, stall) == Plateau(1.0, 0, 1)


def test_bfloat16_computes_in_bfloat16_and_learns_in_float32() -> None:
    seen = []
    model = Linear()
    model.layer.register_forward_hook(lambda *call: seen.append(call[-1].dtype))
    for precision in ("auto", "float32", "bfloat16"):
        config = TrainConfig(precision=precision)
        train_epoch(model, [batch(0, 4)], make_optimizer(model, config), config, NAMES)
        validate(model, [batch(0, 4)], NAMES, precision)
    assert seen == [torch.float32] * 4 + [torch.bfloat16] * 2
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_an_update_in_one_pass_is_that_of_single_operations(
    name: str, layout: torch.memory_format
) -> None:
    """Weights of convolutions, whatever the order of their numbers in memory."""
    config = TrainConfig(optimizer=OptimizerConfig(name=name, learning_rate=0.1, momentum=0.9))
    found, expected = [nn.Conv3d(3, 5, 3).to(memory_format=layout) for _ in range(2)]
    expected.load_state_dict(found.state_dict())
    plain = make_optimizer(expected, config)
    plain.param_groups[0]["fused"] = False
    optimizer = make_optimizer(found, config)
    assert optimizer.param_groups[0]["fused"]
    for _ in range(3):
        for one, other in zip(found.parameters(), expected.parameters(), strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        optimizer.step()
        plain.step()
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        assert not torch.equal(one, torch.zeros_like(one))
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("fused", [False, True])
def test_a_checkpoint_of_another_device_leaves_the_way_of_computing(name: str, fused: bool) -> None:
    config = TrainConfig(optimizer=OptimizerConfig(name=name))
    model = Linear()
    stored, own = make_optimizer(model, config), make_optimizer(model, config)
    for optimizer, value in ((stored, not fused), (own, fused)):
        optimizer.param_groups[0] |= {"fused": value, "foreach": None}
    set_epoch(stored, config, 1200)
    train_epoch(model, [batch(0, 4)], stored, config, NAMES)
    state = stored.state_dict()
    restore(own, state)
    assert own.param_groups[0]["fused"] is fused
    assert state["param_groups"][0]["fused"] is not fused
    assert own.param_groups[0].get("momentum") == stored.param_groups[0].get("momentum")
    for weight in model.parameters():
        for key, value in stored.state[weight].items():
            assert torch.equal(own.state[weight][key], value)
    train_epoch(model, [batch(0, 4)], own, config, NAMES)


@pytest.mark.parametrize(
    ("accuracy", "loss", "better"),
    [(0.6, 9.0, True), (0.5, 0.9, True), (0.5, 1.0, False), (0.5, 1.1, False), (0.4, 0.1, False)],
)
def test_best_weights(accuracy: float, loss: float, better: bool) -> None:
    """Higher accuracy, then lower loss; of equals the earlier epoch stays."""
    best = Best(3, 0.5, 1.0, {})
    assert best.beaten_by(Score(loss, round(accuracy * 10), 10)) is better


def test_validation_counts_each_clip_once() -> None:
    score = validate(Linear(), [batch(0, 5), batch(5, 8)], NAMES)
    whole = validate(Linear(), [batch(0, 8)], NAMES)
    assert score.n == whole.n == 8
    assert score.correct == whole.correct
    assert score.loss == pytest.approx(whole.loss, abs=1e-6)
    assert validate(Linear(), [], NAMES) == Score(0.0, 0, 0)


def checkpoint(epochs_done: int, best: Best | None = None) -> Checkpoint:
    model, config = Linear(), TrainConfig()
    optimizer = make_optimizer(model, config)
    train_epoch(model, [batch(0, 4)], optimizer, config, NAMES)
    plateau = Plateau(1.5, 2, 1)
    return Checkpoint("abc", epochs_done, model.state_dict(), optimizer.state_dict(), best, plateau)


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    assert checkpoints.load(path, "abc") is None
    original = checkpoint(4, Best(2, 0.5, 1.25, {"w": torch.arange(3.0)}))
    checkpoints.save(path, original)
    found = checkpoints.load(path, "abc")
    assert found is not None
    assert found.epochs_done == 4
    assert found.plateau == Plateau(1.5, 2, 1)
    assert found.weights.keys() == original.weights.keys()
    assert all(torch.equal(found.weights[key], original.weights[key]) for key in found.weights)
    momentum = found.optimizer["state"][0]["momentum_buffer"]
    assert torch.equal(momentum, original.optimizer["state"][0]["momentum_buffer"])
    assert found.best is not None
    assert (found.best.epoch, found.best.accuracy, found.best.loss) == (2, 0.5, 1.25)
    assert [item.name for item in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_unusable_checkpoints_are_named(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoints.save(path, checkpoint(1))
    with pytest.raises(InputError, match="of configuration abc, expected other"):
        checkpoints.load(path, "other")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        checkpoints.load(path, "abc")
    torch.save({"schema_version": 99, "result_hash": "abc"}, path)
    with pytest.raises(VersionError, match="schema version 99"):
        checkpoints.load(path, "abc")


def test_writer_writes_beside_and_reports_errors(tmp_path: Path) -> None:
    writer = checkpoints.Writer(tmp_path / "checkpoint.pt", 0.0)
    assert writer.due()
    writer.submit(checkpoint(1))
    writer.submit(checkpoint(2))
    writer.wait()
    found = checkpoints.load(tmp_path / "checkpoint.pt", "abc")
    assert found is not None
    assert found.epochs_done == 2
    assert not checkpoints.Writer(tmp_path / "checkpoint.pt", 5.0).due()
    (tmp_path / "file").write_text("")
    failing = checkpoints.Writer(tmp_path / "file" / "checkpoint.pt", 0.0)
    failing.submit(checkpoint(1))
    with pytest.raises(OSError, match="file"):
        failing.wait()


def test_configuration_is_checked() -> None:
    with pytest.raises(ValueError, match="must rise by epoch"):
        OptimizerConfig(momentum_milestones=(Milestone(epoch=5, value=0.1),) * 2)
    with pytest.raises(ValueError, match="at least 8"):
        NetworkConfig(clip_shape=(4, 16, 16))
    with pytest.raises(ValueError, match=r"warmup_epochs must be below epochs \(2\), found 2"):
        ScheduleConfig(epochs=2, warmup_epochs=2)
    with pytest.raises(ValueError, match=r"min_workers must be at most num_workers \(2\), found 3"):
        ExecutionConfig(num_workers=2, min_workers=3)
    two = TrainConfig(execution=ExecutionConfig(num_workers=2))
    assert two.result_hash() == TrainConfig().result_hash()
    assert TrainConfig(seed=1).result_hash() != TrainConfig().result_hash()
    # As before `window_draw` came: checkpoints of then go on.
    assert TrainConfig().result_hash() == "c79ccf148d6b"
    uniform = TrainConfig().with_changes(augment={"window_draw": "uniform"})
    assert uniform.result_hash() != TrainConfig().result_hash()
    assert issubclass(TrainingError, TTError)
