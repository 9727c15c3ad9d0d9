"""Checks and times all that computes on a GPU, each section in a process group with a time limit.

    python benchmarks/gpu.py                         on a machine with CUDA: under 7 minutes
    python benchmarks/gpu.py --device cpu --tiny     the same code on small numbers, without a GPU

Nothing needs to be installed but torch, NumPy, OpenCV, safetensors, jaxtyping, pyarrow, pydantic
and, if it is to be measured, numba: the four packages are taken from this checkout. Where pydantic
is missing and there is no network, `--wheels DIR` brings wheels.

A section appends a line to OUT/gpu.jsonl for all it finds, at once; OUT/gpu.md is written again
after each section. A section that hangs or dies costs the others nothing. A short table comes last;
exit code 1 if a check failed or a section did not come to its end, 2 if there is no such device.
With TT_REAL_DATA the flow section also takes the public pairs there.
"""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from gpu_sections import report

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {"env": 25, "flow": 95, "models": 50, "augment": 20, "step": 60, "speed": 140}
"""Seconds of each section on a GPU, its imports included."""
SLOWER_CPU = 3
FAULTS = "TT_GPU_FAULTS"
"""For tests: `flow=hang,step=die` lets these sections do that instead of their work."""


def main() -> int:
    """Run the sections one after the other, or one of them in this process."""
    options = parse()
    if options.make_references:
        importlib.import_module("gpu_sections.references").make()
        return 0
    if options.section:
        return run_here(options)
    options.out.mkdir(parents=True, exist_ok=True)
    lines = options.out / "gpu.jsonl"
    lines.unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    environment = child_environment(options)
    for section in options.only:
        code = supervise(section, options, environment)
        found = report.read(lines)
        (options.out / "gpu.md").write_text(report.page(found), encoding="utf-8")
        print(report.ending(found, section), flush=True)
        if code == 2:
            return 2
    print("\n" + report.summary(found))
    print(f"\nAll of it: {options.out / 'gpu.md'}")
    return 1 if report.failed(found, options.only) else 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu_results"))
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--tiny", action="store_true", help="small numbers: does it run at all?")
    parser.add_argument("--only", type=sections, default=list(LIMITS), help="env,flow,...")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to unpack and use")
    parser.add_argument("--limit-factor", type=float, help="times the limits of all sections")
    parser.add_argument("--make-references", action="store_true", help="write references.npz anew")
    parser.add_argument("--section", choices=LIMITS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.limit_factor is None:
        options.limit_factor = SLOWER_CPU if options.device == "cpu" else 1
    return options


def sections(text: str) -> list[str]:
    """Names of sections from a list with commas."""
    names = text.split(",")
    if unknown := [name for name in names if name not in LIMITS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}: expected some of {','.join(LIMITS)}")
    return names


def child_environment(options: argparse.Namespace) -> dict[str, str]:
    """This environment, with the packages of the checkout and of the wheels on its path."""
    paths = [str(ROOT / "packages" / name / "src") for name in report.PACKAGES]
    if options.wheels:
        unpacked = options.out.resolve() / "wheels"
        for wheel in sorted(options.wheels.glob("*.whl")):
            zipfile.ZipFile(wheel).extractall(unpacked)
        paths.append(str(unpacked))
    paths += [path for path in [os.environ.get("PYTHONPATH")] if path]
    # cuBLAS repeats its sums only with a workspace of its own, named before it starts.
    return {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} | os.environ | {"PYTHONPATH": ":".join(paths)}


def supervise(section: str, options: argparse.Namespace, environment: dict[str, str]) -> int | None:
    """Run a section in a process group of its own; add the line that says how it ended."""
    limit, start = LIMITS[section] * options.limit_factor, time.monotonic()
    command = [sys.executable, __file__, "--section", section, "--out", options.out]
    command += ["--device", options.device, "--limit-factor", str(options.limit_factor)]
    command += ["--tiny"] if options.tiny else []
    log = options.out / f"{section}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment, stdout=file, stderr=file, start_new_session=True
        )
        code = None
        try:
            code = process.wait(limit)
            how = report.exit_words(code)
        except subprocess.TimeoutExpired:
            how = f"over its {limit:g} s"
        finally:
            kill_group(process)
    said = [] if code == 0 else log.read_text(errors="replace").strip().splitlines()[-1:]
    seconds = round(time.monotonic() - start, 1)
    end = {"section": section, "end": how, "seconds": seconds, "said": "".join(said)[:300]}
    report.append(options.out / "gpu.jsonl", end)
    return code


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a section and all it started, whatever they are at."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)
    except (ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
        pass  # gone, or stuck in the driver: the next section does not wait for it


def run_here(options: argparse.Namespace) -> int:
    """One section, in this process."""
    faults = dict(item.split("=") for item in os.environ.get(FAULTS, "").split(",") if item)
    lines = options.out / "gpu.jsonl"
    if fault := faults.get(options.section):
        return misbehave(fault, lines, options.section)
    from gpu_sections.context import Context, NoDevice

    limit = LIMITS[options.section] * options.limit_factor
    try:
        context = Context(options.section, lines, options.device, options.tiny, limit)
    except NoDevice as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    importlib.import_module(f"gpu_sections.{options.section}").run(context)
    return 0


def misbehave(fault: str, lines: Path, section: str) -> int:
    """Do what sections should not, after a line that must stay; or nothing, with "pass"."""
    passed = fault != "fail"
    line = {"section": section, "what": "injected", "value": 0, "limit": 0, "passed": passed}
    report.append(lines, line)
    if fault == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "600"])
        report.append(lines, {"section": section, "what": "child", "value": child.pid, "unit": ""})
        time.sleep(600)
    if fault == "die":
        with lines.open("a") as file:
            file.write(json.dumps(line)[:20])  # a line cut off
        os.kill(os.getpid(), signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
