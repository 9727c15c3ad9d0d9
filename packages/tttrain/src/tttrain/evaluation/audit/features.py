"""What clips look like, as numbers: the features in which neighbours are sought."""

from collections.abc import Sequence

import numpy as np
import torch

from ttdata.console import track
from ttmodels import StrokeModel
from tttrain.data.dataset import TrainingData
from tttrain.data.sampling import ClipInfo, central_request
from tttrain.evaluation.pose_svm import pose_features
from tttrain.evaluation.scoring import network_inputs, stored_frames
from tttrain.run import available_threads
from tttrain.training.torch_state import exact


def clip_features(model: StrokeModel, data: TrainingData, clips: Sequence[ClipInfo]) -> np.ndarray:
    """(clips, features) float64: of the pose where the shards hold poses, else the network's.

    Those of the pose are lengths, all of one unit; those of the network are standardised. The
    former know nothing of labels; a network that has learned wrong labels by heart puts
    their clips among the others of that label.

    Raises:
        ShardError: if the shards hold poses, but not of one of these clips.
    """
    if (data.path / "pose").is_dir():
        return pose_features(data, clips)
    return standardised(network_features(model, data, clips))


def standardised(features: np.ndarray) -> np.ndarray:
    """With mean 0 and deviation 1 in every column; what is the same everywhere is 0."""
    deviation = features.std(axis=0)
    found: np.ndarray = (features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return found


@torch.inference_mode()
def network_features(
    model: StrokeModel, data: TrainingData, clips: Sequence[ClipInfo]
) -> np.ndarray:
    """(clips, features) float64: what the network's last layer reads of each central window.

    Args:
        model: in evaluation mode.
        data: shards.
        clips: of these shards.
    """
    device, found = next(model.parameters()).device, []
    num_frames = model.config.clip_shape[0]
    with exact(device, available_threads()):
        for clip in track(clips, "looking at clips"):
            start = central_request(clip, num_frames).start_frame
            window = stored_frames(model, data, clip).window(start, num_frames)
            features = model.features(*network_inputs(model, window))
            found.append(features[0].double().cpu().numpy())
    return np.array(found)
