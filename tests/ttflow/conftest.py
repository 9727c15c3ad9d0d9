"""Tiny videos with known pixels, and datasets that point at them."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import polars as pl
import pytest
from jaxtyping import install_import_hook

# Shapes and dtypes of the tensor functions are checked in tests, and free elsewhere.
install_import_hook(["ttflow.roi", "ttflow.flow.estimators"], "beartype.beartype")

from ttdata import TTSTROKE21  # noqa: E402
from ttdata.schema import Clip, CurationConfig, DatasetInfo, Video  # noqa: E402
from ttdata.storage.tables import write_table  # noqa: E402
from ttflow.schema import FlowConfig  # noqa: E402

SIZE_HW = (180, 320)
BITS = 12
BAR_PX = 20


def number_frame(index: int, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """A gray frame whose rows of bars spell its number, all over the picture."""
    image = np.full((*size_hw, 3), 90, np.uint8)
    bits = [(index >> bit) & 1 for bit in range(BITS)]
    for column in range(size_hw[1] // BAR_PX):
        value = 230 if bits[column % BITS] else 20
        image[:, column * BAR_PX : (column + 1) * BAR_PX] = value
    return image


def read_number(image: np.ndarray, left: int = 0) -> int:
    """The number in a picture whose left edge is column `left` of `number_frame`."""
    number = 0
    for bit in range(BITS):
        for column in range(bit, SIZE_HW[1] // BAR_PX, BITS):
            center = column * BAR_PX + BAR_PX // 2 - left
            if BAR_PX // 2 <= center < image.shape[1] - BAR_PX // 2:
                number |= int(image[image.shape[0] // 2, center].mean() > 125) << bit
                break
        else:
            raise AssertionError(f"bit {bit} is not in the picture")
    return number


def write_video(
    path: Path, images: Iterable[np.ndarray], fps: int = 120, options: dict[str, str] | None = None
) -> Path:
    """An H.264 file with B-frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {"crf": "12", "preset": "veryfast", "bf": "3", "b-adapt": "0", "g": "25"}
    settings |= options or {}
    with av.open(str(path), "w") as container:
        stream = None
        for image in images:
            if stream is None:
                stream = container.add_stream(
                    "libx264", rate=fps, options=settings | (options or {})
                )
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        assert stream is not None
        container.mux(stream.encode())
    return path


def moving_square(
    num_frames: int,
    speed_px: float = 2.0,
    size_hw: tuple[int, int] = SIZE_HW,
    still: Sequence[range] = (),
    top: int = 70,
    seed: int = 0,
) -> Iterable[np.ndarray]:
    """A textured square that walks to and fro over a textured wall; it rests in `still`."""
    rng = np.random.default_rng(seed)
    wall = np.kron(rng.integers(60, 120, (size_hw[0] // 4, size_hw[1] // 4)), np.ones((4, 4)))
    player = np.kron(rng.integers(140, 255, (10, 10)), np.ones((4, 4)))
    x, step = 40.0, speed_px
    for index in range(num_frames):
        image = np.repeat(wall[..., None], 3, 2).astype(np.uint8)
        left = round(x)
        image[top : top + 40, left : left + 40] = player[..., None]
        yield image
        if any(index in rest for rest in still):
            continue
        if not 20 <= x + step <= size_hw[1] - 60:
            step = -step
        x += step


SMALL = FlowConfig(
    frame_height=90,
    frame_width=160,
    crop_height=48,
    crop_width=48,
    patch_side=72,
    window_frames=24,
    margin_frames=4,
    estimator="dis-ultrafast",
)

INFO = DatasetInfo(source="test", taxonomy=TTSTROKE21, config=CurationConfig(), counts={})


def clip_row(video_id: str, start: int, end: int, **changes: object) -> dict[str, object]:
    values = {
        "clip_id": f"{video_id}@{start}-{end}",
        "video_id": video_id,
        "start_frame": start,
        "end_frame": end,
        "label": "Offensive Forehand Hit",
        "kind": "stroke",
        "split": "train",
    }
    return Clip.model_validate(values | changes).model_dump()


def write_dataset(
    folder: Path, videos: dict[str, tuple[Path | None, int]], clips: list[dict[str, object]]
) -> Path:
    """A dataset folder; videos are path and promised number of frames."""
    rows = [
        Video(
            video_id=video_id,
            path=None if path is None else str(path),
            fps=120.0,
            num_frames=num_frames,
            width=320,
            height=180,
        ).model_dump()
        for video_id, (path, num_frames) in videos.items()
    ]
    write_table(pl.DataFrame(rows, infer_schema_length=None), folder / "videos.parquet", Video)
    write_table(pl.DataFrame(clips, infer_schema_length=None), folder / "clips.parquet", Clip)
    (folder / "dataset.json").write_text(json.dumps(INFO.model_dump(mode="json")))
    return folder


@pytest.fixture(scope="session")
def lib() -> SimpleNamespace:
    """The makers of this file, for tests (which cannot import it)."""
    return SimpleNamespace(
        number_frame=number_frame,
        read_number=read_number,
        write_video=write_video,
        moving_square=moving_square,
        clip_row=clip_row,
        write_dataset=write_dataset,
        small=SMALL,
        info=INFO,
        real_videos=real_videos,
    )


@pytest.fixture(scope="session")
def square_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 frames of a square that walks over a wall."""
    return write_video(tmp_path_factory.mktemp("videos") / "square.mp4", moving_square(200))


@pytest.fixture(scope="session")
def number_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 frames that spell their numbers, with B-frames; the picture changes every frame."""
    images = (number_frame(index) for index in range(150))
    return write_video(tmp_path_factory.mktemp("videos") / "numbers.mp4", images)


def real_videos() -> Path:
    """The folder of odd and broken files, or skip."""
    folder = os.environ.get("TT_REAL_DATA")
    if not folder:
        pytest.skip("TT_REAL_DATA does not name the folder of real data")
    return Path(folder) / "video"
