"""A server of the annotator's page for one video: files with ranges, marks in, nothing else."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any

from ttdata.annotate.proxies.make import Proxy
from ttdata.taxonomy import TTSTROKE21

STATIC = Path(str(files("ttdata.annotate") / "static"))
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".mp4": "video/mp4",
}
ASSIGNMENT = "00000000-0000-4000-8000-0000000000a1"
BLANK = b"<!doctype html><title>blank</title><link rel=icon href=/static/icon.svg>"


@dataclass
class Served:
    """What the server has, and how it behaves."""

    proxy: Proxy
    taxonomy: dict[str, Any] = field(default_factory=lambda: TTSTROKE21.model_dump(mode="json"))
    marks: list[dict[str, Any]] = field(default_factory=list)
    seen: list[tuple[int, int]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    """Every one once, in the order of arrival."""
    answers: list[int] = field(default_factory=list)
    """Status codes of the next answers to events: 200 once there are none left."""
    video: dict[str, Any] = field(default_factory=dict)
    """Facts of the film that are said otherwise than they are."""
    url: str = ""

    @property
    def data(self) -> dict[str, Any]:
        proxy = self.proxy
        facts = {"num_frames": proxy.num_frames, "width": proxy.width, "height": proxy.height}
        video = {"name": "match 1", "url": "/film.mp4", "fps": float(proxy.fps)}
        video |= facts | self.video
        rest = {"marks": self.marks, "seen": self.seen, "state": "open"}
        rest |= {"others": [], "look_here": []}
        return {"video": video, "taxonomy": self.taxonomy, **rest}

    @property
    def page(self) -> bytes:
        """The static page, with what a server fills in."""
        text = (STATIC / "annotate.html").read_text(encoding="utf-8")
        before, _, rest = text.partition('id="page">')
        _, _, after = rest.partition("</script>")
        filled = {"assignment": ASSIGNMENT, "data": "/data.json", "events": "/events"}
        return f'{before}id="page">{json.dumps(filled)}</script>{after}'.encode()

    def take(self, event: dict[str, Any]) -> int:
        """Store an event and say with which status to answer."""
        status = self.answers.pop(0) if self.answers else 200
        # 599: it is stored, but the answer is lost.
        known = {stored["uuid"] for stored in self.events}
        if status in (200, 599) and event["uuid"] not in known:
            self.events.append(event)
        return 503 if status == 599 else status

    def hand_over(self, events: list[dict[str, Any]]) -> None:
        """Store what a page sends as it goes."""
        self.answers = []
        for event in events:
            self.take(event)

    @property
    def kinds(self) -> list[str]:
        """Of the events that concern marks."""
        return [e["body"]["kind"] for e in self.events if e["body"]["kind"] != "seen"]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, served: Served, *arguments: Any) -> None:
        self.served = served
        super().__init__(*arguments)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            self._answer(self.served.page, ".html")
        elif path == "/blank.html":
            self._answer(BLANK, ".html")
        elif path == "/data.json":
            self._answer(json.dumps(self.served.data).encode(), ".json")
        elif path == "/film.mp4":
            self._answer(self.served.proxy.path.read_bytes(), ".mp4")
        elif path.startswith("/static/") and (STATIC / Path(path).name).is_file():
            self._answer((STATIC / Path(path).name).read_bytes(), Path(path).suffix)
        else:
            self._answer(b"", ".html", HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/events/last":
            self.served.hand_over(event)
            self._answer(b"{}", ".json")
            return
        status = self.served.take(event)
        mark = {"mark": next((m for m in self.served.marks), None)} if status == 409 else {}
        self._answer(json.dumps(mark).encode(), ".json", HTTPStatus(status))

    def _answer(self, data: bytes, suffix: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        first, last, size = 0, len(data) - 1, len(data)
        if wanted := self.headers.get("Range"):
            low, _, high = wanted.removeprefix("bytes=").partition("-")
            first, last = int(low), min(int(high or last), last)
            status = HTTPStatus.PARTIAL_CONTENT
        self.send_response(status)
        self.send_header("Content-Type", TYPES.get(suffix, "application/json"))
        self.send_header("Accept-Ranges", "bytes")
        if status == HTTPStatus.SEE_OTHER:
            self.send_header("Location", "/blank.html")
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.send_header("Cache-Control", "private, no-store")
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # the browser has enough of a film
            self.close_connection = True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A browser that goes away is no error."""


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Serve a video; `served.url` is the page."""
    server = _Server(("127.0.0.1", 0), functools.partial(_Handler, served))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
