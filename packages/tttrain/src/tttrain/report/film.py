"""What a video's page shows beside the text: the film, and a strip of stills per stroke."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ttdata.storage.atomic import atomic_path
from ttdata.urls import local
from ttdata.video.decode import DecodedFrame, decoded
from ttdata.video.times import FrameTimes
from ttflow.shards.patches import encode_rgb
from tttrain.indexing.document import IndexedStroke, VideoIndex
from tttrain.report.proxy import is_playable, is_proxy_of, proxy_key, proxy_writer
from tttrain.report.video_page import Film

STILLS = 5
"""Of a stroke: its first and last frame, and the quarters between."""
SIDE_PX = 96
"""The longer side of one still."""
_QUALITY = 75

Image = NDArray[np.uint8]


def film_of(
    index: VideoIndex,
    times: FrameTimes,
    folder: Path,
    on_frame: Callable[[int], None] | None = None,
) -> Film:
    """Write what the page of a video shows, in one pass over its frames.

    `stills/<start>-<end>.jpg` per stroke; `film.mp4` where browsers cannot play the video, left
    as it is where it was made from the same. Files of strokes that are no longer found go, and what
    a killed process left unfinished in the folder.

    Args:
        index: of the video; a stroke beyond its last frame gets no stills.
        times: of its frames.
        folder: of the page.
        on_frame: called with the number of frames so far; none where no frame is needed.

    Raises:
        VideoError: if the video cannot be decoded.
    """
    _remove_leftovers(folder)
    paths = [
        folder / "stills" / f"{stroke.start_frame:06d}-{stroke.end_frame:06d}.jpg"
        for stroke in index.strokes
    ]
    strips = _Strips(dict(zip(paths, map(frames_of, index.strokes), strict=True)))
    played = folder / "film.mp4"
    if is_playable(index.video):
        played.unlink(missing_ok=True)
        played = Path(local(index.video))
        _pass(_told(index.video, on_frame), strips, None)
    else:
        _pass_with_proxy(index, times, played, strips, on_frame)
    for path in set((folder / "stills").glob("*-*.jpg")) - strips.written:
        path.unlink()
    stills = [path if path in strips.written else None for path in paths]
    return Film(played, stills, strips.size_wh)


def frames_of(stroke: IndexedStroke) -> tuple[int, ...]:
    """The frames that stand for a stroke, first to last; a short one repeats some.

    >>> stroke = IndexedStroke(
    ...     start_frame=10, end_frame=19, start_seconds=0, end_seconds=1, label="Push", score=1
    ... )
    >>> frames_of(stroke)
    (10, 12, 14, 16, 18)
    """
    last = max(stroke.end_frame - 1, stroke.start_frame)
    places = np.linspace(stroke.start_frame, last, STILLS)
    return tuple(int(place) for place in np.floor(places + 0.5))


def _remove_leftovers(folder: Path) -> None:
    for pattern in (".*.tmp", "stills/.*.tmp"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _pass_with_proxy(
    index: VideoIndex,
    times: FrameTimes,
    proxy: Path,
    strips: "_Strips",
    on_frame: Callable[[int], None] | None,
) -> None:
    edges = times.seconds_at(np.arange(index.num_frames + 1))
    key = proxy_key(index.video, edges)
    if is_proxy_of(proxy, key):
        _pass(_told(index.video, on_frame), strips, None)
    else:
        with proxy_writer(proxy, key, edges) as take:
            _pass(_told(index.video, on_frame), strips, take)


def _told(location: str, on_frame: Callable[[int], None] | None) -> Iterator[DecodedFrame]:
    """The frames of a video; how many have been used is told."""
    for frame in decoded(location):
        yield frame
        if on_frame is not None:
            on_frame(frame.index + 1)


def _pass(
    frames: Iterator[DecodedFrame],
    strips: "_Strips",
    take: Callable[[DecodedFrame], None] | None,
) -> None:
    """Decode a video: all of it where frames are taken, else as far as strips need it."""
    if take is None and strips.are_complete:
        return
    for frame in frames:
        if take is not None:
            take(frame)
        strips.add(frame)
        if take is None and strips.are_complete:
            return


class _Strips:
    """Pictures side by side per stroke, each written once its last frame is there."""

    def __init__(self, wanted: Mapping[Path, tuple[int, ...]]) -> None:
        self.written: set[Path] = set()
        self.size_wh: tuple[int, int] | None = None
        self._wanted = wanted
        self._still_hw: tuple[int, int] | None = None
        self._open: dict[Path, dict[int, Image]] = {path: {} for path in wanted}
        self._uses: dict[int, list[Path]] = {}
        for path, frames in wanted.items():
            for frame in set(frames):
                self._uses.setdefault(frame, []).append(path)

    @property
    def are_complete(self) -> bool:
        return not self._uses

    def add(self, frame: DecodedFrame) -> None:
        """Keep a frame's picture if a stroke shows it; frames come in order."""
        if frame.index not in self._uses:
            return
        # A film may change its shape midway; the pictures of a strip stand side by side.
        self._still_hw = self._still_hw or _size(frame.shown_hw)
        picture = frame.image(self._still_hw)
        for path in self._uses.pop(frame.index):
            self._open[path][frame.index] = picture
            if frame.index == self._wanted[path][-1]:
                held = self._open.pop(path)
                self._write(path, [held[place] for place in self._wanted[path]])

    def _write(self, path: Path, pictures: list[Image]) -> None:
        strip = np.concatenate(pictures, axis=1)
        with atomic_path(path) as temporary:
            temporary.write_bytes(encode_rgb(strip, _QUALITY))
        self.written.add(path)
        self.size_wh = strip.shape[1], strip.shape[0]


def _size(shown_hw: tuple[float, float]) -> tuple[int, int]:
    """Height and width of one still."""
    factor = SIDE_PX / max(shown_hw)
    height, width = (max(1, round(side * factor)) for side in shown_hw)
    return height, width
