"""A training step as one CUDA graph: its hundreds of small kernels launched together."""

from collections.abc import Callable
from typing import Any, Protocol

import torch

from tttrain.training.step.train_step import Answer, Batch, Check, TrainStep

WARM_UPS = 2
"""Steps of the ordinary kind before a recording: they make what a recording must find, the
optimiser's state, compiled kernels, handles of libraries."""

Work = Callable[[], Answer]


class Recording(Protocol):
    """Work that can be done again; `answer` lies where each replay writes it."""

    answer: Answer

    def replay(self) -> None:
        """Do the work."""


class StepGraph:
    """A `TrainStep` that is recorded and replayed for whole batches, which all have one shape.

    Shorter batches go through the step itself, and so do `WARM_UPS` batches whenever learning rate
    or momentum change: a recording holds these numbers. Losses and weights are those of the step.

    Args:
        step: of one worker; its optimiser's state must not be replaced from outside.
        batch_size: clips of a whole batch.
        record: makes a recording; another one for tests.
        warm_up: does work apart from the current stream.
    """

    def __init__(
        self,
        step: TrainStep,
        batch_size: int,
        record: Callable[[Work], Recording] | None = None,
        warm_up: Callable[[Work], Answer] | None = None,
    ) -> None:
        self._step, self._batch_size = step, batch_size
        self._record, self._warm_up = record or CudaRecording, warm_up or SideStream()
        self._values: list[Any] = []
        self._warm = 0
        self._recording: Recording | None = None
        self._own: Batch | None = None

    def __call__(self, batch: Batch, check: Check | None = None) -> Answer:
        """One step; of a replayed one `check` gets the answer after the weights have changed."""
        if not len(batch.clip_ids) == batch.total == self._batch_size:
            return self._step(batch, check)
        groups = self._step.optimizer.param_groups
        values = [(group["lr"], group.get("momentum")) for group in groups]
        if values != self._values:
            self._values, self._warm, self._recording = values, 0, None
        if self._warm < WARM_UPS:
            self._warm += 1
            with torch.cuda.device_of(batch.labels):  # type: ignore[no-untyped-call]
                return self._warm_up(lambda: self._step(batch, check))
        with torch.cuda.device_of(batch.labels):  # type: ignore[no-untyped-call]
            answer = self._replayed(batch)
        if check is not None:
            check(answer)
        return answer

    def _replayed(self, batch: Batch) -> Answer:
        own = self._own = self._own or _copy(batch)
        if self._recording is None:
            self._recording = self._record(lambda: self._step(own))
        for name, value in batch.inputs.items():
            own.inputs[name].copy_(value)
        own.labels.copy_(batch.labels)
        # Gradients of a shorter batch before: the recording has its own.
        self._step.optimizer.zero_grad(set_to_none=True)
        self._recording.replay()
        answer = self._recording.answer
        return Answer(answer.loss.clone(), answer.right.clone(), answer.logits.clone())


def _copy(batch: Batch) -> Batch:
    inputs = {name: value.clone() for name, value in batch.inputs.items()}
    return Batch(batch.clip_ids, inputs, batch.labels.clone(), batch.total)


class CudaRecording:
    """What work launches on the current device, as a CUDA graph; recording does none of it."""

    def __init__(self, work: Work) -> None:
        self._graph = torch.cuda.CUDAGraph()
        # Only what this thread does belongs to the graph.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self.answer = work()

    def replay(self) -> None:
        """Do the work."""
        self._graph.replay()


class SideStream:
    """Does work on a stream of its own, as a recording will; the current stream waits for it.

    It is one stream for all work, as memory that was used on a stream is used again there only.
    """

    def __init__(self) -> None:
        self._stream: torch.cuda.Stream | None = None

    def __call__(self, work: Work) -> Answer:
        """Do it."""
        self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            answer = work()
        torch.cuda.current_stream().wait_stream(self._stream)
        return answer
