"""The annotator's way in a real browser against the real server, also while that is away."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ttdata.annotate.project import Project, create_project
from ttdata.taxonomy import TTSTROKE21

pytestmark = pytest.mark.slow

HIT = "Offensive Forehand Hit"
AWAY_SECONDS = float(os.environ.get("TT_AWAY_SECONDS", "1"))
"""`TT_AWAY_SECONDS=60` is the long form."""
STILL = """async () => {
  const isStill = () => globalThis.annotate?.player.state === "still";
  while (!isStill()) await new Promise((go) => setTimeout(go, 20));
}"""
SENT = """async () => {
  while (annotate.outbox.state.pending) await new Promise((go) => setTimeout(go, 20));
}"""
SEEN = """async () => {
  const { player, seen } = annotate;
  for (let gap = seen.firstGap; gap !== null; gap = seen.firstGap) {
    player.seek(gap);
    await player.settled();
  }
}"""
MARK = """(starts) => {
  const { marks } = annotate;
  for (const start of starts) {
    marks.select(null);
    marks.setStart(start);
    marks.setLast(start + 4);
    marks.setLabel("Offensive Forehand Hit");
  }
  return annotate.outbox.waiting.filter(({ body }) => body.kind !== "seen").map(({ uuid }) => uuid);
}"""


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A person's browser: cookies and what waits are its own."""
    made = browser.new_context(viewport={"width": 1024, "height": 800})
    yield made
    made.close()


@pytest.fixture
def open_page(context: Any) -> Callable[[str], Any]:
    """`open_page(url)`: `problems` and `hosts` of the page are filled by it."""

    def make(url: str) -> Any:
        page = context.new_page()
        page.problems, page.hosts = [], set()
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("request", lambda request: page.hosts.add(request.url.split("/")[2]))
        page.goto(url)
        return page

    return make


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
    page.evaluate("annotate.work.idle()")


def events_of(project: Project, *kinds: str) -> list[str]:
    with project.marks.reading() as db:
        found = db.execute("SELECT uuid, kind FROM event ORDER BY seq").fetchall()
    return [uuid for uuid, kind in found if kind in kinds]


def test_from_the_invitation_to_the_next_video(served, open_page) -> None:
    token = served.project.people.invite("ann")
    page = open_page(f"{served.url}/join/{token}")
    page.get_by_role("button", name="Join as ann").press("Enter")
    page.wait_for_url("**/annotate/*")
    page.evaluate(STILL)
    first = page.url
    press(page, *["ArrowRight"] * 5, "i", "Shift+ArrowRight", "ArrowRight", "o", "o", "f", "h")
    page.evaluate(SENT)
    page.reload()  # nothing is lost by it
    page.evaluate(STILL)
    assert page.evaluate("annotate.marks.all.map(({ label }) => label)") == [HIT]
    assert (page.url, page.inner_text("#name")) == (first, "Video 1")
    assert page.get_by_role("link", name="Next video").is_hidden()
    page.evaluate(SEEN)
    press(page, "Shift+Enter")
    page.get_by_role("link", name="Next video").click()
    page.get_by_role("heading", name="Video 2").wait_for()
    page.evaluate(STILL)
    assert page.url != first
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    assert page.problems == []
    assert page.hosts == {served.url.split("/")[2]}


def test_others_marks_and_hints_are_shown_once_done(served, open_page, context, hand) -> None:
    from ttdata.annotate.work.proposals import Proposal, ProposalSet, add_proposals

    with served.client("ann") as one, served.client("bob") as two:
        ann, bob = hand(one), hand(two, 2)
        ann.open(), bob.open()
        while bob.data()["video"]["num_frames"] != ann.data()["video"]["num_frames"]:
            bob.finish()
            bob.open()
        bob.finish((7, 23, "Defensive Backhand Push"))
        proposal = Proposal(video_id="a", model="net", start_frame=30, end_frame=34)
        found = ProposalSet(set_id="s", file="p.csv", format="crowd")
        served.project.marks.write(lambda db: add_proposals(db, found, [proposal], 0))
        log_in(context, served, "ann")
        page = open_page(f"{served.url}/annotate/{ann.assignment}")
        page.evaluate(STILL)
        assert page.locator("#others").is_hidden()
        page.evaluate(SEEN)
        press(page, "Shift+Enter")
        page.locator("#others-list li").nth(1).wait_for()
    assert page.locator("#others-list li").all_inner_texts() == [
        "A: Defensive Backhand Push 7 to 22",
        "A model says: look here 32",
    ]
    page.locator("#others-list button").first.press("Enter")
    assert page.evaluate("annotate.player.settled()") == 7
    colour = """async () => {
      await new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
      const { canvas, context } = annotate.work.timeline;
      const x = Math.round(annotate.work.timeline.xOf(15) * devicePixelRatio);
      return [...context.getImageData(x, canvas.height - 4, 1, 1).data];
    }"""
    assert page.evaluate(colour) == [0x5B, 0x66, 0x74, 255]
    assert page.problems == []


def log_in(context: Any, served: Any, pseudonym: str) -> None:
    people = served.project.people
    session = people.accept(people.invite(pseudonym))
    context.add_cookies([{"name": served.settings.cookie, "value": session, "url": served.url}])


@pytest.mark.parametrize("reloaded", [False, True])
def test_marks_made_while_the_server_is_away_arrive_once_in_order(
    project: Project, run_server, open_page, context, reloaded: bool
) -> None:
    with run_server(project) as served:
        log_in(context, served, "ann")
        page = open_page(f"{served.url}/annotate")
        page.evaluate(STILL)
        page.evaluate(SENT)
        port, url = served.settings.port, page.url
    made = page.evaluate(MARK, list(range(1, 21)))
    assert len(made) == 3 * 20
    page.wait_for_timeout(1000 * AWAY_SECONDS)
    assert "to be sent" in page.inner_text("#outbox")
    if reloaded:
        page.close()
    with run_server(project, port=port) as served:
        if reloaded:
            page = open_page(url)
        page.evaluate(STILL)
        page.evaluate(SENT)
        assert page.evaluate("annotate.marks.all.length") == 20
    assert events_of(project, "mark_made", "bounds_changed", "label_set") == made


def test_a_lost_session_is_said_and_what_waits_arrives_after_logging_in(
    served, open_page, context
) -> None:
    log_in(context, served, "ann")
    page = open_page(f"{served.url}/annotate")
    page.evaluate(STILL)
    context.clear_cookies()
    made = page.evaluate(MARK, [3])
    page.get_by_text("Log in again, in another tab.").wait_for()
    page.get_by_role("button", name="Log out").click()
    assert page.inner_text("#said") == "Not everything is sent yet: wait, then log out."
    log_in(context, served, "bob")  # somebody else: her marks wait
    with page.expect_response("**/events") as answer:
        pass
    assert answer.value.status == 403
    assert events_of(served.project, "mark_made") == []
    log_in(context, served, "ann")
    page.evaluate(SENT)
    assert events_of(served.project, "mark_made", "bounds_changed", "label_set") == made


class TestAccessible:
    @pytest.fixture
    def fresh(self, tmp_path: Path, run_server) -> Iterator[Any]:
        with create_project(tmp_path / "fresh", TTSTROKE21) as made, run_server(made) as found:
            yield found

    @pytest.mark.parametrize("width", [1024, 400])
    def test_pages(self, served, fresh, context, open_page, width: int) -> None:
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        page = open_page(f"{served.url}/login")
        page.set_viewport_size({"width": width, "height": 800})
        people, token = served.project.people, fresh.app.state.context.first_start.token
        pages = ["/login", f"/join/{people.invite('ann')}", "/join/used", "/nowhere"]
        urls = [served.url + path for path in pages]
        urls += [f"{fresh.url}/login", f"{fresh.url}/setup/{token}"]
        found = {url: faults(axe, page, url) for url in urls}
        log_in(context, served, "ann")
        found["annotate"] = faults(axe, page, f"{served.url}/annotate")
        log_in(context, served, "rex")
        found["forbidden"] = faults(axe, page, page.url)
        assert found == {name: [] for name in found}
        page.goto(f"{served.url}/login")
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def faults(axe: Any, page: Any, url: str) -> list[str]:
    """Serious faults by axe, and whether the page is wider than the window."""
    page.goto(url)
    if "/annotate" in page.url and page.locator("#film").count():
        page.evaluate(STILL)
    found = [
        f"{fault['id']}: {fault['nodes'][0]['html']}"
        for fault in axe.run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append("wider than the window")
    return found
