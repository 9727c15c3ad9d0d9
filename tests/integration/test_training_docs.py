"""The commands of the training pages are ones that the programs take; the links lead somewhere."""

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from ttdata.settings import override
from tttrain import recipes

ROOT = Path(__file__).parents[2]
PAGES = (
    *("docs/training_guide.md", "docs/reproducing_the_paper.md", "docs/running_on_a_cluster.md"),
    *("docs/your_own_clips.md", "docs/wrong_labels.md", "docs/quality_of_strokes.md"),
    "packages/tttrain/README.md",
)
PROGRAMS = ("ttdata", "ttflow", "tttrain")


def command_lines(page: str) -> list[list[str]]:
    """Lines of all fenced blocks that call one of our programs, from its name on."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    found = []
    for line in "\n".join(blocks).splitlines():
        words = shlex.split(line.split(" > ")[0], comments=True) if "'" not in line else []
        at = [index for index, word in enumerate(words) if word in PROGRAMS]
        if at and (at[0] == 0 or words[at[0] - 1] in ("-m", "--")):
            found.append(words[at[0] :])
    return found


@pytest.mark.parametrize("page", PAGES)
def test_commands_can_be_parsed(page: str) -> None:
    lines = command_lines(page)
    assert len(lines) >= (4 if "cluster" in page else 5)
    for program, name, *words in lines:
        app = importlib.import_module(f"{program}.cli").app
        command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
        context = command.make_context(name, list(words))
        recipe = context.params.get("recipe") or context.params.get("base_recipe")
        if recipe is not None:
            override(recipes.get(recipe), context.params.get("settings") or ())


def test_settings_the_guide_names_exist() -> None:
    text = (ROOT / "docs" / "training_guide.md").read_text()
    settings = re.findall(r"`([a-z_.]+=[^` ]+)`", text)
    assert len(settings) >= 8
    kinds = ("network.landmarks", "network.fusion")
    of_pose = [item for item in settings if item.startswith(kinds)]
    plain = [item for item in settings if not item.startswith("move") and item not in of_pose]
    assert override(recipes.siamese_pose(), of_pose).network.landmarks == "world"
    config = override(recipes.demo(), plain)
    assert json.loads(config.model_dump_json())["schedule"]["plateau_factor"] == 0.1


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    assert links
    inside = [link for link in links if not link.startswith("https://")]
    assert not [link for link in inside if not (path.parent / link).exists()]
