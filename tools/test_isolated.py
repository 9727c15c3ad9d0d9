"""Tests each package alone: its wheel, what it declares, its tests, outside the checkout.

Of each test that is not slow the first of its cases runs, and properties are tried on few examples:
all others were to find, and `make test` finds, what a lacking dependency or file does not change.

python tools/test_isolated.py ttdata ttmodels ...
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("ttdata", "ttflow", "ttmodels", "tttrain")
WITH_RAY = {
    "ttflow": "jobs/test_extract.py::test_read_clips_keeps_order_and_rows",
    "tttrain": "training/test_ray.py::test_streamed_and_resident_runs_are_equal",
}
"""One test of those with a cluster: whether what is declared suffices for it; the rest is slow."""
TEST_TOOLS = ("pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "beartype")
FIRST_PAGE_SECONDS = 60
"""From the end of the installation until the annotation server shows its first page."""
FIRST_CASES = Path(__file__).with_name("first_cases.py")
AT_ONCE = 2
"""Installations and builds: they wait for the disk as much as they compute."""
# Processes, not threads: two thread pools on the same cores slow each other down.
PARALLEL = ("-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")


def run(*command: str | Path, cwd: Path = ROOT, aside: bool = False) -> None:
    """Run a command, or stop; what one aside of others says is said in one piece."""
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} if aside else {}
    result = subprocess.run([str(part) for part in command], cwd=cwd, check=False, **said)
    sys.stdout.write(result.stdout or "")
    sys.stdout.flush()
    if result.returncode:
        sys.exit(f"failed with exit code {result.returncode}: {' '.join(map(str, command))}")


def installer() -> list[str]:
    """The command that installs into the environment of a given interpreter."""
    uv = Path(sys.executable).with_name("uv")
    return [str(uv), "pip", "install", "--quiet", "--python"] if uv.exists() else []


def install(python: Path, *arguments: str | Path) -> None:
    """Install with uv where the development environment has it, else with pip."""
    command = [*installer(), str(python)] if installer() else [python, "-m", "pip", "install", "-q"]
    run(*command, "-c", ROOT / "constraints.txt", *arguments)


def environment(folder: Path) -> Path:
    """Make an environment; the path of its interpreter."""
    uv = Path(sys.executable).with_name("uv")
    make = [uv, "venv", "--quiet", "--python"] if uv.exists() else []
    run(*make, sys.executable, *(() if make else ("-m", "venv")), folder)
    return folder / "bin" / "python"


def build_wheels(folder: Path) -> None:
    """Build the wheels of all packages into a folder, in an environment of their own."""
    python = environment(folder / "builder")
    install(python, "build", "hatchling")

    def build(package: str) -> None:
        source = folder / "sources" / package
        shutil.copytree(ROOT / "packages" / package, source)
        wheel = ("-m", "build", "--wheel", "--no-isolation", "--outdir")
        run(python, *wheel, folder / "dist", source)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(build, PACKAGES))


def wheel_of(package: str, folder: Path) -> Path:
    """The wheel that was built."""
    (wheel,) = (folder / "dist").glob(f"{package}-*.whl")
    return wheel


def install_alone(package: str, folder: Path) -> None:
    """Install one wheel with what it declares, and what tests need."""
    python = environment(folder / f"env-{package}")
    install(python, "--find-links", folder / "dist", wheel_of(package, folder), *TEST_TOOLS)


def test_alone(package: str, folder: Path, aside: ThreadPoolExecutor) -> list[Future[None]]:
    """Run the tests of an installed package from a folder of their own.

    What waits for processes more than it computes is begun aside of those that follow.
    """
    python = folder / f"env-{package}" / "bin" / "python"
    tests = folder / "tests" / package
    shutil.copytree(ROOT / "tests" / package, tests)
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copy(FIRST_CASES, folder / "tests" / "conftest.py")
    begun = []
    if package in WITH_RAY:
        ray = (python, "-m", "pytest", "-q", tests / WITH_RAY[package])
        begun.append(aside.submit(run, *ray, cwd=folder, aside=True))
    if package == "ttdata":
        begun.append(aside.submit(test_server, wheel_of(package, folder), folder))
    run(python, "-m", "pytest", "-q", "-m", "not ray and not slow", *PARALLEL, tests, cwd=folder)
    return begun


def test_server(wheel: Path, folder: Path) -> None:
    """Install the wheel with its server into a bare environment, and open its first page."""
    python = environment(folder / "env-annotate")
    install(python, f"ttdata[annotate] @ {wheel.as_uri()}")
    start = time.monotonic()
    command, project = python.with_name("ttdata"), folder / "annotated"
    run(command, "annotate", project, "init")
    serve = [str(part) for part in (command, "annotate", project, "serve", "--port", "0")]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"(http://\S+)/setup/\S+", process.stdout.readline())
        for path in (found[0], f"{found[1]}/login", f"{found[1]}/static/site.css") if found else ():
            with urllib.request.urlopen(path, timeout=FIRST_PAGE_SECONDS) as answer:
                answer.read()
        seconds = time.monotonic() - start
        process.terminate()
        process.communicate()
    said = f"first page of the annotation server after {seconds:.0f} s"
    if found is None or process.returncode or seconds > FIRST_PAGE_SECONDS:
        sys.exit(f"{said}, expected {FIRST_PAGE_SECONDS}; exit code {process.returncode}")
    sys.stdout.write(f"{said}\n")


def main() -> None:
    """Build all wheels once, then test the named packages one after the other.

    Later ones are installed meanwhile.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", default=PACKAGES, choices=PACKAGES)
    packages = parser.parse_args().packages
    with tempfile.TemporaryDirectory(prefix="isolated-") as name:
        folder = Path(name)
        build_wheels(folder)
        with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(1) as aside:
            installed = [pool.submit(install_alone, package, folder) for package in packages]
            begun: list[Future[None]] = []
            for package, ready in zip(packages, installed, strict=True):
                ready.result()
                sys.stdout.write(f"--- {package} alone\n")
                sys.stdout.flush()
                begun += test_alone(package, folder, aside)
            for test in begun:
                test.result()


if __name__ == "__main__":
    main()
