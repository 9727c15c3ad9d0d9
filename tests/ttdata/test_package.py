"""Public names, lazy imports, the documented tables."""

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ttdata
from ttdata import schema
from ttdata.synth.config import GradesConfig
from ttdata.synth.graded.truth import QualityTruth

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
import table_docs

DOCS = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
TABLES = (
    *(schema.Video, schema.Annotation, schema.Action, schema.Clip, schema.Review),
    *(schema.CoveredSpan, schema.Stretch, schema.Suspect),
)


def test_all_is_sorted_and_loads() -> None:
    # Constants, classes, functions: sorted as ruff sorts them.
    groups = [
        [name for name in ttdata.__all__ if name.isupper()],
        [name for name in ttdata.__all__ if name[0].isupper() and not name.isupper()],
        [name for name in ttdata.__all__ if name[0].islower()],
    ]
    assert ttdata.__all__ == [name for group in groups for name in sorted(group)]
    assert set(ttdata.__all__) == set(ttdata._HOME)
    assert set(ttdata.__all__) <= set(dir(ttdata))
    for name in ttdata.__all__:
        assert getattr(ttdata, name) is not None
    assert callable(ttdata.curate)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ttdata.nonsense


@pytest.mark.parametrize("module", ["ttdata", "ttdata.cli"])
def test_importing_is_cheap(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split())
    assert not loaded & {"torch", "ray", "cv2", "polars", "av", "numpy", "pydantic", "sqlite3"}


def test_data_modules_load_no_torch_nor_ray() -> None:
    imported = "ttdata.commands.curate, ttdata.report.stats, ttdata.commands.split"
    code = f"import sys, {imported}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not set(result.stdout.split()) & {"torch", "ray", "cv2", "ttdata.annotate"}


@pytest.mark.parametrize("model", [*TABLES, QualityTruth, schema.CurationConfig, GradesConfig])
def test_every_column_is_described(model) -> None:
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name}"


@pytest.mark.skipif(not DOCS.is_file(), reason="docs/ is not beside these tests")
@pytest.mark.parametrize("model", [*TABLES, QualityTruth])
def test_docs_list_every_column(model) -> None:
    assert table_docs.table_markdown(model) in DOCS.read_text(encoding="utf-8"), model.__name__


@pytest.mark.skipif(not DOCS.is_file(), reason="docs/ is not beside these tests")
def test_docs_list_every_setting() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for model in (schema.CurationConfig, GradesConfig):
        assert table_docs.settings_markdown(model) in text, model.__name__


@pytest.mark.parametrize(
    "name",
    [
        "annotate.oversight.wording",
        "annotate.people.pace",
        "annotate.store.wording",
        "commands.options",
        "confidence",
        "curation.overlaps",
        "sources.formats.beside",
        "sources.formats.events",
        "splits.negatives",
        "splits.strategies",
        "taxonomy",
        "urls",
    ],
)
def test_examples_in_docstrings(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"ttdata.{name}"))
    assert results.attempted > 0
    assert results.failed == 0


README = Path(__file__).resolve().parents[2] / "packages" / "ttdata" / "README.md"


@pytest.mark.skipif(not README.is_file(), reason="packages/ is not beside these tests")
def test_readme_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("240 ")


@pytest.mark.skipif(not README.is_file(), reason="packages/ is not beside these tests")
def test_readme_lists_every_file() -> None:
    text = README.read_text(encoding="utf-8")
    folder = README.parent / "src" / "ttdata"
    names = {path.name for path in folder.rglob("*.py")} - {"__init__.py", "__main__.py"}
    assert not {name for name in names if f" {name} " not in text}
