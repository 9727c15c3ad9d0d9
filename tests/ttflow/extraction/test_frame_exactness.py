"""Every stored patch is the frame it claims to be, and its flow leads to the next one.

The upper half of a frame spells its number in bars; the lower half shows a texture whose steps are
known. Codecs, containers and timestamps are real files, written here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

from ttflow.extraction.pipeline import extract_video
from ttflow.flow.estimators import create
from ttflow.schema import FLAG_NO_FLOW, FlowConfig
from ttflow.shards.intervals import ClipSpec
from ttflow.shards.patches import dequantize_flow
from ttflow.shards.windows import decode_window

torch.set_num_threads(1)
cv2.setNumThreads(1)

NUM_FRAMES = 60
STEPS_PX = (2, -1, 3, -3, 1, -2)
"""Step of the texture from frame t to t + 1 is STEPS_PX[t % 6]: no two neighbours are equal."""
FPS = 120

CONFIG = FlowConfig(
    crop_height=176,
    crop_width=304,
    patch_side=320,
    window_frames=16,
    margin_frames=4,
    foreground="none",
    estimator="dis-medium",
)
"""Nearly the whole frame is in the patch, so every bar can be read."""
CLIPS = (ClipSpec("early", 0, 14), ClipSpec("lapping", 8, 30), ClipSpec("late", 44, 56))


def picture(lib, number: int, scale: int = 1) -> np.ndarray:
    """(180 scale, 320 scale, 3): bars above, the moved texture below."""
    noise = np.random.default_rng(0).integers(0, 255, (90, 320), dtype=np.uint8)
    texture = cv2.GaussianBlur(noise, (0, 0), 3, borderType=cv2.BORDER_WRAP)
    texture = cv2.normalize(texture, None, 20, 235, cv2.NORM_MINMAX)
    offset = number // 6 * sum(STEPS_PX) + sum(STEPS_PX[: number % 6])
    image = lib.number_frame(number)
    image[90:] = np.roll(texture, offset, axis=1)[..., None]
    return np.kron(image, np.ones((scale, scale, 1), np.uint8))


@dataclass(frozen=True)
class Case:
    """How a file is written; numbers are what the pictures spell."""

    codec: str
    suffix: str
    options: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)
    scale: int = 1
    turns: int = 0
    """Quarter turns, clockwise, that a viewer applies."""
    pts: Callable[[int], int] = lambda number: number
    time_base: Fraction = Fraction(1, FPS)
    hidden: int = 0
    """Leading frames that an edit list hides."""


X264 = {"crf": "12", "preset": "veryfast", "bf": "3", "b-adapt": "0", "g": "25"}
LATE = 600
"""First timestamp of the cases that begin late, in frames."""

CASES = {
    "h264 with B-frames": Case("libx264", ".mp4", X264),
    "h264 with B-frames, larger": Case("libx264", ".mp4", X264, scale=3),
    "h264, open groups": Case("libx264", ".mkv", X264 | {"x264-params": "open-gop=1"}),
    "hevc": Case(
        "libx265", ".mp4", {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:crf=14"}
    ),
    "vp9 with hidden frames": Case(
        "libvpx-vp9",
        ".webm",
        {"crf": "20", "b": "0", "cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"},
        time_base=Fraction(1, 1000),
        pts=lambda number: number * 10,
    ),
    "av1": Case("libsvtav1", ".mkv", {"preset": "12", "crf": "20", "svtav1-params": "lp=1"}),
    "mpeg-4 with B-frames in avi": Case("mpeg4", ".avi", {"b": "4M", "bf": "2", "g": "12"}),
    "variable rate": Case(
        "libx264",
        ".mp4",
        X264,
        time_base=Fraction(1, 12000),
        pts=lambda number: 100 * number + 37 * (number % 3) + 900 * (number // 20),
    ),
    "variable rate in milliseconds": Case(
        "libx264",
        ".mkv",
        X264,
        time_base=Fraction(1, 1000),
        pts=lambda number: 9 * number + (number * 5) % 7,
    ),
    "edit list": Case("libx264", ".mp4", X264, {"use_editlist": "1"}, hidden=7),
    "late first timestamp": Case("libx264", ".ts", X264, pts=lambda number: number + LATE),
    "late first timestamp in mkv": Case("libx264", ".mkv", X264, pts=lambda number: number + LATE),
    "turned by 90 degrees": Case("libx264", ".mp4", X264, turns=1),
    "turned by 180 degrees": Case("libx264", ".mov", X264, turns=2),
    "turned by 270 degrees, larger": Case("libx264", ".mp4", X264, turns=3, scale=2),
}


def write(lib, path: Path, case: Case) -> Path:
    """The file of a case."""
    try:
        av.codec.Codec(case.codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this build of PyAV has no encoder {case.codec}")
    with av.open(str(path), "w", container_options=case.muxer) as container:
        stream = container.add_stream(case.codec, rate=FPS, options=case.options)
        stream.pix_fmt = "yuv420p"
        height, width = _stored(lib, 0, case).shape[:2]
        stream.height, stream.width = height, width
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = stream.time_base = case.time_base
        if case.turns:
            stream.set_display_matrix(_matrix(case.turns))
        for packet in _packets(lib, stream, case):
            container.mux(packet)
    return path


def _packets(lib, stream: Any, case: Case) -> Iterable[av.Packet]:
    for number in range(NUM_FRAMES + case.hidden):
        frame = av.VideoFrame.from_ndarray(_stored(lib, number, case), format="rgb24")
        frame.pts, frame.time_base = case.pts(number - case.hidden), case.time_base
        yield from stream.encode(frame)
    yield from stream.encode()


def _stored(lib, number: int, case: Case) -> np.ndarray:
    """What the file holds: turned counterclockwise by as much as a viewer turns it clockwise."""
    return np.ascontiguousarray(np.rot90(picture(lib, number, case.scale), case.turns))


def _matrix(turns: int) -> Sequence[int]:
    """The display matrix of clockwise quarter turns: 16.16 fixed point, last column 2.30."""
    cosine, sine = round(np.cos(turns * np.pi / 2)) << 16, round(np.sin(turns * np.pi / 2)) << 16
    return (cosine, sine, 0, -sine, cosine, 0, 0, 0, 1 << 30)


class Rows(list):
    """A sink that keeps everything."""

    def write(self, row: dict[str, Any]) -> None:
        self.append(row)

    def restart(self) -> None:
        self.clear()


def extracted(path: Path, promised: int = NUM_FRAMES) -> dict[str, dict[str, Any]]:
    sink = Rows()
    facts = extract_video(path, CLIPS, CONFIG, create(CONFIG.estimator), sink, promised)
    assert facts.num_frames == NUM_FRAMES
    return {row["clip_id"]: row | {"num_frames": NUM_FRAMES} for row in sink}


@pytest.mark.parametrize("name", CASES)
def test_patches_and_flow_are_of_the_claimed_frame(lib, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    rows = extracted(write(lib, tmp_path / f"v{case.suffix}", case))
    assert rows.keys() == {clip.clip_id for clip in CLIPS}
    assert rows["late"]["stored_end_frame"] == NUM_FRAMES
    for row in rows.values():
        first, last = row["stored_start_frame"], row["stored_end_frame"]
        rgb, flow = decode_window(row, first, last - first)
        corners = np.reshape(row["patch_left_top"], (-1, 2))
        for index, image, motion, (left, top) in zip(
            range(first, last), rgb, dequantize_flow(flow), corners, strict=True
        ):
            number = index + case.hidden
            assert lib.read_number(image[30 - top : 60 - top], left) == number, f"frame {index}"
            expected = STEPS_PX[number % 6] if index < NUM_FRAMES - 1 else 0
            lower = motion[:, 110 - top : 160 - top, 40 - left : 280 - left]
            assert abs(float(np.median(lower[0])) - expected) < 0.4, f"frame {index}"
            assert abs(float(np.median(lower[1]))) < 0.2
        stated = [float(case.pts(index) * case.time_base) for index in range(first, last)]
        np.testing.assert_allclose(np.diff(row["time_seconds"]), np.diff(stated), atol=1.01e-3)
        if case.suffix not in (".ts", ".avi"):  # these muxers begin a little later
            assert row["time_seconds"][0] == pytest.approx(stated[0], abs=1e-3)
    assert [flags & FLAG_NO_FLOW for flags in rows["late"]["flags"]][-2:] == [0, FLAG_NO_FLOW]
