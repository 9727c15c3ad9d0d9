"""Class scores of a clip: of its central window, of all its windows (specification 3.5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ttdata.console import track
from ttdata.errors import InputError
from ttmodels import (
    ModelFileError,
    PoseNet,
    PoseSVM,
    SlidingWindows,
    StrokeModel,
    ThreeStreams,
    load,
)
from ttmodels.base import BranchModel
from tttrain.data.dataset import TrainingData
from tttrain.data.decode import decode_clip
from tttrain.data.normalise import normalise_flow
from tttrain.data.poses import StoredPose
from tttrain.data.sampling import ClipInfo, StoredClip, Window, central_request
from tttrain.data.spatial_augment import IDENTITY, transform
from tttrain.data.windows import STEP_FRAMES, sliding_starts
from tttrain.evaluation.metrics import vote
from tttrain.run import available_threads
from tttrain.training.torch_state import exact

METHODS = ("test", "test_vote", "test_avg")
"""Central window; majority of all windows' classes; mean of all windows' scores."""


class Stored(Protocol):
    """The stored frames of a clip, of which windows are cut."""

    @property
    def interval(self) -> tuple[int, int]:
        """First stored frame and the one past the last."""
        ...

    def window(self, start_frame: int, num_frames: int) -> Window:
        """The window from `start_frame` on."""
        ...


@dataclass(frozen=True, eq=False)
class _PixelsAndPose:
    pixels: StoredClip
    pose: StoredPose

    @property
    def interval(self) -> tuple[int, int]:
        return self.pixels.interval

    def window(self, start_frame: int, num_frames: int) -> Window:
        pose = self.pose.window(start_frame, num_frames).pose
        return replace(self.pixels.window(start_frame, num_frames), pose=pose)


@dataclass(frozen=True, eq=False)
class ClipScores:
    """The network's answer to one clip: scores (classes,) and windows (windows, classes)."""

    clip: ClipInfo
    central: np.ndarray
    windows: np.ndarray

    def predicted(self, method: str) -> int:
        """The class index by one of METHODS."""
        if method == "test_vote":
            return vote(self.windows)
        return int(self.scores(method).argmax())

    def scores(self, method: str) -> np.ndarray:
        """Class scores (classes,) that belong to the answer of a method.

        A vote counts windows and has no scores of its own: those of the mean stand beside it.
        """
        return self.central if method == "test" else self.windows.mean(axis=0)


def score_clips(
    model: StrokeModel, data: TrainingData, clips: Sequence[ClipInfo], task: str
) -> list[ClipScores]:
    """`score_clip` of each, in float32 on the model's device, whatever the process did before.

    Args:
        model: in evaluation mode.
        data: shards.
        clips: of these shards.
        task: shown with the progress.
    """
    device = next(model.parameters()).device
    if "pose" in model.inputs:
        data.poses([clip.clip_id for clip in clips])  # what is missing is missed before any work
    with exact(device, available_threads()):
        return [score_clip(model, data, clip) for clip in track(clips, task)]


def score_clip(model: StrokeModel, data: TrainingData, clip: ClipInfo) -> ClipScores:
    """Scores of the central window and of all windows of a clip.

    What reads a stroke as a whole has one window, the stroke.
    """
    if isinstance(model, PoseSVM):
        (pose,) = data.poses([clip.clip_id])
        scores = _probabilities(model, pose.stroke(clip.start_frame, clip.end_frame))
        return ClipScores(clip, scores, scores[None])
    num_frames = model.config.clip_shape[0]
    central = central_request(clip, num_frames).start_frame
    starts = sliding_starts(clip.start_frame, clip.end_frame, num_frames, clip.total_frames)
    stored = stored_frames(model, data, clip)
    windows = window_scores(model, stored, starts)
    if central in starts:
        return ClipScores(clip, windows[starts.index(central)], windows)
    return ClipScores(clip, window_scores(model, stored, [central])[0], windows)


def stored_frames(model: StrokeModel, data: TrainingData, clip: ClipInfo) -> Stored:
    """What the network reads of a clip; pixels are decoded only for one that reads them."""
    if "pose" not in model.inputs:
        return decode_clip(data.read(clip.clip_id))
    (pose,) = data.poses([clip.clip_id])
    if isinstance(model, PoseNet | ThreeStreams):
        pose = pose.reading(model.landmarks)
    if not {"rgb", "flow"} & set(model.inputs):
        return pose
    return _PixelsAndPose(decode_clip(data.read(clip.clip_id)), pose)


def window_scores(model: StrokeModel, stored: Stored, starts: Sequence[int]) -> np.ndarray:
    """Scores (windows, classes) of windows with these first frames.

    The networks of the SSTC family share the convolutions of overlapping windows; the scores are
    those of the windows one by one, to rounding.
    """
    num_frames = model.config.clip_shape[0]
    stop = starts[-1] + num_frames
    inside = stored.interval[0] <= starts[0] and stop <= stored.interval[1]
    regular = list(starts) == list(range(starts[0], starts[-1] + 1, STEP_FRAMES))
    if not (isinstance(model, BranchModel) and len(starts) > 1 and inside and regular):
        one_by_one = [_probabilities(model, stored.window(start, num_frames)) for start in starts]
        return np.stack(one_by_one)
    whole = stored.window(starts[0], stop - starts[0])
    logits = SlidingWindows(model, STEP_FRAMES)(*network_inputs(model, whole))
    scores: np.ndarray = torch.softmax(logits[0], dim=1).double().cpu().numpy()
    return scores


@torch.inference_mode()
def _probabilities(model: StrokeModel, window: Window) -> np.ndarray:
    scores: np.ndarray = (
        model.predict_proba(*network_inputs(model, window))[0].double().cpu().numpy()
    )
    return scores


def network_inputs(model: StrokeModel, window: Window) -> list[Tensor]:
    """The network's inputs, (1, C, T, H, W) or a pose, from a window of any length.

    Pixels are the centre crop, flow and pose normalised.
    """
    pixels = _pixel_inputs(model, window) if {"rgb", "flow"} & set(model.inputs) else {}
    device = next(model.parameters()).device
    return [
        window.pose[None].to(device)
        if name == "pose"
        else pixels[name].contiguous(memory_format=torch.channels_last_3d)
        for name in model.inputs
    ]


def _pixel_inputs(model: StrokeModel, window: Window) -> dict[str, Tensor]:
    scale = model.card.flow_scale_px
    _, height, width = model.config.clip_shape
    device = next(model.parameters()).device
    rgb, flow = transform(
        [torch.from_numpy(window.rgb).to(device)],
        [torch.from_numpy(window.flow).to(device)],
        [IDENTITY],
        (height, width),
    )
    return {"rgb": rgb, "flow": normalise_flow(flow, scale) if scale else flow}


def load_model(folder: Path, device: torch.device) -> StrokeModel:
    """The network of a run's `model/`, in evaluation mode.

    Args:
        folder: that `save_pretrained` wrote.
        device: from `choose_device`.

    Raises:
        InputError: if the folder holds none.
    """
    try:
        model = load(folder, device)
    except ModelFileError as error:
        raise InputError(f"{error}; run `tttrain fit` to its end first") from error
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    model.eval()
    return model
