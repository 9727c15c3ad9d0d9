"""Numbers and lists as NumPy gives them, wherever a network or a card takes one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ttmodels
from ttmodels import ModelCard, StrokeModel

LABELS = np.array([0, 2, 1, 2])
SHAPE = (16, 32, 32)
CLASSES = {"num_classes": LABELS.max() + 1}
SETTINGS: dict[str, dict[str, Any]] = {
    "SSTC": {"fusion": np.str_("bilinear")},
    "RGBNet": {},
    "FlowNet": {},
    "EarlyFusion": {},
    "LateFusion": {},
    "C3D": {"dropout": np.float32(0.5)},
    "LTC": {"in_channels": np.int64(2), "dropout": np.float64(0.25)},
    "I3D": {
        "in_channels": np.uint8(2),
        "first_pool": np.bool_(False),
        "dropout": np.float32(0.5),
        "input_range": np.array([0.0, 1.0]),
    },
    "TwoStreamI3D": {"first_pool": np.True_, "input_range": (np.float32(-1), np.int8(1))},
}


@pytest.mark.parametrize("shape", [np.array(SHAPE), tuple(np.int32(side) for side in SHAPE)])
@pytest.mark.parametrize("name", SETTINGS)
def test_every_network(name: str, shape: Any, tmp_path: Path) -> None:
    kind: type[StrokeModel] = getattr(ttmodels, name)
    # A network without weights is built in no time; its folder holds the configuration alone.
    with torch.device("meta"):
        model = kind(clip_shape=shape, **CLASSES, **SETTINGS[name])
    assert (model.config.num_classes, model.config.clip_shape) == (3, SHAPE)
    stored = json.loads(json.dumps(vars(model.config)))
    with torch.device("meta"):
        again = kind.from_config(type(model.config)(**stored))
    assert again.config == model.config
    assert repr(again) == repr(model)
    assert "np." not in repr(model)


def test_a_folder_of_such_a_network(tmp_path: Path) -> None:
    card = ModelCard(
        labels=np.array(["a", "b", "c"]),  # type: ignore[arg-type]
        flow_scale_px=np.array([4.0, 8.0], np.float32),  # type: ignore[arg-type]
        provenance={"epoch": np.int64(3), "losses": np.array([0.5, 0.25])},
    )
    assert card == ModelCard(("a", "b", "c"), (4.0, 8.0), {"epoch": 3, "losses": [0.5, 0.25]})
    assert [type(label) for label in card.labels] == [str] * 3
    model = ttmodels.SSTC(LABELS.max() + 1, np.array((8, 8, 8)))  # type: ignore[arg-type]
    model.save_pretrained(str(tmp_path / "model"), card)
    again = ttmodels.load(str(tmp_path / "model"))
    assert again.config == model.config
    assert again.card == card


def test_windows_and_targets() -> None:
    model = ttmodels.FlowNet(np.int64(3), (8, 8, 8))
    windows = ttmodels.SlidingWindows(model, np.int64(5))  # type: ignore[arg-type]
    assert list(windows.starts(np.int64(20))) == [0, 5, 10]  # type: ignore[arg-type]
    flow = torch.zeros(1, 2, 18, 8, 8)
    assert windows(flow).shape == (1, 3, 3)
    for target in (np.int64(1), np.array([1])):
        ttmodels.grad_cam(model, flow[:, :, :8], target=target)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": np.float64(3)}, r"num_classes is 3\.0, expected an integer >= 1"),
        ({"num_classes": np.int64(0)}, "num_classes is 0, expected an integer >= 1"),
        ({"num_classes": np.True_}, "num_classes is True, expected an integer >= 1"),
        ({"num_classes": LABELS}, r"num_classes is \[0, 2, 1, 2\], expected an integer"),
        ({"clip_shape": np.array([8.0, 8, 8])}, "expected three integers"),
        ({"clip_shape": np.array([8, 8])}, "expected three integers"),
    ],
)
def test_what_makes_no_sense_is_refused_as_ever(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ttmodels.RGBNet(**settings)
