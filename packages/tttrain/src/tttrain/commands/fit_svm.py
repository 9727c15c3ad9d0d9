"""Runs of `pose_svm`: a support vector machine fitted to landmarks (specification 3.3)."""

import logging
from pathlib import Path

import torch

from ttdata.errors import InputError
from ttmodels import ModelCard
from tttrain.config import TrainConfig
from tttrain.data.dataset import open_data_of
from tttrain.data.groups import groups_of
from tttrain.evaluation.pose_svm import kept, pose_features
from tttrain.run import Run, RunInfo

logger = logging.getLogger(__name__)


def is_fitted(config: TrainConfig) -> bool:
    """Whether a run is fitted in one go, by no epochs and no cluster."""
    return config.network.model == "pose_svm"


def check_begins_with_none(config: TrainConfig, init: Path) -> None:
    """Refuse weights to begin with where nothing begins.

    Raises:
        InputError: in that case.
    """
    if is_fitted(config):
        raise InputError(
            f"--init {init}: model {config.network.model} is fitted to the training clips and "
            "begins with no weights; leave --init out"
        )


@torch.no_grad()
def fit_machine(run: Run, info: RunInfo) -> None:
    """Fit the machine to the run's training clips and write `model/`; nothing is drawn at random.

    Validation clips choose nothing here: they calibrate scores once the run is evaluated.

    Args:
        run: whose data and division count.
        info: what its `run.json` says.

    Raises:
        ShardError: if the shards hold no pose of a clip; names it and what to run.
    """
    data = open_data_of(run, Path(info.data))
    clips = data.clips["train"]
    shape = info.resolved.network.clip_shape
    assert shape is not None
    known = [clip.class_index for clip in clips]
    groups = groups_of(data, clips)
    model = kept(pose_features(data, clips), known, groups, len(info.classes), shape[1:])
    config = model.config.stored()
    logger.info(
        "pose_svm: %d of %d clips are support vectors, %d coefficients of each path",
        *(config["num_vectors"], len(clips), config["coefficients"]),
    )
    provenance = {
        "recipe": info.config.recipe,
        "configuration": info.resolved.result_values(),
        "dataset_hash": info.dataset_hash,
    }
    model.save_pretrained(run.model_folder, ModelCard(info.classes, None, provenance))
