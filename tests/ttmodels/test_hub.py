"""The Hugging Face hub, without a network: a stand-in for its client."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import ttmodels
from ttmodels import SSTC, ModelCard, ModelFileError, RGBNet


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Records calls; repositories are folders."""
    calls: dict[str, Any] = {}

    def snapshot_download(repo_id: str, **options: Any) -> str:
        calls["download"] = (repo_id, options)
        folder = tmp_path / "hub" / repo_id
        if not folder.is_dir():
            raise OSError(f"404 Client Error\nfor {repo_id}")
        return str(folder)

    class HfApi:
        def create_repo(self, repo_id: str, **options: Any) -> None:
            calls["create"] = (repo_id, options)

        def file_exists(self, repo_id: str, filename: str) -> bool:
            return (tmp_path / "hub" / repo_id / filename).is_file()

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> str:
            shutil.copytree(folder_path, tmp_path / "hub" / repo_id, dirs_exist_ok=True)
            return f"https://example.org/{repo_id}/commit/1"

    client = SimpleNamespace(snapshot_download=snapshot_download, HfApi=HfApi)
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    monkeypatch.chdir(tmp_path)
    return calls


def test_push_and_load(hub: dict[str, Any]) -> None:
    model = RGBNet(3, (8, 8, 8))
    card = ModelCard(("a", "b", "c"))
    address = model.push_to_hub("lab/strokes.v1", card, private=True)
    assert address == "https://example.org/lab/strokes.v1/commit/1"
    assert hub["create"] == ("lab/strokes.v1", {"private": True, "exist_ok": True})

    again = RGBNet.from_pretrained("lab/strokes.v1", revision="v2")
    assert hub["download"] == (
        "lab/strokes.v1",
        {"revision": "v2", "allow_patterns": ["config.json", "model.safetensors"]},
    )
    assert again.card == card
    assert torch.equal(again.head.weight, model.head.weight)
    assert isinstance(ttmodels.load("lab/strokes.v1"), RGBNet)


def test_the_card_is_uploaded_as_the_page_of_the_repository(
    hub: dict[str, Any], tmp_path: Path
) -> None:
    card = ModelCard(("Push", "Block"), (14.25, 9.5), {"recipe": "siamese", "seed": 3})
    SSTC(2, (8, 16, 8)).push_to_hub("lab/siamese", card)
    page = (tmp_path / "hub" / "lab" / "siamese" / "README.md").read_text()
    assert page.startswith("---\nlibrary_name: ttmodels\n")
    for told in (
        "# lab/siamese",
        "`sstc`",
        "8 frames of 16 x 8 pixels",
        "Push, Block",
        "`rgb`: (batch, 3, time, height, width) floats in [0, 1]",
        "divided by 14.25 and 9.5",
        '"recipe": "siamese"',
        'ttmodels.load("lab/siamese")',
        "model.predict_proba(rgb, flow)",
        "- Results: accuracy with n",
    ):
        assert told in page, told
    RGBNet(2, (8, 8, 8)).push_to_hub("lab/unknown")
    page = (tmp_path / "hub" / "lab" / "unknown" / "README.md").read_text()
    assert "2, names not recorded" in page
    assert "Not recorded." in page
    assert "flow" not in page


def test_a_page_that_is_there_is_somebodys_work(hub: dict[str, Any], tmp_path: Path) -> None:
    model, page = RGBNet(2, (8, 8, 8)), tmp_path / "hub" / "lab" / "strokes" / "README.md"
    page.parent.mkdir(parents=True)
    page.write_text("Filled in.")
    model.push_to_hub("lab/strokes")
    assert page.read_text() == "Filled in."
    assert isinstance(ttmodels.load("lab/strokes"), RGBNet)
    model.push_to_hub("lab/strokes", readme="# Mine")
    assert page.read_text() == "# Mine"


def test_a_folder_of_that_name_wins(hub: dict[str, Any]) -> None:
    RGBNet(3, (8, 8, 8)).save_pretrained("lab/strokes")
    ttmodels.load("lab/strokes")
    assert not hub


@pytest.mark.parametrize(
    "name", ["missing", "a/b/c", "/lab/strokes", "./lab", "lab/", "lab/str okes"]
)
def test_other_names_are_paths(hub: dict[str, Any], name: str) -> None:
    with pytest.raises(ModelFileError, match="expected a model folder"):
        ttmodels.load(name)
    assert not hub


def test_a_path_object_is_never_looked_up(hub: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="expected a model folder"):
        ttmodels.load(Path("lab/strokes"))
    assert not hub


def test_what_the_hub_says_is_one_line(hub: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match=r"^lab/none: .*\(404 Client Error for lab/none\)$"):
        ttmodels.load("lab/none")


def test_without_the_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.chdir(tmp_path)
    for call in (
        lambda: ttmodels.load("lab/strokes"),
        lambda: RGBNet(3, (8, 8, 8)).push_to_hub("lab/strokes"),
    ):
        with pytest.raises(ModelFileError, match=r"no such folder.*pip install 'ttmodels\[hub\]'"):
            call()
