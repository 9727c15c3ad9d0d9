"""Pictures of what extraction computes.

The paper's figure 3 with the track of the region of interest, a contact sheet, a short film.
"""

import hashlib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ttdata.errors import InputError
from ttdata.settings import override
from ttdata.storage.atomic import atomic_path
from ttdata.storage.outputs import check_output_folder
from ttdata.video.probe import probe
from ttflow.extraction.frames import FlowFrame, WorkingFrame
from ttflow.extraction.masked_flow import flow_of_pairs
from ttflow.extraction.pipeline import fitting_frames, flow_frames, working_frames
from ttflow.flow.colors import flow_colors, full_length
from ttflow.flow.estimators import create
from ttflow.jobs.worker import weights_of
from ttflow.pose.clip_pose import ClipPose
from ttflow.roi import fill, frame_centers, smooth
from ttflow.schema import FLAG_NO_MOTION, FLAG_UNMASKED, FlowConfig
from ttflow.shards.patches import crop_left_top, dequantize_flow
from ttflow.shards.pose_reader import pose_if_any
from ttflow.shards.reader import Shards, open_shards
from ttflow.shards.windows import decode_frame, decode_window
from ttflow.view.film import film_of_clip, film_of_frames
from ttflow.view.skeleton import draw_on_axes, patch_points

_FRAME = 60
"""Of a video, what is drawn unless another frame is asked for."""
_NAME_BYTES = 160
"""Of a picture's name: with its ending and that of a temporary file under the 255 of Linux."""
_SHEET_CLIPS = 24
_SHEET_FRAMES = 5


def view(
    source: Path,
    out: Path,
    *,
    clip_id: str | None = None,
    frame: int | None = None,
    overrides: Iterable[str] = (),
) -> list[Path]:
    """Draw a shards folder or a video; returns the pictures and the film written.

    Args:
        source: a shards folder, or a video file.
        out: folder for the pictures.
        clip_id: of shards: the clip to draw in detail; the first one when None.
        frame: of the video: what to draw; when None, the middle of the clip, or frame 60 of a video
            (the middle of a shorter one).
        overrides: `key=value` settings, for a video file.

    Raises:
        InputError: if there is no such source, clip or frame, or `out` is or lies in the source, or
            holds what another command wrote.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    check_output_folder(out, "a source", [source], may_hold_inputs=True)
    if source.is_dir():
        return _view_shards(open_shards(source), out, clip_id, frame)
    if clip_id is not None:
        raise InputError(f"--clip {clip_id}: {source} is no shards folder")
    config = override(FlowConfig(), overrides)
    return _view_video(source, out, frame, config)


# --- parts of pictures --------------------------------------------------------------------------


def _draw_wheel(axes: Axes, full_px: float) -> None:
    steps = np.linspace(-1, 1, 121, dtype=np.float32)
    wheel = np.stack(np.meshgrid(steps, steps))
    colors = flow_colors(wheel, 1.0)
    colors[np.hypot(*wheel) > 1] = 255
    axes.imshow(colors, extent=(-full_px, full_px, full_px, -full_px))
    axes.set_title("flow: direction and length", fontsize=9)
    axes.set_xlabel("right, px per frame", fontsize=8)
    axes.set_ylabel("down, px per frame", fontsize=8)
    axes.locator_params(nbins=5)
    axes.tick_params(labelsize=7)


def _draw_image(axes: Axes, image: NDArray[Any], title: str, **options: Any) -> None:
    axes.imshow(image, **options)
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_crop(axes: Axes, left: float, top: float, crop_hw: tuple[int, int]) -> None:
    corner = (left - 0.5, top - 0.5)
    axes.add_patch(Rectangle(corner, crop_hw[1], crop_hw[0], fill=False, color="tab:red"))


def _save(figure: Figure, path: Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    return path


# --- a video -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Segment:
    """Consecutive frames of a video with what the picture of one of them shows."""

    frames: list[FlowFrame]
    centers: NDArray[np.float64]
    smooth: NDArray[np.float64]
    position: int
    """Of the frame that is drawn."""
    mask: NDArray[np.bool_] | None
    """Its foreground."""
    raw_flow: NDArray[np.float32]
    """Its flow before the mask."""


def _view_video(path: Path, out: Path, frame: int | None, config: FlowConfig) -> list[Path]:
    num_frames = probe(path).num_frames
    frame = min(_FRAME, num_frames // 2) if frame is None else frame
    if not 0 <= frame < num_frames:
        raise InputError(f"{path}: --frame {frame}: the video has {num_frames} frames")
    segment = _segment(path, frame, config)
    name = f"{_file_name(path.stem)}-frame{frame}"
    return [
        _figure_of_video(path, out / f"{name}.png", segment, config),
        film_of_frames(out / f"{name}.mp4", segment.frames, segment.smooth, config),
    ]


def _segment(path: Path, frame: int, config: FlowConfig) -> _Segment:
    """The frames around one of a video: half a window before and after it."""
    half = config.window_frames // 2
    start, end = max(0, frame - half), frame + half
    drawn: list[WorkingFrame] = []
    """The frame that is drawn, and its successor."""

    def watched() -> Iterator[WorkingFrame]:
        for working in working_frames(fitting_frames(path, config), config, [(start, end)]):
            if working.index in (frame, frame + 1):
                drawn.append(working)
            yield working

    estimator = create(config.estimator, weights=weights_of(config))
    found = list(flow_frames(watched(), [(start, end)], estimator))
    if not drawn or frame - start >= len(found):
        raise InputError(f"{path}: --frame {frame}: only {start + len(found)} frames decode")
    flow = torch.from_numpy(np.stack([item.flow for item in found]))
    crop_hw = (config.crop_height, config.crop_width)
    raw, moving = frame_centers(flow, None, crop_hw, config.roi_alpha, config.roi_threshold_px)
    centers = fill(raw, moving, (config.frame_height, config.frame_width))
    track = smooth(centers, config.smooth_taps, config.smooth_sigma_frames)
    has_successor = len(drawn) == 2
    return _Segment(
        frames=found,
        centers=centers.numpy(),
        smooth=track.numpy(),
        position=frame - start,
        mask=drawn[0].mask,
        raw_flow=(
            flow_of_pairs([(drawn[0], drawn[1])], estimator)[0]
            if has_successor
            else found[frame - start].flow
        ),
    )


def _figure_of_video(path: Path, picture: Path, segment: _Segment, config: FlowConfig) -> Path:
    frame = segment.frames[segment.position]
    crop_hw = (config.crop_height, config.crop_width)
    frame_hw = (config.frame_height, config.frame_width)
    center = (
        float(segment.smooth[segment.position][0]),
        float(segment.smooth[segment.position][1]),
    )
    left, top = crop_left_top(center, crop_hw, frame_hw)
    full_px = full_length(frame.flow)
    figure = Figure(figsize=(12, 7.5), layout="constrained")
    axes = figure.subplot_mosaic("abw;cdw;ttt")
    _draw_image(axes["a"], frame.rgb, "frame, region of interest")
    _draw_crop(axes["a"], left, top, crop_hw)
    axes["a"].plot(*center, "+", color="tab:red")
    _draw_image(axes["b"], flow_colors(segment.raw_flow, full_px), f"flow ({config.estimator})")
    mask = np.ones(frame_hw, bool) if segment.mask is None else segment.mask
    title = "foreground" if segment.mask is not None else "foreground: none yet (warm-up)"
    _draw_image(axes["c"], mask, title, cmap="gray", vmin=0, vmax=1)
    _draw_image(axes["d"], flow_colors(frame.flow, full_px), "filtered flow")
    _draw_crop(axes["d"], left, top, crop_hw)
    _draw_wheel(axes["w"], full_px)
    frames = [item.index for item in segment.frames]
    _draw_track(axes["t"], frames, segment.smooth, segment.centers, frame.index)
    figure.suptitle(f"{path.name}, frame {frame.index}, {frame.time_seconds:.3f} s", fontsize=11)
    return _save(figure, picture)


def _draw_track(
    axes: Axes,
    frames: Sequence[int],
    track: NDArray[np.float64],
    centers: NDArray[np.float64] | None,
    current_frame: int | None,
) -> None:
    for axis, (name, color) in enumerate((("x", "tab:blue"), ("y", "tab:orange"))):
        if centers is not None:
            axes.plot(frames, centers[:, axis], ".", color=color, alpha=0.3, markersize=4)
        axes.plot(frames, track[:, axis], color=color, label=f"{name} of the centre")
    if current_frame is not None:
        axes.axvline(current_frame, color="tab:red", linewidth=0.8)
    axes.set_xlabel("frame", fontsize=8)
    axes.set_ylabel("px in the working frame", fontsize=8)
    axes.set_title("region of interest over time (dots: before smoothing)", fontsize=9)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=8)


def _file_name(text: str) -> str:
    """A file name for any text; a long one is cut, with a hash of the whole text at its end."""
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in text).lstrip("-") or "video"
    if len(name.encode()) <= _NAME_BYTES:
        return name
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{name.encode()[:_NAME_BYTES].decode(errors='ignore')}.{mark}"


# --- shards --------------------------------------------------------------------------------------


def _view_shards(shards: Shards, out: Path, clip_id: str | None, frame: int | None) -> list[Path]:
    clips = shards.without_stretches
    if clips.is_empty():
        raise InputError(f"{shards.path}: holds no clip")
    chosen = clip_id if clip_id is not None else str(clips["clip_id"][0])
    row = shards.read(chosen)
    first, last = row["stored_start_frame"], row["stored_end_frame"]
    middle = (row["start_frame"] + row["end_frame"]) // 2
    position = (middle if frame is None else frame) - first
    if not 0 <= position < last - first:
        raise InputError(f"--frame {frame}: clip {chosen} stores frames [{first}, {last})")
    name = _file_name(chosen)
    pose = pose_if_any(shards, chosen)
    return [
        _figure_of_clip(shards, row, position, out / f"{name}-frame{first + position}.png", pose),
        _contact_sheet(shards, out / "contact-sheet.png"),
        film_of_clip(out / f"{name}.mp4", row, shards.info.config, pose),
    ]


def _figure_of_clip(
    shards: Shards, row: dict[str, Any], position: int, picture: Path, pose: ClipPose | None
) -> Path:
    config = shards.info.config
    index = row["stored_start_frame"] + position
    rgb, stored = decode_window(row, index, 1)
    flow = dequantize_flow(stored[0])
    full_px = full_length(flow)
    figure = Figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplot_mosaic("abw;ttt")
    crop_hw = (config.crop_height, config.crop_width)
    margins = (config.patch_side - crop_hw[1]) / 2, (config.patch_side - crop_hw[0]) / 2
    sides = "" if pose is None else ", pose (left orange, right blue)"
    _draw_image(axes["a"], rgb[0], f"stored patch, crop of the network{sides}")
    if pose is not None:
        points, visibility = (values[position] for values in patch_points(pose, row, config))
        draw_on_axes(axes["a"], points, visibility, config.patch_side)
    notes = [
        text
        for flag, text in ((FLAG_UNMASKED, "not masked"), (FLAG_NO_MOTION, "no motion"))
        if row["flags"][position] & flag
    ]
    title = ", ".join(["stored flow", *notes])
    _draw_image(axes["b"], flow_colors(flow, full_px), title)
    for name in ("a", "b"):
        _draw_crop(axes[name], *margins, crop_hw)
    _draw_wheel(axes["w"], full_px)
    track = np.array(row["roi_xy"]).reshape(-1, 2)
    frames = list(range(row["stored_start_frame"], row["stored_end_frame"]))
    _draw_track(axes["t"], frames, track, None, index)
    axes["t"].axvspan(row["start_frame"], row["end_frame"] - 1, color="gray", alpha=0.15)
    axes["t"].set_title("region of interest over time (gray: the clip)", fontsize=9)
    figure.suptitle(
        f"{row['clip_id']}: {row['label']}, {row['split'] or 'no split'}, frame {index}",
        fontsize=11,
    )
    return _save(figure, picture)


def _contact_sheet(shards: Shards, picture: Path) -> Path:
    """A row per clip, evenly chosen: its first, middle and last frames as the network sees them."""
    config, clips = shards.info.config, shards.without_stretches
    chosen = clips[:: max(1, math.ceil(clips.height / _SHEET_CLIPS))]
    columns, wanted = 2, ["stored_start_frame", "stored_end_frame", "rgb"]
    rows = math.ceil(chosen.height / columns)
    figure = Figure(figsize=(14, 1.55 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, record in zip(grid.flat, chosen.to_dicts(), strict=False):
        row = shards.read(record["clip_id"], wanted)
        strip = _strip(row, (config.crop_height, config.crop_width))
        axes.imshow(strip)
        axes.set_title(
            f"{record['label']}  |  {record['clip_id']}  |  {record['split'] or 'no split'}",
            fontsize=7,
        )
    return _save(figure, picture)


def _strip(row: dict[str, Any], crop_hw: tuple[int, int]) -> NDArray[np.uint8]:
    picks = np.linspace(row["start_frame"], row["end_frame"] - 1, _SHEET_FRAMES).round()
    tiles = []
    for frame in picks:
        patch = decode_frame(row, int(frame))
        top, left = (patch.shape[0] - crop_hw[0]) // 2, (patch.shape[1] - crop_hw[1]) // 2
        tiles.append(patch[top : top + crop_hw[0], left : left + crop_hw[1]])
    return np.concatenate(tiles, axis=1)
