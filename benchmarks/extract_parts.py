"""Each part of extraction alone, and the whole pass, of this checkout and of another one.

    git worktree add ../before HEAD~1
    python benchmarks/extract_parts.py --work DIR [--before ../before] [--repeats N]

The videos of `bench_extract.py`, one core. A part runs over frames that are held in memory, so that
it neither waits for another part nor shares its cache with one. The checkouts take turns, in a
process for each turn; times are medians of processor time, which other jobs of the machine disturb
less, and which does not count waiting for the disk. Says whether both store the same bytes.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import bench_extract
import cv2
import numpy as np
from compare_commits import environment

from ttdata.video.decode import decoded
from ttflow.extraction.assemble import cut_frame, encode_frame
from ttflow.extraction.frames import FlowFrame, WorkingFrame
from ttflow.extraction.masked_flow import masked_flows
from ttflow.extraction.pipeline import extract_video
from ttflow.extraction.tracking import tracked_frames
from ttflow.flow.estimators import create
from ttflow.foreground import Foreground
from ttflow.shards.intervals import ClipSpec
from ttflow.shards.layout import prepare_folder
from ttflow.shards.patches import encode_flow, encode_rgb
from ttflow.shards.writer import VideoWriter

CONFIG, SIZE = bench_extract.CONFIG, bench_extract.SIZE
Part = Callable[[], object]


def decode_only(path: Path, count: int) -> None:
    """Decode, convert nothing."""
    for frame in decoded(path):
        if frame.index + 1 == count:
            return


def working(path: Path, count: int) -> list[WorkingFrame]:
    """The first frames with their foreground."""
    model, found = Foreground(CONFIG), []
    for frame in decoded(path):
        rgb = frame.image(SIZE)
        found.append(WorkingFrame(frame.index, frame.time_seconds, rgb, model(rgb)))
        if len(found) == count:
            break
    return found


def background(frames: list[WorkingFrame]) -> None:
    """A new model over all frames."""
    model = Foreground(CONFIG)
    for frame in frames:
        model(frame.rgb)


def row(encoded: list, count: int) -> dict[str, object]:
    """A clip of these frames."""
    return {
        "clip_id": "c",
        "stored_start_frame": 0,
        "stored_end_frame": count,
        "roi_xy": [value for frame in encoded for value in frame.roi_xy],
        "patch_left_top": [value for frame in encoded for value in frame.left_top],
        "flags": [frame.flags for frame in encoded],
        "time_seconds": [frame.time_seconds for frame in encoded],
        "flow_max_px": [value for frame in encoded for value in frame.flow_max_px],
        "rgb": [frame.rgb for frame in encoded],
        "flow": [frame.flow for frame in encoded],
        "background_rgb": bytes(18 * 32 * 3),
    }


def store(values: dict[str, object], count: int) -> None:
    """A part of one clip, with its manifest."""
    with tempfile.TemporaryDirectory() as folder:
        prepare_folder(Path(folder), CONFIG)
        with VideoWriter(Path(folder), "v", "k") as writer:
            writer.write(values)
            writer.commit((0, ""), count, count)


def flow_alone(grays: list[np.ndarray]) -> None:
    """OpenCV's DIS fast on gray frames."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    for first, second in pairwise(grays):
        dis.calc(first, second, None)


def parts_of(path: Path, count: int) -> dict[str, Part]:
    """Each part by its name, over frames that are made here."""
    frames = working(path, count)
    pairs, estimator = list(pairwise(frames)), create(CONFIG.estimator)
    grays = [cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY) for frame in frames]
    flows = [masked_flows([pair], estimator)[0] for pair in pairs]
    flow_frames = [
        FlowFrame(frame.index, frame.time_seconds, 0, frame.rgb, flow)
        for frame, flow in zip(frames, flows, strict=False)
    ]
    whole = [(0, len(flow_frames))]

    def track() -> list:
        return list(tracked_frames(flow_frames, whole, whole, [[None]], CONFIG))

    tracked = track()

    def cut() -> list:
        return [cut_frame(frame, *points[None], CONFIG) for frame, points in tracked]

    patches = cut()
    encoded = [encode_frame(patch, CONFIG) for patch in patches]
    values = row(encoded, len(encoded))
    return {
        "decoding": lambda: decode_only(path, count),
        "background model": lambda: background(frames),
        "DIS fast on gray frames": lambda: flow_alone(grays),
        "masked flow, DIS in it": lambda: [masked_flows([pair], estimator) for pair in pairs],
        "centres, track, queue": track,
        "cut patches, quantise": cut,
        "JPEG": lambda: [encode_rgb(patch.rgb, CONFIG.jpeg_quality) for patch in patches],
        "zstd": lambda: [encode_flow(patch.flow) for patch in patches],
        "encode, JPEG and zstd in it": lambda: [encode_frame(patch, CONFIG) for patch in patches],
        "Parquet, hash": lambda: store(values, len(encoded)),
    }


def versions_of(path: Path, count: int) -> dict[str, Part]:
    """The whole pass, inside and outside of clips, and what it is measured against."""
    inside = (ClipSpec("c", 0, count),)
    outside = (ClipSpec("c", count - 1, count),)
    return {
        "decoding and resizing alone": lambda: bench_extract.decode_alone(path),
        "extraction, outside": lambda: bench_extract.extract(
            path, outside, bench_extract.EDGE, count
        ),
        "extraction, inside": lambda: bench_extract.extract(path, inside, CONFIG, count),
    }


def times_ms(cases: dict[str, Part], count: int) -> dict[str, float]:
    """Milliseconds of the processor per frame of each case."""
    found = {}
    for name, case in cases.items():
        start = time.process_time()
        case()
        found[name] = 1000 * (time.process_time() - start) / count
    return found


class Digest:
    """A sink that keeps a hash of all rows."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, values: dict[str, object]) -> None:
        """Take a row."""
        for name, value in sorted(values.items()):
            self.hash.update(name.encode())
            for item in value if isinstance(value, list) else [value]:
                self.hash.update(item if isinstance(item, bytes) else repr(item).encode())

    def restart(self) -> None:
        """Forget them."""
        self.hash = hashlib.sha256()


def stored(path: Path, count: int) -> str:
    """A hash of the rows of the whole video."""
    sink = Digest()
    clips = (ClipSpec("c", 0, count),)
    extract_video(path, clips, CONFIG, create(CONFIG.estimator), sink, count)
    return sink.hash.hexdigest()


def one_turn(path: Path, count: int) -> dict[str, dict[str, float] | str]:
    """What a process of its own finds of a video."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    whole = bench_extract.FRAMES
    parts = parts_of(path, count)
    times_ms(parts, count)  # what is loaded or compiled once does not count
    times = times_ms(parts, count) | times_ms(versions_of(path, whole), whole)
    share = bench_extract.INSIDE_AT_THE_EDGE / whole
    inside, mixed = times["extraction, inside"], times["extraction, outside"]
    times["extraction, outside"] = (mixed - share * inside) / (1 - share)
    return {"times": times, "stored": stored(path, whole)}


def turn_of(checkout: Path, options: argparse.Namespace, name: str) -> dict:
    """Such a process with the packages of a checkout."""
    command = [sys.executable, __file__, "--work", str(options.work), "--turn", name]
    command += ["--frames", str(options.frames)]
    done = subprocess.run(
        command, env=environment(checkout), check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}, {checkout}: {found}", file=sys.stderr, flush=True)
    return found


def tables(turns: dict[str, dict[str, list[dict]]]) -> list[str]:
    """For each video a row per part: the medians of each checkout."""
    lines: list[str] = []
    for name, sides in turns.items():
        medians = {
            side: {
                part: statistics.median(turn["times"][part] for turn in found)
                for part in found[0]["times"]
            }
            for side, found in sides.items()
        }
        lines += ["", f"| {name}: ms per frame | " + " | ".join(sides) + " |"]
        lines.append("|---" * (1 + len(sides)) + "|")
        for part in next(iter(medians.values())):
            cells = [f"{times[part]:.3f}" for times in medians.values()]
            if part.startswith("extraction"):
                alone = [times["decoding and resizing alone"] for times in medians.values()]
                cells = [f"{c} ({float(c) / a:.2f})" for c, a in zip(cells, alone, strict=True)]
            lines.append(f"| {part} | " + " | ".join(cells) + " |")
        same = len({turn["stored"] for found in sides.values() for turn in found}) == 1
        lines += ["", f"All turns stored the same bytes: {same}."]
    return lines


def main() -> None:
    """Take turns and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of the videos; kept")
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--frames", type=int, default=160, help="that a part runs over")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each checkout")
    parser.add_argument("--videos", nargs="*", default=list(bench_extract.VIDEOS))
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.turn:
        path = bench_extract.make_video(options.work, options.turn)
        print(json.dumps(one_turn(path, options.frames)))
        return
    checkouts = {"before": options.before} if options.before else {}
    checkouts["now"] = Path(__file__).resolve().parents[1]
    turns: dict = {name: {side: [] for side in checkouts} for name in options.videos}
    for number in range(options.repeats):
        for name in options.videos:
            bench_extract.make_video(options.work, name)
            for side in list(checkouts)[:: 1 if number % 2 == 0 else -1]:
                turns[name][side].append(turn_of(checkouts[side].resolve(), options, name))
    print("\n".join(tables(turns)))


if __name__ == "__main__":
    main()
