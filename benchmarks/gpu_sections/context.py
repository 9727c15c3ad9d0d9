"""What every section gets: the device, and where to say what it found."""

import statistics
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpu_sections import report

OPTIONAL_UNTIL = 0.75
"""Share of its limit after which a section begins no more optional cases."""


class NoDevice(Exception):
    """The device asked for is not there."""


class Context:
    """A section's device, sizes and lines; float32 is float32 (no TF32) unless a section asks."""

    def __init__(self, section: str, lines: Path, device: str, tiny: bool, limit_s: float) -> None:
        if device != "cpu" and not torch.cuda.is_available():
            raise NoDevice(f"--device {device}: torch {torch.__version__} finds no CUDA device")
        self.section, self.out, self.tiny = section, lines.parent, tiny
        self.device, self.cuda = torch.device(device), device != "cpu"
        if self.cuda and self.device.index is None:
            self.device = torch.device("cuda", torch.cuda.current_device())
        self._lines, self._stop = lines, time.monotonic() + OPTIONAL_UNTIL * limit_s
        if self.cuda:
            torch.cuda.set_device(self.device)
        if tiny:  # threads that wait for each other take longer than what they share
            torch.set_num_threads(1)
        allow_tf32(False)

    def check(self, what: str, value: float, limit: float, unit: str = "", least: bool = False):
        """A value that must not exceed its limit (with `least`: not fall below it)."""
        passed = value >= limit if least else value <= limit  # not a number never passes
        line = {"what": what, "value": value, "unit": unit, "limit": limit, "passed": passed}
        self._say(line)

    def measure(self, what: str, value: float, unit: str) -> None:
        """A value without a limit."""
        self._say({"what": what, "value": value, "unit": unit})

    def note(self, what: str, text: str) -> None:
        """Words."""
        self._say({"what": what, "note": text})

    def case(
        self, what: str, work: Callable[..., None], *arguments: Any, optional: bool = False
    ) -> None:
        """Do a part of the section; an error in it does not cost the other parts.

        `optional` parts are left out when the section's time is nearly over.
        """
        if optional and time.monotonic() > self._stop:
            self.note(what, "left out: no time")
            return
        try:
            work(self, *arguments)
        except Exception as error:  # said in a line, in full in the section's log
            traceback.print_exc()
            text = f"{type(error).__name__}: {str(error).strip()[:200] or 'without words'}"
            self._say({"what": what, "error": " ".join(text.split()), "passed": False})

    def milliseconds(
        self,
        work: Callable[..., object],
        variants: Sequence[Sequence[Any]] = ((),),
        repeats: int = 7,
        warm_ups: int = 2,
    ) -> float:
        """Median time on the device of work(*variant), with the variants taken in turns.

        Several variants keep a call from finding its inputs in the cache of the last one.
        """
        taken = []
        for turn in range(warm_ups + (min(repeats, 3) if self.tiny else repeats)):
            variant = variants[turn % len(variants)]
            taken.append(self._timed(work, variant))
        return statistics.median(taken[warm_ups:])

    def _timed(self, work: Callable[..., object], variant: Sequence[Any]) -> float:
        if not self.cuda:
            start = time.perf_counter()
            work(*variant)
            return 1000 * (time.perf_counter() - start)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work(*variant)
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)

    def synchronise(self) -> None:
        """Wait for the device."""
        if self.cuda:
            torch.cuda.synchronize()

    def _say(self, line: report.Line) -> None:
        report.append(self._lines, {"section": self.section} | line)


def allow_tf32(allowed: bool) -> None:
    """Whether products and convolutions of float32 may round their factors to TF32."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def relative(found: Tensor, expected: Tensor) -> float:
    """Length of the difference over the length of what is expected."""
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    return ((found - expected).norm() / expected.norm().clamp(min=1e-30)).item()


def largest(found: Tensor, expected: Tensor) -> float:
    """The largest difference."""
    return (found.detach().cpu().double() - expected.detach().cpu().double()).abs().max().item()
