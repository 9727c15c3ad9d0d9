"""Every route with every role: who gets what. A route that is not listed fails."""

from typing import Any

import pytest
from fastapi.routing import APIRoute

from ttdata.annotate.server.access import OPEN

NOBODY, ANNOTATOR, REVIEWER, TEACHER = None, "annotator", "reviewer", "teacher"
ROLES = (NOBODY, ANNOTATOR, REVIEWER, TEACHER)
UNKNOWN = "00000000-0000-4000-8000-00000000000f"

# By method and path: what is asked for, and the statuses for nobody, an annotator, a reviewer and a
# teacher. What is posted is `{}`, so that 422 means "allowed, but empty".
MATRIX: dict[tuple[str, str], tuple[str, tuple[int, int, int, int]]] = {
    ("GET", "/"): ("/", (303, 303, 303, 303)),
    ("GET", "/login"): ("/login", (200, 200, 200, 200)),
    ("POST", "/login"): ("/login", (422, 422, 422, 422)),
    ("POST", "/logout"): ("/logout", (401, 200, 200, 200)),
    ("GET", "/join/{token}"): ("/join/none", (404, 404, 404, 404)),
    ("POST", "/join/{token}"): ("/join/none", (422, 422, 422, 422)),
    ("GET", "/setup/{token}"): ("/setup/none", (404, 404, 404, 404)),
    ("POST", "/setup/{token}"): ("/setup/none", (422, 422, 422, 422)),
    ("GET", "/annotate"): ("/annotate", (303, 303, 303, 303)),
    ("GET", "/annotate/{assignment_id:uuid}"): (f"/annotate/{UNKNOWN}", (303, 403, 403, 403)),
    ("GET", "/api/assignments/{assignment_id:uuid}/data"): (
        f"/api/assignments/{UNKNOWN}/data",
        (401, 403, 403, 403),
    ),
    ("POST", "/api/assignments/{assignment_id:uuid}/events"): (
        f"/api/assignments/{UNKNOWN}/events",
        (401, 422, 422, 422),
    ),
    ("POST", "/api/assignments/{assignment_id:uuid}/events/last"): (
        f"/api/assignments/{UNKNOWN}/events/last",
        (401, 422, 422, 422),
    ),
    ("GET", "/train"): ("/train", (303, 200, 200, 200)),
    ("GET", "/train/next"): ("/train/next", (303, 303, 303, 303)),
    ("GET", "/train/{assignment_id:uuid}"): (f"/train/{UNKNOWN}", (303, 403, 403, 403)),
    ("GET", "/api/training/{assignment_id:uuid}/feedback"): (
        f"/api/training/{UNKNOWN}/feedback",
        (401, 403, 403, 403),
    ),
    ("GET", "/review"): ("/review", (303, 403, 200, 200)),
    ("GET", "/api/review/taxonomy"): ("/api/review/taxonomy", (401, 403, 200, 200)),
    ("GET", "/api/review/next"): ("/api/review/next", (401, 403, 200, 200)),
    ("POST", "/api/review/decisions"): ("/api/review/decisions", (401, 403, 422, 422)),
    ("POST", "/api/review/later"): ("/api/review/later", (401, 403, 422, 422)),
    ("POST", "/api/review/keep"): ("/api/review/keep", (401, 403, 422, 422)),
    ("GET", "/references"): ("/references", (303, 403, 200, 200)),
    ("GET", "/api/references"): ("/api/references", (401, 403, 200, 200)),
    ("GET", "/api/references/{position:int}"): ("/api/references/3", (401, 403, 200, 200)),
    ("POST", "/api/references"): ("/api/references", (401, 403, 422, 422)),
    ("POST", "/api/presence"): ("/api/presence", (401, 422, 422, 422)),
    ("GET", "/teacher"): ("/teacher", (303, 403, 403, 200)),
    ("GET", "/teacher/start"): ("/teacher/start", (303, 403, 403, 200)),
    ("GET", "/teacher/people"): ("/teacher/people", (303, 403, 403, 200)),
    ("GET", "/teacher/people/{pseudonym}"): ("/teacher/people/ann", (303, 403, 403, 200)),
    ("GET", "/teacher/invitations"): ("/teacher/invitations", (303, 403, 403, 200)),
    ("GET", "/teacher/invitations/{pseudonym}/qr.svg"): (
        "/teacher/invitations/nobody/qr.svg",
        (303, 403, 403, 404),
    ),
    ("GET", "/teacher/videos"): ("/teacher/videos", (303, 403, 403, 200)),
    ("GET", "/teacher/videos/{position:int}"): ("/teacher/videos/1", (303, 403, 403, 200)),
    ("GET", "/teacher/agreement"): ("/teacher/agreement", (303, 403, 403, 200)),
    ("GET", "/teacher/export"): ("/teacher/export", (303, 403, 403, 200)),
    ("GET", "/teacher/backups"): ("/teacher/backups", (303, 403, 403, 200)),
    ("GET", "/api/teacher/wall"): ("/api/teacher/wall", (401, 403, 403, 200)),
    # The stream has no end: that it opens for teachers is tested beside the wall.
    ("GET", "/api/teacher/wall/stream"): ("/api/teacher/wall/stream", (401, 403, 403, 200)),
    ("POST", "/api/teacher/invitations"): (
        "/api/teacher/invitations",
        (401, 403, 403, 200),  # what is not said has a default: one annotator
    ),
    ("POST", "/api/teacher/invitations/again"): (
        "/api/teacher/invitations/again",
        (401, 403, 403, 200),
    ),
    ("POST", "/api/teacher/people/{pseudonym}/invitation"): (
        "/api/teacher/people/nobody/invitation",
        (401, 403, 403, 422),
    ),
    ("POST", "/api/teacher/people/{pseudonym}/role"): (
        "/api/teacher/people/ann/role",
        (401, 403, 403, 422),
    ),
    ("POST", "/api/teacher/people/{pseudonym}/erase"): (
        "/api/teacher/people/ann/erase",
        (401, 403, 403, 422),
    ),
    ("POST", "/api/teacher/assignments/{assignment_id:uuid}/reopened"): (
        f"/api/teacher/assignments/{UNKNOWN}/reopened",
        (401, 403, 403, 422),
    ),
    ("POST", "/api/teacher/exports"): ("/api/teacher/exports", (401, 403, 403, 422)),
    ("POST", "/api/teacher/backups"): ("/api/teacher/backups", (401, 403, 403, 200)),
    ("GET", "/films/{position:int}"): ("/films/3", (401, 403, 200, 200)),
    ("GET", "/films/{assignment_id:uuid}"): (f"/films/{UNKNOWN}", (401, 404, 404, 404)),
    ("GET", "/static/{name}"): ("/static/site.css", (200, 200, 200, 200)),
}


def routes(app: Any) -> set[tuple[str, str]]:
    found, waiting = set(), list(app.routes)
    while waiting:
        route = waiting.pop()
        if inner := getattr(route, "original_router", None):  # newer releases keep routers whole
            waiting += inner.routes
            continue
        assert isinstance(route, APIRoute), route
        found |= {(method, route.path) for method in route.methods}
    return found


def test_every_route_is_in_the_matrix(served) -> None:
    assert routes(served.app) == set(MATRIX)


@pytest.mark.parametrize("role", ROLES)
def test_role(client, role: str | None) -> None:
    found = {}
    for (method, path), (asked, _) in MATRIX.items():
        browser = client(role)  # a session of its own: it may be ended
        body = {} if method == "POST" else None
        with browser.stream(method, asked, json=body) as answer:  # some answers never end
            found[method, path] = answer.status_code
        if answer.status_code == 303 and role is None:
            assert answer.headers["location"] == "/login"
    column = ROLES.index(role)
    assert found == {key: statuses[column] for key, (_, statuses) in MATRIX.items()}


def test_only_what_is_listed_is_open(served, client) -> None:
    for (_, path), (_, statuses) in MATRIX.items():
        assert (path in OPEN) or statuses[0] in (303, 401), path
    assert {path for _, path in MATRIX} >= OPEN


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(client, method: str) -> None:
    assert {client("teacher").request(method, path).status_code for path in ("/", "/films/1")} == {
        405
    }
