"""What pose costs: a stroke of two seconds by parts, and extraction with and without pose.

    python benchmarks/bench_pose.py [--quick] [--repeats N] [--markdown FILE]

Rendered halls at 120 fps, H.264; one stored clip of 240 frames is the stroke, 61 of them are
estimated. One core, to which the process keeps itself; versions take turns, times are medians.
Needs the weights (`ttflow fetch-pose`). `--quick`: one small video, once.
"""

import argparse
import itertools
import os
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2

from ttdata.synth.config import SynthConfig
from ttdata.synth.encode import encode
from ttdata.synth.plan import plan_video
from ttdata.synth.render import render
from ttdata.video.decode import decoded
from ttflow.jobs.job import Job
from ttflow.jobs.worker import run_job
from ttflow.pose.blazepose import BlazePose, open_model
from ttflow.pose.clip_pose import estimated_frames
from ttflow.pose.config import PoseConfig
from ttflow.pose.model import Detection, Landmarks, Picture, Square
from ttflow.pose.video import PoseClip, estimate_video
from ttflow.schema import FlowConfig
from ttflow.shards.intervals import ClipSpec
from ttflow.shards.layout import prepare_folder

FPS, FRAMES = 120, 240
CONFIG = FlowConfig(estimator="dis-fast", margin_frames=0)
SIZES = {"1920 x 1080": (1920, 1080), "640 x 360": (640, 360)}
DECODE, PICTURES = "decoding", "pictures of estimated frames"
DETECT, LANDMARKS, POSE = "detector", "landmarks", "pose, all of it"
WITHOUT, WITH = "extraction without pose", "extraction, then pose"


class TimedModel:
    """BlazePose, and how many seconds each network and its crops take."""

    def __init__(self, model: BlazePose) -> None:
        self._model = model
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    def detect(self, picture: Picture, min_score: float = 0.3) -> list[Detection]:
        """See `PoseModel`."""
        start = time.perf_counter()
        found = self._model.detect(picture, min_score)
        self._note(DETECT, start)
        return found

    def landmarks(self, picture: Picture, square: Square) -> Landmarks:
        """See `PoseModel`."""
        start = time.perf_counter()
        found = self._model.landmarks(picture, square)
        self._note(LANDMARKS, start)
        return found

    def _note(self, name: str, start: float) -> None:
        self.seconds[name] += time.perf_counter() - start
        self.calls[name] += 1


def make_video(work: Path, size: tuple[int, int]) -> Path:
    """Two seconds of a hall with a player."""
    path = work / f"{size[0]}.mp4"
    synth = SynthConfig(
        num_videos=1, num_players=1, seconds=FRAMES / FPS, width=size[0], height=size[1], fps=FPS
    )
    encode(path, (frame.rgb for frame in render(plan_video(synth, 0), with_truth=False)), synth)
    return path


def extract(path: Path) -> None:
    """What a worker of `ttflow extract` does with the video."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        prepare_folder(Path(folder), CONFIG)
        outcome = run_job(
            Job(
                shards=Path(folder),
                video_id="v",
                path=str(path),
                key="k",
                source=(0, ""),
                expected_frames=FRAMES,
                clips=(ClipSpec("c", 0, FRAMES),),
                config=CONFIG,
            )
        )
        if outcome.error:
            raise RuntimeError(outcome.error)


def decode(path: Path, with_pictures: bool) -> None:
    """All frames, and the pictures of those that are estimated."""
    wanted = set(estimated_frames(0, FRAMES, FPS, PoseConfig().rate_hz).tolist())
    for frame in decoded(path):
        if with_pictures and frame.index in wanted:
            frame.image()


def once(path: Path, model: TimedModel) -> dict[str, float]:
    """Seconds of every part."""
    model.seconds.clear()
    marks = [time.perf_counter()]
    for with_pictures in (False, True):
        decode(path, with_pictures)
        marks.append(time.perf_counter())
    estimate_video(path, [PoseClip("c", (0, FRAMES))], FPS, model, PoseConfig())
    marks.append(time.perf_counter())
    extract(path)
    marks.append(time.perf_counter())
    decoding, pictures, pose, extraction = (b - a for a, b in itertools.pairwise(marks))
    return {
        DECODE: decoding,
        PICTURES: pictures - decoding,
        DETECT: model.seconds[DETECT],
        LANDMARKS: model.seconds[LANDMARKS],
        POSE: pose,
        WITHOUT: extraction,
        WITH: extraction + pose,
    }


def measure(work: Path, sizes: dict[str, tuple[int, int]], repeats: int) -> str:
    """The table, as Markdown."""
    model = TimedModel(open_model())
    columns: dict[str, dict[str, float]] = {}
    calls: dict[str, str] = {}
    for name, size in sizes.items():
        path = make_video(work, size)
        once(path, model)  # loads what is loaded once
        model.calls.clear()
        runs = [once(path, model) for _ in range(repeats)]
        columns[name] = {part: statistics.median(run[part] for run in runs) for part in runs[0]}
        each = {
            part: 1000 * columns[name][part] * repeats / max(1, model.calls[part])
            for part in (DETECT, LANDMARKS)
        }
        calls[name] = (
            f"{name}: {model.calls[DETECT] // repeats} detections of {each[DETECT]:.1f} ms, "
            f"{model.calls[LANDMARKS] // repeats} frames of landmarks of {each[LANDMARKS]:.1f} ms"
        )
    lines = [
        f"# Pose on {platform.machine()}, one core, {time.strftime('%Y-%m-%d')}",
        "",
        f"Seconds of a stroke of {FRAMES / FPS:g} s at {FPS} fps, stored and estimated at "
        f"{PoseConfig().rate_hz:g} Hz; medians of {repeats}; `python benchmarks/bench_pose.py`.",
        *("", "| part | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"),
    ]
    for part in (DECODE, PICTURES, DETECT, LANDMARKS, POSE, WITHOUT, WITH):
        cells = " | ".join(f"{found[part]:.2f}" for found in columns.values())
        lines.append(f"| {part} | {cells} |")
    return "\n".join([*lines, "", *calls.values(), ""])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one small video, once")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    sizes = {"640 x 360": SIZES["640 x 360"]} if options.quick else SIZES
    with tempfile.TemporaryDirectory() as work:
        text = measure(Path(work), sizes, 1 if options.quick else options.repeats)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
