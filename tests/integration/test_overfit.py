"""Real clips: every network can learn eight of them by heart; shuffled names teach it nothing."""

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tttrain.config import AugmentConfig, NetworkConfig, OptimizerConfig, TrainConfig
from tttrain.data.cache import ResidentSource
from tttrain.data.dataset import TrainingData, open_data
from tttrain.data.decode import decode_clip
from tttrain.data.normalise import normalise_flow
from tttrain.data.sampling import ClipInfo, central_request
from tttrain.data.spatial_augment import Augment
from tttrain.training.loop import Batch, make_optimizer, train_epoch, validate
from tttrain.training.networks import build

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.real, pytest.mark.timeout(600)]

CLASSES = ("forehand", "serve", "smash")
INDICES = {**dict.fromkeys(range(1, 5), "train"), **dict.fromkeys(range(17, 22), "validation")}
SHAPE = (24, 40, 40)
SIZES = {
    **{"frame_height": 68, "frame_width": 120, "crop_height": 40, "crop_width": 40},
    **{"patch_side": 40, "window_frames": 24, "estimator": "dis-fast"},
}
# Binomial, 15 clips of 3 classes: more than 10 right come by chance in 1 of 500 cases.
MOST_BY_CHANCE = 10


@pytest.fixture(scope="module")
def data(run, ray_head, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """Nine clips of each of three classes; the last frames are no part of the stroke."""
    at = tmp_path_factory.mktemp("overfit")
    lines = ["video_id,split"]
    for name in CLASSES:
        (at / "my_clips" / name).mkdir(parents=True)
        for index, split in INDICES.items():
            clip = f"{name}{index}.mp4"
            shutil.copy(real_data / "strokes" / name / clip, at / "my_clips" / name / clip)
            lines.append(f"{name}/{name}{index},{split}")
    (at / "assign.csv").write_text("\n".join(lines) + "\n")
    curation = ("--set", "window_frames=24", "--set", "clip_frames=57")
    run("ttdata", "curate", at / "my_clips", "--out", at / "dataset", *curation)
    run("ttdata", "split", at / "dataset", "--strategy", "file", "--assign", at / "assign.csv")
    sizes = [part for key, value in SIZES.items() for part in ("--set", f"{key}={value}")]
    run("ttflow", "extract", at / "dataset", "--out", at / "shards", *sizes, env=ray_head.joined)
    return open_data(at / "shards")


def batch(data: TrainingData, clips: list[ClipInfo], labels: list[int]) -> Batch:
    """Central windows as a network takes them."""
    source = ResidentSource((decode_clip(data.read(clip.clip_id)) for clip in clips), SHAPE[0])
    windows = list(source.windows([central_request(clip, SHAPE[0]) for clip in clips]))
    ids = [window.clip_id for window in windows]
    crop = Augment(AugmentConfig(), SHAPE[1:], 0)
    rgb, flow = crop([w.rgb for w in windows], [w.flow for w in windows], ids, None)
    inputs = {"rgb": rgb, "flow": normalise_flow(flow, data.flow_scale())}
    return Batch(ids, inputs, torch.tensor(labels), len(ids))


def learn(name: str, chosen: Batch, enough: float = 1.0) -> tuple[Any, float]:
    """Train on one batch until so much of it is known, or 80 steps; the network, and how much."""
    config = TrainConfig(
        network=NetworkConfig(model=name, clip_shape=SHAPE),
        optimizer=OptimizerConfig(
            learning_rate=0.01,
            momentum=0.9,
            momentum_milestones=(),
            weight_decay=0.0,
            gradient_clip=1.0,
        ),
    )
    network = build(config, len(CLASSES))
    optimizer = make_optimizer(network, config)
    known = 0.0
    for _ in range(80):
        train_epoch(network, [chosen], optimizer, config, network.inputs)
        known = validate(network, [chosen], network.inputs).accuracy
        if known >= enough:
            break
    return network, known


@pytest.fixture(autouse=True)
def threads():
    """As many as there are cores: nothing else runs in this module."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "2"))))
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["siamese", "rgb", "flow"])
def test_eight_clips_are_learned_by_heart(data: TrainingData, name: str) -> None:
    clips = [clip for place, clip in enumerate(data.clips["train"]) if place % 4 < 3][:8]
    labels = [clip.class_index for clip in clips]
    assert set(labels) == {0, 1, 2}
    _, known = learn(name, batch(data, clips, labels))
    assert known == 1


def test_shuffled_names_teach_nothing(data: TrainingData) -> None:
    train, validation = data.clips["train"], data.clips["validation"]
    labels = [clip.class_index for clip in train]
    random.Random(0).shuffle(labels)
    network, known = learn("flow", batch(data, train, labels), enough=0.8)
    assert known >= 0.8
    truth = batch(data, validation, [clip.class_index for clip in validation])
    found = validate(network, [truth], network.inputs)
    assert found.n == 15
    assert found.correct <= MOST_BY_CHANCE
