"""What `bench_index.py` measures: a match, a network, and where the time of its index goes."""

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
import polars as pl
import torch

from ttdata.taxonomy import TTSTROKE21
from ttdata.video.decode import DecodedFrame
from ttdata.video.times import FrameTimes
from ttflow.extraction import masked_flow, pipeline, stream
from ttflow.flow.estimators import create
from ttflow.schema import FlowConfig
from ttmodels import SSTC, ModelCard, VideoStream
from tttrain.indexing import video_scores
from tttrain.indexing.document import IndexedStroke, VideoIndex
from tttrain.report.film import film_of
from tttrain.report.video_page import write_video_page

FPS = 120
SHAPE = (32, 40, 40)
NEGATIVE = "Negative"
LABELS = (*(stroke.label for stroke in TTSTROKE21.strokes), NEGATIVE)
CONFIGS = {
    "112 x 63": FlowConfig(
        estimator="dis-fast",
        frame_width=112,
        frame_height=63,
        crop_width=40,
        crop_height=40,
        patch_side=62,
        window_frames=SHAPE[0],
    ),
    "320 x 180": FlowConfig(
        estimator="dis-fast",
        crop_width=40,
        crop_height=40,
        patch_side=62,
        window_frames=SHAPE[0],
    ),
}
"""By working frame: the demo's, in which a crop of 40 shows the player, and the paper's."""

PARTS = ("decoding and resizing", "background", "flow", "JPEG", "network")
"""Timed; what is left of the scores are masks, centres, patches and the loop."""
PAGE = "stills and page"


def make_match(work: Path, seconds: float) -> Path:
    """The video of a rendered match with one player in view; kept in `work`."""
    folder = work / f"match_{seconds:g}"
    video = folder / "videos" / "video_0000.mp4"
    if not (folder / "done").is_file():
        options = ["--matches", "--videos=1", "--players=1", f"--seconds={seconds:g}"]
        options += [f"--fps={FPS}", "--size=640x360", "--seed=3"]
        command = [sys.executable, "-m", "ttdata", "synth", str(folder), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (folder / "done").touch()
    return video


def repeat_packets(source: Path, target: Path, times: int, seconds: float) -> None:
    """A video that shows the source, of `seconds`, again and again; only packets are copied."""
    with av.open(str(source)) as first, av.open(str(target), "w") as output:
        copy = output.add_stream_from_template(first.streams.video[0])
        for turn in range(times):
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                shift = round(turn * seconds / video.time_base)
                for packet in container.demux(video):
                    if packet.dts is not None:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = copy
                        output.mux(packet)


def network(length: int = SHAPE[0]) -> SSTC:
    """Random weights, laid out as a run's network is after loading."""
    torch.manual_seed(0)
    made = SSTC(len(LABELS), (length, *SHAPE[1:])).eval()
    made.card = ModelCard(labels=LABELS, flow_scale_px=(5.0, 5.0))
    return made.to(memory_format=torch.channels_last_3d)


def scores_of(video: Path, model: SSTC, config: FlowConfig) -> list[video_scores.VideoScores]:
    """The scores of a video, as `tttrain index` computes them with a decoder: in one thread."""
    estimator = create(config.estimator, "cpu")
    return video_scores.video_scores(video, model, config, estimator, num_threads=1)


def write_shown(video: Path, num_frames: int, truth: Path, period: int, folder: Path) -> None:
    """Stills and page as `tttrain index` writes them, of the true strokes.

    Args:
        video: of so many frames, which shows the match again and again.
        num_frames: see above.
        truth: the CSV file of the match's strokes.
        period: frames of the match.
        folder: of the page.
    """
    spans = pl.read_csv(truth).select("start_frame", "end_frame").rows()
    strokes = [
        IndexedStroke(
            start_frame=shift + start,
            end_frame=shift + end,
            start_seconds=(shift + start) / FPS,
            end_seconds=(shift + end) / FPS,
            label=LABELS[0],
            score=1,
        )
        for shift in range(0, num_frames, period)
        for start, end in spans
    ]
    made = VideoIndex(
        video_id=video.stem,
        video=str(video.absolute()),
        fps=FPS,
        num_frames=num_frames,
        classes=LABELS[:-1],
        model="random weights",
        decoder="threshold",
        strokes=tuple(strokes),
    )
    write_video_page(folder / "index.html", made, film_of(made, FrameTimes(FPS), folder))


class Clock:
    """Seconds and calls by part. Parts do not contain one another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function; its time is added to the part."""

        def run(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.seconds[part] += time.perf_counter() - start
                self.calls[part] += 1

        return run

    def timed_items(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose result is iterated over; the time of its items is the part's."""

        def run(*args: Any, **options: Any) -> Iterator[Any]:
            following = self.timed(part, iter(function(*args, **options)).__next__)
            while True:
                try:
                    item = following()
                except StopIteration:
                    return
                yield item

        return run


@contextmanager
def clocked(clock: Clock) -> Iterator[None]:
    """Time the parts of everything that is indexed inside."""
    decoding, background, flow, jpeg, scores = PARTS
    plan: list[tuple[Any, str, Callable[..., Any]]] = [
        (stream, "fitting_frames", clock.timed_items(decoding, pipeline.fitting_frames)),
        (DecodedFrame, "image", clock.timed(decoding, DecodedFrame.image)),
        (pipeline.Foreground, "__call__", clock.timed(background, pipeline.Foreground.__call__)),
        (masked_flow, "flow_of_pairs", clock.timed(flow, masked_flow.flow_of_pairs)),
        (stream, "encode_rgb", clock.timed(jpeg, stream.encode_rgb)),
        (stream, "decode_rgb", clock.timed(jpeg, stream.decode_rgb)),
        (video_scores, "network_inputs", clock.timed(scores, video_scores.network_inputs)),
        (VideoStream, "push", clock.timed(scores, VideoStream.push)),
    ]
    with ExitStack() as stack:
        for owner, name, replacement in plan:
            stack.enter_context(mock.patch.object(owner, name, replacement))
        yield


def peak_mb() -> float:
    """The peak of this process. Not getrusage: its peak counts that of the parent, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1000


def in_process(script: str, *arguments: object) -> dict[str, float]:
    """What a case prints, as JSON, that runs in a process of its own."""
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def patches_of(
    video: Path, config: FlowConfig, frames: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """RGB and flow of the patches of a video, at least those of the first `frames`."""
    chunks, count = [], 0
    for chunk in stream.stream_patches(video, config, create(config.estimator, "cpu")):
        chunks.append(chunk)
        count += chunk.num_frames
        if frames is not None and count >= frames:
            break
    return np.concatenate([c.rgb for c in chunks]), np.concatenate([c.flow for c in chunks])


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table and an empty line."""
    return ["", *(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]), ""]
