"""Weights come from where one says, whole and right or not at all."""

import hashlib
import os
import re
import shlex
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from ttdata.errors import InputError, TTError
from ttflow import cli
from ttflow.errors import PoseUnavailable
from ttflow.pose import fetch as fetching
from ttflow.pose import weights
from ttflow.pose.fetch import fetch
from ttflow.pose.runtime import Network
from ttflow.pose.weights import DETECTOR, LANDMARKS, SHA256, pose_folder, read_weights

WHEEL_NAME = "mediapipe-0.10.14-py3-none-any.whl"
OURS = {DETECTOR: b"a detector", LANDMARKS: b"a network of landmarks"}
PLACES = {
    DETECTOR: "mediapipe/modules/pose_detection/",
    LANDMARKS: "mediapipe/modules/pose_landmark/",
}
needs_pip = pytest.mark.skipif(find_spec("pip") is None, reason="this environment has no pip")


def make_wheel(folder: Path, contents: dict[str, bytes], name: str = WHEEL_NAME) -> Path:
    """A wheel that pip takes, with these files where mediapipe has them."""
    folder.mkdir(parents=True, exist_ok=True)
    info = "mediapipe-0.10.14.dist-info/"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        for file, content in contents.items():
            wheel.writestr(PLACES.get(file, "mediapipe/") + file, content)
        wheel.writestr(
            info + "METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.14\n"
        )
        wheel.writestr(
            info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(info + "RECORD", "")
    return folder / name


def write(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


@pytest.fixture
def known(monkeypatch) -> None:
    """Our small files are the known ones."""
    for name, content in OURS.items():
        monkeypatch.setitem(weights.SHA256, name, hashlib.sha256(content).hexdigest())


@pytest.fixture
def no_index(monkeypatch) -> None:
    """Pip finds nothing but an index that is not there; its own configuration is not read."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")


def run_command(monkeypatch, capsys, *arguments: str | Path) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["ttflow", "fetch-pose", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.mark.usefixtures("known")
def test_from_a_wheel(tmp_path: Path, monkeypatch) -> None:
    kept, wheel = tmp_path / "cache" / "pose", make_wheel(tmp_path, OURS)
    said = fetch([wheel], kept)
    both = f"{kept}: {DETECTOR} and {LANDMARKS} of mediapipe==0.10.14"
    assert said == f"{both}; to use them, set TTFLOW_POSE_DIR={kept}"
    assert read_weights(kept) == OURS
    assert sorted(path.name for path in kept.iterdir()) == sorted(OURS)
    monkeypatch.chdir(tmp_path)  # the variable must hold elsewhere, too
    assert fetch([wheel], Path("own")).endswith(
        f"; to use them, set TTFLOW_POSE_DIR={tmp_path / 'own'}"
    )
    (kept / DETECTOR).unlink()
    monkeypatch.setenv("TTFLOW_POSE_DIR", str(kept))
    assert fetch([wheel]) == both


@pytest.mark.usefixtures("known")
def test_from_two_files_of_any_name(tmp_path: Path) -> None:
    files = write(tmp_path / "given", OURS)
    renamed = files[0].rename(tmp_path / "given" / "detector.bin")
    fetch([files[1], renamed], tmp_path / "kept")
    assert read_weights(tmp_path / "kept") == OURS


@pytest.mark.usefixtures("known")
def test_a_second_call_leaves_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, OURS)
    before = [(tmp_path / name).stat() for name in OURS]
    assert "has the weights of BlazePose already" in fetch([], tmp_path)
    assert [(tmp_path / name).stat() for name in OURS] == before


@pytest.mark.usefixtures("known")
def test_damaged_weights_are_replaced(tmp_path: Path) -> None:
    write(tmp_path, {**OURS, DETECTOR: b"half a det"})
    with pytest.raises(PoseUnavailable, match="fetch it anew"):
        read_weights(tmp_path)
    fetch([make_wheel(tmp_path / "wheels", OURS)], tmp_path)
    assert read_weights(tmp_path) == OURS


def test_a_wheel_with_other_weights_is_refused(tmp_path: Path, monkeypatch, capsys) -> None:
    wheel = make_wheel(tmp_path, OURS)
    code, out, error = run_command(monkeypatch, capsys, "--from", wheel, "--to", tmp_path / "kept")
    found = hashlib.sha256(OURS[DETECTOR]).hexdigest()
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert f"{wheel}: {DETECTOR}: found SHA-256 {found}, expected {SHA256[DETECTOR]}" in error
    assert not (tmp_path / "kept").exists()


def test_a_file_with_another_hash_is_refused(tmp_path: Path, monkeypatch, capsys) -> None:
    (detector,) = write(tmp_path, {DETECTOR: b"x"})
    code, _, error = run_command(monkeypatch, capsys, "--from", detector, "--to", tmp_path / "kept")
    assert code == 2
    assert f"{detector}: found SHA-256 {hashlib.sha256(b'x').hexdigest()}, expected" in error
    assert not (tmp_path / "kept").exists()


def test_a_wheel_without_the_files_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, {"hand.tflite": b"x"})
    with pytest.raises(InputError, match=rf"{WHEEL_NAME}: holds no {DETECTOR}"):
        fetch([wheel], tmp_path / "kept")


@pytest.mark.parametrize("cut", [30, -30])
def test_a_damaged_wheel_is_refused(tmp_path: Path, cut: int) -> None:
    wheel = make_wheel(tmp_path, OURS)
    wheel.write_bytes(wheel.read_bytes()[:cut])
    with pytest.raises(InputError, match=WHEEL_NAME):
        fetch([wheel], tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


@pytest.mark.usefixtures("known")
def test_a_wheel_with_a_damaged_member_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, OURS)
    content = wheel.read_bytes()
    wheel.write_bytes(content.replace(OURS[LANDMARKS], b"?" * len(OURS[LANDMARKS])))
    with pytest.raises(InputError, match="not a readable wheel"):
        fetch([wheel], tmp_path / "kept")


@pytest.mark.usefixtures("known")
def test_one_file_alone_is_not_enough(tmp_path: Path) -> None:
    files = write(tmp_path / "given", OURS)
    with pytest.raises(InputError, match=f"found no {LANDMARKS}, expected it among the files"):
        fetch(files[:1], tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_what_is_no_weights_is_refused(tmp_path: Path) -> None:
    (other,) = write(tmp_path, {"notes.txt": b"x"})
    with pytest.raises(InputError, match=r"notes.txt: found SHA-256 .*, expected a wheel of"):
        fetch([other], tmp_path / "kept")
    with pytest.raises(InputError, match=r"none.whl: no such file"):
        fetch([tmp_path / "none.whl"], tmp_path / "kept")


@pytest.mark.usefixtures("known")
def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch, capsys) -> None:
    wheel = make_wheel(tmp_path, OURS)
    (tmp_path / "file").write_text("in the way")
    kept = tmp_path / "file" / "pose"
    code, _, error = run_command(monkeypatch, capsys, "--from", wheel, "--to", kept)
    assert (code, error.count("\n")) == (1, 1)
    assert f"{kept}: weights cannot be kept here (Not a directory)" in error


@needs_pip
@pytest.mark.usefixtures("no_index")
def test_without_a_network(tmp_path: Path, monkeypatch, capsys) -> None:
    code, out, error = run_command(monkeypatch, capsys, "--to", tmp_path / "kept")
    assert (code, out) == (1, "")
    assert error.splitlines()[-1] == (
        "error: mediapipe==0.10.14 cannot be downloaded (the package index cannot be reached): run "
        "again later, or name a wheel or both files: ttflow fetch-pose --from FILE"
    )
    assert not (tmp_path / "kept").exists()


@needs_pip
@pytest.mark.usefixtures("known", "no_index")
def test_the_commands_of_the_readme_run(tmp_path: Path, monkeypatch, capsys) -> None:
    readme = Path(__file__).parents[3] / "packages" / "ttflow" / "README.md"
    if not readme.is_file():
        pytest.skip("the README is not beside these tests")
    lines = re.findall(r"^    ttflow (fetch-pose.*)$", readme.read_text(encoding="utf-8"), re.M)
    assert len(lines) == 2
    wheel = make_wheel(tmp_path / "index", OURS)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.chdir(wheel.parent)
    for number, line in enumerate(lines):
        monkeypatch.setenv("TTFLOW_POSE_DIR", str(tmp_path / str(number)))
        words = [word.replace("*.whl", "py3-none-any.whl") for word in shlex.split(line, True)]
        assert run_command(monkeypatch, capsys, *words[1:])[0] == 0
        assert read_weights() == OURS


@pytest.mark.usefixtures("known")
def test_without_a_wheel_for_this_platform_another_one_will_do(tmp_path, monkeypatch) -> None:
    asked = []

    def pip(command: list[str], **_) -> subprocess.CompletedProcess:
        asked.append(command)
        if "--platform" in command:
            make_wheel(Path(command[command.index("--dest") + 1]), OURS)
            return subprocess.CompletedProcess(command, 0, "", "")
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found")

    monkeypatch.setattr(fetching.subprocess, "run", pip)
    monkeypatch.setattr(fetching, "find_spec", lambda name: name)
    fetch([], tmp_path / "kept")
    assert len(asked) == 2
    assert all("--no-deps" in command for command in asked)
    assert read_weights(tmp_path / "kept") == OURS


def test_pip_may_have_nothing(tmp_path: Path, monkeypatch) -> None:
    def pip(command: list[str], **_) -> subprocess.CompletedProcess:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No match for it\n")

    monkeypatch.setattr(fetching.subprocess, "run", pip)
    monkeypatch.setattr(fetching, "find_spec", lambda name: name)
    with pytest.raises(TTError, match=r"cannot be downloaded \(pip: No match for it\)"):
        fetch([], tmp_path / "kept")


def test_without_pip(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(fetching, "find_spec", lambda name: None)
    code, _, error = run_command(monkeypatch, capsys, "--to", tmp_path / "kept")
    assert (code, error.count("\n")) == (2, 1)
    assert "has no pip" in error
    assert "--from FILE" in error


def test_where_weights_lie(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TTFLOW_POSE_DIR", str(tmp_path / "mine"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert pose_folder() == tmp_path / "mine"
    monkeypatch.delenv("TTFLOW_POSE_DIR")
    assert pose_folder() == tmp_path / "cache" / "ttflow" / "pose"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pose_folder() == tmp_path / ".cache" / "ttflow" / "pose"


def test_missing_weights_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PoseUnavailable, match=r"pose_detection.tflite: no such file.*fetch-pose"):
        read_weights(tmp_path)


def test_a_missing_runtime_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(PoseUnavailable, match=r"pip install 'ttflow\[pose\]'"):
        Network(b"", DETECTOR)


def test_the_package_loads_no_runtime_and_no_network() -> None:
    code = (
        "import sys, ttflow.cli, ttflow.pose.blazepose, ttflow.pose.tracker, ttflow.pose.fetch\n"
        "sys.exit(any(name.split('.')[0] == 'ai_edge_litert' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_true_wheel(tmp_path: Path, true_weights: dict[str, bytes]) -> None:
    fetch([make_wheel(tmp_path, true_weights)], tmp_path / "kept")
    assert read_weights(tmp_path / "kept") == true_weights
