"""Cores and memory that this process may use; freed memory given back, or kept."""

import contextlib
import ctypes
import math
import os
from pathlib import Path

_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Of control groups: version 2, and of memory version 1 as well."""


def available_cores() -> int:
    """Cores this process may use: those it is bound to, or fewer where its container says so."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no such file, or the word "max"
        quota, period = map(int, _CPU_LIMIT.read_text(encoding="utf-8").split())
        cores = min(cores, math.ceil(quota / period))
    return max(1, cores)


def available_memory() -> int:
    """Bytes of memory: of the machine, or of the container where that is less."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            found = min(found, int(path.read_text(encoding="utf-8")))
    return found


_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Numbers of `mallopt`'s parameters."""


def keep_freed_memory() -> None:
    """Let this process keep what it frees, for its next blocks of the same size.

    By itself the C library on Linux gives blocks of 32 MB and more back at once, and whoever asks
    for the next one waits until the system has filled it with zeros, page by page: a seventh of a
    training step on a CPU. The process then holds its peak until `return_free_memory`. Of threads
    other than the main one that is true only in a process that began with MALLOC_ARENA_MAX=1.
    Elsewhere nothing happens.
    """
    setting = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if setting is None:
        return
    # Older C libraries refuse more than 32 MiB. Where both are refused the second setting must not
    # be made: it would fix the first at 128 KiB.
    if setting(_MMAP_THRESHOLD, 2**30) or setting(_MMAP_THRESHOLD, 2**25):
        setting(_TRIM_THRESHOLD, 2**31 - 1)


def return_free_memory() -> None:
    """Give the operating system back what this process has freed.

    The C library on Linux keeps it where small blocks still in use lie between, and more and more
    of it over hours of video. Elsewhere nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
