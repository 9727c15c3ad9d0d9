"""What every request must fit before a route sees it, and what every answer carries."""

import logging

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ttdata.annotate.server.settings import ServeSettings

_log = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
"""In bytes."""
_LONGEST_PATH = 1000
"""Python reads no number of more than 4300 digits."""
_BODY_SECONDS = 30.0
_READS = frozenset({"GET", "HEAD"})
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class _Refusal(Exception):
    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text


class Guard:
    """Refuses foreign hosts and origins, bodies that are no JSON or too large."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._hosts = settings.allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks by web sockets
            return

        has_begun = False

        async def send_safe(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            receive = await self._checked(scope, receive)
        except _Refusal as refusal:
            # What is left of the body is not read.
            headers = {"Connection": "close"}
            answer = JSONResponse({"error": refusal.text}, refusal.status, headers)
            await answer(scope, receive, send_safe)
            return
        try:
            await self._app(scope, receive, send_safe)
        except Exception:
            _log.exception("%s %s failed", scope["method"], logged_path(scope["path"]))
            if has_begun:  # nothing can be said any more: the connection ends
                raise
            await JSONResponse({"error": "the server failed"}, 500)(scope, receive, send_safe)

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        # Not 400: pages would give up what waits to be sent.
        if _name_of(host) not in self._hosts or len(headers.getlist("host")) != 1:
            raise _Refusal(421, f"host {host[:200]!r}: add it with --host-name if it is this one")
        method = scope["method"]
        if len(scope["path"]) > _LONGEST_PATH:
            raise _Refusal(414, f"path: expected at most {_LONGEST_PATH} characters")
        if method in _READS:
            return receive
        if method != "POST":
            raise _Refusal(405, f"method {method[:20]}: expected GET, HEAD or POST")
        if headers.get("origin", "").lower() != f"{scope['scheme']}://{host}":
            raise _Refusal(403, "origin: the request comes from another site's page")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise _Refusal(415, "content type: expected application/json")
        return _replaying(await _whole_body(headers, receive), receive)


def logged_path(path: str) -> str:
    """A path for the log, quoted, without ids and invitations: '/join', '/api/assignments'."""
    first, *rest = path.strip("/").split("/")
    return repr("/".join(["", first, *(rest[:1] if first == "api" else ())])[:100])


def _name_of(host: str) -> str:
    """The name in `name:port`."""
    name, _, port = host.rpartition(":")
    return name if name and port.isdecimal() else host


async def _whole_body(headers: Headers, receive: Receive) -> bytes:
    """The body, however it is sent; read here, so that nobody can send more than fits."""
    promised = headers.get("content-length", "0")
    body = bytearray()
    if not promised.isdecimal() or int(promised) <= LARGEST_BODY:
        with anyio.move_on_after(_BODY_SECONDS) as waiting:
            more = True
            while more and len(body) <= LARGEST_BODY:
                message = await receive()
                body += message.get("body", b"")
                more = message["type"] == "http.request" and message.get("more_body", False)
        if waiting.cancelled_caught:
            raise _Refusal(408, f"body: did not arrive within {_BODY_SECONDS:.0f} s")
        if len(body) <= LARGEST_BODY:
            return bytes(body)
    raise _Refusal(413, f"body: expected at most {LARGEST_BODY} bytes")


def _replaying(body: bytes, receive: Receive) -> Receive:
    is_sent = False

    async def replay() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
