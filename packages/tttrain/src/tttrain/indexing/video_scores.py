"""A network's class scores over a whole video, in constant memory (specification 6.3)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ttdata.errors import InputError
from ttflow.extraction.stream import stream_patches
from ttflow.flow.estimators import Estimator
from ttflow.roi import Region
from ttflow.schema import FlowConfig
from ttmodels import StrokeModel, VideoStream
from ttmodels.base import BranchModel
from tttrain.data.sampling import Window
from tttrain.evaluation.scoring import network_inputs
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.training.torch_state import exact

STRIDE_FRAMES = 8
"""15 scores a second at 120 frames per second: boundaries need no finer grid."""


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
    on_frame: Callable[[int], None] | None = None,
) -> ScoreCurve:
    """The class scores of a video's windows, one window every `stride_frames` frames.

    Convolutions are computed once for all windows that share them. Nothing is stored, and only the
    scores grow with the video. Cell k is at the centre of the window that begins at frame
    k x `stride_frames`; every window lies inside the video.

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
        on_frame: called with the number of frames whose patches are cut.

    Raises:
        InputError: if the network is of another family or lacks labels or the rejection class, or
            the video is shorter than one of its windows.
        VideoError: if the video cannot be decoded.
    """
    name = Path(path).stem if video_id is None else video_id
    if not isinstance(model, BranchModel) or not model.card.labels:
        raise InputError(
            f"{name}: the network is a {type(model).__name__} with {len(model.card.labels)} "
            "labels, expected one of the SSTC family with the labels of its run"
        )
    stream = VideoStream(model, step=stride_frames, features=False)
    rows, num_frames = [np.zeros((0, len(model.card.labels)))], 0
    device = next(model.parameters()).device
    chunks = stream_patches(path, config, estimator, regions=(region,), on_frame=on_frame)
    for chunk in chunks:
        # Flow is computed between chunks, under the caller's settings, as extraction does.
        with exact(device, num_threads):
            window = Window(name, chunk.rgb, chunk.flow)
            logits = stream.push(*network_inputs(model, window)).logits
            rows.append(torch.log_softmax(logits.double(), dim=1).cpu().numpy())
        num_frames += chunk.num_frames
    length = model.config.clip_shape[0]
    if num_frames < length:
        raise InputError(
            f"{path}: has {num_frames} frames, expected at least the {length} of a window"
        )
    return ScoreCurve(
        video_id=name,
        log_probabilities=np.concatenate(rows),
        labels=tuple(model.card.labels),
        num_frames=num_frames,
        stride_frames=stride_frames,
        first_frame=length / 2,
        negative=negative,
    )
