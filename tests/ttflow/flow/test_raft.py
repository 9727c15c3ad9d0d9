"""The RAFT adapter with a stand-in network, its padding, and what it says when something lacks."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ttdata.errors import InputError
from ttflow.estimator_names import canonical_name, uses_gpu
from ttflow.flow import estimators as flow
from ttflow.flow import raft

NO_TORCHVISION = find_spec("torchvision") is None


class Difference(nn.Module):
    """Answers as RAFT does: a list of flows, the last one the best. Records what it was given."""

    def forward(self, first: Tensor, second: Tensor) -> list[Tensor]:
        self.seen = first
        best = torch.stack((first[:, 0], second[:, 1] - first[:, 1]), dim=1)
        return [torch.full_like(best, torch.nan), best]


@pytest.mark.parametrize("size", [(180, 320), (128, 128), (129, 131), (5, 300), (1, 1)])
def test_unpad_undoes_pad(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size)
    padded = raft.pad(image)
    assert all(side % 8 == 0 and side >= 128 for side in padded.shape[-2:])
    assert torch.equal(raft.unpad(padded, *size), image)
    assert torch.equal(padded[..., 0, 0], image[..., 0, 0])


def test_padding_is_no_larger_than_needed() -> None:
    assert raft.pad(torch.zeros(1, 3, 180, 320)).shape == (1, 3, 184, 320)
    assert raft.pad(torch.zeros(1, 3, 192, 321)).shape == (1, 3, 192, 328)


def test_images_go_in_from_minus_one_to_one_and_the_last_flow_comes_out() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randint(0, 256, (2, 2, 3, 50, 71), dtype=torch.uint8, generator=generator)
    first[0, 0, 0, :2] = torch.tensor([0, 255])
    network = Difference()
    found = raft.Raft(network)(first, second)
    assert found.shape == (2, 2, 50, 71)
    assert found[0, 0, 0, :2].tolist() == [-1, 1]
    expected = (second[:, 1].float() - first[:, 1].float()) / 127.5
    torch.testing.assert_close(found[:, 1], expected)
    assert network.seen.min() >= -1
    assert network.seen.max() <= 1
    assert not network.training


@pytest.mark.skipif(not NO_TORCHVISION, reason="torchvision is installed")
def test_without_torchvision_the_error_says_what_to_install() -> None:
    with pytest.raises(InputError, match=r"pip install 'ttflow\[raft\]'"):
        flow.create("raft")


@pytest.fixture
def with_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if torchvision were there, up to the point where it is imported."""
    monkeypatch.setattr(raft, "find_spec", lambda name: object())


@pytest.mark.usefixtures("with_torchvision")
def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(raft.WEIGHTS_VARIABLE, raising=False)
    with pytest.raises(InputError, match=rf"{raft.WEIGHTS_VARIABLE}=FILE"):
        flow.create("raft")
    with pytest.raises(InputError, match=r"none\.pth: no such file"):
        flow.create("raft", weights=tmp_path / "none.pth")
    monkeypatch.setenv(raft.WEIGHTS_VARIABLE, str(tmp_path / "other.pth"))
    with pytest.raises(InputError, match=r"other\.pth: no such file"):
        flow.create("raft")


def test_weights_are_read_from_both_formats(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    state = {"a": torch.arange(3.0)}
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        assert torch.equal(raft.tensors(raft.read_weights(tmp_path / name))["a"], state["a"])


def test_weights_are_known_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"abc")
    (tmp_path / "b.pth").write_bytes(b"abc")
    found = raft.read_weights(tmp_path / "a.pth")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert found.sha256 == expected
    assert found == raft.read_weights(tmp_path / "b.pth", expected)
    with pytest.raises(
        InputError, match=r"a\.pth: weights .* ba7816bf8f01cfea\.\.\., expected 00ff"
    ):
        raft.read_weights(tmp_path / "a.pth", "00ff" * 16)


class Trap:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    trace = tmp_path / "it_ran"
    torch.save({"a": Trap(trace)}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match=r"trap\.pth: cannot be read as weights"):
        raft.tensors(raft.read_weights(tmp_path / "trap.pth"))
    assert not trace.exists()
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match=r"list\.pth: holds list, expected a dict of tensors"):
        raft.tensors(raft.read_weights(tmp_path / "list.pth"))
    pytest.importorskip("safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(InputError, match=r"text\.safetensors: cannot be read"):
        raft.tensors(raft.read_weights(tmp_path / "text.safetensors"))


def test_names() -> None:
    assert canonical_name("auto") == canonical_name("beyond-pixels") == "beyond-pixels"
    assert uses_gpu("auto")
    assert uses_gpu("raft")
    assert not uses_gpu("dis")
    assert isinstance(flow.create("auto"), flow.Estimator)
    with pytest.raises(InputError, match=r"'liteflow'; known: auto, dis, .*beyond-pixels, raft"):
        canonical_name("liteflow")
    with pytest.raises(InputError, match="'dis-fast' has no weights"):
        flow.create("dis-fast", weights="a.pth")
