"""Events of E2E-Spot and OpenTTGames: single 0-based frames, widened to strokes.

Source: specification 1.7.

E2E-Spot: `[{"video": "match_01", "fps": 25, "events": [{"frame": 525, "label": "serve"}]}]`.
OpenTTGames: `{"5250": "bounce"}` in `events_markup.json`, filmed at 120 frames per second.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import normalize

from ttdata.errors import InputError
from ttdata.sources.annotations import Source
from ttdata.sources.formats.beside import Row, folder_of, json_files, make_source
from ttdata.sources.formats.json_tree import Node, read_json, try_json

NAME = "events"
_OPEN_TT_FPS = 120.0
_OPEN_TT_FILE = "events_markup"
_FRAME = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class EventWindow:
    """The stroke around an event: `[frame - before, frame + after)`, in seconds."""

    before_seconds: float = 0.5
    after_seconds: float = 0.5

    def __post_init__(self) -> None:
        both = (self.before_seconds, self.after_seconds)
        if not all(0 <= value < 3600 for value in both) or sum(both) <= 0:
            raise InputError(
                f"event window {both[0]:g},{both[1]:g}: expected seconds before and after the "
                "event, none negative and not both 0"
            )

    def seconds(self, frame: int, fps: float) -> tuple[float, float]:
        """The window in seconds, never before the video's first frame.

        >>> EventWindow(0.5, 0.25).seconds(100, 25)
        (3.5, 4.25)
        """
        middle = frame / fps
        return max(middle - self.before_seconds, 0.0), middle + self.after_seconds

    def frames(self, frame: int, fps: float) -> tuple[int, int]:
        """The window in frames, to the nearest, and never before the video's first.

        >>> EventWindow(0.5, 0.25).frames(100, 25)
        (87, 106)
        """
        start = frame - int(self.before_seconds * fps + 0.5)
        return max(start, 0), frame + int(self.after_seconds * fps + 0.5)


def matches(path: Path) -> bool:
    """Whether the path is such a file, or a folder with one in it."""
    return any(_is_ours(try_json(file)) for file in json_files(path, f"{_OPEN_TT_FILE}.json"))


def _is_ours(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(
            isinstance(item, dict) and {"video", "events"} <= item.keys() for item in value
        )
    return (
        isinstance(value, dict)
        and bool(value)
        and all(_FRAME.fullmatch(name) and isinstance(value[name], str) for name in value)
    )


def read(path: Path, window: EventWindow | None = None) -> Source:
    """An annotation per event of every file; by default half a second before and after.

    Raises:
        AnnotationError: naming file and element, if one is broken.
    """
    window = window or EventWindow()
    rows: list[Row] = []
    facts: list[Row] = []
    rates: dict[str, float] = {}
    for file in json_files(path, f"{_OPEN_TT_FILE}.json"):
        top = read_json(file)
        if isinstance(top.value, dict):
            marks = list(_open_tt(file, top, window))
            rows += marks
            rates |= {str(row["video_id"]): _OPEN_TT_FPS for row in marks}
            continue
        place = file.relative_to(folder_of(path)).as_posix()
        for video in top.items():
            facts.append(_facts(video))
            rows += _spotted(file, place, video, window)
            rate = video.get("fps").number()
            if rates.setdefault(normalize("NFC", video.get("video").text()), rate) != rate:
                raise video.get("fps").error("one rate for all events of a video")
    widened = window.before_seconds, window.after_seconds
    return replace(make_source(NAME, path, rows, facts), rates=rates, event_seconds=widened)


def _open_tt(file: Path, top: Node, window: EventWindow) -> Iterator[Row]:
    """The video is named by the folder of an `events_markup.json`, else by the file."""
    video_id = file.absolute().parent.name if file.stem == _OPEN_TT_FILE else file.stem
    for name, event in top.members():
        if not _FRAME.fullmatch(name):
            raise event.error("a frame number as its name")
        start, end = window.frames(int(name), _OPEN_TT_FPS)
        seconds = window.seconds(int(name), _OPEN_TT_FPS)
        yield {
            "annotation_id": f"{video_id}#{name}",
            "video_id": video_id,
            "file": file,
            "start_frame": start,
            "end_frame": end,
            "start_seconds": seconds[0],
            "end_seconds": seconds[1],
            "label": event.text(),
        }


def _facts(video: Node) -> dict[str, object]:
    facts: dict[str, object] = {"video_id": video.get("video").text()}
    if video.has("fps"):
        facts["fps"] = video.get("fps").number()
    for name in ("num_frames", "width", "height"):
        if video.has(name):
            facts[name] = video.get(name).integer()
    return facts


def _spotted(file: Path, place: str, video: Node, window: EventWindow) -> Iterator[Row]:
    video_id = video.get("video").text()
    fps = video.get("fps").number()
    if fps <= 0:
        raise video.get("fps").error("a rate above 0")
    for number, event in enumerate(video.get("events").items(), 1):
        start, end = window.frames(event.get("frame").integer(), fps)
        seconds = window.seconds(event.get("frame").integer(), fps)
        yield {
            "annotation_id": f"{place}#{video_id}#{number}",
            "video_id": video_id,
            "file": file,
            "start_frame": start,
            "end_frame": end,
            "start_seconds": seconds[0],
            "end_seconds": seconds[1],
            "label": event.get("label").text() if event.has("label") else None,
        }
