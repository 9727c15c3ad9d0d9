"""A person's browser without a screen: comes in by an invitation, opens videos, sends events."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from annotators import Act

_PIECE_BYTES = 1 << 18
_PATIENCE_SECONDS = 30
_PRESENCE_SECONDS = 10.0


class Stopped(Exception):
    """Somebody has ended the demo."""


@dataclass(frozen=True)
class Film:
    """What a page learns of the video that it opened."""

    assignment: str
    num_frames: int
    fps: float
    marks: tuple[tuple[str, int], ...]
    """Id and revision of marks that are there: of an earlier day."""


@dataclass
class _Sent:
    """A mark as it was answered."""

    mark_id: str = field(default_factory=lambda: str(uuid4()))
    revision: int | None = None
    last_event: str | None = None


class Browser:
    """One person; all that is sent goes through the routes that the pages use."""

    def __init__(self, origin: str, pace: float = 1.0, stop: threading.Event | None = None) -> None:
        """A browser that nobody has logged in with.

        Args:
            origin: of the server, as `http://127.0.0.1:8000`.
            pace: how many times faster than a person.
            stop: once it is set, the next act raises Stopped.
        """
        self.http = httpx.Client(
            base_url=origin,
            headers={"Origin": origin},
            timeout=_PATIENCE_SECONDS,
            trust_env=False,
            verify=False,  # of this machine, if it has a certificate at all
        )
        self.pace = pace
        self.stop = stop or threading.Event()
        self._told = -_PRESENCE_SECONDS

    def join(self, path: str) -> None:
        """Come in by an invitation, `/join/TOKEN`."""
        self.http.get(path).raise_for_status()  # the page asks: "join as ...?"
        self.post(path, {})

    def post(self, path: str, content: dict[str, Any]) -> Any:
        """Send JSON, after a pause where the server wants one; the answer's content.

        Raises:
            RuntimeError: with what the server says, if it refuses.
        """
        answer = self.http.post(path, json=content)
        while answer.status_code == 429 and "retry-after" in answer.headers:
            if self.stop.wait(float(answer.headers["retry-after"])):
                raise Stopped
            answer = self.http.post(path, json=content)
        if answer.is_error:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def open_next(self) -> Film | None:
        """The next video of this person; None where nothing is left."""
        answer = self.http.get("/annotate")
        if not answer.is_redirect:
            answer.raise_for_status()
            return None
        assignment = answer.headers["location"].rpartition("/")[2]
        self.http.get(f"/annotate/{assignment}").raise_for_status()
        data = self.http.get(f"/api/assignments/{assignment}/data").raise_for_status().json()
        video = data["video"]
        marks = tuple((mark["mark_id"], mark["revision"]) for mark in data["marks"])
        return Film(assignment, video["num_frames"], video["fps"], marks)

    def clear(self, film: Film) -> None:
        """Remove one's marks of an earlier day, to begin the video anew."""
        for mark_id, revision in film.marks:
            self._post_event(film, {"kind": "mark_removed"}, mark_id, revision)

    def work(self, film: Film, acts: Iterable[Act], told: Callable[[Act], None] | None = None):
        """Do what a person does in a video, waiting as he would.

        Args:
            film: that he opened, with none of his marks in it.
            acts: from `paced_acts`.
            told: called after every act that the server has stored.
        """
        marks: dict[int, _Sent] = {}
        for act in acts:
            self._tell_presence(film)
            self._wait(act.wait_seconds)
            if act.kind == "seen":
                self._play(film, act.body["spans"][-1][1])
            self._send(film, act, marks)
            if told is not None:
                told(act)

    def _send(self, film: Film, act: Act, marks: dict[int, _Sent]) -> None:
        mark = None if act.mark is None else marks.setdefault(act.mark, _Sent())
        body = {"kind": act.kind, **act.body}
        if act.kind == "undone":
            body["event"] = None if mark is None else mark.last_event
        if mark is None:
            self._post_event(film, body)
            return
        answer = self._post_event(film, body, mark.mark_id, mark.revision)
        mark.revision, mark.last_event = answer["mark"]["revision"], answer["uuid"]

    def _post_event(
        self, film: Film, body: dict[str, Any], mark: str | None = None, base: int | None = None
    ) -> Any:
        event = {
            "uuid": str(uuid4()),
            "assignment": film.assignment,
            "mark": mark,
            "base_revision": base,
            "body": body,
        }
        return self.post(f"/api/assignments/{film.assignment}/events", event)

    def _tell_presence(self, film: Film) -> None:
        """What every page says now and then, so that the teacher sees who is here."""
        now = time.monotonic()
        if now - self._told < _PRESENCE_SECONDS:
            return
        self._told = now
        self.post("/api/presence", {"unsent": 0, "assignment": film.assignment})

    def _play(self, film: Film, frame: int) -> None:
        """Fetch the piece of the film around a frame, as a player does."""
        size = int(self.http.head(f"/films/{film.assignment}").headers.get("content-length", 0))
        start = max(0, size * frame // film.num_frames - _PIECE_BYTES)
        wanted = {"Range": f"bytes={start}-{start + _PIECE_BYTES - 1}"}
        self.http.get(f"/films/{film.assignment}", headers=wanted).raise_for_status()

    def _wait(self, seconds: float) -> None:
        if self.stop.wait(seconds / self.pace):
            raise Stopped

    def close(self) -> None:
        """Close the connections; the session lasts on."""
        self.http.close()
