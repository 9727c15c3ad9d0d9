"""Limits of a container, from files as the kernel writes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ttdata import machine


def limited(monkeypatch: pytest.MonkeyPatch, folder: Path, cpu: str, memory: str) -> None:
    (folder / "cpu.max").write_text(cpu)
    (folder / "memory.max").write_text(memory)
    monkeypatch.setattr(machine, "_CPU_LIMIT", folder / "cpu.max")
    monkeypatch.setattr(machine, "_MEMORY_LIMITS", (folder / "absent", folder / "memory.max"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)


@pytest.mark.parametrize(
    ("cpu", "cores"),
    [("max 100000\n", 8), ("150000 100000\n", 2), ("1000 100000\n", 1), ("1600000 100000\n", 8)],
)
def test_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpu: str, cores: int) -> None:
    limited(monkeypatch, tmp_path, cpu, "max\n")
    assert machine.available_cores() == cores


def test_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limited(monkeypatch, tmp_path, "max 100000\n", "max\n")
    whole = machine.available_memory()
    assert whole > 2**28
    limited(monkeypatch, tmp_path, "max 100000\n", f"{2**27}\n")
    assert machine.available_memory() == 2**27
    limited(monkeypatch, tmp_path, "max 100000\n", f"{2**62}\n")
    assert machine.available_memory() == whole


@pytest.mark.skipif(sys.platform != "linux", reason="of the C library on Linux")
def test_free_memory_between_small_blocks_is_given_back() -> None:
    code = """
from ttdata.machine import return_free_memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
blocks = []
for _ in range(400):
    blocks += [bytearray(100_000), bytearray(600)]
for place in range(0, 800, 2):
    blocks[place] = None
before = resident()
return_free_memory()
assert before - resident() > 20_000_000, (before, resident())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="of the C library on Linux")
def test_kept_memory_is_not_filled_with_zeros_again() -> None:
    code = """
import resource
from ttdata.machine import keep_freed_memory, return_free_memory
def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(2**26)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
keep_freed_memory()
assert new_pages() > 10_000
assert new_pages() < 100
return_free_memory()
assert new_pages() > 10_000
"""
    subprocess.run([sys.executable, "-c", code], check=True)
