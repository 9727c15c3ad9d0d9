"""Patches and flow of a whole video in order, nothing stored: what a network runs over.

    decoded frames -> working frames, foreground -> flow, masked -> centres -> patches -> chunks

The same steps as `pipeline`, whose clips are here one segment: the video. So a frame has the same
pixels either way, as long as its centre does not depend on frames that one of them does not look
at: extraction fills a rest from within its segment, the stream from within `MAX_REST_FRAMES`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ttdata.errors import InputError
from ttflow.extraction.assemble import cut_frame
from ttflow.extraction.frames import PatchFrame
from ttflow.extraction.pipeline import fitting_frames, flow_frames, working_frames
from ttflow.extraction.tracking import tracked_frames
from ttflow.flow.estimators import Estimator
from ttflow.roi import Region
from ttflow.schema import FlowConfig
from ttflow.shards.intervals import Interval
from ttflow.shards.patches import decode_rgb, encode_rgb

CHUNK_FRAMES = 64
MAX_REST_FRAMES = 240
"""Two seconds at 120 fps: in a longer rest the centre stays where it was, see `roi.Track`."""

_WHOLE_VIDEO: list[Interval] = [(0, 1 << 62)]


@dataclass(frozen=True)
class PatchChunk:
    """Consecutive frames of one region of a video, n of them; S is the side of a patch."""

    first_frame: int
    """Of the video, in presentation order from 0."""
    region: Region | None
    rgb: NDArray[np.uint8]
    """(n, S, S, 3)"""
    flow: NDArray[np.int16]
    """(n, 2, S, S), x (right) then y (down), units of 1/32 px per frame, as stored."""
    roi_xy: NDArray[np.float64]
    """(n, 2): smoothed centre of the region of interest, working frame px."""
    left_top: NDArray[np.int64]
    """(n, 2): left and top of the patch in the working frame; may lie outside it."""
    flags: NDArray[np.int64]
    """(n,): sums of FLAG_NO_FLOW, FLAG_UNMASKED and FLAG_NO_MOTION, as stored."""
    time_seconds: NDArray[np.float64]
    """(n,): presentation times."""

    @property
    def num_frames(self) -> int:
        """How many frames it holds."""
        return len(self.flags)


def stream_patches(
    path: Path | str,
    config: FlowConfig,
    estimator: Estimator,
    *,
    regions: Sequence[Region | None] = (None,),
    chunk_frames: int = CHUNK_FRAMES,
    through_jpeg: bool = True,
    on_frame: Callable[[int], None] | None = None,
) -> Iterator[PatchChunk]:
    """Yield the patches and flow of all frames of a video, in order, in constant memory.

    On the CPU the values are those that `ttflow extract` stores of the same frames and
    `decode_window` reads, bit for bit. What training never sees is apart: in rests of more than
    `MAX_REST_FRAMES` frames, and where a rest crosses the end of the segment that extraction
    looks at, centres may differ (specification 2.7).

    Args:
        path: of the video, or a URL that fsspec opens.
        config: of the shards that the network was trained on.
        estimator: of the flow, on the CPU or a GPU; what `config.estimator` names.
        regions: as fractions of the frame, one per player (see `player_regions`); None is the
            whole frame. Decoding, background and flow are computed once for all.
        chunk_frames: of each chunk; the last one of a region may be shorter.
        through_jpeg: RGB is compressed and decompressed as in the shards, so the network gets
            the very pixels it was trained on. False gives them as they are before: cheaper by
            about half a millisecond a frame, and off by the noise of the compression.
        on_frame: called with the number of frames so far whose patches are cut.

    Yields:
        chunks. With several regions, chunks of the same frames follow one another in the order
        of `regions`.

    Raises:
        InputError: if there is no region, a region comes twice, or `chunk_frames` is below 1.
        VideoError: if the video cannot be decoded, or its shape does not fit the working frame.
    """
    if chunk_frames < 1 or not regions or len(set(regions)) < len(regions):
        raise InputError(
            f"chunk_frames is {chunk_frames} and regions {list(regions)}, expected a positive "
            "number and at least one region, each once"
        )
    return _chunks(
        _patches(path, config, estimator, regions, on_frame), chunk_frames, config, through_jpeg
    )


def _patches(
    path: Path | str,
    config: FlowConfig,
    estimator: Estimator,
    regions: Sequence[Region | None],
    on_frame: Callable[[int], None] | None,
) -> Iterator[dict[Region | None, PatchFrame]]:
    working = working_frames(fitting_frames(path, config), config, _WHOLE_VIDEO)
    flows = flow_frames(working, _WHOLE_VIDEO, estimator)
    tracked = tracked_frames(flows, _WHOLE_VIDEO, _WHOLE_VIDEO, [regions], config, MAX_REST_FRAMES)
    for frame, points in tracked:
        if on_frame is not None:
            on_frame(frame.index + 1)
        yield {
            region: cut_frame(frame, center, moves, config)
            for region, (center, moves) in points.items()
        }


def _chunks(
    frames: Iterator[dict[Region | None, PatchFrame]],
    chunk_frames: int,
    config: FlowConfig,
    through_jpeg: bool,
) -> Iterator[PatchChunk]:
    pending: list[dict[Region | None, PatchFrame]] = []
    for frame in frames:
        pending.append(frame)
        if len(pending) == chunk_frames:
            yield from _of_regions(pending, config, through_jpeg)
            pending = []
    if pending:
        yield from _of_regions(pending, config, through_jpeg)


def _of_regions(
    frames: list[dict[Region | None, PatchFrame]], config: FlowConfig, through_jpeg: bool
) -> Iterator[PatchChunk]:
    for region in frames[0]:
        yield _chunk(region, [frame[region] for frame in frames], config, through_jpeg)


def _chunk(
    region: Region | None, patches: list[PatchFrame], config: FlowConfig, through_jpeg: bool
) -> PatchChunk:
    images = [patch.rgb for patch in patches]
    if through_jpeg:
        images = [decode_rgb(encode_rgb(image, config.jpeg_quality)) for image in images]
    return PatchChunk(
        first_frame=patches[0].index,
        region=region,
        rgb=np.stack(images),
        flow=np.stack([patch.flow for patch in patches]),
        roi_xy=np.array([patch.roi_xy for patch in patches]),
        left_top=np.array([patch.left_top for patch in patches], np.int64),
        flags=np.array([patch.flags for patch in patches], np.int64),
        time_seconds=np.array([patch.time_seconds for patch in patches]),
    )
