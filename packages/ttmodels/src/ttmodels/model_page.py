"""README of a model folder that is given to others, from what the folder records."""

import json
from collections.abc import Sequence

from ttmodels.card import ModelCard
from ttmodels.config import ModelConfig, NetworkConfig, PoseNetConfig, PoseSVMConfig
from ttmodels.inputs import INPUTS, POSE, POSE_POINTS

_HEAD = """---
library_name: ttmodels
pipeline_tag: video-classification
---
"""
_TO_FILL_IN = """
## What the weights do not say

Fill in before others rely on them:

- Data: source, licence, number of clips, people and places
- Split: how clips were divided, and the share of test clips whose group is also in training
- Results: accuracy with n and 95 % interval, beside the largest class and other baselines
- Not for: what was never tested
"""


def model_page(
    title: str, name: str, config: NetworkConfig, card: ModelCard, inputs: Sequence[str]
) -> str:
    """Return the page as Markdown, with the metadata that the Hugging Face hub reads.

    Args:
        title: `owner/model`.
        name: of the network in a model folder.
        config: what the network was built from.
        card: what is recorded with the weights.
        inputs: names of what the network takes, in order.
    """
    return "\n".join(
        [
            f"{_HEAD}# {title}",
            "",
            f"- Network: `{name}` of ttmodels, with `{json.dumps(config.stored())}`",
            *_clip(config),
            f"- Classes, in the order of the logits: {_classes(config, card)}",
            *(f"- Input {_input(item, card, config)}" for item in inputs),
            "",
            "```python",
            *_example(title, config, inputs),
            "```",
            "",
            "## Where the weights come from",
            "",
            *_provenance(card),
            _TO_FILL_IN,
        ]
    )


def _clip(config: NetworkConfig) -> list[str]:
    if not isinstance(config, ModelConfig):
        return []
    time, height, width = config.clip_shape
    return [f"- Clip: {time} frames of {height} x {width} pixels (height x width)"]


def _example(title: str, config: NetworkConfig, inputs: Sequence[str]) -> list[str]:
    """Return the lines of Python that load the network and call it."""
    if not isinstance(config, ModelConfig):
        return [
            "from ttmodels import DetectionHead",
            "",
            f'head = DetectionHead.from_pretrained("{title}")',
            "logits, distances = head(features)  # features of ttmodels.VideoStream",
        ]
    return [
        "import ttmodels",
        "",
        f'model = ttmodels.load("{title}")',
        *(["flow = model.card.normalise_flow(flow_px)"] if "flow" in inputs else []),
        f"scores = model.predict_proba({', '.join(inputs)})  # (batch, {config.num_classes})",
    ]


def _classes(config: NetworkConfig, card: ModelCard) -> str:
    return ", ".join(card.labels) or f"{config.num_classes}, names not recorded"


def _input(name: str, card: ModelCard, config: NetworkConfig) -> str:
    if name == "pose" and _in_space(config):
        return (
            f"`pose`: (batch, {POSE.channels}, time, {POSE_POINTS}) floats: x, y (down), z in "
            "torso lengths from the middle of the hips, the shoulders along x on average; "
            "`ttmodels.normalise_world_pose` makes them of landmarks in space"
        )
    if name == "pose":
        return (
            f"`pose`: (batch, {POSE.channels}, time, {POSE_POINTS}) floats: x (right) and y (down) "
            "in torso lengths from the middle of the hips, visibility; `ttmodels.normalise_pose` "
            "makes them of landmarks"
        )
    if name not in INPUTS:
        return f"`{name}`: (batch, cells, values) floats, a cell per 8 frames of a video"
    clip = INPUTS[name]
    text = (
        f"`{name}`: (batch, {clip.channels}, time, height, width) floats in "
        f"[{clip.low:g}, {clip.high:g}]"
    )
    if name != "flow":
        return text
    if card.flow_scale_px is None:
        return f"{text}; the scale of the flow is not recorded"
    x, y = card.flow_scale_px
    return f"{text}: x (right) and y (down) in pixels per frame, divided by {x:g} and {y:g}"


def _in_space(config: NetworkConfig) -> bool:
    """Whether the landmarks are those in space."""
    if isinstance(config, PoseNetConfig):
        return config.landmarks == "world"
    return isinstance(config, PoseSVMConfig)


def _provenance(card: ModelCard) -> list[str]:
    if not card.provenance:
        return ["Not recorded."]
    return ["```json", json.dumps(dict(card.provenance), indent=2, ensure_ascii=False), "```"]
