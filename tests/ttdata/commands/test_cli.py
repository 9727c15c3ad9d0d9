"""The command as people type it: a process each where that matters, else `main` here."""

import contextlib
import io
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from ttdata.cli import main

COMMANDS = ("synth", "annotate", "curate", "review", "split", "stats", "convert")
LINES = "video_id,annotator_id,start_frame,end_frame,label\n" + "".join(
    f"{video},x,{100 + 300 * i},{200 + 300 * i},Serve Forehand Loop\n"
    for video in ("-a", "ä b", "c")
    for i in range(12)
)
VIDEOS = "video_id,fps,num_frames,width,height\n" + "".join(
    f"{video},120,9000,640,360\n" for video in ("-a", "ä b", "c")
)


def process(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ttdata", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def ttdata(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """As `process`, in this one: most of a process is imports."""
    line, out, err = ["ttdata", *map(str, arguments)], io.StringIO(), io.StringIO()
    code: object = 0
    with (
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.object(sys, "argv", line),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(line, int(str(code or 0)), out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Holds a source and the dataset made from it, under names that need care."""
    at = tmp_path_factory.mktemp("with space")
    source = at / "-source é"
    source.mkdir()
    (source / "annotations.csv").write_text(LINES, encoding="utf-8")
    (source / "videos.csv").write_text(VIDEOS, encoding="utf-8")
    result = process("curate", "--out", "data set", "--", "-source é", cwd=at)
    assert result.returncode == 0, result.stderr
    assert "36  clips: strokes" in result.stdout
    (at / "list.json").write_text("[1]")
    (at / "crowd.json").write_text('{"crowd": {"misses_rate": 0.1}}')
    return at


def test_help_is_quick() -> None:
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = process("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time: what else the machine does is no concern of the command.
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert result.returncode == 0
    for command in COMMANDS:
        assert command in result.stdout
    assert statistics.median(seconds) < 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    assert ttdata(command, "--help").returncode == 0


def test_split_and_stats(folder: Path) -> None:
    result = ttdata("split", "data set", "--shares", "0.4,0.3,0.3", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "leakage 0.0%" in result.stdout
    found = json.loads(ttdata("stats", folder / "data set", "--json").stdout)
    assert found["funnel"]["clips_stroke"] == 36
    assert found["split"]["shares"] == [0.4, 0.3, 0.3]
    assert found["table"][-1]["train"] > 0
    text = ttdata("stats", folder / "data set").stdout
    assert "Serve Forehand Loop" in text
    assert "leakage" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["curate", "none", "--out", "x"], "error: none: no such file or folder"),
        (["curate", "-", "--out", "x", "--set", "max_overlp=1"], "did you mean 'max_overlap'?"),
        (["curate", "-", "--out", "x", "--set", "max_overlap=2"], "max_overlap = 2"),
        (["curate", "./-source é", "--out", "x", "--taxonomy", "none.json"], "none.json: not a"),
        (["curate", "./-source é", "--out", "x", "--format", "elan"], "unknown format 'elan'"),
        (["split", "none"], "error: none: no dataset.json"),
        (["split", "data set", "--strategy", "best"], "--strategy best: expected one of paper"),
        (["split", "data set", "--group", "team"], "--group team: expected one of video"),
        (["split", "data set", "--shares", "1,2"], "--shares 1,2: expected three numbers"),
        (["split", "data set", "--group", "player"], "cannot group by player"),
        (["split", "data set", "--nonsense"], "No such option"),
        (["synth", "x", "--size", "big"], "big"),
        (["synth", "x", "--config", "list.json"], "list.json: holds [1], expected an object"),
        (["synth", "x", "--config", "crowd.json"], "did you mean 'missed_rate'?"),
        (["split", "data set", "--strategy", "paper", "--shares", "0.5,0.3,0.2"], "leave --shares"),
        (["split", "data set", "--strategy", "paper", "--group", "player"], "cannot group by"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(folder: Path, arguments, message) -> None:
    result = ttdata(*arguments, cwd=folder)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    if result.stderr.startswith("error: "):
        assert result.stderr.count("\n") == 1


def test_the_process_ends_with_the_code_too(folder: Path) -> None:
    result = process("split", "none", cwd=folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: none: no dataset.json")


def test_a_file_in_the_way_is_one_line_and_code_1(folder: Path) -> None:
    (folder / "a file").write_text("")
    result = ttdata("curate", "./-source é", "--out", "a file/below", cwd=folder)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "error: a file/below: Not a directory"


def test_brackets_in_names_are_no_patterns(folder: Path, tmp_path: Path) -> None:
    """Polars would take "[1]" for a pattern and read a neighbour of that name."""
    for name in ("session 1", "session [1]"):
        (tmp_path / name).mkdir()
        text = LINES if name.endswith("]") else LINES.splitlines()[0] + "\n"
        (tmp_path / name / "annotations.csv").write_text(text, encoding="utf-8")
        (tmp_path / name / "videos.csv").write_text(VIDEOS, encoding="utf-8")
    result = ttdata("curate", "session [1]", "--out", "data [1]", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "36  clips: strokes" in result.stdout
    result = ttdata("split", "data [1]", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
