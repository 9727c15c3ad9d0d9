"""The annotator's page as people use it: by keyboard alone, on wide and narrow screens."""

import gzip
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from served import ASSIGNMENT, STATIC, Served
from watch import open_page, shown_number


def test_the_javascript_is_small() -> None:
    sizes = [len(gzip.compress(path.read_bytes())) for path in STATIC.glob("*.js")]
    assert 5_000 < sum(sizes) <= 100_000


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Any, served: Served) -> Iterator[Any]:
    """1024 px wide unless a test says otherwise."""
    width = getattr(request, "param", 1024)
    opened = open_page(browser, served.url, width)
    yield opened
    assert opened.problems == []
    assert opened.hosts == {served.url.split("/")[2]}
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    opened.context.close()


at_both_widths = pytest.mark.parametrize("page", [1024, 400], indirect=True)


def press(page: Any, *keys: str) -> None:
    """Keys at once: none is lost, and a bound waits for its picture."""
    for key in keys:
        page.keyboard.press(key)
    page.evaluate("annotate.work.idle()")


BOUNDS = """annotate.marks.all.map(({ start_frame, end_frame, label }) =>
  [start_frame, end_frame, label])"""
SENT = "(async () => { while (annotate.outbox.state.pending) await sleep(20); })()"
PLAYED = """(async () => {
  const { player } = annotate;
  player.play();
  while (player.isPlaying) await sleep(20);
  await player.settled();
})()"""
GAP = """(() => {
  const box = document.getElementById("frame-box");
  const { y, height } = film.getBoundingClientRect();
  const high = Number(box.style.getPropertyValue("--high"));
  return y + (height * high) / film.videoHeight - box.getBoundingClientRect().bottom;
})()"""
UNNAMED = """[...document.querySelectorAll(
  "button, select, canvas, video, dialog, section",
)].filter((element) => !element.closest("template")
  && !element.getAttribute("aria-label") && !element.getAttribute("aria-labelledby")
  && !element.labels?.length && !element.textContent.trim()).map((element) => element.outerHTML)"""

KEEPS_NOTHING_YET = """IDBDatabase.prototype.transaction = () => ({
  objectStore: () => ({ put() {}, delete() {} }),
}); 0"""
HANDS_OVER = """(status) => {
  const { fetch } = globalThis;
  globalThis.handed = [];
  globalThis.fetch = (url, options = {}) => {
    if (options.method !== "POST") return fetch(url, options);
    if (url.endsWith("/last")) {
      const items = JSON.parse(options.body).filter(({ body }) => body.kind !== "seen");
      if (items.length > 0) handed.push(items.map(({ uuid }) => uuid));
    } else if (status) return Promise.resolve(new Response("{}", { status }));
    return new Promise(() => {});
  };
  globalThis.put = (uuid, mark, size = 0) => annotate.outbox.put({ uuid, mark,
    body: { kind: "mark_made" }, text: "x".repeat(size) });
  globalThis.leave = () => { dispatchEvent(new Event("pagehide")); };
}"""


def bounds(page: Any) -> list[Any]:
    return page.evaluate(BOUNDS)


@at_both_widths
@pytest.mark.slow
def test_strokes_are_marked_by_keyboard_alone(page: Any, served: Served) -> None:
    on = ["Shift+ArrowRight"]
    press(page, *on * 2, "i", *on * 8, "ArrowLeft", "o", "o", "f", "h")
    press(page, *on, "i", *on * 7, "ArrowRight", "o", "d", "b", "p")
    assert bounds(page) == [
        [20, 100, "Offensive Forehand Hit"],
        [109, 181, "Defensive Backhand Push"],
    ]
    assert page.inner_text("#list-title") == "Marks: 2"
    assert page.evaluate("annotate.marks.selected") is None
    page.evaluate(SENT)
    assert served.kinds == ["mark_made", "bounds_changed", "label_set"] * 2
    first = served.events[0]
    assert (first["assignment"], first["base_revision"]) == (ASSIGNMENT, None)
    assert page.inner_text("#outbox") == "Everything is sent."


@pytest.mark.slow
def test_marks_are_mended_by_keyboard_alone(page: Any) -> None:
    press(page, *["Shift+ArrowRight"] * 2, "i", *["Shift+ArrowRight"] * 8, "o", "s", "f", "t")
    press(page, "ArrowUp", "q", "q", "w", "r", "r", "e")
    assert bounds(page) == [[19, 102, "Serve Forehand Topspin"]]
    assert page.evaluate("annotate.player.settled()") == 101
    assert shown_number(page, 101) == 101
    assert page.inner_text("#mark-last") == "101"
    press(page, "u", "u", "Control+z")
    assert bounds(page) == [[19, 101, "Serve Forehand Topspin"]]
    press(page, "y", "t", "d", "b", "f")  # a flip is not defensive
    assert page.inner_text("#said") == "Flip is not possible here."
    press(page, "Backspace", "f", "b", "ArrowUp", "x")
    assert bounds(page) == []
    press(page, "u")
    assert bounds(page) == [[19, 102, "Defensive Forehand Backspin"]]


@pytest.mark.slow
def test_only_a_video_that_was_seen_is_done(page: Any, served: Served) -> None:
    press(page, "Shift+Enter")
    assert "frames were not seen yet, the first is 1" in page.inner_text("#said")
    press(page, "i", "Shift+Enter")
    page.evaluate(PLAYED)
    for _ in range(250):
        if page.evaluate("annotate.seen.missing") == 0:
            break
        press(page, "g")
        page.evaluate("annotate.player.settled()")
    press(page, "Shift+Enter")
    assert page.inner_text("#said").startswith("1 mark lacks a bound or label")
    press(page, "x", "Shift+Enter")
    assert page.inner_text("#state") == "This video is done."
    page.evaluate(SENT)
    assert served.kinds == ["mark_made", "mark_removed", "done"]
    spans = sorted(
        tuple(span) for e in served.events for span in e["body"].get("spans", []) if span
    )
    reach = 0
    for start, end in spans:
        assert start <= reach
        reach = max(reach, end)
    assert reach == 240
    press(page, "i")
    assert "a teacher can open it again" in page.inner_text("#said")


@pytest.mark.slow
def test_help_shows_every_key_and_closes(page: Any) -> None:
    press(page, "?")
    assert page.locator("#help").is_visible()
    assert page.locator("#keys dd").count() == page.evaluate(
        "(async () => (await import('/static/keys.js')).BINDINGS.length)()"
    )
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()


@pytest.mark.slow
def test_marks_made_while_the_server_is_away_arrive_after_a_reload(
    page: Any, served: Served
) -> None:
    served.answers = [503] * 10_000
    press(page, *["ArrowRight"] * 5, "i", *["Shift+ArrowRight"] * 8, "o", "o", "b", "l")
    made = page.evaluate("annotate.outbox.waiting.map(({ uuid }) => uuid)")
    assert len(made) >= 3
    page.reload()
    page.problems.clear()  # the browser's own lines on answers of 503
    served.answers = []
    page.evaluate("(async () => { while (!globalThis.annotate) await sleep(20); })()")
    arrived = [event["uuid"] for event in served.events]
    assert [one for one in arrived if one in set(made)] == made
    assert len(set(arrived)) == len(arrived)
    page.problems.clear()


@pytest.mark.slow
def test_what_was_marked_a_moment_before_the_page_goes_arrives(page: Any, served: Served) -> None:
    """Also where the browser has not kept it yet."""
    page.evaluate(SENT)
    page.evaluate(KEEPS_NOTHING_YET)
    served.answers = [503] * 10_000
    press(page, "Shift+ArrowRight", "i")
    page.goto(f"{served.url}blank.html")
    page.wait_for_function("() => document.title === 'blank'")
    until = time.monotonic() + 20  # the page does not wait for it
    while not served.kinds and time.monotonic() < until:
        time.sleep(0.01)
    assert served.kinds == ["mark_made"]
    page.problems.clear()  # the browser's own lines on answers of 503


@pytest.mark.slow
def test_what_pages_hand_over_is_not_too_much_together(page: Any) -> None:
    page.evaluate(SENT)
    page.evaluate(HANDS_OVER, 0)
    page.evaluate("put('kept', 'a', 35_000)")
    page.evaluate("globalThis.one = put('one', 'a'); leave(); one")
    assert page.evaluate("handed") == [["kept", "one"]]
    # The first ones are still on their way.
    page.evaluate("globalThis.two = put('two', 'a'); leave(); two")
    assert page.evaluate("handed.slice(1)") == [["two"]]
    page.evaluate("leave()")  # all is kept
    assert page.evaluate("handed.length") == 2


@pytest.mark.slow
def test_what_builds_on_a_refused_change_is_not_handed_over(page: Any) -> None:
    page.evaluate(SENT)
    page.evaluate(HANDS_OVER, 409)
    page.evaluate(f"put('first', 'a'); put('later', 'a'); put('other', 'b'); {KEEPS_NOTHING_YET}")
    page.locator("#said", has_text="look at it again").wait_for()
    page.evaluate("put('new', 'c'); leave()")
    assert page.evaluate("handed") == [["other", "new"]]


@pytest.mark.slow
def test_a_full_disk_is_said_and_nothing_is_lost(page: Any, served: Served) -> None:
    page.evaluate(SENT)
    served.answers = [507] * 10_000
    press(page, "Shift+ArrowRight", "i")
    page.locator("#outbox", has_text="The server's disk is full: tell your teacher.").wait_for()
    assert "kept in this browser" in page.inner_text("#outbox")
    served.answers = []
    page.evaluate(SENT)
    assert served.kinds == ["mark_made"]
    page.problems.clear()


@pytest.mark.slow
def test_a_single_frame_is_named(page: Any) -> None:
    page.evaluate("annotate.seen.frames.fill(1); annotate.seen.frames[7] = 0")
    page.evaluate("annotate.seen.count = annotate.seen.frames.length - 1")
    press(page, "Shift+Enter")
    assert page.inner_text("#said") == "Frame 7 was not seen yet: press G to go there."


@pytest.mark.slow
def test_a_changed_mark_is_taken_from_the_server(page: Any, served: Served) -> None:
    press(page, *["Shift+ArrowRight"] * 2, "i")
    mark_id = page.evaluate("annotate.marks.selected.mark_id")
    content = {"start_frame": 33, "end_frame": 120, "label": None, "removed": False}
    served.marks = [{"mark_id": mark_id, "revision": 4, **content}]
    page.evaluate(SENT)
    served.answers = [409]
    press(page, *["Shift+ArrowRight"] * 2, "o")
    page.evaluate(SENT)
    assert bounds(page) == [[33, 120, None]]
    assert "look at it again" in page.inner_text("#said")
    page.problems.clear()


@at_both_widths
@pytest.mark.slow
def test_a_bound_is_dragged_and_the_timeline_zooms(page: Any) -> None:
    press(page, *["Shift+ArrowRight"] * 5, "i", *["Shift+ArrowRight"] * 8, "o", "Escape")
    box = page.locator("#timeline").bounding_box()
    x_of = "annotate.work.timeline.xOf(131)"
    y = box["y"] + 28
    page.locator("#timeline").scroll_into_view_if_needed()
    box = page.locator("#timeline").bounding_box()
    y = box["y"] + 28
    x = box["x"] + page.evaluate(x_of)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] * 24 / 240, y, steps=4)
    page.mouse.up()
    (mark,) = bounds(page)
    assert mark[0] == 50
    assert 153 <= mark[1] <= 157
    press(page, "u")
    assert bounds(page) == [[50, 131, None]]
    before = page.evaluate("annotate.work.timeline.xOf(61) - annotate.work.timeline.xOf(60)")
    page.mouse.move(box["x"] + 100, y)
    frame = page.evaluate("annotate.work.timeline.frameAt(100)")
    page.mouse.wheel(0, -300)
    page.evaluate("painted()")
    after = page.evaluate("annotate.work.timeline.xOf(61) - annotate.work.timeline.xOf(60)")
    assert after > 2 * before
    assert abs(page.evaluate("annotate.work.timeline.frameAt(100)") - frame) <= 1
    page.mouse.click(box["x"] + 100, box["y"] + 4)
    assert page.evaluate("annotate.player.settled()") == frame


@pytest.mark.slow
def test_a_closer_look_never_shows_the_strip(page: Any) -> None:
    press(page, *["Shift+ArrowRight"] * 3)
    box = page.locator("#frame-box").bounding_box()
    middle, bottom = box["x"] + box["width"] / 2, box["y"] + box["height"] - 2
    page.mouse.move(middle, bottom)
    for delta in (-300, -600, 200, -900):
        page.mouse.wheel(0, delta)
        page.evaluate("painted()")
        assert page.evaluate(GAP) >= -0.6
    assert page.evaluate("annotate.work.magnifier.look.scale") == 8
    press(page, "ArrowRight")
    assert page.evaluate("annotate.player.settled()") == 31
    press(page, "0", "z")
    assert page.evaluate("annotate.work.magnifier.look.scale") == pytest.approx(1.6)
    press(page, "0")
    assert shown_number(page, 31) == 31


@at_both_widths
@pytest.mark.slow
def test_controls_have_names_and_say_what_happens(page: Any) -> None:
    assert page.evaluate(UNNAMED) == []
    assert page.get_attribute("#said", "role") == "status"
    press(page, "ArrowRight", "i")
    assert page.inner_text("#said") == "Starts with frame 1."
    for _ in range(3):  # past the way back to the start, and logging out
        page.keyboard.press("Tab")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"
    page.keyboard.press("ArrowRight")  # a focused button leaves the other keys alone
    assert page.evaluate("annotate.player.settled()") == 2
