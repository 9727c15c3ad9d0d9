"""Time and memory of indexing a whole video, by its parts, and beside it window by window.

    python benchmarks/bench_index.py [--work DIR] [--repeats N] [--minutes 1 10] [--out FILE]

A rendered match of 640 x 360 at 120 fps; DIS fast; an SSTC of 32 x 40 x 40 with random weights;
two cores, to which the process keeps itself. An index is what `tttrain index` does with a video:
scores in one thread, then stills and page, here of the true strokes, as random weights find none.
Not in it: probing, keys, decoders (a table of their own), the start of Python and, for several
videos, of Ray. Every index runs in a process of its own, whose peak is its memory; longer videos
repeat the packets of the minute. `--quick`: seconds instead of minutes, to see that all of it runs.
DIR keeps the videos for the next time.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import numpy as np
import polars as pl
import torch
from index_decoders import decode_seconds
from index_parts import (
    CONFIGS,
    FPS,
    LABELS,
    PAGE,
    PARTS,
    SHAPE,
    Clock,
    clocked,
    in_process,
    make_match,
    network,
    patches_of,
    peak_mb,
    repeat_packets,
    scores_of,
    table,
    write_shown,
)
from index_tables import index_table, network_table, still_lines

from ttflow.extraction.stream import stream_patches
from ttflow.flow.estimators import create
from ttflow.jobs.worker import keep_to_one_core
from ttmodels import SlidingWindows, VideoStream
from tttrain.data.sampling import Window
from tttrain.evaluation.scoring import network_inputs
from tttrain.indexing.still import SAFETY, inside_strokes, still_limit, window_speeds
from tttrain.indexing.video_scores import STRIDE_FRAMES, frame_energy
from tttrain.training.torch_state import exact

CORES = 2
CHUNK = 64
GROUP = 16
NETWORK_SECONDS = 10
"""Of the video: patches for the network alone."""


# --- cases, each in a process of its own ---


def index_case(
    video: Path, working: str, truth: Path, period: int, one_core: bool
) -> dict[str, float]:
    """A whole index: seconds by part, and the peak.

    Args:
        video: see `write_shown`, as are truth and period.
        working: frame.
        truth: the strokes.
        period: in frames.
        one_core: as a task among others; else OpenCV uses all, as for a video alone.
    """
    if one_core:
        keep_to_one_core()
    clock, model = Clock(), network()
    start = time.perf_counter()
    with clocked(clock):
        (found,) = scores_of(video, model, CONFIGS[working])
    scored = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_shown(video, found.num_frames, truth, period, Path(folder))
    end = time.perf_counter()
    return {
        "seconds": end - start,
        "frames": found.num_frames,
        "pairs": clock.calls["flow"],
        "peak_mb": peak_mb(),
        PAGE: end - scored,
        **{part: clock.seconds[part] for part in PARTS},
    }


def network_case(video: Path, working: str, repeats: int, frames: int) -> dict[str, float]:
    """The network alone on the first patches of a video: milliseconds per frame, each way."""
    model = network()
    rgb, flow = (pixels[:frames] for pixels in patches_of(video, CONFIGS[working], frames))
    num_frames = len(rgb)

    def inputs(begin: int, end: int) -> list[torch.Tensor]:
        return network_inputs(model, Window("", rgb[begin:end], flow[begin:end]))

    def streamed(stream: VideoStream) -> None:
        for begin in range(0, num_frames, CHUNK):
            stream.push(*inputs(begin, begin + CHUNK))

    def window_by_window(group: int) -> None:
        starts = range(0, num_frames - SHAPE[0] + 1, STRIDE_FRAMES)
        for begin in range(0, len(starts), group):
            clips = [inputs(start, start + SHAPE[0]) for start in starts[begin : begin + group]]
            with torch.no_grad():
                model(*(torch.cat(parts) for parts in zip(*clips, strict=True)))

    ways: dict[str, Callable[[], None]] = {
        "stream, scores of windows": lambda: streamed(
            VideoStream(model, STRIDE_FRAMES, features=False)
        ),
        "stream, features for the joint head": lambda: streamed(VideoStream(model)),
        "stream, both": lambda: streamed(VideoStream(model, STRIDE_FRAMES)),
        f"window by window, {GROUP} at a time": lambda: window_by_window(GROUP),
        "window by window, one at a time": lambda: window_by_window(1),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with exact(torch.device("cpu"), CORES):
        for turn in range(repeats + 1):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                if turn:  # the first one warms up
                    seconds[name].append(time.perf_counter() - start)
    return {name: 1000 * statistics.median(found) / num_frames for name, found in seconds.items()}


def still_case(video: Path, working: str) -> dict[str, float]:
    """The limit of stillness from the first half of a match, and what it does in the second."""
    chunks = stream_patches(video, CONFIGS[working], create("dis-fast", "cpu"))
    energy = np.concatenate([frame_energy(chunk) for chunk in chunks])
    speeds = window_speeds(energy, SHAPE[0], STRIDE_FRAMES)
    truths = pl.read_csv(video.parents[1] / "truth.csv")
    spans = truths.select("start_frame", "end_frame").to_numpy().astype(np.float64)
    strokes = (spans - SHAPE[0] / 2) / STRIDE_FRAMES + 0.5  # in cells, as `ScoreCurve.to_cells`
    half = len(speeds) // 2
    first = strokes[strokes[:, 1] <= half]
    second = strokes[strokes[:, 0] >= half] - half
    found: dict[str, float] = {"windows": half, "strokes": len(second)}
    for safety in (SAFETY, 1.0):
        limit = still_limit([speeds[:half]], [first], safety)
        left_out = speeds[half : 2 * half] < limit
        lost = [bool(left_out[inside_strokes(half, stroke[None])].any()) for stroke in second]
        found |= {f"limit {safety}": limit, f"left out {safety}": float(left_out.mean())}
        found |= {f"touched {safety}": sum(lost)}
    return found


# --- all of it ---


def measure(work: Path, options: argparse.Namespace) -> str:
    """Everything, as Markdown."""
    length = 6.0 if options.quick else 60.0
    minutes = [0.1, 0.2] if options.quick else options.minutes
    repeats = 1 if options.quick else options.repeats
    cells = 900 if options.quick else 3600 * FPS // STRIDE_FRAMES
    video = make_match(work, length)
    names = list(CONFIGS)[: 1 if options.quick else None]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    pairs: dict[str, list[float]] = {name: [] for name in names}
    shown = [f"--truth={video.parents[1] / 'truth.csv'}", f"--period={round(length * FPS)}"]
    for _ in range(repeats):
        for name in names:
            case = ["--case=index", f"--working={name}", *shown, video]
            runs[name].append(in_process(__file__, *case))
            pairs[name].append(seconds_of_two(["--one-core", *case]))
            sys.stderr.write(f"{name}: {runs[name][-1]}; two at once: {pairs[name][-1]:.1f} s\n")
    first = ["--case=index", f"--working={names[0]}", *shown]
    peaks = [[f"{each:g}", f"{peak_of(work, video, each, length, first):.0f}"] for each in minutes]
    few = [f"--repeats={repeats}", f"--working={names[0]}", video]
    ways = in_process(__file__, "--case=network", *few)
    still = in_process(__file__, "--case=still", f"--working={names[0]}", video)
    torch.set_num_threads(CORES)
    decoders = decode_seconds(cells, max(2, repeats))
    work_done = SlidingWindows(network(), STRIDE_FRAMES).convolution_work(7200)
    hour = cells * STRIDE_FRAMES / FPS / 3600
    return "\n".join(
        [
            f"# Indexing whole videos on {platform.machine()}, {CORES} cores, "
            f"{time.strftime('%Y-%m-%d')}",
            "",
            f"Python {platform.python_version()}, torch {torch.__version__}, OpenCV "
            f"{cv2.__version__}, PyAV {av.__version__}; `python benchmarks/bench_index.py"
            f"{' --quick' if options.quick else ''}`.",
            f"A rendered match of {length:g} s, 640 x 360 at {FPS} fps; DIS fast; SSTC of "
            f"{' x '.join(map(str, SHAPE))}, a window every {STRIDE_FRAMES}",
            f"frames; medians of {repeats}, in brackets from the fastest to the slowest.",
            *index_table(runs, pairs, length),
            "An index keeps to one thread, OpenCV's aside where it is alone; stills and page are",
            "of the true strokes. Probing, decoders, and the start of Python and Ray, come on top.",
            *network_table(ways, *work_done),
            *table(["minutes of video", "peak MB"], peaks),
            "Still windows: the limit from the first half of the match, its effect in the second.",
            *still_lines(still),
            f"Scores of {hour:g} hours decoded ({cells} cells, {len(LABELS)} classes):",
            *table(
                ["decoder", "s", "strokes found"],
                [[kind, f"{s:.2f}", str(n)] for kind, (s, n) in decoders.items()],
            ),
        ]
    )


def seconds_of_two(case: list[str | Path]) -> float:
    """Seconds until two indexes are done, one for each of two cores."""
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: in_process(__file__, *case), range(2)))
    return max(run["seconds"] for run in both)


def peak_of(work: Path, video: Path, minutes: float, length: float, case: list[str]) -> float:
    """Peak MB of the index of a video of that many minutes, the short one again and again."""
    path = work / f"repeated_{minutes:g}.mp4"
    repeat_packets(video, path, round(60 * minutes / length), length)
    found = in_process(__file__, *case, path)
    path.unlink()
    return found["peak_mb"]


def run_case(options: argparse.Namespace) -> dict[str, float]:
    """What a process of its own does."""
    if options.case == "index":
        shown = options.truth, options.period, options.one_core
        return index_case(options.video, options.working, *shown)
    if options.case == "network":
        frames = NETWORK_SECONDS * FPS
        return network_case(options.video, options.working, options.repeats, frames)
    return still_case(options.video, options.working)


def main() -> None:
    """Run all cases and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, help="folder of the videos; kept")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 10], help="for the memory")
    parser.add_argument("--quick", action="store_true", help="seconds of video: does it run?")
    parser.add_argument("--out", type=Path, help="file for the tables")
    parser.add_argument("--case", choices=("index", "network", "still"), help=argparse.SUPPRESS)
    parser.add_argument("--working", choices=CONFIGS, help=argparse.SUPPRESS)
    parser.add_argument("--truth", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--period", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--one-core", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("video", type=Path, nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    if options.case:
        print(json.dumps(run_case(options)))
        return
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    try:
        text = measure(work, options)
    finally:
        if options.work is None:
            shutil.rmtree(work)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
