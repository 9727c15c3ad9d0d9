"""The reviewer's, training's and references' pages in a real browser, by keyboard alone."""

import os
import shutil
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ttdata.annotate.exchange.adding import add_paths
from ttdata.annotate.project import Project, ProjectInfo, create_project
from ttdata.annotate.store.events import AssignmentOpened, Done, Event, MarkMade, Seen
from ttdata.annotate.work.golden import Truth, set_truth
from ttdata.annotate.work.proposals import Proposal, ProposalSet, add_proposals
from ttdata.taxonomy import TTSTROKE21

sys.path.append(str(Path(__file__).parents[1] / "player"))
from numbered import write_numbered

SHOTS = os.environ.get("TT_SCREENSHOTS")
"""A folder that gets a picture of each page."""
HIT, LOOP, PUSH = (
    *("Offensive Forehand Hit", "Offensive Forehand Loop"),
    "Defensive Backhand Push",
)
AGREED = (*((150 + 22 * i, 170 + 22 * i, HIT) for i in range(8)), (440, 460, HIT))
ANN = ((20, 40, HIT), (60, 90, HIT), (110, 130, HIT), *AGREED)
BOB = ((21, 41, LOOP), (70, 90, HIT), *AGREED)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of numbered films of 30 frames a second: `match`, and two golden clips."""
    videos = tmp_path_factory.mktemp("videos")
    for name, num_frames in (("match", 480), ("score", 60), ("train", 90)):
        path = videos / f"{name}.mp4"
        write_numbered(path, num_frames, Fraction(30), options={"preset": "ultrafast"})
    folder = tmp_path_factory.mktemp("films") / "project"
    with create_project(folder, TTSTROKE21, ProjectInfo(golden_share=0)) as project:
        add_paths(project, [videos])
        for name in ("score", "train"):
            strokes = [Truth(start_frame=30, end_frame=50, label=HIT)]
            project.marks.write(lambda db, n=name, s=strokes: set_truth(db, n, s))
        for name, role in (("ann", "annotator"), ("rex", "reviewer")):
            project.people.add(name, role)
        finish(project, "ann", 1, ANN)
        finish(project, "bob", 2, BOB)
        found = ProposalSet(set_id="x", file="/away/net.csv", format="crowd")
        made = Proposal(video_id="match", model="net", start_frame=22, end_frame=39, label=LOOP)
        project.marks.write(lambda db: add_proposals(db, found, [made], 0))
    return folder


def finish(project: Project, person: str, at: int, strokes: Any) -> None:
    def uid(number: int) -> str:
        return f"00000000-0000-0000-0000-{1000 * at + number:012x}"

    bodies = [AssignmentOpened(video_id="match")]
    bodies += [MarkMade(start_frame=s, end_frame=e, label=label) for s, e, label in strokes]
    bodies += [Seen(spans=((0, 480),)), Done()]
    for number, body in enumerate(bodies):
        mark = uid(500 + number) if isinstance(body, MarkMade) else None
        project.marks.append(
            Event(uuid=uid(number), person=person, assignment=uid(0), mark=mark, body=body)
        )


@pytest.fixture
def project(films: Path, tmp_path: Path) -> Iterator[Project]:
    with Project(shutil.copytree(films, tmp_path / "project")) as opened:
        yield opened


@pytest.fixture
def visit(served: Any, browser: Any) -> Iterator[Any]:
    """`visit(person, path)`: a page; whatever went wrong on it fails the test."""
    pages = []

    def open_page(person: str, path: str, width: int = 1280) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900})
        session = served.project.people.accept(served.project.people.invite(person))
        context.add_cookies([{"name": served.settings.cookie, "value": session, "url": served.url}])
        page = context.new_page()
        page.problems, page.hosts = [], set()
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("request", lambda request: page.hosts.add(request.url.split("/")[2]))
        page.goto(served.url + path)
        pages.append((page, width))
        return page

    yield open_page
    for page, width in pages:
        assert page.problems == []
        assert page.hosts == {served.url.split("/")[2]}
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.context.close()


def shoot(page: Any, name: str) -> None:
    if SHOTS:
        width = page.viewport_size["width"]
        page.screenshot(path=f"{SHOTS}/{name}_{width}.png", full_page=True)


def check_accessible(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["nodes"][0]["html"]) for each in serious] == []


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
    page.evaluate("(globalThis.review ?? references).idle()")


def wait(page: Any, what: str) -> None:
    """Until an expression is true; pages forbid to wait for strings of code."""
    page.evaluate(
        f"async () => {{ while (!({what})) await new Promise((go) => setTimeout(go, 20)); }}"
    )


CHOSEN = "globalThis.references?.mark && references.stage.player.frame !== null"
SHOWN = """async () => {
  const sleep = () => new Promise((done) => setTimeout(done, 20));
  while (!globalThis.review?.doubt) await sleep();
  while (review.stage.player.frame === null) await sleep();
}"""


@pytest.mark.slow
def test_a_reviewer_settles_every_kind_of_doubt_by_keyboard_alone(visit, project) -> None:
    page = visit("rex", "/review")
    page.evaluate(SHOWN)
    assert page.inner_text("#left") == "4 doubts left"
    assert page.inner_text("#why") == "The annotators give it different names."
    letters = page.locator("#stack .letter").all_inner_texts()
    assert letters == ["A", "B"]
    assert page.inner_text("#proposals").replace("\n", " ").startswith(LOOP)
    assert "by net, from net.csv" in page.inner_text("#proposals")
    assert "ann" not in page.inner_text("#review").split()
    looped = "review.stage.player.loop"
    assert page.evaluate(looped) == {"start": 6, "end": 56}
    shoot(page, "review_names")
    assert page.is_disabled("#accept")  # no name to agree to
    press(page, "y")
    assert "name the stroke, too" in page.inner_text("#said")
    page.problems.clear()  # the browser's own line on an answer of 422
    press(page, "b")
    assert page.inner_text("#left") == "3 doubts left"
    assert page.inner_text("#why") == "The annotators' bounds differ by 10 frames; it lasts 25."
    press(page, "q", "q", "e", "m")
    assert page.inner_text("#why") == "One of 2 annotators has marked it."
    press(page, "t", "d", "b", "f")
    assert page.inner_text("#said") == "Flip is not possible here."
    shoot(page, "review_naming")
    press(page, "p")
    assert page.inner_text("#item-title") == "Is there no stroke here?"
    shoot(page, "review_negative")
    press(page, "x")
    assert "press y where no stroke happens" in page.inner_text("#said").lower()
    press(page, "y")
    page.wait_for_selector("#nothing:not([hidden])")
    assert page.inner_text("#nothing-text").startswith("Nothing is doubted now")
    shoot(page, "review_nothing")
    rows = pl.read_csv(project.folder / "reviews.csv")
    columns = ("start_frame", "decision", "label", "new_start_frame", "new_end_frame")
    assert rows.select(columns).rows() == [
        (21, "relabel", LOOP, None, None),
        (65, "move", None, 63, 89),
        (110, "relabel", PUSH, None, None),
        (332, "accept", None, None, None),
    ]


@pytest.mark.slow
def test_bounds_are_set_dragged_and_put_back(visit) -> None:
    page = visit("rex", "/review")
    page.evaluate(SHOWN)
    press(page, "s")  # the next one: for later
    assert page.inner_text("#mark-start") == "65"
    page.evaluate("(review.stage.player.pause(), review.stage.player.seek(68))")
    press(page, "i", "Shift+ArrowRight", "ArrowRight", "o")
    assert [page.inner_text(name) for name in ("#mark-start", "#mark-last")] == ["68", "79"]
    assert page.is_visible("#changed")
    press(page, "Escape")
    assert [page.inner_text(name) for name in ("#mark-start", "#mark-last")] == ["65", "89"]
    page.locator("#timeline").scroll_into_view_if_needed()
    box = page.locator("#timeline").bounding_box()
    x = box["x"] + page.evaluate("review.stage.timeline.xOf(90)")
    page.mouse.move(x, box["y"] + 24)
    page.mouse.down()
    page.mouse.move(x - box["width"] * 5 / 55, box["y"] + 24, steps=4)
    page.mouse.up()
    assert 82 <= int(page.inner_text("#mark-last")) <= 86
    page.click("#stack li:nth-child(1) button")  # a pointer does what keys do
    page.evaluate("review.idle()")
    assert page.inner_text("#left") == "3 doubts left"


@pytest.mark.slow
def test_training_tells_at_once_what_was_right(visit) -> None:
    page = visit("ann", "/train")
    assert "0 of 1 clip" in page.inner_text("main")
    shoot(page, "train_begin")
    check_accessible(page)
    page.click("text=Begin")
    wait(page, "globalThis.annotate?.player.state === 'still'")
    for key in (*["Shift+ArrowRight"] * 3, "ArrowRight", "ArrowRight", "i"):
        page.keyboard.press(key)
    for key in (*["Shift+ArrowRight"] * 2, *["ArrowLeft"] * 3, "o", "o", "f", "l"):
        page.keyboard.press(key)
    page.wait_for_selector("#told li")
    assert page.inner_text("#told") == (
        f"Mark 1: The name should be {HIT}; start 2 frames (67 ms) late, end exact."
    )
    shoot(page, "train_feedback")
    check_accessible(page)
    for key in ("ArrowUp", "t", "o", "f", "h"):
        page.keyboard.press(key)
    page.wait_for_selector("#told li:not(.wrong)")
    page.evaluate(
        """async () => {
          const { seen, outbox } = annotate;
          for (let frame = 0; frame < 90; frame += 1) seen.show(frame, false);
          while (outbox.state.pending) await new Promise((done) => setTimeout(done, 20));
        }"""
    )
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector("#next:not([hidden])")
    page.wait_for_selector("#training-score li")
    assert page.inner_text("#training-said").startswith(
        "You are done. Strokes found: 1 of 1, 100 % (95 % interval 21 to 100 %)."
    )
    page.click("text=How it went so far")
    assert "1 of 1 clip" in page.inner_text("main")
    assert "2 frames (median)" in page.inner_text("table")
    shoot(page, "train_done")
    check_accessible(page)


@pytest.mark.slow
def test_moments_of_a_reference_stroke_are_set_by_keyboard_alone(visit, served) -> None:
    page = visit("rex", "/references")
    wait(page, CHOSEN)
    assert page.inner_text("#films") == "match (0 of 23)"
    assert page.inner_text("#mark-frames") == "Frames 20 to 39"
    press(page, "y")
    assert page.inner_text("#said") == "Still to set: ready, contact, end."
    for key, frame in (("r", 21), ("c", 30), ("e", 40)):
        page.evaluate(
            "(f) => (references.stage.player.pause(), references.stage.player.seek(f))", frame
        )
        press(page, key)
    assert page.inner_text("#said").endswith("All three lie within frames 20 to 39.")
    press(page, "ArrowLeft", "e", "y")
    assert page.inner_text("#said") == "Stored: a reference stroke."
    assert page.inner_text("#films") == "match (1 of 23)"
    shoot(page, "references")
    check_accessible(page)
    with served.project.marks.reading() as db:
        rows = db.execute(
            'SELECT start_frame, ready, contact, "end", person FROM exported_reference'
        )
        assert rows.fetchall() == [(20, 21, 30, 39, "rex")]
    press(page, "ArrowDown")
    assert page.inner_text("#mark-frames") == "Frames 21 to 40"
    press(page, "p", "x")
    assert page.inner_text("#films") == "match (0 of 23)"


WORDS = """async () => {
  const { sentence } = await import("/static/doubt.js");
  const { Draft } = await import("/static/draft.js");
  const { boundWords, markWords, shareWords } = await import("/static/feedback.js");
  const { problemOf } = await import("/static/moments.js");
  const draft = new Draft({ start: 10, end: 20, numFrames: 30 });
  const bounds = [["start", 25], ["start", -4], ["end", 99], ["end", -1]].map(([which, frame]) => {
    draft.move(which, frame);
    return [draft.start, draft.end];
  });
  draft.place("end", 7);
  bounds.push([draft.start, draft.end, draft.isChanged]);
  draft.restore();
  bounds.push([draft.start, draft.end, draft.isChanged]);
  const mark = { start_frame: 10, end_frame: 20 };
  return {
    why: ["overlaps another action", "annotated by one of 3 annotators", "odd"].map(sentence),
    bounds,
    early: boundWords("start", { frames: -1, milliseconds: -8.3 }),
    nothing: markWords({ truth: null }),
    second: markWords({ truth: {}, is_second: true, label_is_right: true,
      start: { frames: 0 }, end: { frames: 2, milliseconds: 16.7 } }),
    share: shareWords("Found", { hits: 0, of: 0, share: null, interval: null }),
    moments: [{ ready: 1 }, { ready: 9, contact: 12, end: 15 }, { ready: 12, contact: 12, end: 15 },
      { ready: 10, contact: 12, end: 20 }, { ready: 10, contact: 12, end: 19 }]
      .map((moments) => problemOf(moments, mark)),
  };
}"""


@pytest.mark.slow
def test_words_and_bounds(visit) -> None:
    assert visit("rex", "/train").evaluate(WORDS) == {
        "why": [
            "It overlaps another stroke.",
            "One of 3 annotators has marked it.",
            "Odd.",
        ],
        "bounds": [[19, 20], [0, 20], [0, 30], [0, 1], [0, 8, True], [10, 20, False]],
        "early": "start 1 frame (8 ms) early",
        "nothing": {
            "right": False,
            "text": "There is no stroke here, or its bounds are far off.",
        },
        "second": {
            "right": False,
            "text": "Another mark fits this stroke better. The name is right; "
            "start exact, end 2 frames (17 ms) late.",
        },
        "share": "Found: none to count.",
        "moments": [
            "Still to set: contact, end.",
            "All three lie within frames 10 to 19.",
            "Ready comes before contact, contact before the end.",
            "All three lie within frames 10 to 19.",
            None,
        ],
    }


@pytest.mark.slow
@pytest.mark.parametrize("width", [1024, 400])
def test_pages_are_accessible_and_fit(visit, width: int) -> None:
    page = visit("rex", "/review", width)
    page.evaluate(SHOWN)
    check_accessible(page)
    shoot(page, "review")
    press(page, "t")
    check_accessible(page)
    shoot(page, "review_name")
    press(page, "Escape", "?")
    assert page.locator("#help").is_visible()
    check_accessible(page)
    shoot(page, "review_keys")
    page = visit("rex", "/references", width)
    wait(page, CHOSEN)
    check_accessible(page)
    shoot(page, "references_begin")
    page = visit("ann", "/train", width)
    check_accessible(page)
    shoot(page, "train")
