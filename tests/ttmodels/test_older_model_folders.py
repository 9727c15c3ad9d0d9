"""Model folders that earlier versions wrote are still read, with the same results.

`fixtures/` was made with version 0.1.0 at commit 14213e6. Per network `name` of 3 classes on clips
of 8 x 8 x 8, few distinct weights so that the folder packs into a small archive:

    torch.manual_seed(0)
    model = ttmodels.MODELS[name](num_classes=3, clip_shape=(8, 8, 8))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_((torch.rand_like(p) < 0.1) * 4 * p.abs().max() * p.sign())
    card = ttmodels.ModelCard(("Push", "Block", "Negative"), (14.2, 9.8), {"commit": "14213e6"})
    model.save_pretrained(folder, card)
    shutil.make_archive(name, "zip", folder)

`logits.json` holds its logits of the clips below, `state_dicts.json` the shapes of the weights of
every network with default settings.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

import ttmodels

FIXTURES = Path(__file__).parent / "fixtures"
LOGITS = json.loads((FIXTURES / "logits.json").read_text(encoding="utf-8"))
STATE_DICTS = json.loads((FIXTURES / "state_dicts.json").read_text(encoding="utf-8"))


def fixed_clip(name: str) -> Tensor:
    """Return two clips of sine waves in the range of the input."""
    channels = {"rgb": 3, "flow": 2}[name]
    wave = torch.sin(torch.arange(2 * channels * 8**3, dtype=torch.float64) * 0.7)
    values = (wave + 1) / 2 if name == "rgb" else wave
    return values.float().reshape(2, channels, 8, 8, 8)


@pytest.mark.parametrize("name", sorted(LOGITS))
def test_an_older_folder_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    shutil.unpack_archive(FIXTURES / f"{name}.zip", tmp_path)
    for model in (ttmodels.load(tmp_path), ttmodels.MODELS[name].from_pretrained(tmp_path)):
        assert type(model) is ttmodels.MODELS[name]
        assert (model.config.num_classes, model.config.clip_shape) == (3, (8, 8, 8))
        assert model.card.labels == ("Push", "Block", "Negative")
        assert model.card.flow_scale_px == (14.2, 9.8)
        assert model.card.provenance == {"commit": "14213e6"}
        logits = model(*[fixed_clip(clip) for clip in model.inputs])
        torch.testing.assert_close(logits, torch.tensor(LOGITS[name]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", sorted(LOGITS))
def test_a_folder_is_written_as_before(name: str, tmp_path: Path) -> None:
    shutil.unpack_archive(FIXTURES / f"{name}.zip", tmp_path / "before")
    ttmodels.load(tmp_path / "before").save_pretrained(tmp_path / "now")
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "now" / file).read_bytes() == (tmp_path / "before" / file).read_bytes()


@pytest.mark.parametrize("name", sorted(STATE_DICTS))
def test_every_network_keeps_the_names_of_its_weights(name: str) -> None:
    with torch.device("meta"):
        if name == "sstc bilinear":
            model: ttmodels.StrokeModel = ttmodels.SSTC(fusion="bilinear")
        else:
            model = ttmodels.MODELS[name]()
    shapes = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    assert list(shapes.items()) == list(STATE_DICTS[name].items())
