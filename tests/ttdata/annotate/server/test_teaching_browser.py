"""The teacher's pages in a real browser: by keyboard, live, and for those who cannot see them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ttdata.annotate.project import PEOPLE, Project

pytestmark = pytest.mark.slow

HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"
PAGES = (
    *("", "/start", "/people", "/people/ann", "/invitations", "/videos", "/videos/1"),
    *("/agreement", "/export", "/backups"),
)
FOCUSED = "(selector) => document.activeElement?.matches(selector) ?? false"
STILL = """async () => {
  const sleep = () => new Promise((go) => { setTimeout(go, 20); });
  while (globalThis.annotate?.player.state !== "still") await sleep();
}"""


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """`open_page(url, width)`: a page of a new person's browser, whose complaints are kept."""
    made = []

    def make(url: str, width: int = 1024, cookies: Any = ()) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800})
        context.add_cookies(list(cookies))
        page = context.new_page()
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda message: page.problems.append(message.text))
        page.goto(url)
        made.append(page)
        return page

    yield make
    for page in made:
        assert page.problems == []
        page.context.close()


def tab_to(page: Any, selector: str) -> None:
    """Go to an element as people without a mouse do."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED, selector):
            return
    raise AssertionError(f"{selector}: cannot be reached by the tabulator")


def cell(page: Any, pseudonym: str, name: str) -> Any:
    row = page.locator("#wall tbody tr", has_text=pseudonym)
    return row.locator(f".{name}")


def wait_for(page: Any, pseudonym: str, name: str, text: str) -> None:
    cell(page, pseudonym, name).filter(has_text=text).wait_for(timeout=15_000)


class TestFirstStart:
    @pytest.fixture
    def project(self, template: Path, tmp_path: Path) -> Iterator[Project]:
        """A project of three videos to which nobody has come yet."""
        folder = shutil.copytree(template, tmp_path / "project")
        for path in folder.glob(f"{PEOPLE}*"):
            path.unlink()
        with Project(folder) as opened:
            yield opened

    def test_the_first_start_by_keyboard_and_the_wall_live(self, served, open_page) -> None:
        token = served.app.state.context.first_start.token
        page = open_page(f"{served.url}/setup/{token}")
        page.keyboard.type("a long password")
        page.keyboard.press("Enter")
        page.wait_for_url("**/teacher/start")
        badges = page.locator(".badge").all_inner_texts()
        assert badges == ["done", "done", "next"]
        tab_to(page, "[name=count]")
        page.keyboard.press("Control+a")
        page.keyboard.type("2")
        page.keyboard.press("Enter")
        page.wait_for_url("**/teacher/invitations")
        page.wait_for_function("[...document.images].every((image) => image.naturalWidth > 0)")
        links = page.locator(".link").all_inner_texts()
        assert (len(links), page.locator(".qr").count()) == (2, 2)

        tab_to(page, "nav a[href='/teacher']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/teacher")
        wait_for(page, "person-01", "state", "away")
        annotator = open_page(links[0])
        tab_to(annotator, "main button")
        annotator.keyboard.press("Enter")
        annotator.wait_for_url("**/annotate/*")
        annotator.evaluate(STILL)
        wait_for(page, "person-01", "state", "here")
        assert cell(page, "person-01", "marks").inner_text() == "0"
        annotator.keyboard.press("ArrowRight")
        annotator.keyboard.press("i")
        wait_for(page, "person-01", "marks", "1")
        assert cell(page, "person-01", "hour").inner_text() == "1"
        assert cell(page, "person-01", "unsent").inner_text() == "0"
        assert page.inner_text("#videos-begun") == "1"
        assert cell(page, "person-02", "state").inner_text() == "away"
        assert page.inner_text("#wall-said") in ("0 of 2 are here.", "1 of 2 are here.")


@pytest.fixture
def teacher_page(served, hand, open_page) -> Any:
    """Opens the teacher's pages of a project in which something is finished."""
    cookies = []
    for first, (name, label) in enumerate((("ann", HIT), ("bob", LOOP)), 1):
        with served.client(name) as client:
            person = hand(client, first)
            person.open()
            person.finish((5, 21, HIT), (23, 39, label))
    with served.client("tess") as client:
        for path in ("invitations", "exports", "backups"):
            assert client.post(f"/api/teacher/{path}", json={}).status_code == 200
        session = client.cookies[served.settings.cookie]
    cookies = [{"name": served.settings.cookie, "value": session, "url": served.url}]
    return lambda path, width: open_page(f"{served.url}/teacher{path}", width, cookies)


def ask_often(route: Any) -> None:
    """The script, which then asks every 0.2 s."""
    script = route.fetch()
    body = script.text().replace("POLL_MS = 5000", "POLL_MS = 200")
    assert "POLL_MS = 200" in body
    route.fulfill(response=script, body=body)


def test_the_wall_asks_where_it_cannot_listen_and_ends_at_logout(served, hand, open_page) -> None:
    with served.client("tess") as tess, served.client("ann") as ann:
        cookie = {
            "name": served.settings.cookie,
            "value": tess.cookies[served.settings.cookie],
            "url": served.url,
        }
        page = open_page(f"{served.url}/login", 1024, [cookie])
        page.route("**/wall/stream", lambda route: route.fulfill(status=503))
        page.route("**/wall.js", ask_often)
        page.goto(f"{served.url}/teacher")
        wait_for(page, "ann", "video", "-")
        hand(ann).open()
        wait_for(page, "ann", "video", "a")  # asked again
        assert tess.post("/logout", json={}).status_code == 200
        page.locator("#wall-problem", has_text="You are logged out").wait_for(timeout=15_000)
        # What the browser itself says of the two refusals, and nothing else.
        statuses = [problem.rpartition("status of ")[2][:3] for problem in page.problems]
        assert statuses == ["503", "401"]
        page.problems.clear()


@pytest.mark.parametrize("width", [1024, 400])
def test_no_page_has_a_serious_fault_of_accessibility(teacher_page, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = teacher_page("", width)
    page.locator("#wall tbody tr").first.wait_for()
    origin = page.url.removesuffix("/teacher")
    for path in PAGES:
        page.goto(f"{origin}/teacher{path}")
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        found = axe.run(page).response["violations"]
        serious = [
            (violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in found
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
