"""What the data cost: streamed windows, memory over the number of clips, resident steps.

    python benchmarks/bench_data.py [--only stream,memory,step]

Clips are band-limited noise at the stored size of the paper's settings (side 184, 120 frames),
about 68 kB a frame, twice what real ones have: decoding costs more here. Prints JSON lines.
"""

import argparse
import gc
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from ttdata.schema import CurationConfig, DatasetInfo
from ttdata.taxonomy import Taxonomy
from ttflow.schema import FlowConfig
from ttflow.shards.patches import encode_flow, encode_rgb
from ttflow.shards.writer import write_clips
from tttrain.config import NetworkConfig, TrainConfig
from tttrain.data.dataset import ShardSource, open_data
from tttrain.data.decode import decode_clip
from tttrain.data.sampling import ClipInfo, training_request

CORES = 2


def frame(rng: np.random.Generator, side: int) -> tuple[bytes, bytes]:
    """An encoded patch of texture, and flow that is zero outside a moving part."""
    noise = rng.normal(128, 60, (side, side, 3)).astype(np.float32)
    image = np.clip(cv2.GaussianBlur(noise, (0, 0), 1.0) * 3 - 256, 0, 255).astype(np.uint8)
    field = cv2.GaussianBlur(rng.normal(0, 1500, (side, side, 2)).astype(np.float32), (0, 0), 6)
    field[: side // 4], field[-side // 4 :] = 0, 0
    return encode_rgb(image, 95), encode_flow(field.transpose(2, 0, 1).astype(np.int16).copy())


def make_shards(path: Path, num_clips: int, num_frames: int, config: FlowConfig) -> Path:
    """Shards of one clip a video; a few frames are encoded and repeat."""
    rng = np.random.default_rng(0)
    some = [frame(rng, config.patch_side) for _ in range(10)]
    rows = []
    for index in range(num_clips):
        chosen = [some[(index + t) % len(some)] for t in range(num_frames)]
        video = f"video {index:04d}"
        rows.append(
            {
                "clip_id": f"{video}@0-{num_frames}",
                "video_id": video,
                "start_frame": 0,
                "end_frame": num_frames,
                "label": ("left", "right")[index % 2],
                "kind": "stroke",
                "split": "train",
                "player_id": None,
                "fps": 120.0,
                "num_frames": num_frames,
                "stored_start_frame": 0,
                "stored_end_frame": num_frames,
                "roi_xy": [80.0, 45.0] * num_frames,
                "patch_left_top": [0, 0] * num_frames,
                "flags": [0] * num_frames,
                "time_seconds": [t / 120 for t in range(num_frames)],
                "flow_max_px": [6.0, 6.0] * num_frames,
                "rgb": [rgb for rgb, _ in chosen],
                "flow": [flow for _, flow in chosen],
                "background_rgb": bytes(18 * 32 * 3),
            }
        )
    taxonomy = Taxonomy.infer(["left", "right"])
    info = DatasetInfo(source="noise", taxonomy=taxonomy, config=CurationConfig(), counts={})
    write_clips(path, rows, config, info)
    return path


FULL = FlowConfig(margin_frames=0)
SMALL = FlowConfig(
    frame_height=64,
    frame_width=64,
    crop_height=48,
    crop_width=48,
    patch_side=64,
    window_frames=32,
    margin_frames=0,
)


def say(**values: Any) -> None:
    """Print a line of the result."""
    print(json.dumps(values), flush=True)


def in_process(task: Callable[..., None], *arguments: Any) -> None:
    """Run a task in a process of its own, so that cases do not share memory or clusters."""
    process = multiprocessing.get_context("spawn").Process(target=task, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{task.__name__}: exit code {process.exitcode}")


def start_ray() -> None:
    """A cluster of two cores, as `tttrain fit` starts one."""
    import ray

    ray.init(
        address="local",
        num_cpus=CORES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=2**30,
    )


def requests(clips: list[ClipInfo], window: int, epoch: int = 0) -> list[Any]:
    """The windows that an epoch of training asks for."""
    return [training_request(clip, TrainConfig(), window, epoch) for clip in clips]


def stream_source(shards: Path, window: int) -> Any:
    """The source of `execution.data_path=stream`, set up as a worker does."""
    from ray.data import DataContext

    from tttrain.training.ray_train import StreamSource

    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.target_max_block_size = 16 * 2**20
    return StreamSource(shards, window)


class Loader:
    """A torch Dataset over the shards, as a DataLoader wants it: the usual way."""

    def __init__(self, shards: Path, wanted: list[Any], window: int) -> None:
        self.shards, self.wanted, self.window = shards, wanted, window
        self.source: ShardSource | None = None

    def __len__(self) -> int:
        return len(self.wanted)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        import torch

        if self.source is None:
            self.source = ShardSource(open_data(self.shards), self.window)
        (found,) = self.source.windows([self.wanted[index]])
        return torch.from_numpy(found.rgb), torch.from_numpy(found.flow)


def rate(name: str, windows: Iterator[Any], count: int) -> None:
    """Windows a second after the first, which waits for processes to start."""
    next(windows)
    start = time.perf_counter()
    rest = sum(1 for _ in windows)
    assert rest == count - 1
    say(case="stream", way=name, windows_s=round(rest / (time.perf_counter() - start), 2))


def stream(shards: Path, way: str) -> None:
    """Windows of 100 frames of 184 x 184 a second, whole pass."""
    data, window = open_data(shards), FULL.window_frames
    wanted = requests(data.clips["train"], window)
    if way == "this process":
        rate(way, ShardSource(data, window).windows(wanted), len(wanted))
    elif way == "DataLoader, 2 processes":
        import torch

        dataset: Any = Loader(shards, wanted, window)
        loader = torch.utils.data.DataLoader(
            dataset,
            batch_size=None,
            num_workers=CORES,
            multiprocessing_context="spawn",  # the tables' threads do not survive a fork
        )
        rate(way, iter(loader), len(wanted))
    else:
        start_ray()
        source = stream_source(shards, window)
        sum(1 for _ in source.windows(wanted[:4]))
        rate(way, source.windows(wanted), len(wanted))


def tree_bytes() -> int:
    """Memory that this process and its children hold alone or share, shared parts split."""
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def memory(shards: Path) -> None:
    """Peak memory of 1000 streamed windows, in as many passes as that takes of the clips there are.

    Of all processes of Ray, its object store included.
    """
    start_ray()
    data = open_data(shards)
    source = stream_source(shards, SMALL.window_frames)
    wanted = requests(data.clips["train"], SMALL.window_frames)
    sum(1 for _ in source.windows(wanted[:64]))
    peak, done = [tree_bytes()], threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            peak.append(tree_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start, windows = time.perf_counter(), 0
    while windows < 1000:
        windows += sum(1 for _ in source.windows(wanted))
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(
        case="memory",
        clips=len(wanted),
        before_mib=round(peak[0] / 2**20),
        peak_mib=round(max(peak) / 2**20),
        consumer_peak_mib=round(own),
        windows_s=round(windows / seconds, 1),
    )


def step(shards: Path, shape: tuple[int, int, int], batch_size: int, steps: int) -> None:
    """Training steps on resident clips and on one fixed batch, turn by turn."""
    import torch

    from tttrain.data.cache import ResidentSource
    from tttrain.data.normalise import normalise_flow
    from tttrain.data.spatial_augment import Augment
    from tttrain.training.loop import Batch, make_optimizer, train_epoch
    from tttrain.training.networks import build

    torch.set_num_threads(CORES)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    data = open_data(shards)
    clips = data.clips["train"][:batch_size]
    config = TrainConfig(network=NetworkConfig(clip_shape=shape), batch_size=batch_size)
    source = ResidentSource(
        (decode_clip(data.read(clip.clip_id)) for clip in clips), shape[0], device
    )
    augment = Augment(config.augment, shape[1:], 0)
    model = build(config, 21).to(device=device, memory_format=torch.channels_last_3d)
    optimizer = make_optimizer(model, config)

    def batch(epoch: int) -> Batch:
        windows = list(source.windows(requests(clips, shape[0], epoch)))
        ids = [window.clip_id for window in windows]
        pixels = [[getattr(w, name) for w in windows] for name in ("rgb", "flow")]
        rgb, flow = augment(*pixels, ids, epoch)
        labels = torch.tensor([clip.class_index for clip in clips], device=device)
        inputs = {"rgb": rgb, "flow": normalise_flow(flow, (10.0, 10.0))}
        return Batch(ids, inputs, labels, len(clips))

    fixed = batch(0)
    seconds: dict[str, list[float]] = {"fixed": [], "resident": []}
    for epoch in range(steps + 1):
        for name in seconds:
            start = time.perf_counter()
            chosen = fixed if name == "fixed" else batch(epoch)
            train_epoch(model, [chosen], optimizer, config, model.inputs)
            seconds[name].append(time.perf_counter() - start)
            del chosen
            gc.collect()
    rest = {name: values[1:] for name, values in seconds.items()}
    ratios = [b / a for a, b in zip(rest["fixed"], rest["resident"], strict=True)]
    say(
        case="step",
        device=device,
        shape=shape,
        batch=batch_size,
        median_s={name: round(statistics.median(v), 4) for name, v in rest.items()},
        ratio=round(statistics.median(ratios), 4),
    )


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="stream,memory,step")
    chosen = parser.parse_args().only.split(",")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if "stream" in chosen or "step" in chosen:
            full = make_shards(root / "full", 120, 120, FULL)
            size = sum(path.stat().st_size for path in full.rglob("*.parquet"))
            say(case="shards", clips=120, kb_a_frame=round(size / 120 / 120 / 1000, 1))
        if "stream" in chosen:
            for way in ("this process", "DataLoader, 2 processes", "stream"):
                in_process(stream, full, way)
        if "memory" in chosen:
            for count in (100, 1000):
                in_process(memory, make_shards(root / str(count), count, 40, SMALL))
        if "step" in chosen:
            in_process(step, full, (100, 120, 120), 2, 6)


if __name__ == "__main__":
    main()
