"""The commands of ttdata's README and of the tutorial, run as they stand there."""

import re
from pathlib import Path

import polars as pl
import pytest

from ttdata.commands.curate import load_taxonomy
from ttdata.storage.dataset import load_dataset

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "from_annotators_to_a_dataset.md"
README = ROOT / "packages" / "ttdata" / "README.md"
DECISION = {"action": "drop", "negative": "accept"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def decide(path: Path) -> None:
    """Fill in the first ten decisions, as a person would in a spreadsheet."""
    frame = pl.read_csv(path, infer_schema=False)
    first = pl.int_range(pl.len()) < 10
    decision = pl.when(first).then(pl.col("kind").replace_strict(DECISION))
    frame.with_columns(decision=decision).write_csv(path)


def test_every_command(run, commands, tmp_path: Path) -> None:
    lines = commands(TUTORIAL)
    assert [line[1] for line in lines] == [
        *("synth", "curate", "review", "review", "curate", "split", "stats"),
    ]
    for line in lines:
        done = run(*line, cwd=tmp_path)
        if "--out" in line and line[1] == "review":
            assert "items to review; all are in todo.csv" in done.stdout
            decide(tmp_path / "todo.csv")
    dataset = load_dataset(tmp_path / "my_dataset")
    assert dataset.info.counts["reviews"] == 10
    assert dataset.info.counts["reviews_unmatched"] == 0
    assert dataset.info.split is not None
    assert dataset.info.split.leakage == 0
    assert (tmp_path / "my_dataset" / "report" / "index.html").is_file()
    # The README's commands on the same source, which is not rendered twice.
    readme = [line for line in commands(README) if line[0] == "ttdata"]
    assert readme[0] == lines[0]
    for line in readme[1:]:
        run(*line, cwd=tmp_path)


def test_the_taxonomy_shown_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    path = tmp_path / "taxonomy.json"
    path.write_text(text)
    assert load_taxonomy(path).canonical("bh drive") == "Backhand Drive"


@pytest.mark.parametrize("page", [TUTORIAL, README], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    assert links
    assert not [link for link in links if not (page.parent / link).exists()]
