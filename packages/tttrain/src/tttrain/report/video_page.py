"""The page of an indexed video: the film, its strokes on a timeline, and a way to take them out."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ttdata.storage.html import write_page
from tttrain.indexing.document import VideoIndex

MIN_WIDTH_PERCENT = 0.25
"""A stroke of a long video is drawn at least that wide, so that it can be clicked."""
_TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Film:
    """What the page plays, and the pictures of each stroke."""

    path: Path
    """The video itself, or a copy that browsers play."""
    stills: Sequence[Path | None] = ()
    """A strip of pictures per stroke; None, or none at all, where there is none."""
    still_wh: tuple[int, int] | None = None
    """Width and height of a strip, pixels: the page keeps room for those it has not read yet."""


def write_video_page(target: Path, index: VideoIndex, film: Film) -> None:
    """Write the page of a video; it works from the disk, without a server or network.

    Args:
        target: the HTML file; film and stills are named relative to it.
        index: the strokes.
        film: what is played and shown.
    """
    stills = film.stills or [None] * len(index.strokes)
    content = {
        "index": index,
        "film": _relative(film.path, target.parent),
        "lanes": _lanes(index),
        "strokes": [
            stroke.model_dump() | {"still": still and _relative(still, target.parent)}
            for stroke, still in zip(index.strokes, stills, strict=True)
        ],
        "still_wh": film.still_wh,
        "data": _data(index, Path(index.video).name),
        "counts": _counts(index),
        "duration": _duration(index),
    }
    write_page(target, _TEMPLATES / "video.html.j2", content, {"clock": clock})


def write_overview(target: Path, pages: Sequence[tuple[VideoIndex, Path]]) -> None:
    """Write the page of a folder of videos: a row per video, and the strokes of all.

    Args:
        target: the HTML file.
        pages: each video's index and page.
    """
    rows = [
        {
            "video_id": index.video_id,
            "page": _relative(page, target.parent),
            "duration": _duration(index),
            "strokes": len(index.strokes),
            "per_minute": _per_minute(len(index.strokes), index),
            "doubtful": sum(stroke.score < 0.5 for stroke in index.strokes),
            "counts": Counter(stroke.label for stroke in index.strokes),
        }
        for index, page in pages
    ]
    total = Counter(stroke.label for index, _ in pages for stroke in index.strokes)
    content = {
        "rows": rows,
        "labels": [label for label, _ in sorted(total.items(), key=lambda item: (-item[1], item))],
        "total": total,
    }
    write_page(target, _TEMPLATES / "videos.html.j2", content, {"clock": clock})


def _lanes(index: VideoIndex) -> list[dict[str, Any]]:
    """A lane per class that occurs, in the model's order; a bar per stroke, in percent."""
    duration = _duration(index)
    lanes = []
    for label in _labels(index):
        bars = []
        for number, stroke in enumerate(index.strokes):
            if stroke.label == label:
                left = 100 * stroke.start_seconds / duration
                width = 100 * (stroke.end_seconds - stroke.start_seconds) / duration
                bars.append(
                    {
                        "number": number,
                        "left": round(min(left, 100 - MIN_WIDTH_PERCENT), 3),
                        "width": round(max(width, MIN_WIDTH_PERCENT), 3),
                        "depth": round(0.25 + 0.75 * stroke.score, 2),
                        "stroke": stroke,
                    }
                )
        lanes.append({"label": label, "bars": bars, "hue": index.classes.index(label)})
    return lanes


def _labels(index: VideoIndex) -> list[str]:
    present = {stroke.label for stroke in index.strokes}
    return [label for label in index.classes if label in present]


def _data(index: VideoIndex, file_name: str) -> dict[str, Any]:
    """What the page's script needs."""
    return {
        "video": index.video_id,
        "file": file_name,
        "fps": index.fps,
        "strokes": [stroke.model_dump() for stroke in index.strokes],
    }


def _counts(index: VideoIndex) -> list[dict[str, Any]]:
    found = Counter(stroke.label for stroke in index.strokes)
    return [
        {"label": label, "count": found[label], "per_minute": _per_minute(found[label], index)}
        for label in _labels(index)
    ]


def _duration(index: VideoIndex) -> float:
    """Seconds; never 0, and never before the last stroke's end."""
    return max(index.duration_seconds, 1 / index.fps)


def _per_minute(count: int, index: VideoIndex) -> float:
    return 60 * count / _duration(index)


def _relative(path: Path, folder: Path) -> str:
    """The URL of a file as seen from a page's folder."""
    return quote(Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix())


def clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock(75.26), clock(3601)
    ('1:15.3', '60:01.0')
    """
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
