"""What is refused before a route sees it, and what every answer carries."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ttdata.annotate.project import Project
from ttdata.annotate.server.guard import logged_path

EVERY_ANSWER = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "cache-control": "private, no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
BODY = {"name": "tess", "password": "wrong"}


@pytest.fixture(scope="module")
def served(run_server, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server for all tests here: they change nothing."""
    with (
        Project(shutil.copytree(template, tmp_path_factory.mktemp("served") / "p")) as project,
        run_server(project) as found,
    ):
        yield found


@pytest.mark.parametrize(
    "path", ["/login", "/", "/nowhere", "/films/1", "/static/site.css", "/annotate", "/join/x"]
)
def test_every_answer_carries_the_headers(client, path: str) -> None:
    for role in (None, "annotator", "teacher"):
        answer = client(role).get(path)
        assert {name: answer.headers.get(name) for name in EVERY_ANSWER} == EVERY_ANSWER
        assert "server" not in answer.headers


def test_refusals_and_failures_carry_them_too(served, client, monkeypatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a secret path /home/x")

    films = served.app.state.context.films
    monkeypatch.setattr(films, "at", fails)
    failed = client("teacher").get("/films/1")
    foreign = client().get("/login", headers={"Host": "evil.example"})
    assert (failed.status_code, foreign.status_code) == (500, 421)
    assert "secret" not in failed.text
    for answer in (failed, foreign):
        assert {name: answer.headers.get(name) for name in EVERY_ANSWER} == EVERY_ANSWER


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "", "[::1]:1"]
)
def test_foreign_hosts_are_refused(served, client, host: str) -> None:
    named = host.format(port=served.settings.port)
    for role in (None, "teacher"):
        answer = client(role).get("/", headers={"Host": named})
        assert answer.status_code == 421
        assert "--host-name" in answer.json()["error"]


def test_further_names_are_allowed_when_they_are_named(serve_with) -> None:
    with serve_with(names=("camera-pc.local",)) as served, served.client() as browser:
        assert browser.get("/login", headers={"Host": "Camera-PC.local:80"}).status_code == 200
        assert browser.get("/login", headers={"Host": "localhost"}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "http://127.0.0.1", "https://127.0.0.1:{port}", "file://"],
)
def test_foreign_origins_are_refused(served, client, origin: str) -> None:
    named = origin.format(port=served.settings.port)
    answer = client("teacher").post("/logout", json={}, headers={"Origin": named})
    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]


def test_a_request_without_an_origin_is_refused(client) -> None:
    browser = client("teacher")
    del browser.headers["origin"]
    assert browser.post("/logout", json={}).status_code == 403
    assert browser.get("/films/1").status_code == 200


def test_an_origin_must_be_the_host_of_its_request(served, client) -> None:
    other = f"http://localhost:{served.settings.port}"  # allowed, but another site to browsers
    assert client().post("/setup/none", json=BODY, headers={"Origin": other}).status_code == 403


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 422),
        ("application/json; charset=utf-8", 422),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonp", 415),
        ("", 415),
    ],
)
def test_bodies_are_json_only(client, content_type: str, status: int) -> None:
    answer = client().post(
        "/setup/none", content=json.dumps(BODY), headers={"Content-Type": content_type}
    )
    assert answer.status_code == status


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(64 * 1024, 422), (64 * 1024 + 1, 413)])
def test_bodies_are_at_most_64_kb(client, chunked: bool, size: int, status: int) -> None:
    text = b'{"name": "x", "password": "' + b"y" * (size - 29) + b'"}'
    assert len(text) == size

    def parts() -> Iterator[bytes]:
        yield from (text[start : start + 5000] for start in range(0, size, 5000))

    content = parts() if chunked else text
    answer = client().post(
        "/setup/none", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status


def test_what_promises_too_much_is_refused_before_it_is_sent(served) -> None:
    head = (
        "POST /setup/none HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{served.settings.port}\r\nOrigin: {served.url}\r\n"
        "Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.settings.port), timeout=10) as raw:
        raw.sendall(head.encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"name": 1}', '{"name": "x", "role": "t"}']
)
def test_what_is_no_login_is_refused_in_one_line(client, text: str) -> None:
    answer = client().post(
        "/setup/none", content=text, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("path", ["/setup/none", "/join/none"])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        '{"a":' * 12_000,
        "\x00",
        '{"name": "\\ud800", "password": "\\udfff"}',
        "1e9999",
    ],
)
def test_odd_json_is_refused(client, path: str, text: str) -> None:
    answer = client().post(path, content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("text", ["[" * 60_000, "\x00", '{"uuid": "\\ud800"}', "NaN"])
def test_odd_events_are_refused(served, client, text: str) -> None:
    url = "/api/assignments/00000000-0000-4000-8000-00000000000f/events"
    headers = {"Content-Type": "application/json"}
    assert client("annotator").post(url, content=text, headers=headers).status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server/app.py",
        "/static/..%2fserver%2fapp.py",
        "/static/%2e%2e/%2e%2e/project.py",
        "/static/..%5c..%5cproject.py",
        "/static/annotate.html",
        "/static/.",
        "/static/..",
        "/static/",
        "/static/site.css%00.js",
        "/static//etc/passwd",
        "/films/../marks.sqlite",
        "/films/..%2f..%2fmarks.sqlite",
        "/films/1%2f..%2f2.mp4",
        "/films/1.mp4",
        "/films/-1",
        "/films/0",
        "/films/99999999999999999999999999",
        "/api/references/99999999999999999999999999",
        "/films/a",
        "/annotate/..%2f..%2fpeople.sqlite",
        "/openapi.json",
        "/docs",
    ],
)
def test_no_path_leads_elsewhere(served, client, path: str) -> None:
    cookie = f"{served.settings.cookie}={client('teacher').cookies[served.settings.cookie]}"
    head = (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.settings.port), timeout=10) as raw:
        raw.sendall(head.encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/join/a-secret", "'/join'"),
        ("/api/assignments/1/data", "'/api/assignments'"),
        ("/", "'/'"),
        ("*", "'/*'"),
        ("/a\nb", r"'/a\nb'"),
    ],
)
def test_paths_are_logged_without_secrets(path: str, shown: str) -> None:
    assert logged_path(path) == shown


def test_a_script_in_a_name_is_shown_as_text(served, client) -> None:
    bad = "</script><script>alert(1)</script>"
    answer = client().get(f"/nowhere/{bad}")
    assert (answer.status_code, "<script>alert" in answer.text) == (404, False)
    answer = client("annotator").post("/setup/none", json={"name": bad, "password": "x"})
    assert answer.headers["content-type"] == "application/json"


def test_a_path_without_end_is_refused(client) -> None:
    answer = client().get("/films/" + "9" * 5000)  # Python reads no such number
    assert (answer.status_code, "at most 1000" in answer.json()["error"]) == (414, True)
