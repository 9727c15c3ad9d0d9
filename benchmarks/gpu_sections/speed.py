"""The full siamese network at batch 10: a step and its parts, convolutions, the plain loop."""

import time
from collections.abc import Callable, Iterator

import torch
from plain_sstc import Plain
from torch import nn
from torch.nn.functional import cross_entropy

from gpu_sections.context import Context, allow_tf32
from gpu_sections.training import (
    CLASSES,
    KERNELS,
    KERNELS_IN_A_GRAPH,
    Training,
    Way,
    configuration,
)
from ttmodels.pooling import pool_relu
from tttrain.training.device import set_up
from tttrain.training.loop import Batch, autocast, copied, weights_of

FULL, FULL_BATCH = (100, 120, 120), 10
TINY, TINY_BATCH = (16, 32, 32), 2
PAPER = {"train": 808, "validation": 230, "epochs": 2000}
PATHS = {
    "plain layers: channels last, bfloat16": ("bfloat16", True),
    "contiguous, bfloat16": ("bfloat16", False),
    "channels last, float32": ("float32", True),
}
"""Ways to compute a step, by precision and layout."""
GAINS = {
    "old: each loss read": Way(unread=1),
    "losses read late": Way(),
    "fused poolings": Way(pooling=True),
    "fused, padded channels": Way(pooling=True, padded=True),
    "fused, padded, first stage as a kernel": Way(pooling=True, padded=True, first=True),
    "crop kernel": Way(crops=True),
    "step graph": Way(graph=True),
    "all but the graph": KERNELS,
    "all of them": KERNELS_IN_A_GRAPH,
}
"""Further ways, in the same precision and layout. A new one gets a line here, to be timed beside
the old one in the same call."""
STEPS = 8
"""Of an epoch that is timed as a whole: losses read late are late in an epoch only."""
PADDED = {2: 8, 3: 8, 30: 32, 60: 64, 80: 80}
"""Channel counts, and those that a GPU's matrix units take whole."""


def run(context: Context) -> None:
    """The section."""
    names = list(PATHS)
    context.case("parts", parts)
    context.case(names[0], path, names[0])
    context.case("gains", gains)
    context.case("pooling alone", pooling_alone, optional=True)
    context.case("straightforward loop", straightforward)
    context.case("convolutions", convolutions, optional=True)
    for name in names[1:]:
        context.case(name, path, name, optional=True)
    context.case("copy of the weights", weights_copy, optional=True)


def sizes(context: Context) -> tuple[tuple[int, int, int], int]:
    """Clip shape and batch."""
    return (TINY, TINY_BATCH) if context.tiny else (FULL, FULL_BATCH)


def training_of(context: Context, precision: str, channels_last: bool = True) -> Training:
    """A training of full size with two batches of clips on the device."""
    shape, batch = sizes(context)
    config = configuration(shape, batch, precision)
    set_up(config, str(context.device))
    return Training(context, config, 2 * batch, channels_last)


def parts(context: Context) -> None:
    """Crop, forward, backward and optimiser through the plain layers, each alone."""
    training = training_of(context, "bfloat16")
    batches = [training.batch(number) for number in range(2)]
    numbers = iter(range(2, 1000))
    context.measure("crop and augmentation", milliseconds(context, training, numbers), "ms")
    loss: list[torch.Tensor] = []

    def forward(batch: Batch) -> None:
        loss[:] = [loss_of(training, batch)]

    def backward() -> None:
        training.model.zero_grad(set_to_none=True)
        loss[0].backward(retain_graph=True)

    turns = [(batch,) for batch in batches]
    training.model.train()
    context.measure("forward", context.milliseconds(forward, turns), "ms")
    context.measure("backward", context.milliseconds(backward), "ms")
    context.measure("optimiser", context.milliseconds(training.optimizer.step), "ms")


def milliseconds(context: Context, training: Training, numbers: Iterator[int]) -> float:
    """Of making a batch, host and device together, as training waits for it."""
    return whole(context, lambda: training.batch(next(numbers)))


def whole(context: Context, work: Callable[[], object], repeats: int = 7) -> float:
    """Median ms from the call until the device is done."""
    taken = []
    for _ in range((3 if context.tiny else repeats) + 2):
        context.synchronise()
        start = time.perf_counter()
        work()
        context.synchronise()
        taken.append(1000 * (time.perf_counter() - start))
    return sorted(taken[2:])[len(taken[2:]) // 2]


def loss_of(training: Training, batch: Batch) -> torch.Tensor:
    """Mean loss of a batch in the configured precision."""
    with autocast(training.device.type, training.config.precision):
        logits = training.model(*[batch.inputs[name] for name in training.model.inputs])
    return cross_entropy(logits.float(), batch.labels)


def path(context: Context, name: str) -> None:
    """Whole steps with their batches, validation, and the peak of memory."""
    precision, channels_last = PATHS[name]
    training = training_of(context, precision, channels_last)
    if precision == "float32":
        allow_tf32(False)
    if context.cuda:
        torch.cuda.reset_peak_memory_stats()
    numbers = iter(range(1000))
    step = whole(context, lambda: training.step(training.batch(next(numbers))))
    size = training.config.batch_size
    context.measure(f"{name}: step with its batch", step, "ms")
    context.measure(f"{name}: clips", 1000 * size / step, "clips/s")
    if context.cuda:
        peak = torch.cuda.max_memory_allocated() / 2**30
        context.measure(f"{name}: peak memory", peak, "GiB")
    if name == next(iter(PATHS)):
        validation = whole(context, lambda: training.validate([training.batch(next(numbers))]))
        context.measure("validation of a batch", validation, "ms")
        context.measure("2000 epochs", hours(step, validation, size), "h")


def gains(context: Context) -> None:
    """Epochs of a few steps, old against new, one gain at a time and all together."""
    training = training_of(context, "bfloat16")
    size, numbers = training.config.batch_size, iter(range(10_000))
    steps = 2 if context.tiny else STEPS

    def batches() -> Iterator[Batch]:
        return (training.batch(next(numbers)) for _ in range(steps))

    for name, way in GAINS.items():
        if not context.cuda and way != Way(unread=way.unread):
            context.note(f"gain, {name}", "on CUDA only")
            continue
        given = training, way, batches, f"gain, {name}", steps * size
        context.case(f"gain, {name}", one_gain, *given)


def one_gain(
    context: Context,
    training: Training,
    way: Way,
    batches: Callable[[], Iterator[Batch]],
    name: str,
    clips: int,
) -> None:
    """One of them."""
    training.take(way)
    if context.cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    taken = whole(context, lambda: training.epoch(batches()), 3) / clips
    if context.cuda:
        peak = torch.cuda.max_memory_reserved() / 2**30
        context.measure(f"{name}: peak of reserved memory", peak, "GiB")
    size = training.config.batch_size
    context.measure(f"{name}: step with its batch", taken * size, "ms")
    context.measure(f"{name}: clips", 1000 / taken, "clips/s")
    validation = whole(context, lambda: training.validate(batches()), 3) / clips
    context.measure(f"{name}: validation with its batch", validation * size, "ms")
    context.measure(f"{name}: 2000 epochs", hours(taken, validation, 1), "h")


def pooling_alone(context: Context) -> None:
    """Bias, pooling and ReLU of the first stage, forward and backward: plain and fused."""
    shape, size = sizes(context)
    like = {"device": context.device, "dtype": torch.bfloat16}
    bias = torch.randn(30, device=context.device, requires_grad=True)
    maps = torch.randn(size, 30, *shape, **like).contiguous(memory_format=torch.channels_last_3d)
    maps.requires_grad_()

    def plain(maps: torch.Tensor) -> torch.Tensor:
        return pool_relu(maps + bias.to(maps.dtype)[:, None, None, None])

    ways = {"plain": plain}
    if context.cuda:
        from ttmodels.gpu.fused_pooling import pool_bias_relu

        ways["fused"] = lambda maps: pool_bias_relu(maps, bias, (2, 2, 2))
    for name, way in ways.items():
        result = way(maps)
        gradient = torch.randn_like(result)

        def backward(result: torch.Tensor = result, gradient: torch.Tensor = gradient) -> None:
            torch.autograd.grad(result, (maps, bias), gradient, retain_graph=True)

        context.measure(f"pooling, {name}: forward", context.milliseconds(way, [(maps,)]), "ms")
        context.measure(f"pooling, {name}: backward", context.milliseconds(backward), "ms")


def hours(step_ms: float, validation_ms: float, batch: int) -> float:
    """The paper's training: 808 training and 230 validation clips, 2000 epochs.

    >>> round(hours(50.0, 25.0, 10), 2)
    2.56
    """
    steps, validations = (-(-PAPER[name] // batch) for name in ("train", "validation"))
    return PAPER["epochs"] * (steps * step_ms + validations * validation_ms) / 3.6e6


def straightforward(context: Context) -> None:
    """Float32, contiguous, convolution - ReLU - pooling, clips ready on the device."""
    training = training_of(context, "float32", channels_last=False)
    batches = [training.batch(number) for number in range(2)]
    training.model, training.optimizer = None, None  # its memory is the plain one's
    loose()
    shape, size = sizes(context)
    model = Plain(shape, CLASSES).to(context.device)
    optimizer = torch.optim.SGD(
        model.parameters(), 0.001, momentum=0.5, nesterov=True, weight_decay=0.005
    )
    turn = iter(range(1000))

    def step() -> None:
        batch = batches[next(turn) % 2]
        optimizer.zero_grad()
        logits = model(batch.inputs["rgb"], batch.inputs["flow"])
        loss = cross_entropy(logits, batch.labels)
        loss.backward()
        optimizer.step()
        loss.item()

    for allowed in (False, True) if context.cuda else (False,):
        allow_tf32(allowed)
        taken = whole(context, step, 5)
        what = f"straightforward float32{', TF32' if allowed else ''}, without its batch"
        context.measure(f"{what}: step", taken, "ms")
        context.measure(f"{what}: clips", 1000 * size / taken, "clips/s")


def loose() -> None:
    """Take back what the product needs and a plain loop does not."""
    allow_tf32(False)
    torch.backends.cudnn.deterministic = False
    torch.set_deterministic_debug_mode("default")


def convolutions(context: Context) -> None:
    """Each convolution of a branch in bfloat16, channels last, as it is and zero-padded."""
    shape, size = sizes(context)
    layers = {(3, 30): 1, (2, 30): 1, (30, 60): 2, (60, 80): 4}
    padded = {(PADDED[into], PADDED[out]): scale for (into, out), scale in layers.items()}
    for channels, scale in (layers | padded).items():
        one_convolution(context, channels, [side // scale for side in shape], size)


def one_convolution(
    context: Context, channels: tuple[int, int], sides: list[int], size: int
) -> None:
    """Forward and backward of one."""
    like = {"device": context.device, "dtype": torch.bfloat16}
    conv = nn.Conv3d(*channels, 3, padding=1, **like).to(memory_format=torch.channels_last_3d)
    clips = [
        torch.randn(size, channels[0], *sides, **like)
        .contiguous(memory_format=torch.channels_last_3d)
        .requires_grad_(channels[0] > 8)
        for _ in range(2)
    ]
    turns = [(clip,) for clip in clips]
    outputs = [conv(clip) for clip in clips]
    gradient = torch.randn_like(outputs[0])

    def backward(output: torch.Tensor) -> None:
        output.backward(gradient, retain_graph=True)

    name = f"convolution {channels[0]} to {channels[1]} at {'x'.join(map(str, sides))}"
    with torch.no_grad():
        context.measure(f"{name}: forward", context.milliseconds(conv, turns), "ms")
    taken = context.milliseconds(backward, [(output,) for output in outputs])
    context.measure(f"{name}: backward", taken, "ms")


def weights_copy(context: Context) -> None:
    """What a new best epoch and a checkpoint keep the training thread."""
    training = training_of(context, "bfloat16")
    training.step(training.batch(0))
    best = whole(context, lambda: weights_of(training.model), 3)
    here = whole(context, lambda: weights_of(training.model, str(context.device)), 3)
    state = whole(context, lambda: copied(training.optimizer.state_dict()), 3)
    context.measure("copy of the weights to the host (old: at each best epoch)", best, "ms")
    context.measure("copy of the weights on the device (new)", here, "ms")
    context.measure("copy of the optimiser's state to the host", state, "ms")
