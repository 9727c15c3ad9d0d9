"""A short annotated film: frames with their crop beside their flow, in H.264."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ttdata.storage.atomic import atomic_path
from ttflow.extraction.frames import FlowFrame
from ttflow.flow.colors import flow_colors, full_length
from ttflow.pose.clip_pose import ClipPose
from ttflow.schema import FlowConfig
from ttflow.shards.patches import crop_left_top, dequantize_flow
from ttflow.shards.windows import decode_window
from ttflow.view.skeleton import draw_on_picture, patch_points

Image = NDArray[np.uint8]

FILM_FPS = 30
"""Of a film, whatever the video has: 120 frames per second are shown at a quarter of the speed."""
_ENLARGE = 2
_CAPTION_PX = 28
_CROP_RGB = (214, 39, 40)


def film_of_clip(
    path: Path, row: dict[str, Any], config: FlowConfig, pose: ClipPose | None = None
) -> Path:
    """Write the film of a stored clip: its patches, as the augmentation sees them.

    Args:
        path: of the film; replaced atomically.
        row: a `ClipRow`.
        config: of its shards.
        pose: of the clip: its skeleton is drawn, too.
    """
    first, last = row["stored_start_frame"], row["stored_end_frame"]
    rgb, stored = decode_window(row, first, last - first)
    flows = dequantize_flow(stored)
    full_px = full_length(*flows[::8])
    left = (config.patch_side - config.crop_width) // 2
    top = (config.patch_side - config.crop_height) // 2
    crop = (left, top, config.crop_width, config.crop_height)
    skeletons = None if pose is None else patch_points(pose, row, config)

    def pictures() -> Iterator[Image]:
        for index, image, flow in zip(range(first, last), rgb, flows, strict=True):
            inside = row["start_frame"] <= index < row["end_frame"]
            label = row["label"] if inside else "before or after"
            caption = f"{row['video_id']} {index}: {label}"
            picture = _picture(image, flow, crop, full_px, caption)
            if skeletons is not None:
                points, visibility = (values[index - first] for values in skeletons)
                view = picture[_CAPTION_PX:, : _ENLARGE * image.shape[1]]
                draw_on_picture(view, points, visibility, _ENLARGE)
            yield picture

    return write_film(path, pictures())


def film_of_frames(
    path: Path, frames: list[FlowFrame], centers: NDArray[np.float64], config: FlowConfig
) -> Path:
    """Write the film of a segment of a video: working frames and filtered flow.

    Args:
        path: of the film; replaced atomically.
        frames: consecutive frames.
        centers: (T, 2) smoothed centres x, y of the region of interest, working frame px.
        config: that they were made with.
    """
    crop_hw = (config.crop_height, config.crop_width)
    frame_hw = (config.frame_height, config.frame_width)
    full_px = full_length(*(frame.flow for frame in frames[::8]))

    def pictures() -> Iterator[Image]:
        for frame, (x, y) in zip(frames, centers, strict=True):
            left, top = crop_left_top((float(x), float(y)), crop_hw, frame_hw)
            crop = (left, top, config.crop_width, config.crop_height)
            caption = f"frame {frame.index}, {frame.time_seconds:.3f} s"
            yield _picture(frame.rgb, frame.flow, crop, full_px, caption)

    return write_film(path, pictures())


def write_film(path: Path, pictures: Iterable[Image]) -> Path:
    """Write (H, W, 3) RGB pictures of even, equal sizes as an MP4 of `FILM_FPS`."""
    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate=FILM_FPS, options={"crf": "20"})
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            if not stream.codec_context.is_open:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def _picture(
    rgb: Image,
    flow: NDArray[np.float32],
    crop_xywh: tuple[int, int, int, int],
    full_px: float,
    caption: str,
) -> Image:
    """Frame and flow side by side, enlarged, with the crop in both and a line of text above."""
    pair = np.concatenate([rgb, flow_colors(flow, full_px)], axis=1)
    pair = np.repeat(np.repeat(pair, _ENLARGE, 0), _ENLARGE, 1)
    left, top, width, height = (_ENLARGE * value for value in crop_xywh)
    for shift in (0, _ENLARGE * rgb.shape[1]):
        corner = (left + shift, top)
        cv2.rectangle(pair, corner, (corner[0] + width - 1, top + height - 1), _CROP_RGB, 2)
    strip = np.full((_CAPTION_PX, pair.shape[1], 3), 255, np.uint8)
    # OpenCV's fonts hold ASCII only.
    text = caption.encode("ascii", "replace").decode()
    cv2.putText(strip, text, (6, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([strip, pair])
