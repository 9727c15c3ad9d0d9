"""`benchmarks/gpu.py`: in an environment that holds next to nothing, and when a section fails."""

import importlib.util
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil
import pytest
import torch

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.py"
SECTIONS = ("env", "flow", "models", "augment", "step", "speed")
BARE = (
    *("torch", "numpy", "numba", "opencv-python-headless"),
    *("safetensors", "jaxtyping", "pyarrow", "pydantic"),
)
HEAVY = ("polars", "av", "zstandard", "ray")
NO_INDEX = ("error sending request", "failed to fetch", "dns error", "network", "offline")


def script(
    out: Path, *arguments: str, python: str | Path = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run it with nothing on the path but what it puts there."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TT_REAL_DATA")}
    command = [str(python), str(SCRIPT), "--out", str(out), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=kept | variables)


def lines_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "gpu.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def report() -> ModuleType:
    path = ROOT / "benchmarks" / "gpu_sections" / "report.py"
    spec = importlib.util.spec_from_file_location("gpu_report", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with eight packages, at the pinned versions."""
    folder = tmp_path_factory.mktemp("bare")
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv is not in this environment")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS", "")
    places = {"UV_FIND_LINKS": ",".join(links.replace(",", " ").split())} if links else {}
    command = [uv, "pip", "install", "--quiet", "--python", python]
    done = subprocess.run(
        [*command, "-c", ROOT / "constraints.txt", *BARE],
        env=os.environ | places,
        capture_output=True,
        text=True,
    )
    if done.returncode and any(word in done.stderr.lower() for word in NO_INDEX):
        pytest.skip(f"the package index cannot be reached: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    return python


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_section_is_green_in_a_bare_environment(bare: Path, tmp_path: Path) -> None:
    found = f"import importlib.util as u; print([n for n in {HEAVY} if u.find_spec(n)])"
    heavy = subprocess.run([bare, "-I", "-c", found], capture_output=True, text=True, check=True)
    assert heavy.stdout.strip() == "[]"
    done = script(tmp_path, "--device", "cpu", "--tiny", python=bare)
    lines = lines_of(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    ends = [(line["section"], line["end"]) for line in lines if "end" in line]
    assert ends == [(section, "finished") for section in SECTIONS]
    checks = {
        section: [line for line in lines if line["section"] == section and "passed" in line]
        for section in ("flow", "models", "augment", "step")
    }
    assert {name: len(found) for name, found in checks.items()} == {
        "flow": 12,
        "models": 27,
        "augment": 4,
        "step": 7,
    }
    page = (tmp_path / "gpu.md").read_text()
    assert all(f"## {section}: finished" in page for section in SECTIONS)


def test_a_section_that_hangs_or_dies_costs_the_others_nothing(tmp_path: Path) -> None:
    start = time.monotonic()
    faults = "env=pass,flow=hang,models=die,augment=fail,step=pass,speed=pass"
    done = script(tmp_path, "--limit-factor", "0.03", TT_GPU_FAULTS=faults)
    assert time.monotonic() - start < 20
    assert done.returncode == 1
    found = (tmp_path / "gpu.jsonl").read_text().splitlines()
    cut = [line for line in found if not line.endswith("}")]
    assert len(cut) == 1, "the line that was cut off stands alone"
    lines = [json.loads(line) for line in found if line not in cut]
    ends = {line["section"]: line["end"] for line in lines if "end" in line}
    assert ends == {
        "env": "finished",
        "flow": "over its 2.85 s",
        "models": "killed by SIGKILL",
        "augment": "finished",
        "step": "finished",
        "speed": "finished",
    }
    injected = {line["section"]: line["passed"] for line in lines if "passed" in line}
    assert injected == {name: name != "augment" for name in SECTIONS}
    (child,) = [line["value"] for line in lines if line.get("what") == "child"]
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"
    table = done.stdout[done.stdout.index("| section") :].splitlines()
    assert table[3].startswith("| flow | over its 2.85 s |")
    assert table[5].endswith("| 0 | 1: injected |")
    assert "## models: killed by SIGKILL" in (tmp_path / "gpu.md").read_text()


@pytest.mark.parametrize("fault", ["pass", "hang", "die", "fail"])
def test_exit_code(fault: str, tmp_path: Path) -> None:
    done = script(tmp_path, "--only", "env", "--limit-factor", "0.1", TT_GPU_FAULTS=f"env={fault}")
    assert done.returncode == (0 if fault == "pass" else 1), done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_nothing_is_tried_twice(tmp_path: Path) -> None:
    done = script(tmp_path)
    assert done.returncode == 2
    assert done.stdout.startswith("env: exit code 2 (error: --device cuda: torch ")
    assert len(lines_of(tmp_path)) == 1


def test_wheels_are_unpacked_for_the_sections(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "tiny-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "")
    arguments = ("--only", "env", "--wheels", str(tmp_path / "wheels"))
    assert script(tmp_path / "out", *arguments, TT_GPU_FAULTS="env=pass").returncode == 0
    assert (tmp_path / "out" / "wheels" / "tiny.py").is_file()


def test_make_runs_it() -> None:
    command = ["make", "--no-print-directory", "--dry-run", "bench-gpu", "GPU_ARGS=--only env"]
    plain = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    done = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("benchmarks/gpu.py --only env")
    assert "setup.sh" not in done.stdout


def test_unknown_sections_are_named(tmp_path: Path) -> None:
    done = script(tmp_path, "--only", "env,flows")
    assert done.returncode == 2
    assert "'flows': expected some of env,flow,models,augment,step,speed" in done.stderr


def test_the_parent_imports_no_torch(tmp_path: Path) -> None:
    """`-X importtime` writes down what this process imports, and no other."""
    command = [sys.executable, "-X", "importtime", SCRIPT, "--only", "env", "--out", tmp_path]
    done = subprocess.run(
        command, env=os.environ | {"TT_GPU_FAULTS": "env=pass"}, capture_output=True, text=True
    )
    assert done.returncode == 0
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "gpu_sections.report" in imported
    assert not {"torch", "numpy", "cv2", "pydantic"} & imported


def test_lines_survive_a_line_that_was_cut_off(report: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "gpu.jsonl"
    report.append(path, {"section": "env", "what": "a"})
    path.write_bytes(path.read_bytes() + b'{"section": "e')
    report.append(path, {"section": "env", "what": "b"})
    assert [line["what"] for line in report.read(path)] == ["a", "b"]


def test_what_counts_as_failed(report: ModuleType) -> None:
    end = {"section": "env", "end": "finished", "seconds": 1.0, "said": ""}
    good = {"section": "env", "what": "x", "value": 1.0, "limit": 2.0, "passed": True}
    error = {"section": "env", "what": "y", "error": "ValueError: z", "passed": False}
    assert not report.failed([good, end], ["env"])
    assert report.failed([good, end], ["env", "flow"])  # flow never ended
    assert report.failed([good, error, end], ["env"])
    assert report.failed([good, end | {"end": "exit code 1"}], ["env"])
    assert "| y | ValueError: z | | failed |" in report.page([good, error, end])
    assert report.summary([good, error, end]).splitlines()[-1] == (
        "| env | finished | 1.0 | 1 | 1: y |"
    )


def test_the_references_are_small_and_complete() -> None:
    path = ROOT / "benchmarks" / "gpu_sections" / "references.npz"
    assert path.stat().st_size < 2e6
    with np.load(path) as stored:
        shapes = {name: stored[name].shape for name in stored}
    assert len([name for name in shapes if name.startswith("logits")]) == 8
    assert shapes["flow odd sizes"] == shapes["flow warm"] == (1, 2, 61, 97)
    assert len([name for name in shapes if shapes[name] == (1, 2, 180, 320)]) == 2
