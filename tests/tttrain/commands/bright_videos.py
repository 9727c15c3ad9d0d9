"""A network that sees bright stretches, and videos that have some: whole runs in seconds."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars as pl
import torch

from ttdata.schema import Action, Annotation, Clip, CurationConfig, DatasetInfo, Video
from ttdata.sources.videos import files_table, probe_videos
from ttdata.storage.dataset import write_dataset
from ttdata.storage.tables import conform, empty
from ttdata.taxonomy import Taxonomy
from ttflow.schema import FlowConfig
from ttmodels import ModelCard, RGBNet
from tttrain.config import TrainConfig
from tttrain.run import Run, RunInfo

FPS, FRAMES = 40, 400
EXTRACTION = FlowConfig(
    estimator="dis-ultrafast",
    frame_width=64,
    frame_height=48,
    crop_width=24,
    crop_height=24,
    window_frames=16,
    patch_side=40,
)
CLASSES = ("Push", "Negative")
BRIGHT = {
    "v0": [(40, 90), (150, 200), (260, 320)],
    "v1": [(60, 100), (180, 240)],
    "t0": [(30, 80), (140, 190), (300, 350)],
}


def write_video(path: Path, bright: list[tuple[int, int]], num_frames: int = FRAMES) -> None:
    noise = np.random.default_rng(0).integers(0, 25, (48, 64, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(num_frames):
            level = 180 if any(start <= number < end for start, end in bright) else 40
            frame = av.VideoFrame.from_ndarray(noise + np.uint8(level), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_videos(folder: Path) -> Path:
    """The videos of BRIGHT."""
    folder.mkdir(parents=True, exist_ok=True)
    for video_id, bright in BRIGHT.items():
        write_video(folder / f"{video_id}.mp4", bright)
    return folder


def write_dataset_of(videos: Path, folder: Path, splits: dict[str, str]) -> Path:
    """What has no split here is of validation."""
    probed, _ = probe_videos(files_table(videos, sorted(videos.glob("*.mp4"))))
    rows = [
        {
            "clip_id": f"{video_id}@{start}-{end}",
            "video_id": video_id,
            "start_frame": start,
            "end_frame": end,
            "label": "Push",
            "kind": "stroke",
            "split": splits.get(video_id, "validation"),
        }
        for video_id, bright in BRIGHT.items()
        for start, end in bright
    ]
    info = DatasetInfo(
        source="bright", taxonomy=Taxonomy.infer(list(CLASSES)), config=CurationConfig(), counts={}
    )
    write_dataset(
        folder,
        info,
        videos=conform(probed, Video),
        annotations=empty(Annotation),
        actions=empty(Action),
        clips=conform(pl.DataFrame(rows), Clip),
    )
    return folder


def write_run(folder: Path) -> Path:
    """A finished run whose network's first class is the brightness of the window."""
    model = RGBNet(2, (16, 24, 24))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for conv in model.branch.convolutions():
            conv.weight[0, 0, 1, 1, 1] = 1  # the first channel goes through
        cells = model.branch.fc.weight.shape[1] // 80
        model.branch.fc.weight[0, :cells] = 1 / cells
        model.head.weight[0, 0], model.head.bias[0] = 20, -9
    model.card = ModelCard(labels=CLASSES)
    made = Run(folder)
    model.save_pretrained(made.model_folder)
    made.write_info(
        RunInfo(
            state="finished",
            config=TrainConfig(),
            resolved=TrainConfig(),
            data="/gone",
            dataset_hash="0",
            classes=CLASSES,
            flow_scale_xy_px=(1.0, 1.0),
            num_clips={"train": 1, "validation": 1, "test": 1},
            extraction=EXTRACTION,
            seed=0,
            versions={},
        )
    )
    return made.folder


def contents(folder: Path) -> dict[str, bytes]:
    """Of all files but scores, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".npz"
    }
