"""Saving and loading: what comes back, and what is refused with which words."""

import hashlib
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import ttmodels
from ttmodels import (
    MODELS,
    SSTC,
    FlowNet,
    LateFusion,
    ModelCard,
    ModelFileError,
    RGBNet,
    StrokeModel,
)

SHAPE = (8, 9, 10)
LABELS = ("Serve Forehand Loop", "Défense — Block", "Negative")
CARD = ModelCard(LABELS, (12.5, 9.25), {"run": "a", "epochs": 3, "nested": {"x": [1, None]}})


def clips_for(model: StrokeModel) -> list[torch.Tensor]:
    channels = {"rgb": 3, "flow": 2}
    return [torch.rand(2, channels[name], *model.config.clip_shape) for name in model.inputs]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved RGBNet."""
    path = tmp_path / "model"
    RGBNet(3, SHAPE).save_pretrained(path, CARD)
    return path


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def replace_weights(folder: Path, change: Callable[[Path], object]) -> None:
    """Change the weights file and make the recorded hash fit."""
    path = folder / "model.safetensors"
    change(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    edit(folder, lambda values: values.update(weights_sha256=found))


def refused(folder: Path, message: str) -> None:
    for read in (ttmodels.load, RGBNet.from_pretrained):
        with pytest.raises(ModelFileError, match=message) as caught:
            read(folder)
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)


# --- round trips ---


@pytest.mark.parametrize("fusion", ["concat", "bilinear"])
@pytest.mark.parametrize("name", ["early", "flow", "late", "rgb", "sstc"])
def test_load_gives_back_what_was_saved(name: str, fusion: str, tmp_path: Path) -> None:
    settings = {"fusion": fusion} if name == "sstc" else {}
    model = MODELS[name](3, SHAPE, **settings)
    model.card = CARD
    model.save_pretrained(tmp_path / "a folder – ü")
    for loaded in (
        ttmodels.load(tmp_path / "a folder – ü"),
        MODELS[name].from_pretrained(str(tmp_path / "a folder – ü"), device="cpu"),
    ):
        assert type(loaded) is MODELS[name]
        assert loaded.name == name
        assert loaded.config == model.config
        assert loaded.card == CARD
        clips = clips_for(model)
        assert torch.equal(loaded(*clips), model(*clips))
        assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_late_fusion_of_loaded_streams(tmp_path: Path) -> None:
    RGBNet(3, SHAPE).save_pretrained(tmp_path / "rgb", ModelCard(LABELS, None, {"run": "r"}))
    FlowNet(3, SHAPE).save_pretrained(tmp_path / "flow", ModelCard(LABELS, (2, 3), {"run": "f"}))
    streams = RGBNet.from_pretrained(tmp_path / "rgb"), FlowNet.from_pretrained(tmp_path / "flow")
    LateFusion.from_streams(*streams).save_pretrained(tmp_path / "late")
    model = ttmodels.load(tmp_path / "late")
    provenance = {"rgb": {"run": "r"}, "flow": {"run": "f"}}
    assert model.card == ModelCard(LABELS, (2.0, 3.0), provenance)

    streams[1].card = ModelCard(LABELS[::-1])
    with pytest.raises(ValueError, match=r"labels .* expected the same"):
        LateFusion.from_streams(*streams)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_type_of_the_weights_is_kept(dtype: torch.dtype, tmp_path: Path) -> None:
    RGBNet(3, SHAPE).to(dtype).save_pretrained(tmp_path)
    assert {p.dtype for p in ttmodels.load(tmp_path).parameters()} == {dtype}


def test_weights_in_another_memory_format(tmp_path: Path) -> None:
    model = RGBNet(3, SHAPE).to(memory_format=torch.channels_last_3d)
    model.save_pretrained(tmp_path)
    for name, tensor in ttmodels.load(tmp_path).state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])


def test_training_after_loading_leaves_the_file_alone(folder: Path) -> None:
    before = (folder / "model.safetensors").read_bytes()
    model = ttmodels.load(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert (folder / "model.safetensors").read_bytes() == before


def test_what_is_in_the_folder(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    weights = (folder / "model.safetensors").read_bytes()
    assert json.loads((folder / "config.json").read_text(encoding="utf-8")) == {
        "format": "ttmodels",
        "schema_version": 1,
        "model": "rgb",
        "config": {"num_classes": 3, "clip_shape": [8, 9, 10]},
        "inputs": {"rgb": {"channels": 3, "range": [0.0, 1.0]}},
        "labels": list(LABELS),
        "flow_scale_px": [12.5, 9.25],
        "provenance": {"run": "a", "epochs": 3, "nested": {"x": [1, None]}},
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    assert sorted(load_file(folder / "model.safetensors")) == sorted(
        f"{layer}.{kind}"
        for layer in ("branch.conv1", "branch.conv2", "branch.conv3", "branch.fc", "head")
        for kind in ("weight", "bias")
    )
    # both readable by whoever the umask lets, not only by the owner
    modes = {path.stat().st_mode for path in folder.iterdir()}
    (folder / "probe").touch()
    assert modes == {(folder / "probe").stat().st_mode}


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    model = SSTC(3, SHAPE)
    for name in ("a", "b"):
        model.save_pretrained(tmp_path / name, CARD)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_saving_replaces_the_older_model(folder: Path) -> None:
    model = FlowNet(2, SHAPE)
    model.save_pretrained(folder)
    loaded = ttmodels.load(folder)
    clips = clips_for(model)
    assert torch.equal(loaded(*clips), model(*clips))
    assert loaded.card == ModelCard()


@pytest.mark.parametrize("step", ["safetensors.torch.save_file", "ttmodels.pretrained._sha256"])
def test_a_failed_save_keeps_the_older_model(
    step: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(step, fail)
        with pytest.raises(OSError, match="no space left"):
            RGBNet(3, SHAPE).save_pretrained(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert ttmodels.load(folder).card == CARD


# --- what cannot be saved ---


def test_labels_must_be_one_per_class(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are 3 labels, expected 4"):
        RGBNet(4, SHAPE).save_pretrained(tmp_path / "model", CARD)
    assert not (tmp_path / "model").exists()


def test_weights_must_have_values(tmp_path: Path) -> None:
    with torch.device("meta"):
        model = RGBNet(3, SHAPE)
    with pytest.raises(ValueError, match=r"branch\.conv1\.weight is on the meta device"):
        model.save_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"labels": ("a", "b", "a")}, r"labels repeat \['a'\]"),
        ({"labels": ("a", 1)}, "expected a list of names"),
        ({"labels": "abc"}, "labels are 'abc', expected a list"),
        ({"flow_scale_px": (1.0, 0.0)}, "expected positive finite numbers"),
        ({"flow_scale_px": (float("nan"), 1.0)}, "expected positive finite numbers"),
        ({"flow_scale_px": (1.0, float("inf"))}, "expected positive finite numbers"),
        ({"flow_scale_px": (10**400, 1)}, "flow_scale_px: int too large"),
        ({"flow_scale_px": (1.0,)}, r"expected two numbers \(x, y\)"),
        ({"flow_scale_px": (True, 1.0)}, r"expected two numbers \(x, y\)"),
        ({"flow_scale_px": 3.0}, r"expected two numbers \(x, y\)"),
        ({"provenance": {"a": object()}}, "provenance does not fit into JSON"),
        ({"provenance": {"a": float("nan")}}, "provenance does not fit into JSON"),
        ({"provenance": []}, "provenance is a list, expected a mapping"),
    ],
)
def test_cards_that_make_no_sense(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelCard(**values)


def test_a_card_normalises_flow_in_pixels() -> None:
    card = ModelCard(flow_scale_px=(4.0, 8.0))
    flow = torch.zeros(2, 2, 1, 1, 3)
    flow[0, 0, 0, 0] = torch.tensor([2.0, -1.0, 5.0])
    flow[1, 1, 0, 0] = torch.tensor([2.0, -16.0, 8.0])
    kept = flow.clone()
    found = card.normalise_flow(flow)
    assert found[0, 0, 0, 0].tolist() == [0.5, -0.25, 1.0]
    assert found[1, 1, 0, 0].tolist() == [0.25, -1.0, 1.0]
    assert found.abs().sum() == 0.5 + 0.25 + 1 + 0.25 + 1 + 1
    assert torch.equal(flow, kept)
    assert torch.equal(card.normalise_flow(flow[0]), found[0])
    assert card.normalise_flow(flow.double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("card", "flow", "message"),
    [
        (ModelCard(), torch.zeros(2, 1, 1, 1), "flow_scale_px is None, expected the scale"),
        (
            ModelCard((), (1.0, 1.0)),
            torch.zeros(1, 3, 1, 1, 1),
            r"shape \(1, 3, 1, 1, 1\), expected",
        ),
        (ModelCard((), (1.0, 1.0)), torch.zeros(2, 1, 1), r"shape \(2, 1, 1\), expected"),
        (ModelCard((), (1.0, 1.0)), torch.zeros(2, 1, 1, 1).short(), "dtype torch.int16, expected"),
    ],
)
def test_flow_that_cannot_be_normalised(card: ModelCard, flow: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        card.normalise_flow(flow)


def test_a_card_keeps_its_own_provenance() -> None:
    notes = {"epochs": [1]}
    card = ModelCard(provenance=notes)
    notes["epochs"].append(2)
    assert card.provenance == {"epochs": [1]}


# --- what cannot be loaded ---


def test_missing_folder_and_files(folder: Path, tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "config.json: No such file or directory, expected a model folder")
    (folder / "model.safetensors").unlink()
    refused(folder, "model.safetensors: No such file or directory, expected the weights")


def test_another_network(folder: Path) -> None:
    with pytest.raises(ModelFileError, match="model is 'rgb', expected 'sstc'"):
        SSTC.from_pretrained(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "config.json: damaged, not JSON"),
        ('{"format": "ttmodels", "schema', "damaged, not JSON"),
        ("[" * 100_000, "damaged, not JSON"),
        ("[]", "format is None, expected 'ttmodels'"),
        ('{"architectures": ["BertModel"]}', "format is None, expected 'ttmodels'"),
    ],
)
def test_damaged_or_foreign_configuration(folder: Path, text: str, message: str) -> None:
    (folder / "config.json").write_text(text)
    refused(folder, message)


def test_configuration_that_is_no_text(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")
    refused(folder, "damaged, not JSON")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema_version", 2, "schema_version is 2, expected 1, which this release reads"),
        ("schema_version", 0, "schema_version is 0, expected 1"),
        ("schema_version", None, "schema_version is None, expected 1"),
        ("model", "resnet", "model is 'resnet', expected"),
        ("model", ["rgb"], "model is .* expected"),
        ("config", {"num_classes": 3, "clip_shape": [8, 9]}, "expected three integers"),
        ("config", {"num_classes": 3, "clip_shape": [8, 9, 4]}, "expected each axis >= 8"),
        ("config", {"num_classes": 3, "depth": 4}, "unexpected keyword argument 'depth'"),
        ("config", {"num_classes": 10**30, "clip_shape": [8, 9, 10]}, "expected"),
        ("config", None, "config is None, expected a mapping"),
        ("inputs", {"rgb": {"channels": 3, "range": [-1, 1]}}, "inputs is .* expected"),
        ("labels", ["a", "b"], "there are 2 labels, expected 3"),
        ("labels", None, "labels are None"),
        ("flow_scale_px", [0, 1], "expected positive finite numbers"),
        ("provenance", "me", "provenance is 'me', expected a mapping"),
        ("weights_sha256", None, "sha256 is [0-9a-f]{64}, expected None"),
    ],
)
def test_wrong_entries_are_named(folder: Path, key: str, value: object, message: str) -> None:
    edit(folder, lambda values: values.update({key: value}))
    refused(folder, message)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:4],
        lambda data: b"",
        lambda data: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],  # a single bit
    ],
    ids=["one byte short", "header cut", "empty", "one bit flipped"],
)
def test_damaged_weights(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    refused(folder, "sha256 is .* the file is damaged, or a save was interrupted")


def test_files_of_two_saves(folder: Path, tmp_path: Path) -> None:
    RGBNet(3, SHAPE).save_pretrained(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(folder / "model.safetensors")
    refused(folder, "a save was interrupted")


class Exploding:
    def __reduce__(self) -> tuple[Callable[..., None], tuple[Any, ...]]:
        return (pytest.fail, ("something was unpickled",))


def test_nothing_is_unpickled(folder: Path) -> None:
    replace_weights(folder, lambda path: path.write_bytes(pickle.dumps(Exploding())))
    refused(folder, "damaged, not safetensors")
    replace_weights(folder, lambda path: torch.save({"a": Exploding()}, path))
    refused(folder, "damaged, not safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("head.bias"), r"missing \['head.bias'\] and surplus \[\]"),
        (lambda t: t.update(extra=torch.ones(1)), r"missing \[\] and surplus \['extra'\]"),
        (
            lambda t: t.update({"head.bias": torch.ones(4)}),
            r"head.bias has shape \(4,\), expected \(3,\)",
        ),
        (
            lambda t: t.update({"head.bias": torch.ones(3, dtype=torch.int32)}),
            "head.bias is torch.int32, expected torch.float32",
        ),
    ],
)
def test_other_tensors(folder: Path, change: Callable[[Any], object], message: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    replace_weights(folder, lambda path: save_file(tensors, path))
    refused(folder, message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
KEYS = ["format", "schema_version", "model", "config", "inputs", "labels", "flow_scale_px"]
KEYS += ["provenance", "weights_sha256"]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(key=st.sampled_from(KEYS), value=JSON)
def test_any_configuration_loads_or_is_refused_in_one_line(
    folder: Path, key: str, value: object
) -> None:
    original = (folder / "config.json").read_bytes()
    edit(folder, lambda values: values.update({key: value}))
    message = ""
    try:
        assert isinstance(ttmodels.load(folder), RGBNet)
    except ModelFileError as error:
        message = str(error)
    finally:
        (folder / "config.json").write_bytes(original)
    assert message == "" or (message.startswith(str(folder)) and "\n" not in message)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(num_classes=st.integers(), clip_shape=st.lists(st.integers(), min_size=3, max_size=3))
def test_any_size_is_refused_when_the_weights_differ(
    folder: Path, num_classes: int, clip_shape: list[int]
) -> None:
    wanted = {"num_classes": num_classes, "clip_shape": clip_shape}
    edit(folder, lambda values: values.update(config=wanted, labels=[]))
    refused(folder, "expected")


def test_leftovers_of_killed_saves_are_removed_after_a_day(folder: Path) -> None:
    names = [".model.safetensors.0123456789ab.tmp", ".config.json.0123456789ab.tmp"]
    for name in names:
        (folder / name).write_text("half", encoding="utf-8")
    RGBNet(3, SHAPE).save_pretrained(folder)
    assert all((folder / name).exists() for name in names)  # another save may be at work
    (folder / "notes.tmp").write_text("of the user", encoding="utf-8")
    day_old = time.time() - 24 * 3600 - 60
    for name in [*names, "notes.tmp"]:
        os.utime(folder / name, (day_old, day_old))
    RGBNet(3, SHAPE).save_pretrained(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "notes.tmp",
    ]
