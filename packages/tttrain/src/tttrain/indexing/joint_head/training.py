"""Training of the joint head on features of whole videos (specification 6.10)."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from ttdata.errors import InputError
from ttflow.shards.layout import digest
from ttmodels import DetectionHead, ModelCard
from tttrain.errors import TrainingError
from tttrain.indexing.joint_head.config import HeadConfig
from tttrain.indexing.joint_head.lessons import Crop, Lesson, crops_of_epoch, lessons_of, moments
from tttrain.indexing.joint_head.losses import focal_loss, interval_loss
from tttrain.indexing.joint_head.outputs import reach_of
from tttrain.indexing.joint_head.state import HeadState, fresh_state, initial_head, resume, save
from tttrain.indexing.joint_head.targets import NO_STROKE
from tttrain.indexing.joint_head.tracks import FeatureTrack
from tttrain.training.torch_state import exact


def train_head(
    tracks: Sequence[FeatureTrack],
    strokes: pl.DataFrame,
    annotated: pl.DataFrame | None,
    classes: Sequence[str],
    config: HeadConfig,
    *,
    checkpoint: Path,
    key: str,
    device: str | torch.device = "cpu",
    on_epoch: Callable[[int, float], None] | None = None,
) -> DetectionHead:
    """Train a joint head; killed at any time and called again it ends with the same weights.

    Same weights means on the same kind of device. The state of torch and its
    generators stays as it is.

    Args:
        tracks: features of the training videos, one per track.
        strokes: `video_id, start_frame, end_frame, label` of their strokes, ends exclusive, where
            `video_id` names the track. Rows of other tracks are left out.
        annotated: `video_id, start_frame, end_frame`: the spans that people have covered; other
            cells are in no loss. None: every track is covered whole.
        classes: labels of strokes without the rejection class, in the order of the outputs.
        config: of the training.
        checkpoint: the file that holds the state after every epoch. One of other data or settings
            is replaced.
        key: of the data: the same key must mean the same tracks, strokes, spans.
        device: "cpu", "cuda" or "cuda:N".
        on_epoch: called with the number of epochs done and the epoch's mean loss, after the
            checkpoint is written.

    Returns:
        The head with averaged weights on the device, in evaluation mode, `classes` on its card.

    Raises:
        InputError: if tracks and tables do not suit, or no stroke is in annotated spans.
        TrainingError: on a loss that is not finite, naming its videos.
    """
    lessons = lessons_of(tracks, strokes, annotated, _distinct(classes), config)
    where, values = torch.device(device), tracks[0].features.shape[1]
    whole_key = digest([key, config.training_values(), list(classes), values])
    with exact(where, num_threads=1):  # sums depend on it, and machines differ
        head = initial_head(len(classes), values, config, where)
        head.card = ModelCard(labels=tuple(classes))
        head.standardise(*(torch.from_numpy(part) for part in moments(lessons)))
        state = fresh_state(head, config)
        resume(checkpoint, whole_key, state)
        for epoch in range(state.epochs_done, config.epochs):
            loss = _train_epoch(state, lessons, config, epoch)
            state.epochs_done = epoch + 1
            save(checkpoint, whole_key, state)
            if on_epoch is not None:
                on_epoch(epoch + 1, loss)
        return state.result()


def learning_rate_at(config: HeadConfig, epoch: float) -> float:
    """The learning rate at a point of training, in epochs from its start."""
    warmup = config.warmup_epochs
    if epoch < warmup:
        return config.learning_rate * epoch / warmup
    share = (epoch - warmup) / (config.epochs - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def _distinct(classes: Sequence[str]) -> Sequence[str]:
    if not classes or len(set(classes)) < len(classes):
        raise InputError(
            f"joint head: classes are {', '.join(classes) or 'none'}, expected each label once"
        )
    return classes


def _train_epoch(
    state: HeadState, lessons: Sequence[Lesson], config: HeadConfig, epoch: int
) -> float:
    """One pass over all crops; returns the mean loss of its steps."""
    steps = crops_of_epoch(lessons, config, epoch)
    state.head.train()
    total = 0.0
    for number, crops in enumerate(steps):
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate_at(config, epoch + (number + 0.5) / len(steps))
        state.optimizer.zero_grad(set_to_none=True)
        loss = _backward(state.head, crops, config)
        if not math.isfinite(loss):
            names = ", ".join(sorted({crop.lesson.track.video_id for crop in crops}))
            raise TrainingError(
                f"joint head: loss is {loss} in epoch {epoch + 1}, expected a finite number; "
                f"videos of this step: {names}; look at their features, or lower learning_rate"
            )
        nn.utils.clip_grad_norm_(state.head.parameters(), config.gradient_clip)
        state.optimizer.step()
        state.advance(config.ema_decay)
        total += loss
    return total / len(steps)


def _backward(head: DetectionHead, crops: Sequence[Crop], config: HeadConfig) -> float:
    """Add the gradients of a step's loss; returns the loss."""
    positives = sum(
        int(crop.lesson.targets.positive[crop.first : crop.last].sum()) for crop in crops
    )
    total = 0.0
    for crop in crops:
        loss = _summed_loss(head, crop, config) / max(positives, 1)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def _summed_loss(head: DetectionHead, crop: Crop, config: HeadConfig) -> Tensor:
    """The loss of the cells of one crop, which see what lies beside them."""
    reach, track, targets = reach_of(head), crop.lesson.track, crop.lesson.targets
    first, last = max(crop.first - reach, 0), min(crop.last + reach, len(track))
    features, factor = (
        torch.from_numpy(part).to(head.feature_mean.device)
        for part in (track.values(first, last), crop.factor)
    )
    features = head.feature_mean + (features - head.feature_mean) * factor
    logits, distances = (
        output[0, crop.first - first : crop.last - first] for output in head(features[None])
    )
    own = slice(crop.first, crop.last)
    label, true, counts, positive = (
        torch.from_numpy(part[own]).to(logits.device)
        for part in (targets.label, targets.distances, targets.counts, targets.positive)
    )
    wanted = functional.one_hot(label.clamp(min=0), logits.shape[1])
    wanted = wanted * (label != NO_STROKE)[:, None]
    named = focal_loss(logits, wanted.float(), config.focal_alpha, config.focal_gamma)
    bounded = interval_loss(distances, true)
    return (named * counts[:, None]).sum() + config.iou_weight * (bounded * positive).sum()
