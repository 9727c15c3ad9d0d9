"""Refuses shards that were extracted otherwise than those a network learned from.

Flow of another estimator, another foreground or another frame size is another input: the network
answers, but worse, and nothing in the answer shows it.
"""

import json
import logging
from typing import Any

from ttdata.errors import InputError
from ttflow.schema import FlowConfig
from tttrain.data.dataset import TrainingData
from tttrain.run import Run

logger = logging.getLogger(__name__)

_SAME_INPUT = frozenset(
    {
        *("crop_height", "crop_width", "patch_side"),
        *("window_frames", "margin_frames"),
        "hwaccel",
    }
)
"""Settings that leave the pixels of a window alone: what is stored round it, how it is decoded. The
crop and the window's length are checked with the network's clip_shape."""


def check_extraction(data: TrainingData, run: Run, *, allow_other: bool = False) -> list[str]:
    """Compare how the shards were extracted with how those of the run were.

    Args:
        data: shards that the run's network is applied to.
        run: knows how its own shards were extracted; that an older one does not is logged.
        allow_other: log a difference instead of raising.

    Returns:
        The settings that differ, as `name VALUE instead of VALUE`.

    Raises:
        InputError: if a setting differs that changes what the network sees.
    """
    poses = _other_poses(data, run)
    pixels = _other_pixels(data, run) if run.info().resolved.network.reads_pixels else []
    if not (found := poses + pixels):
        return []
    remedy = "extract with the run's settings"
    if not pixels:
        remedy = "remove its folder `pose` and run `ttflow pose` with the run's settings"
    text = f"{data.path}: extracted with {', '.join(found)}, which {run.folder} learned from"
    if not allow_other:
        raise InputError(f"{text}; {remedy}, or insist with --allow-other-extraction")
    logger.warning("%s", text)
    return found


def _other_pixels(data: TrainingData, run: Run) -> list[str]:
    learned = _learned_with(run, data)
    if learned is None:
        logger.warning(
            "%s: its run.json is of a release that did not record how its shards were extracted; "
            "whether %s were extracted alike is not known",
            *(run.folder, data.path),
        )
        return []
    return other_settings(data.extraction, learned)


def _other_poses(data: TrainingData, run: Run) -> list[str]:
    learned, here = run.info().pose_estimation, data.pose_estimation
    if learned is None or here is None:  # of landmarks that are missing another line tells
        return []
    return [f"pose {told}" for told in _differing(here.model_dump(), learned.model_dump())]


def _learned_with(run: Run, data: TrainingData) -> FlowConfig | None:
    info = run.info()
    if info.extraction is None and info.dataset_hash == data.hash_for(info.resolved.network):
        return data.extraction
    return info.extraction


def other_settings(found: FlowConfig, learned: FlowConfig) -> list[str]:
    """The settings that change a network's input and differ, each as one phrase.

    >>> other_settings(FlowConfig(estimator="raft"), FlowConfig(estimator="farneback"))
    ['estimator "raft" instead of "farneback"']
    """
    here, there = found.model_dump(mode="json"), learned.model_dump(mode="json")
    if None in (here["weights_sha256"], there["weights_sha256"]):
        here["weights_sha256"] = there["weights_sha256"]  # earlier releases did not record it
    return [told for told in _differing(here, there) if told.split()[0] not in _SAME_INPUT]


def _differing(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    return [
        f"{name} {json.dumps(here[name])} instead of {json.dumps(there[name])}"
        for name in here
        if here[name] != there[name]
    ]
