"""Coming in by password, by invitation and at the first start; what a session's cookie is like."""

import concurrent.futures
from pathlib import Path

import pytest

from ttdata.annotate.project import Project, create_project
from ttdata.annotate.store.rows import stored_events
from ttdata.errors import TTError
from ttdata.taxonomy import TTSTROKE21

PASSWORD = "a long password"


def logins(project: Project) -> list[tuple[str, str]]:
    with project.marks.reading() as db:
        found = [stored.event for stored in stored_events(db)]
    return [(event.person, event.body.role) for event in found if event.kind == "logged_in"]


def log_in(client, name: str = "tess", password: str = PASSWORD):
    return client.post("/login", json={"name": name, "password": password})


def test_a_password_lets_in_and_is_logged(served, client) -> None:
    browser = client()
    assert browser.get("/").headers["location"] == "/login"
    answer = log_in(browser)
    assert (answer.status_code, answer.json()) == (200, {"next": "/"})
    assert browser.get("/").headers["location"] != "/login"
    assert logins(served.project) == [("tess", "teacher")]
    assert browser.post("/logout", json={}).json() == {"next": "/login"}
    assert browser.get("/").headers["location"] == "/login"


def test_logging_out_ends_the_session_everywhere(served, client) -> None:
    browser = client("annotator")
    token = browser.cookies[served.settings.cookie]
    browser.post("/logout", json={})
    thief = client()
    thief.cookies.set(served.settings.cookie, token, domain="127.0.0.1")
    assert thief.get("/films/1").status_code == 401


def test_the_cookie_is_for_this_site_and_no_script(client) -> None:
    cookie = log_in(client()).headers["set-cookie"]
    name, *parts = cookie.split("; ")
    assert name.startswith("ttdata-")
    assert sorted(parts) == ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=strict"]


def test_nobody_learns_which_names_there_are(client) -> None:
    answers = {log_in(client(), name, "wrong").text for name in ("tess", "ann", "nobody")}
    assert len(answers) == 1
    assert log_in(client(), "tess", "wrong").status_code == 422


def test_five_wrong_logins_a_minute_of_a_name_and_of_an_address(served, client) -> None:
    statuses = [log_in(client(), f"guess{number}", "wrong").status_code for number in range(6)]
    assert statuses == [422] * 5 + [429]
    assert log_in(client()).status_code == 429  # the right one, too
    assert logins(served.project) == []


def test_right_logins_do_not_count(client) -> None:
    assert {log_in(client()).status_code for _ in range(7)} == {200}


def test_an_invitation_is_good_once_and_looking_does_not_use_it(served, client) -> None:
    token = served.project.people.invite("ann")
    browser = client()
    for _ in range(2):
        page = browser.get(f"/join/{token}")
        assert page.status_code == 200
        assert "Join as ann" in page.text
    assert browser.post(f"/join/{token}", json={}).status_code == 200
    assert browser.get("/", follow_redirects=True).status_code == 200
    assert logins(served.project) == [("ann", "annotator")]
    assert client().post(f"/join/{token}", json={}).status_code == 422
    assert client().get(f"/join/{token}").status_code == 404


def test_of_many_who_have_an_invitation_one_comes_in(served) -> None:
    token = served.project.people.invite("ann")
    clients = [served.client() for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda c: c.post(f"/join/{token}", json={}).status_code, clients)
        assert sorted(answers) == [200] + [422] * 7
    for each in clients:
        each.close()


def test_an_invitation_is_not_in_the_log_of_events(served, client) -> None:
    token = served.project.people.invite("ann")
    client().post(f"/join/{token}", json={})
    stored = served.project.marks.path.read_bytes() + served.project.people.path.read_bytes()
    assert token.encode() not in stored


def test_invitations_are_in_no_log(served, client, monkeypatch, caplog) -> None:
    people = served.project.people
    token = people.invite("ann")
    for error in (TTError("the disk is full"), RuntimeError("a fault")):

        def fails(_: str, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(people, "accept", fails)
        client().post(f"/join/{token}", json={})
    assert "'/join': the disk is full" in caplog.text
    assert "POST '/join' failed" in caplog.text
    assert token not in caplog.text


@pytest.fixture
def fresh(tmp_path: Path):
    with create_project(tmp_path / "fresh", TTSTROKE21) as project:
        yield project


@pytest.fixture
def project(request: pytest.FixtureRequest, fresh: Project, template: Path, tmp_path: Path):
    """A project without a teacher where a test says so."""
    if "first_start" in request.node.name:
        yield fresh
        return
    import shutil

    with Project(shutil.copytree(template, tmp_path / "project")) as opened:
        yield opened


def test_first_start(served, client) -> None:
    token = served.app.state.context.first_start.token
    browser = client()
    assert "first start" in browser.get("/login").text
    assert browser.get(f"/setup/{token}").status_code == 200
    assert browser.get("/setup/another").status_code == 404
    short = browser.post(f"/setup/{token}", json={"name": "teacher", "password": "short"})
    assert short.status_code == 422
    assert "expected 10 or more" in short.json()["error"]
    assert (
        browser.post(f"/setup/{token}", json={"name": "<b>", "password": PASSWORD})
        .json()["error"]
        .startswith("pseudonym")
    )
    body = {"name": "teacher", "password": PASSWORD}
    assert browser.post("/setup/another", json=body).status_code == 422
    assert browser.post(f"/setup/{token}", json=body).status_code == 200
    assert logins(served.project) == [("teacher", "teacher")]
    assert browser.get("/films/1").status_code == 404  # logged in, there is none
    assert browser.post(f"/setup/{token}", json=body | {"name": "b"}).status_code == 422
    assert browser.get(f"/setup/{token}").status_code == 404
    assert "Password" in client().get("/login").text


def test_a_forgotten_password_is_set_anew_by_another_link(serve_with, project) -> None:
    old = project.people.log_in("tess", PASSWORD)
    with serve_with(teacher_link=True) as served, served.client() as browser:
        url = f"/setup/{served.app.state.context.first_start.token}"
        new = "another long password"
        assert browser.post(url, json={"name": "ann", "password": new}).status_code == 422
        assert browser.post(url, json={"name": "tess", "password": new}).status_code == 200
        assert log_in(browser).status_code == 422
        assert log_in(browser, password=new).status_code == 200
        assert project.people.whose(old) is None
        assert browser.get(url).status_code == 404


def test_a_project_with_a_teacher_has_no_such_link(served, client) -> None:
    assert served.app.state.context.first_start.token is None
    assert client().get("/setup/None").status_code == 404


def test_a_stranger_keeps_no_teacher_out(served, client) -> None:
    """Wrong passwords under a teacher's name, from another machine."""
    import httpx

    # Linux's loopback has many addresses.
    transport = httpx.HTTPTransport(local_address="127.0.0.2", verify=False)
    headers = {"Origin": served.url}
    with httpx.Client(
        base_url=served.url, headers=headers, transport=transport, trust_env=False
    ) as stranger:
        try:
            statuses = {log_in(stranger, "tess", f"guess {n}").status_code for n in range(5)}
        except httpx.ConnectError:
            pytest.skip("this system's loopback has one address")
    assert statuses == {422}
    assert log_in(client()).status_code == 200


def test_the_link_for_a_forgotten_password_works_after_wrong_ones(serve_with, project) -> None:
    with serve_with(teacher_link=True) as served, served.client() as browser:
        for number in range(5):
            assert log_in(browser, "tess", f"guess {number}").status_code == 422
        url = f"/setup/{served.app.state.context.first_start.token}"
        answer = browser.post(url, json={"name": "tess", "password": "another long password"})
        assert (answer.status_code, answer.json()) == (200, {"next": "/"})
