"""docs/flow_shards.md lists the columns as the models have them; the README's lines run.

Run this file with TT_UPDATE_DOCS=1 to write the tables anew.
"""

import os
import re
from pathlib import Path
from typing import get_args

import pytest

from ttdata.storage.tables import polars_schema
from ttflow.pose.config import PoseConfig
from ttflow.schema import (
    ClipRecord,
    DatasetFolder,
    Failure,
    FlowConfig,
    Manifest,
    PartInfo,
    PartRow,
    PoseRow,
    ShardsInfo,
)
from ttflow.shards.poses import PoseInfo

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "flow_shards.md"
README = ROOT / "packages" / "ttflow" / "README.md"
MARKS = "<!-- tables -->\n", "<!-- end of tables -->"


def column_table(model) -> list[str]:
    lines = ["| column | dtype | meaning |", "|---|---|---|"]
    for name, dtype in polars_schema(model).items():
        field = model.model_fields[name]
        null = " or null" if type(None) in get_args(field.annotation) else ""
        meaning = (field.description or "").replace("|", "\\|")
        lines.append(f"| {name} | {dtype}{null} | {meaning} |")
    return lines


def field_table(model) -> list[str]:
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        default = "" if field.is_required() else field.get_default(call_default_factory=True)
        meaning = (field.description or "").replace("|", "\\|")
        lines.append(f"| {name} | {default} | {meaning} |")
    return lines


def tables() -> str:
    parts = [
        ("A row of a part", column_table(PartRow)),
        ("A row of `clips.parquet`", column_table(ClipRecord)),
        ("`manifests/*.json`", field_table(Manifest)),
        ("A part in a manifest", field_table(PartInfo)),
        ("`shards.json`", field_table(ShardsInfo)),
        ("`config` in `shards.json`", field_table(FlowConfig)),
        ("`dataset_folder.json`", field_table(DatasetFolder)),
        ("A line of `failures.jsonl`", field_table(Failure)),
        ("A row of a file in `pose/`", column_table(PoseRow)),
        ("`pose/pose.json`", field_table(PoseInfo)),
        ("`config` in `pose/pose.json`", field_table(PoseConfig)),
    ]
    return "\n".join("\n".join([f"## {title}", "", *lines, ""]) for title, lines in parts)


@pytest.fixture
def page() -> str:
    if not PAGE.is_file():
        pytest.skip("the docs are not beside these tests")
    return PAGE.read_text(encoding="utf-8")


def test_tables_are_current(page: str) -> None:
    before, rest = page.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    expected = before + MARKS[0] + tables() + MARKS[1] + after
    if os.environ.get("TT_UPDATE_DOCS"):
        PAGE.write_text(expected, encoding="utf-8")
    assert page == expected or os.environ.get("TT_UPDATE_DOCS")


def test_the_lines_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    if not README.is_file():
        pytest.skip("the README is not beside these tests")
    first = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[0]
    exec(compile(first, str(README), "exec"), {})
    assert "torch.Size([5, 2])" in capsys.readouterr().out


def test_the_readme_names_every_module() -> None:
    if not README.is_file():
        pytest.skip("the README is not beside these tests")
    text = README.read_text(encoding="utf-8")
    modules = {path.name for path in (ROOT / "packages/ttflow/src/ttflow").rglob("[a-z]*.py")}
    assert {name for name in modules if f"  {name} " not in text} == set()


@pytest.mark.parametrize("name", ["how_extraction_works.md", "running_on_a_cluster.md"])
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / "docs" / name
    if not page.is_file():
        pytest.skip("the docs are not beside these tests")
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert links
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]
