"""A training step against a CPU's; bfloat16 against float32; the same bits again, and resumed."""

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy

from gpu_sections.context import Context, relative
from gpu_sections.training import KERNELS, KERNELS_IN_A_GRAPH, Training, Way, configuration
from tttrain.training import checkpoint as checkpoints
from tttrain.training.checkpoint import Checkpoint
from tttrain.training.device import set_up
from tttrain.training.loop import (
    Batch,
    Precision,
    autocast,
    copied,
    restore,
    weights_of,
)
from tttrain.training.schedule import Plateau

SHAPE, BATCH = (16, 40, 40), 4
I3D_SHAPE, I3D_TINY = (16, 32, 32), (8, 16, 16)
UPDATE, LOSS, LOGITS, COSINE = 1e-2, 1e-4, 1e-2, 0.95
ALONE = 1e-4
"""Few outputs round another way, as sums have another order."""


def run(context: Context) -> None:
    """The section."""
    context.case("one step against a CPU", against_cpu)
    context.case("bfloat16 against float32", precisions)
    context.case("SSTC: three steps twice", repeated, "siamese", SHAPE)
    i3d = I3D_TINY if context.tiny else I3D_SHAPE
    context.case("I3D: three steps twice", repeated, "i3d_rgb", i3d)
    context.case("SSTC: resumed", resumed)
    context.case("synchronisations", synchronisations)
    if context.cuda:
        context.case("first stage alone", first_stage_alone)
        context.case("new ways against the plain one", new_ways)


def against_cpu(context: Context) -> None:
    """A step's loss, and what it adds to the weights, in float32 without TF32."""
    config = configuration(SHAPE, BATCH, "float32")
    # Small steps would drown in the rounding of the weights.
    config = config.with_changes(optimizer={"learning_rate": 0.1})
    set_up(config, str(context.device))
    ours, cpu = Training(context, config, BATCH), Training(context, config, BATCH)
    cpu.move("cpu")
    batch = ours.batch(0)
    inputs = {name: clip.cpu() for name, clip in batch.inputs.items()}
    before = flat(weights_of(ours.model))
    losses = (
        ours.step(batch),
        cpu.step(dataclasses.replace(batch, inputs=inputs, labels=batch.labels.cpu())),
    )
    context.check("loss to a CPU's, relative", abs(losses[0] / losses[1] - 1), LOSS)
    one, other = (flat(weights_of(training.model)) - before for training in (ours, cpu))
    context.check("update to a CPU's, relative", relative(one, other), UPDATE)


def flat(tensors: dict[str, Tensor]) -> Tensor:
    """All of them in one, float64."""
    return torch.cat([value.double().flatten() for value in tensors.values()])


def precisions(context: Context) -> None:
    """Logits and gradients of one batch in both precisions, with kernels of our own too."""
    config = configuration(SHAPE, BATCH, "float32")
    set_up(config, str(context.device))
    training = Training(context, config, BATCH)
    batch = training.batch(0)
    logits, gradients = answer(training, batch, "float32")
    for name, way in {"bfloat16": Way(), "bfloat16, kernels": KERNELS}.items():
        if way == KERNELS and not context.cuda:
            continue
        training.take(way)
        short, shorter = answer(training, batch, "bfloat16")
        context.check(f"{name}: logits, relative", relative(short, logits), LOGITS)
        cosine = cosine_similarity(flat(shorter), flat(gradients), dim=0).item()
        context.check(f"{name}: cosine of the gradients", cosine, COSINE, least=True)
        for weight in [weight for weight in gradients if "conv" in weight and "weight" in weight]:
            difference = relative(shorter[weight], gradients[weight])
            context.measure(f"{name}: gradient of {weight}, relative difference", difference, "")


def answer(
    training: Training, batch: Batch, precision: Precision
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits and gradients of a batch."""
    training.model.zero_grad(set_to_none=True)
    with autocast(training.device.type, precision):
        logits = training.model(*[batch.inputs[name] for name in training.model.inputs])
    cross_entropy(logits.float(), batch.labels).backward()
    gradients = {n: w.grad.cpu().clone() for n, w in training.model.named_parameters()}
    return logits.detach().float(), gradients


def first_stage_alone(context: Context) -> None:
    """Values and gradients of the first stage's kernels at full size, against the plain layers."""
    from ttmodels.gpu import first_stage
    from ttmodels.pooling import pool_relu

    for channels in (2, 3):
        torch.manual_seed(channels)
        conv = nn.Conv3d(channels, 30, 3, padding=1).to(context.device)
        weights = conv.weight, conv.bias
        clip = torch.rand(BATCH, channels, 100, 120, 120, device=context.device)
        gradient = torch.randn(BATCH, 30, 50, 60, 60, device=context.device).bfloat16()
        with autocast(context.device.type, "bfloat16"):
            plain = pool_relu(conv(clip))
        ours = first_stage.conv_pool_relu(conv, clip, torch.bfloat16)[:, :30]
        what = f"first stage of {channels} channels"
        context.check(f"{what}: values", relative(ours, plain), ALONE)
        found, expected = (torch.autograd.grad(way, weights, gradient) for way in (ours, plain))
        for name, one, other in zip(("weight", "bias"), found, expected, strict=True):
            context.check(f"{what}: gradient of the {name}", relative(one, other), LOGITS)


def repeated(context: Context, model: str, shape: tuple[int, int, int]) -> None:
    """Three steps from one seed, twice, in the precision of training: the same bits."""
    ways = {"": Way(), ", kernels": KERNELS} if context.cuda else {"": Way()}
    for name, way in ways.items():
        one, other = (after_steps(context, model, shape, 3, way) for _ in range(2))
        what = f"{model}{name}: weights that differ in a second run"
        context.check(what, differing(one, other), 0)


def after_steps(
    context: Context, model: str, shape: tuple[int, int, int], steps: int, way: Way
) -> dict[str, Tensor]:
    """The weights after so many steps."""
    training = training_of(context, model, shape)
    training.take(way)
    for number in range(steps):
        training.step(training.batch(number))
    return weights_of(training.model)


def training_of(context: Context, model: str, shape: tuple[int, int, int]) -> Training:
    """A training as a worker sets it up: in bfloat16 on a GPU, in float32 on a CPU."""
    config = configuration(shape, BATCH, "auto", model)
    config = config.with_changes(network={"dropout": 0.0})
    set_up(config, str(context.device))
    return Training(context, config, 2 * BATCH)


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> int:
    """How many of the tensors differ in a bit."""
    return sum(not torch.equal(one[name], other[name]) for name in one)


def resumed(context: Context) -> None:
    """Two steps, a checkpoint, and one more step from it; against three without a break."""
    path = Path(context.out) / "checkpoint.pt"
    first = training_of(context, "siamese", SHAPE)
    for number in range(2):
        first.step(first.batch(number))
    state = copied(first.optimizer.state_dict())
    checkpoints.save(path, Checkpoint("", 2, weights_of(first.model), state, None, Plateau()))
    first.step(first.batch(2))
    found = checkpoints.load(path, "")
    path.unlink()
    assert found is not None
    second = training_of(context, "siamese", SHAPE)
    second.model.load_state_dict(found.weights)
    restore(second.optimizer, found.optimizer)
    second.step(second.batch(2))
    count = differing(weights_of(first.model), weights_of(second.model))
    context.check("siamese: weights that differ after a resumption", count, 0)


def synchronisations(context: Context) -> None:
    """How often the host waits for the device in making a batch, and in a step."""
    if not context.cuda:
        context.note("synchronisations", "counted on CUDA only")
        return
    training = training_of(context, "siamese", SHAPE)
    training.step(training.batch(0))
    batch: list = []
    for crops in (False, True):
        training.take(Way(crops=crops))
        training.batch(0)
        parts = {
            f"a batch{', crop kernel' if crops else ''}": lambda: batch.append(training.batch(1)),
            "a step": lambda: training.work(batch[-1]),
        }
        for name, part in parts.items():
            count_waits(context, name, part)


def count_waits(context: Context, name: str, part: Callable[[], object]) -> None:
    """Of one part."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        part()
        torch.cuda.set_sync_debug_mode("default")
    count = sum("called a synchronizing" in str(item.message) for item in found)
    context.measure(f"synchronisations in {name}", count, "")


def new_ways(context: Context) -> None:
    """Six steps each: a graph gives the same bits; fused poolings the same update, to rounding."""
    expected = stepped(context, Way())
    graph = stepped(context, Way(graph=True))
    differ = differing(graph, expected)
    context.check("step graph: weights that differ after six steps", differ, 0)
    config = configuration(SHAPE, BATCH, "float32")
    before = flat(weights_of(Training(context, config, BATCH).model))
    change = flat(expected) - before
    fused = flat(stepped(context, Way(pooling=True))) - before
    context.check("fused poolings: update to the plain one", relative(fused, change), UPDATE)
    halves = [stepped(context, way, "bfloat16") for way in (KERNELS, KERNELS_IN_A_GRAPH)]
    context.check("step graph of the kernels, bfloat16: weights that differ", differing(*halves), 0)
    everything = flat(stepped(context, Way(pooling=True, crops=True, graph=True))) - before
    context.check("all new ways: update to the plain one", relative(everything, change), UPDATE)


def stepped(context: Context, way: Way, precision: Precision = "float32") -> dict[str, Tensor]:
    """The weights after six steps."""
    config = configuration(SHAPE, BATCH, precision)
    config = config.with_changes(optimizer={"learning_rate": 0.1})
    set_up(config, str(context.device))
    training = Training(context, config, 2 * BATCH)
    training.take(way)
    training.epoch(training.batch(number) for number in range(6))
    return weights_of(training.model)
