"""The commands of ttdata's README, of the tutorial and of the page for teachers, as they stand."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from ttdata.commands.curate import load_taxonomy
from ttdata.storage.dataset import load_dataset
from ttdata.synth.config import SynthConfig

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "from_annotators_to_a_dataset.md"
SESSIONS = ROOT / "docs" / "annotation_sessions.md"
README = ROOT / "packages" / "ttdata" / "README.md"
DECISION = {"action": "drop", "negative": "accept"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def decide(path: Path) -> None:
    """Fill in the first ten decisions, as a person would in a spreadsheet."""
    frame = pl.read_csv(path, infer_schema=False)
    first = pl.int_range(pl.len()) < 10
    decision = pl.when(first).then(pl.col("kind").replace_strict(DECISION))
    frame.with_columns(decision=decision).write_csv(path)


def serve_once(line: list[str], folder: Path, env: dict[str, str]) -> None:
    """Run a server on any free port until it has shown a page; then Ctrl-C."""
    command = [*line, "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = None
        while found is None:
            said = process.stdout.readline()
            assert said, "it ended by itself"
            found = re.search(r"open (http\S+) ", said)
        with urllib.request.urlopen(f"{found[1]}/login", timeout=60) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 0


def test_every_command(run, commands, scripts, tmp_path: Path) -> None:
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
        if "serve" in line:
            serve_once(line, tmp_path, scripts)
        else:
            run(*line, cwd=tmp_path)


def test_every_command_of_a_session(run, commands, scripts, tmp_path: Path) -> None:
    lines = [line for line in commands(SESSIONS) if line[0] != "pip"]
    assert [line[3] for line in lines if line[1] == "annotate"] == [
        *("init", "add", "add", "serve", "export", "backup"),
    ]
    printed = {}
    for line in lines:
        if line[-1] == "serve":
            mark_all([*line, "--port", "0"], tmp_path, scripts)
        else:
            printed[" ".join(line)] = run(*line, cwd=tmp_path).stdout
    assert "golden clips" in printed["ttdata annotate my_project add golden --golden"]
    dataset = load_dataset(tmp_path / "my_dataset")
    assert dataset.info.split is not None
    truth = pl.read_csv(tmp_path / "films" / "truth.csv").filter(pl.col("video_id") != "video_0003")
    strokes = dataset.clips.filter(kind="stroke")
    assert 0.5 * truth.height < strokes.height <= truth.height


def mark_all(command: list[str], folder: Path, scripts: dict[str, str]) -> None:
    """What a teacher and three annotators do between a server's start and Ctrl-C."""
    pytest.importorskip("fastapi", reason="ttdata[annotate] is not installed")
    sys.path.append(str(ROOT / "examples" / "annotate_demo"))
    from browser import Browser
    from room import crowd_of_videos, work_to_the_end

    record = json.loads((folder / "films" / "synth.json").read_text())
    config = SynthConfig.model_validate(record["config"])
    crowd = crowd_of_videos(config, [f"video_{number:04}" for number in range(4)])
    server = subprocess.Popen(
        command,
        cwd=folder,
        env=scripts,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout is not None
    text = ""
    while "Ctrl-C ends it" not in text:
        line = server.stdout.readline()
        assert line, text
        text += line
    found = re.search(r"(http://[^/]+)(/setup/\S+)", text)
    assert found, text
    origin, setup = found.groups()
    with closing(Browser(origin)) as teacher:
        teacher.post(setup, {"name": "teacher", "password": "a long password"})
        teacher.post("/api/teacher/invitations", {"count": 3})
        invitations = teacher.http.get("/teacher/invitations").text
    links = sorted(set(re.findall(r"/join/[\w-]+", invitations)))
    assert len(links) == 3
    for number, link in enumerate(links):
        with closing(Browser(origin, pace=1e6)) as person:
            person.join(link)
            work_to_the_end(person, number, crowd, folder / "my_project")
    server.send_signal(signal.SIGINT)
    assert "closed, with a backup" in server.communicate(timeout=120)[0]
    assert server.returncode == 0


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
