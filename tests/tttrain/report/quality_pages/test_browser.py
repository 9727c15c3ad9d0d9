"""A page in Chromium: the right frames of both films, together at contact; read, printed, used."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tttrain.report.quality_pages.names import page_name

SHOTS = os.environ.get("TT_SCREENSHOTS")
"""A folder to look at what is asserted here."""
Show = Callable[[int, int], None]


@pytest.fixture(scope="module")
def opened(browser: Any, pages: Path, filmed: Any) -> Iterator[Any]:
    """The page of the player whose name must be escaped."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda item: item.type == "error" and page.faults.append(item.text))
    player = filmed.quality.strokes[6].player_id
    page.goto((pages / "players" / page_name(player)).as_uri())
    yield page
    assert page.faults == []
    context.close()


@pytest.fixture
def bare(opened: Any, filmed: Any) -> Any:
    """The same without anything drawn over the films, at the first stroke."""
    opened.emulate_media(media="screen")
    opened.set_viewport_size({"width": 1280, "height": 900})
    for name in ("skeletons", "paths"):
        opened.locator(f"#{name}").uncheck()
    pick(opened, filmed.quality.strokes[6].clip_id)
    return opened


def pick(page: Any, clip_id: str) -> None:
    page.locator(f'.choose[data-stroke="{clip_id}"]').click()
    page.wait_for_function("own !== null && other !== null")


def picture(page: Any, name: str) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(page.locator(f"#{name}").screenshot(), np.uint8), 1)
    assert found is not None
    return found


@pytest.fixture
def assert_shows(bare: Any, read_number: Callable[[np.ndarray], int]) -> Show:
    """Both pictures show these frames: asked of the pixels, and again once they had time."""

    def check(own: int, other: int) -> None:
        until = time.monotonic() + 20  # others may use the machine
        found = None
        while found != (own, other) and time.monotonic() < until:
            found = read_number(picture(bare, "own")), read_number(picture(bare, "other"))
        assert found == (own, other)
        text = bare.locator("#now").inner_text()
        assert text.startswith(f"Frame {own}, reference's frame {other};")

    return check


def reference(page: Any, clip_id: str) -> None:
    page.locator("#beside").select_option(clip_id)
    page.wait_for_function(f"other !== null && other.stroke === data.strokes[{clip_id!r}]")


def test_steps_show_the_frames_of_both_films(bare: Any, filmed: Any, assert_shows: Show) -> None:
    """At sixty frames a second beside sixty, then beside thirty: steps of two are one there."""
    strokes = filmed.quality.strokes
    contact = int(strokes[6].moments["contact"] + 0.5)
    reference(bare, strokes[0].clip_id)
    assert_shows(contact, 50)  # as it was marked
    bare.locator("#on").click()
    assert_shows(contact + 1, 51)
    bare.keyboard.press(",")
    bare.keyboard.press(",")
    assert_shows(contact - 1, 49)
    reference(bare, strokes[3].clip_id)
    assert_shows(contact, 25)
    for steps, own, other in ((2, 2, 26), (-4, -2, 24), (-1, -3, 23), (13, 10, 30)):
        for _ in range(abs(steps)):
            bare.locator("#on" if steps > 0 else "#back").click()
        if own != -3:
            assert_shows(contact + own, other)
        else:  # in the middle of two: the earlier
            assert_shows(contact + own, 23)
    bare.keyboard.press("c")
    assert_shows(contact, 25)


def test_a_click_on_a_stroke_shows_it(bare: Any, filmed: Any, assert_shows: Show) -> None:
    """At thirty frames a second beside sixty: a step is two there."""
    strokes = filmed.quality.strokes
    pick(bare, strokes[10].clip_id)
    reference(bare, strokes[1].clip_id)
    contact = int(strokes[10].moments["contact"] + 0.5)
    assert_shows(contact, 120)
    bare.locator("#on").click()
    assert_shows(contact + 1, 122)
    assert bare.locator(".detail:visible").get_attribute("data-stroke") == strokes[10].clip_id
    bare.locator('.moment[data-moment="ready"]').click()
    ready = int(strokes[10].moments["ready"] + 0.5)
    assert_shows(ready, 120 - 2 * (contact - ready))
    # The scrubber goes as far as either film; the other one waits at its edge.
    low, high = (int(bare.locator("#scrub").get_attribute(name)) for name in ("min", "max"))
    bare.locator("#scrub").fill(str(high))
    last = bare.evaluate("clamped(own, 1e9)"), bare.evaluate("clamped(other, 1e9)")
    assert_shows(*last)
    bare.locator("#scrub").fill(str(low))
    assert_shows(bare.evaluate("clamped(own, -1)"), bare.evaluate("clamped(other, -1)"))


def test_slow_motion_keeps_both_together(bare: Any, filmed: Any) -> None:
    strokes = filmed.quality.strokes
    reference(bare, strokes[0].clip_id)
    contact = int(strokes[6].moments["contact"] + 0.5)
    bare.locator("#speed").select_option("0.125")
    bare.locator("#scrub").fill(str(contact - 5))
    bare.evaluate("""() => {
      window.seen = [];
      const plain = draw;
      draw = () => {
        plain();
        const { own, other } = byId("now").dataset;
        seen.push([+own, +other, performance.now()]);
      };
    }""")
    bare.locator("#play").click()
    bare.wait_for_function("seen.length > 1 && seen.at(-1)[0] >= seen[0][0] + 4")
    bare.locator("#play").click()
    seen = bare.evaluate("seen")
    assert all(other - own == 50 - contact for own, other, _ in seen)
    frames, seconds = seen[-1][0] - seen[0][0], (seen[-1][2] - seen[0][2]) / 1000
    assert frames == pytest.approx(60 * seconds / 8, abs=1.5)
    bare.reload()
    bare.wait_for_function("own !== null")


def test_skeletons_and_paths_are_laid_over_the_films(bare: Any, filmed: Any) -> None:
    """Where the landmarks are, the reference's hips on the stroke's."""
    before = [picture(bare, name) for name in ("own", "other")]
    bare.keyboard.press("s")
    bare.keyboard.press("w")
    after = [picture(bare, name) for name in ("own", "other")]
    assert all(
        (cv2.absdiff(one, two).max(axis=2) > 60).sum() > 300
        for one, two in zip(before, after, strict=True)
    )
    hips = bare.evaluate("""() => {
      const shown = clamped(own, frame), beside = frameAt(other, sinceContact(own, frame));
      const place = layer(other, beside, own, shown);
      return [hips(own, shown), place(hips(other, beside)), joint(own, shown, RIGHT_WRIST)];
    }""")
    assert hips[0] == pytest.approx(hips[1])
    stroke = filmed.quality.strokes[6]
    shown = int(stroke.moments["contact"] + 0.5)
    pose = filmed.poses[stroke.clip_id]
    assert hips[2] == pytest.approx(pose.points[shown - stroke.start_frame, 16], abs=0.06)


def test_wide_narrow_and_printed(bare: Any, filmed: Any, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    bare.keyboard.press("s")
    bare.keyboard.press("w")
    for width in (1280, 400):
        bare.set_viewport_size({"width": width, "height": 900})
        bare.wait_for_timeout(150)
        shoot(bare, f"quality_{width}")
        assert bare.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.run(bare).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found
                if each["impact"] in ("serious", "critical")] == []  # fmt: skip
    assert bare.locator("h1").inner_text() == filmed.quality.strokes[6].player_id
    assert bare.evaluate("document.querySelectorAll('h1 b').length") == 0
    bare.emulate_media(media="print")
    assert not bare.locator(".controls").is_visible()
    captions = bare.locator("#stills figcaption").all_inner_texts()
    assert [text.split(",")[0] for text in captions] == [
        f"{who}: {what}"
        for who in ("This stroke", "Reference")
        for what in ("ready", "contact", "end")
    ]
    printed = Path(SHOTS or tmp_path) / "quality.pdf"
    bare.pdf(path=printed, prefer_css_page_size=True)
    assert printed.stat().st_size > 20_000


def shoot(page: Any, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def test_the_other_pages_have_no_serious_fault(browser: Any, pages: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.goto((pages / "index.html").as_uri())
    targets = page.locator("a").evaluate_all("links => links.map((link) => link.href)")
    assert len(targets) == 3
    for place, target in enumerate([page.url, targets[-1]]):
        page.goto(target)
        page.wait_for_load_state()
        shoot(page, f"quality_other_{place}")
        found = axe.run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
        page.set_viewport_size({"width": 400, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        shoot(page, f"quality_other_{place}_400")
        page.set_viewport_size({"width": 1280, "height": 900})
    context.close()
