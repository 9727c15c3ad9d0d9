"""The server process: a socket, uvicorn, an orderly end."""

import signal
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from ttdata.annotate.project import Project
from ttdata.annotate.server.app import create_app
from ttdata.annotate.server.context import Context
from ttdata.annotate.server.lan import lan_names
from ttdata.annotate.server.settings import EVERYWHERE, LOOPBACK, ServeSettings
from ttdata.errors import InputError
from ttdata.settings import first_problem

_WAITING_CONNECTIONS = 256
_IDLE_SECONDS = 75
"""For connections between two requests: longer than a page waits between two events."""
_LAST_SECONDS = 3
"""For answers that are under way when the server ends."""


def serve_folder(
    folder: Path,
    *,
    port: int,
    lan: bool = False,
    certificate: Path | None = None,
    key: Path | None = None,
    host_names: Sequence[str] = (),
    teacher_link: bool = False,
) -> Iterator[tuple[bool, str]]:
    """Serve a project until Ctrl-C or SIGTERM; yields what to tell meanwhile.

    Args:
        folder: of the project.
        port: 0 chooses a free one.
        lan: for other machines, too.
        certificate: PEM file, with its key: browsers then come by https.
        key: PEM file.
        host_names: names and addresses of this machine beside those that are known.
        teacher_link: a link for a password of a teacher, also where there is one already.

    Yields:
        Whether the line is a warning, and the line.

    Raises:
        InputError: if the project, the port or the certificate cannot be used.
    """
    with (
        Project(folder) as project,
        closing(listen(EVERYWHERE if lan else LOOPBACK, port)) as listening,
    ):
        try:
            settings = ServeSettings(
                port=listening.getsockname()[1],
                lan=lan,
                names=(*host_names, *(lan_names() if lan else ())),
                teacher_link=teacher_link,
                certificate=certificate,
                key=key,
            )
        except ValidationError as error:
            raise InputError(first_problem(error)) from error
        _check_certificate(settings)
        app = create_app(project, settings)
        server = make_server(app, settings)
        with ending_in_order(server):
            yield from _greeting(folder, app.state.context)
            serve(server, listening)
            yield _farewell(folder, app.state.context)


def _farewell(folder: Path, context: Context) -> tuple[bool, str]:
    if context.last_backup.path is not None:
        return False, f"{folder}: closed, with a backup in {context.last_backup.path.parent}"
    advice = f"`ttdata annotate {folder} backup` writes one"
    return True, f"{folder}: closed; all that was sent is stored, but not as a backup: {advice}"


def _greeting(folder: Path, context: Context) -> Iterator[tuple[bool, str]]:
    settings, token = context.settings, context.first_start.token
    own = settings.origin_of(LOOPBACK)
    for video_id, source in context.films.missing():
        what = "is made now" if source.is_file() else f"cannot be made: {source} is not there"
        yield True, f"video {video_id!r}: its copy for browsers is not there and {what}"
    if settings.lan and not settings.is_tls:
        yield (
            True,
            "warning: without --cert and --key whoever is in this network can read passwords and "
            "take over sessions; use it in a network of your own",
        )
    if token is not None:
        yield False, f"first start, for the teacher, once: {own}/setup/{token}"
    for name in settings.names:
        yield False, f"others open {settings.origin_of(name)}"
    yield False, f"{folder}: open {own} (Ctrl-C ends it)"


def _check_certificate(settings: ServeSettings) -> None:
    """Raise InputError unless the certificate and its key belong together."""
    if settings.certificate is None or settings.key is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certificate, settings.key, password="")
    except OSError as error:
        raise InputError(
            f"--cert {settings.certificate}, --key {settings.key}: cannot be used ({error}); "
            "expected two PEM files that belong together, the key without a password"
        ) from error


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections; they wait until the server is ready.

    Args:
        host: the address.
        port: 0 chooses a free one.

    Raises:
        InputError: if the port is in use, or may not be used.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(_WAITING_CONNECTIONS)
    except OSError as error:
        found.close()
        raise InputError(
            f"port {port}: cannot be used ({error.strerror}); end what uses it, or choose another "
            "with --port"
        ) from error
    return found


def make_server(app: FastAPI, settings: ServeSettings) -> uvicorn.Server:
    """The server of an application; `run(sockets=[...])` serves until `should_exit` is set."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # invitations are in paths
        server_header=False,
        proxy_headers=False,  # a header could else say where a request comes from
        ws="none",
        loop="asyncio",
        http="h11",
        lifespan="on",
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_LAST_SECONDS,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    return uvicorn.Server(config)


def serve(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; returns after the application has ended in order."""
    server.run(sockets=[listening])


@contextmanager
def ending_in_order(server: uvicorn.Server) -> Iterator[None]:
    """From here on Ctrl-C and SIGTERM end the server in order, also before it has begun to serve.

    While it serves it handles them itself. After its end it sends itself the signal again, and
    people press Ctrl-C twice: neither may kill what is being written.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        server.should_exit = True

    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.signal(kind, end) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
