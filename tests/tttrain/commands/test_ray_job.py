"""What the commands refuse in a submitted Ray job."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tttrain.cli import app

COMMANDS = (
    (["fit", "--data", "{data}", "--out", "run"], "run"),
    (["fit", "--data", "shards", "--out", "{run}"], "--data shards"),
    (["compare", "--data", "{data}", "--out", "table", "--recipes", "rgb"], "table"),
    (["compare", "--data", "shards", "--out", "{run}", "--recipes", "rgb"], "--data shards"),
    (["evaluate", "run", "--data", "{data}"], "run"),
    (["predict", "{run}", "{data}", "--out", "strokes.csv"], "strokes.csv"),
    (["predict", "{run}", "{data}", "--out", "strokes"], "strokes"),
    (["fit-detector", "run", "--dataset", "{data}"], "RUN run"),
    (["evaluate-detector", "run", "--dataset", "{data}"], "RUN run"),
    (["index", "run", "{data}", "--out", "{run}"], "RUN run"),
    (["index", "{run}", "videos", "--out", "{data}"], "INPUT videos"),
    (["index", "{run}", "{data}", "--out", "index"], "index"),
)


@pytest.mark.parametrize(("command", "named"), COMMANDS)
def test_relative_paths(
    command: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run and shards lie in the copy, and elsewhere: only what would be lost is refused."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    run = json.loads(RUN.read_text())
    for folder in (Path("run"), tmp_path / "elsewhere"):
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps(run))
    before = sorted(tmp_path.rglob("*"))
    places = {"data": tmp_path / "data", "run": tmp_path / "elsewhere"}
    result = CliRunner().invoke(app, [word.format(**places) for word in command])
    assert str(result.exception).startswith(f"{named}: expected an absolute path; the working")
    assert sorted(tmp_path.rglob("*")) == before


RUN = Path(__file__).parents[1] / "fixtures" / "run_before_sections" / "run.json"
