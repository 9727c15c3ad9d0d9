"""What a network says of a whole video, in constant memory (specification 6.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ttdata.errors import InputError
from ttdata.machine import return_free_memory
from ttflow.extraction.stream import PatchChunk, stream_patches
from ttflow.flow.estimators import Estimator
from ttflow.roi import Region
from ttflow.schema import FLOW_UNIT, FlowConfig
from ttmodels import StrokeModel, VideoStream
from ttmodels.base import BranchModel
from ttmodels.video_stream import StreamOutput
from tttrain.data.sampling import Window
from tttrain.evaluation.scoring import network_inputs
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.moving_windows import MovingWindows
from tttrain.indexing.still import SkipStill, still_scores, window_speeds
from tttrain.training.torch_state import exact

STRIDE_FRAMES = 8
"""15 scores a second at 120 frames per second: boundaries need no finer grid."""
_TIDY_CHUNKS = 64


@dataclass(frozen=True, eq=False)
class VideoScores:
    """What was computed of one region of a video."""

    num_frames: int
    log_probabilities: np.ndarray
    """(windows, classes) float64, one window every stride; no row where they were not wanted."""
    features: np.ndarray
    """(cells, values) float16, one cell per 8 frames; no row where they were not wanted."""
    energy: np.ndarray
    """(num_frames,) float32: mean length of the flow in the patch, px per frame."""


def video_scores(
    path: str | Path,
    model: StrokeModel,
    config: FlowConfig,
    estimator: Estimator,
    *,
    regions: Sequence[Region | None] = (None,),
    stride_frames: int | None = STRIDE_FRAMES,
    features: bool = False,
    num_threads: int = 1,
    on_frame: Callable[[int], None] | None = None,
    skip_still: SkipStill | None = None,
) -> list[VideoScores]:
    """A network over all frames of a video, once per region.

    Convolutions are computed once for all windows that share them, and for the features. Nothing
    is stored, and only what is returned grows with the video. Row k of the probabilities is of the
    window that begins at frame k x `stride_frames`; every window lies inside the video.

    Args:
        path: of the video, or a URL.
        model: one of the SSTC family in evaluation mode, with its labels in `model.card`.
        config: how the clips were extracted that it was trained on.
        estimator: of the flow; what `config.estimator` names.
        regions: the players', as fractions of the frame; None is the whole frame.
        stride_frames: from one window to the next; None: no windows.
        features: whether features are wanted (`ttmodels.VideoStream`).
        num_threads: of the CPU.
        on_frame: called with the number of frames whose patches are cut.
        skip_still: windows in which hardly anything moves get a constant row; without features
            they cost no convolution. None: all windows are scored.

    Raises:
        InputError: if the network is of another family or lacks labels, or the video is shorter
            than one of its windows.
        VideoError: if the video cannot be decoded.
    """
    if not isinstance(model, BranchModel) or not model.card.labels:
        raise InputError(
            f"{path}: the network is a {type(model).__name__} with {len(model.card.labels)} "
            "labels, expected one of the SSTC family with the labels of its run"
        )
    parts = {region: _Part(model, stride_frames, features, skip_still) for region in regions}
    device = next(model.parameters()).device
    chunks = stream_patches(path, config, estimator, regions=regions, on_frame=on_frame)
    for number, chunk in enumerate(chunks):
        if number % _TIDY_CHUNKS == 0:
            return_free_memory()
        # Flow is computed between chunks, under the caller's settings, as extraction does.
        with exact(device, num_threads):
            parts[chunk.region].push(chunk)
    length = model.config.clip_shape[0]
    num_frames = sum(map(len, parts[regions[0]].energy))
    if num_frames < length:
        raise InputError(
            f"{path}: has {num_frames} frames, expected at least the {length} of a window"
        )
    with exact(device, num_threads):
        return [part.finished() for part in parts.values()]


def score_curve(
    path: str | Path,
    model: StrokeModel,
    config: FlowConfig,
    estimator: Estimator,
    *,
    video_id: str | None = None,
    negative: str = "Negative",
    stride_frames: int = STRIDE_FRAMES,
    region: Region | None = None,
    num_threads: int = 1,
) -> ScoreCurve:
    """The class scores of a video's windows, as the decoders take them.

    Args:
        path: of the video, or a URL.
        model: one of the SSTC family in evaluation mode, with its labels in `model.card`.
        config: how the clips were extracted that it was trained on.
        estimator: of the flow; what `config.estimator` names.
        video_id: by default the file's name without extension.
        negative: the rejection class among the labels.
        stride_frames: from one window to the next.
        region: the player's, as fractions of the frame; None is the whole frame.
        num_threads: of the CPU.

    Raises:
        InputError: as `video_scores`, or if the rejection class is not among the labels.
        VideoError: if the video cannot be decoded.
    """
    (scores,) = video_scores(
        path,
        model,
        config,
        estimator,
        regions=(region,),
        stride_frames=stride_frames,
        num_threads=num_threads,
    )
    return ScoreCurve(
        video_id=Path(path).stem if video_id is None else video_id,
        log_probabilities=scores.log_probabilities,
        labels=tuple(model.card.labels),
        num_frames=scores.num_frames,
        stride_frames=stride_frames,
        first_frame=model.config.clip_shape[0] / 2,
        negative=negative,
    )


class _Part:
    """A region's share of the work."""

    def __init__(
        self,
        model: BranchModel,
        stride_frames: int | None,
        features: bool,
        skip_still: SkipStill | None,
    ) -> None:
        self._model = model
        self._stride = stride_frames
        self._skip = skip_still if stride_frames is not None else None
        self._rows: list[np.ndarray] = []
        self._cells: list[np.ndarray] = []
        self.energy: list[np.ndarray] = []
        self._stream = VideoStream(model, stride_frames, features)
        self._moving: MovingWindows | None = None
        if self._skip is not None and not features:
            row = still_scores(model.card.labels, self._skip.negative)
            self._moving = MovingWindows(model, stride_frames or 1, self._skip.below_px, row)

    def push(self, chunk: PatchChunk) -> None:
        self.energy.append(frame_energy(chunk))
        if self._moving is not None:
            self._rows.append(self._moving.push(chunk.rgb, chunk.flow, self.energy[-1]))
            return
        window = Window("", chunk.rgb, chunk.flow)
        self._add(self._stream.push(*network_inputs(self._model, window)))

    def _add(self, output: StreamOutput) -> None:
        self._rows.append(torch.log_softmax(output.logits.double(), dim=1).cpu().numpy())
        self._cells.append(output.features.cpu().numpy().astype(np.float16))

    def finished(self) -> VideoScores:
        self._add(self._stream.finish())
        energy = np.concatenate(self.energy)
        rows = np.concatenate(self._rows).reshape(-1, len(self._model.card.labels))
        found = VideoScores(len(energy), rows, np.concatenate(self._cells), energy)
        if self._skip is None or self._moving is not None or self._stride is None:
            return found
        return without_still(found, self._model, self._skip, self._stride)


def without_still(
    scores: VideoScores, model: StrokeModel, skip: SkipStill, stride_frames: int
) -> VideoScores:
    """What `video_scores` with this rule gives, from what it gave without."""
    speeds = window_speeds(scores.energy, model.config.clip_shape[0], stride_frames)
    still = (speeds < skip.below_px)[:, None]
    row = still_scores(model.card.labels, skip.negative)
    return replace(scores, log_probabilities=np.where(still, row, scores.log_probabilities))


def frame_energy(chunk: PatchChunk) -> np.ndarray:
    """Mean length of the flow in each patch of a chunk, (n,) float32, px per frame."""
    lengths = np.hypot(*np.moveaxis(chunk.flow.astype(np.float32), 1, 0)) / FLOW_UNIT
    result: np.ndarray = lengths.mean(axis=(1, 2)).astype(np.float32)
    return result
