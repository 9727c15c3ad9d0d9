"""The annotator's page in a browser: right frames, seek times, frames shown, marks drawn.

    python benchmarks/bench_annotate.py [--frames N] [--quick] [--out FILE]

Four sources of 1280 x 720 (120 fps, 119.88, a rate that varies, B-frames with an edit list), whose
frames show their number; proxies of them as `ttdata annotate` makes them; headless Chromium with a
small local server. Right is a frame if the strip's number is the one that was asked for and the
picture shows the number that PyAV's frame of the source shows. 600 seeks, 480 steps of 1 and 10,
60 pauses at full speed, in equal parts. `--quick`: a tenth, small pictures.
"""

import argparse
import platform
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from ttdata.annotate.proxies.make import Proxy, make_proxy
from ttdata.machine import available_cores

sys.path.append(
    str(Path(__file__).resolve().parents[1] / "tests" / "ttdata" / "annotate" / "player")
)
from numbered import burnt_numbers, four_sources
from served import Served, serving
from watch import PLAY_AND_PAUSE, SEEKS, STEPS, make_steps, open_page, shown_number

SEEKS_EACH, STEPS_EACH, PAUSES_EACH = 150, 120, 15
MARKS = 10_000

SHARE = """async (speed) => {
  const { player } = annotate, found = new Set();
  player.seek(0);
  await player.settled();
  player.setSpeed(speed);
  const note = () => { if (player.isPlaying && player.frame !== null) found.add(player.frame); };
  player.addEventListener("frame", note);
  player.play();
  while (player.isPlaying) await sleep(20);
  player.removeEventListener("frame", note);
  await player.settled();
  player.setSpeed(1);
  return (found.size) / (Math.max(...found) - Math.min(...found) + 1);
}"""
DRAW = """async (seconds) => {
  const { timeline } = annotate.work;
  const start = performance.now();
  let frames = 0, spent = 0;
  while (performance.now() - start < 1000 * seconds) {
    await new Promise((done) => requestAnimationFrame(done));
    timeline.zoom(frames % 60 < 30 ? 1.1 : 1 / 1.1, 300);
    const before = performance.now();
    timeline.draw();
    spent += performance.now() - before;
    frames += 1;
  }
  return [frames / seconds, spent / frames];
}"""


@dataclass
class Found:
    """What was measured on one source."""

    seeks: int = 0
    steps: int = 0
    pauses: int = 0
    wrong: int = 0
    milliseconds: list[float] = field(default_factory=list)
    shown_at_quarter: float = 0.0


def measure(page: Any, proxy: Proxy, burnt: list[int], share: float) -> Found:
    """Seeks, steps and pauses on one open page, and slow motion."""
    rng, count, found = np.random.default_rng(0), proxy.num_frames, Found()
    frames = [int(frame) for frame in rng.integers(0, count, max(1, round(share * SEEKS_EACH)))]
    for frame, (number, seen, took, _) in zip(frames, page.evaluate(SEEKS, frames), strict=True):
        found.wrong += (number, seen) != (frame, burnt[frame])
        found.milliseconds.append(took)
    found.seeks = len(frames)
    first, steps = make_steps(max(1, round(share * STEPS_EACH)), count, rng)
    places = [int(place) for place in first + np.cumsum(steps)]
    for place, row in zip(places, page.evaluate(STEPS, [first, steps]), strict=True):
        found.wrong += row != [place, burnt[place]]
    found.steps = len(places)
    for _ in range(max(1, round(share * PAUSES_EACH))):
        at = [int(rng.integers(0, count // 2)), int(rng.integers(150, 900))]
        number, seen, _ = page.evaluate(PLAY_AND_PAUSE, at)
        on_screen = None if number is None else shown_number(page, burnt[number])
        found.wrong += number is None or {seen, on_screen} != {burnt[number]}
        found.pauses += 1
    found.shown_at_quarter = page.evaluate(SHARE, 0.25)
    return found


def row(kind: str, found: Found) -> str:
    """A line of the table."""
    median = statistics.median(found.milliseconds)
    late = float(np.quantile(found.milliseconds, 0.95))
    return (
        f"| {kind} | {found.seeks} | {found.steps} | {found.pauses} | {found.wrong} | "
        f"{median:.0f} | {late:.0f} | {found.shown_at_quarter:.1%} |"
    )


def many_marks(num_frames: int) -> list[dict[str, Any]]:
    """Marks all over a video, some of them open."""
    starts = np.sort(np.random.default_rng(0).integers(1, num_frames - 200, MARKS))
    return [
        {
            "mark_id": f"m{number}",
            "revision": 1,
            "removed": False,
            "start_frame": int(start),
            "end_frame": int(start) + 120,
            "label": None if number % 20 == 0 else "Offensive Forehand Hit",
        }
        for number, start in enumerate(starts)
    ]


def drawing(browser: Any, proxy: Proxy, seconds: float) -> tuple[float, float]:
    """Pictures a second of a timeline with many marks, and milliseconds of script for each."""
    # The film itself is shorter: only bars matter here.
    length = 1_000_000
    with serving(Served(proxy, marks=many_marks(length), video={"num_frames": length})) as served:
        page = open_page(browser, served.url)
        rate, spent = page.evaluate(DRAW, seconds)
        page.context.close()
    return rate, spent


def main() -> None:
    """Make sources and proxies, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1200, help="of each source")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("bench_annotate.py: no chromium here; nothing was measured")
        return
    frames, size, share = arguments.frames, (720, 1280), 1.0
    if arguments.quick:
        frames, size, share = 180, (90, 160), 0.1
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as running:
        folder = Path(name)
        sources = four_sources(folder, frames, size)
        start = time.perf_counter()
        proxies = {kind: make_proxy(source, folder / "proxies") for kind, source in sources.items()}
        made = sum(p.num_frames for p in proxies.values()) / (time.perf_counter() - start)
        browser = running.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        software = f"Chromium {browser.version}, PyAV {version('av')}"
        lines += [f"{software}, {platform.machine()}, {available_cores()} cores.", ""]
        lines += [
            "| source | seeks | steps | pauses | wrong | seek median | 95 % (ms) | shown at 1/4 |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for kind, proxy in proxies.items():
            with serving(Served(proxy)) as served:
                page = open_page(browser, served.url, 1280, 1000)
                found = measure(page, proxy, burnt_numbers(sources[kind]), share)
                page.context.close()
            lines.append(row(kind, found))
        rate, spent = drawing(browser, proxies["constant"], 1.0 if arguments.quick else 5.0)
        browser.close()
    lines += [
        "",
        f"Proxies: {made:.0f} frames/s of {size[1]} x {size[0]} in one process.",
        f"Timeline with {MARKS} marks: {rate:.0f} pictures/s, {spent:.1f} ms of script each.",
    ]
    text = "\n".join(lines)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
