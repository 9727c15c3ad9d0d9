"""Time and memory of extraction, beside decoding alone and beside what one writes first.

    python benchmarks/bench_extract.py [--work DIR] [--repeats N] [--minutes 1 10] [--markdown FILE]

A rendered hall of 1920 x 1080 at 120 fps, encoded by x264 in several ways; DIS fast; one core, to
which the process keeps itself. Versions take turns in one process, and times are medians. Videos of
minutes are made by repeating the packets of the short one. Memory is the peak of a process that
does what a worker of `ttflow extract` does. DIR keeps the videos for the next time.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import cv2
import numpy as np

from ttdata.synth.config import SynthConfig
from ttdata.synth.encode import encode
from ttdata.synth.plan import plan_video
from ttdata.synth.render import render
from ttdata.video.decode import decoded, frames
from ttflow.jobs.job import Job
from ttflow.jobs.worker import run_job
from ttflow.schema import FlowConfig
from ttflow.shards.intervals import ClipSpec
from ttflow.shards.layout import prepare_folder

SIZE = (180, 320)
FRAMES = 480
CONFIG = FlowConfig(estimator="dis-fast")
EDGE = FlowConfig(estimator="dis-fast", window_frames=1, margin_frames=0)
"""For one clip of the last frame: flow on the last 21 frames, all others are outside of clips."""
INSIDE_AT_THE_EDGE = 1 + EDGE.smooth_taps // 2
VIDEOS = {
    "preset ultrafast, crf 22": {"preset": "ultrafast", "crf": 22},
    "preset medium, crf 22": {"preset": "medium", "crf": 22},
    "preset medium, crf 12": {"preset": "medium", "crf": 12},
}
STROKES_PER_MINUTE, STROKE_FRAMES = 6, 156


def make_video(work: Path, name: str) -> Path:
    """Four seconds of a hall with a player, rendered once."""
    path = work / f"{name.replace(' ', '_').replace(',', '')}.mp4"
    if not path.is_file():
        synth = SynthConfig(
            num_videos=1,
            num_players=1,
            seconds=FRAMES / 120,
            width=1920,
            height=1080,
            **VIDEOS[name],
        )
        images = (frame.rgb for frame in render(plan_video(synth, 0), with_truth=False))
        encode(path, images, synth)
    return path


def repeat_packets(source: Path, target: Path, times: int) -> None:
    """A video that shows the source again and again, at the cost of copying its packets."""
    with av.open(str(source)) as first, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(first.streams.video[0])
        for turn in range(times):
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                shift = round(turn * FRAMES / 120 / video.time_base)
                for packet in container.demux(video):
                    if packet.dts is not None:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = stream
                        output.mux(packet)


def extract(path: Path, clips: tuple[ClipSpec, ...], config: FlowConfig, num_frames: int) -> None:
    """What a worker does with one video, its Parquet parts included."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        shards = Path(folder)
        prepare_folder(shards, config)
        outcome = run_job(
            Job(
                shards=shards,
                video_id="v",
                path=str(path),
                key="k",
                source=(0, ""),
                expected_frames=num_frames,
                clips=clips,
                config=config,
            )
        )
        if outcome.error or outcome.num_frames != num_frames:
            raise RuntimeError(f"{path}: {outcome.error or outcome.num_frames}")


def decode_alone(path: Path) -> None:
    """Our decoding and resizing."""
    for _ in frames(path, SIZE):
        pass


def decode_full(path: Path) -> None:
    """Every frame as full RGB, then OpenCV's area interpolation."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24", threads=1)
            cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_AREA)


def usual_loop(path: Path) -> None:
    """VideoCapture, resize, KNN, DIS fast on every frame; nothing is stored."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    knn = cv2.createBackgroundSubtractorKNN(500, 400.0, True)
    previous = None
    while True:
        ok, image = capture.read()
        if not ok:
            return
        small = cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_AREA)
        mask = cv2.dilate((knn.apply(small) == 255).astype(np.uint8), np.ones((3, 3), np.uint8))
        gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        if previous is not None:
            dis.calc(previous, gray, None) * mask[..., None]
        previous = gray


def hold_everything(path: Path) -> None:
    """All working frames, then all flows, in memory, stored nowhere."""
    images = [image for _, _, image in frames(path, SIZE)]
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    grays = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    np.stack([dis.calc(*pair, None) for pair in itertools.pairwise(grays)])


VERSIONS: dict[str, Callable[[Path], None]] = {
    "decoding and resizing alone": decode_alone,
    "decoding to full RGB, then resizing": decode_full,
    "usual loop: VideoCapture, resize, KNN, DIS": usual_loop,
    "extraction, outside of clips": lambda path: extract(
        path, (ClipSpec("c", FRAMES - 1, FRAMES),), EDGE, FRAMES
    ),
    "extraction, inside clips": lambda path: extract(
        path, (ClipSpec("c", 0, FRAMES),), CONFIG, FRAMES
    ),
}


def times_ms(path: Path, repeats: int) -> dict[str, float]:
    """Median milliseconds per frame of every version."""
    seconds: dict[str, list[float]] = defaultdict(list)
    extract(path, (ClipSpec("c", 0, 1),), EDGE, FRAMES)  # loads what is loaded once
    for _ in range(repeats):
        for name, version in VERSIONS.items():
            start = time.perf_counter()
            version(path)
            seconds[name].append(time.perf_counter() - start)
    found = {name: 1000 * statistics.median(values) / FRAMES for name, values in seconds.items()}
    inside, share = found["extraction, inside clips"], INSIDE_AT_THE_EDGE / FRAMES
    mixed = found["extraction, outside of clips"]
    found["extraction, outside of clips"] = (mixed - share * inside) / (1 - share)
    return found


def resize_error(path: Path) -> float:
    """RMS difference, in levels, to area interpolation of the exact full RGB picture."""
    squares = []
    for frame in decoded(path):
        if frame.index % 120 == 60:
            whole = frame.image().astype(np.float32)
            wanted = cv2.resize(whole, SIZE[::-1], interpolation=cv2.INTER_AREA)
            squares.append(((frame.image(SIZE) - wanted) ** 2).mean())
    return float(np.sqrt(np.mean(squares)))


def strokes(minutes: float) -> tuple[ClipSpec, ...]:
    """Six strokes a minute, apart from each other."""
    starts = [round(1200 * (k + 0.5)) for k in range(round(STROKES_PER_MINUTE * minutes))]
    return tuple(ClipSpec(f"c{start}", start, start + STROKE_FRAMES) for start in starts)


def peak_mb(case: str, path: Path, minutes: float) -> float:
    """The peak of a process of its own."""
    command = [sys.executable, __file__, "--case", case, "--video", str(path)]
    command += ["--minutes", str(minutes)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(output)["peak_mb"])


def run_case(case: str, path: Path, minutes: float) -> None:
    """In the process of its own: the work, then its peak as the kernel counts it."""
    import ray.data  # noqa: F401 - a worker has it loaded

    if case == "worker":
        extract(path, strokes(minutes), CONFIG, round(7200 * minutes))
    elif case == "hold":
        hold_everything(path)
    # Not getrusage: its peak counts that of the parent, too.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    print(json.dumps({"peak_mb": int(line.split()[1]) / 1000}))


def memory(work: Path, source: Path, minutes: Iterable[float]) -> list[tuple[str, float, float]]:
    """Rows of version, minutes and MB."""
    rows = [("nothing: the libraries alone", 0.0, peak_mb("nothing", source, 0))]
    plan = [("hold", 1 / 15), ("hold", 1 / 3), *(("worker", length) for length in minutes)]
    names = {"hold": "everything held in memory", "worker": "worker of ttflow extract"}
    for case, length in plan:
        path = work / f"repeated_{length:g}.mp4"
        repeat_packets(source, path, round(15 * length))
        rows.append((names[case], length, peak_mb(case, path, length)))
        path.unlink()
    return rows


def markdown(
    times: dict[str, dict[str, float]],
    facts: dict[str, tuple[float, float]],
    peaks: list[tuple[str, float, float]],
) -> str:
    """The result file."""
    errors = ", ".join(f"{error:.2f}" for _, error in facts.values())
    lines = [
        f"# Extraction on {platform.machine()}, one core, {time.strftime('%Y-%m-%d')}",
        "",
        f"Python {platform.python_version()}, PyAV {av.__version__}, OpenCV {cv2.__version__}; "
        "`python benchmarks/bench_extract.py`.",
        "A rendered hall of 1920 x 1080 at 120 fps, H.264, 480 frames; DIS fast, KNN; one core.",
        "Resizing during conversion differs from OpenCV's area interpolation of the exact full RGB",
        f"picture by {errors} levels rms.",
    ]
    if times:
        lines += ["", *time_table(times, facts)]
    if peaks:
        lines += ["", f"Memory; a worker's video has {STROKES_PER_MINUTE} strokes a minute:", ""]
        lines += ["| version | minutes of video | peak MB |", "|---|---|---|"]
        lines += [f"| {name} | {length:.2g} | {peak:.0f} |" for name, length, peak in peaks]
    return "\n".join(lines) + "\n"


def time_table(
    times: dict[str, dict[str, float]], facts: dict[str, tuple[float, float]]
) -> list[str]:
    """A column per video, a row per version."""
    lines = [
        "Milliseconds per frame, and in brackets the multiple of decoding and resizing alone.",
        "Extraction includes patches, JPEG, zstd and Parquet; the usual loop stores nothing.",
        "",
        "| version | " + " | ".join(f"{n}, {facts[n][0]:.0f} Mbit/s" for n in times) + " |",
        "|---" * (1 + len(times)) + "|",
    ]
    for version in VERSIONS:
        cells = [
            f"{found[version]:.2f} ({found[version] / found['decoding and resizing alone']:.2f})"
            for found in times.values()
        ]
        lines.append(f"| {version} | " + " | ".join(cells) + " |")
    return lines


def measure(work: Path, repeats: int, minutes: list[float], names: list[str]) -> str:
    """Everything, as Markdown."""
    times, facts = {}, {}
    for name in names:
        path = make_video(work, name)
        megabits = path.stat().st_size * 8 / (FRAMES / 120) / 1e6
        facts[name] = megabits, resize_error(path)
        if repeats:
            times[name] = times_ms(path, repeats)
            sys.stderr.write(f"{name}: {facts[name]} {times[name]}\n")
    peaks = memory(work, make_video(work, names[0]), minutes) if minutes else []
    return markdown(times, facts, peaks)


def main() -> None:
    """Run all cases and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, help="folder of the videos; kept")
    parser.add_argument("--repeats", type=int, default=3, help="0: memory only")
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 10], help="for the memory")
    parser.add_argument("--videos", nargs="*", choices=VIDEOS, default=list(VIDEOS))
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--video", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    if options.case:
        run_case(options.case, options.video, options.minutes[0])
        return
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    try:
        text = measure(work, options.repeats, options.minutes, options.videos)
    finally:
        if options.work is None:
            shutil.rmtree(work)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
