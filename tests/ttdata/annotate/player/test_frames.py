"""The browser shows the frame that is asked for, and says which one it shows."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ttdata.annotate.proxies.make import Proxy

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from numbered import burnt_numbers
from served import Served, serving
from watch import (
    PLAY_AND_PAUSE,
    SEEKS,
    STEPS,
    make_steps,
    open_page,
    shown_number,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Any]:
    opened = open_page(browser, served.url)
    yield opened
    assert opened.problems == []
    opened.context.close()


@pytest.mark.parametrize("name", ["constant", "119.88", "variable", "edited"])
def test_seeks_steps_and_pauses(
    browser: Any, sources: dict[str, Path], proxies: dict[str, Proxy], name: str
) -> None:
    """15 seeks, 12 steps and 5 pauses on each of four sources; bench_annotate.py does more."""
    proxy, rng = proxies[name], np.random.default_rng(len(name))
    burnt = burnt_numbers(sources[name])
    assert proxy.num_frames == len(burnt)
    with serving(Served(proxy)) as served:
        page = open_page(browser, served.url)
        frames = [0, len(burnt) - 1, *map(int, rng.integers(0, len(burnt), 13))]
        rows = page.evaluate(SEEKS, frames)
        assert [row[:2] for row in rows] == [[frame, burnt[frame]] for frame in frames]
        assert {row[3] for row in rows} == {"still"}
        assert shown_number(page, burnt[frames[-1]]) == burnt[frames[-1]]
        first, steps = make_steps(12, len(burnt), rng)
        places = [int(place) for place in first + np.cumsum(steps)]
        assert page.evaluate(STEPS, [first, steps]) == [[at, burnt[at]] for at in places]
        assert shown_number(page, burnt[places[-1]]) == burnt[places[-1]]
        for pause in range(5):
            at = [int(rng.integers(0, 60)), 100 + 90 * pause]
            found, seen, state = page.evaluate(PLAY_AND_PAUSE, at)
            assert (seen, state) == (burnt[found], "still")
            assert shown_number(page, burnt[found]) == burnt[found]
            assert page.inner_text("#number") == f"Frame {found} of {len(burnt)}"
        assert page.problems == []
        page.context.close()


def test_of_unawaited_seeks_the_last_one_counts(page: Any) -> None:
    frames = [int(frame) for frame in np.random.default_rng(1).integers(0, 240, 40)]
    many = """async (frames) => {
      for (const frame of frames) annotate.player.seek(frame);
      return [await annotate.player.settled(), burnt()];
    }"""
    assert page.evaluate(many, frames) == [frames[-1]] * 2
    late = """async (frames) => {
      for (const frame of frames) { annotate.player.seek(frame); await sleep(7); }
      return [await annotate.player.settled(), burnt()];
    }"""
    assert page.evaluate(late, frames[::-1]) == [frames[0]] * 2
    assert shown_number(page, frames[0]) == frames[0]


def test_steps_end_at_the_ends(page: Any) -> None:
    ends = """async () => {
      const { player } = annotate, found = [];
      for (const [from, step] of [[3, -10], [238, 1], [239, 1], [0, -1]]) {
        player.seek(from); player.step(step);
        found.push([await player.settled(), burnt()]);
      }
      return found;
    }"""
    assert page.evaluate(ends) == [[0, 0], [239, 239], [239, 239], [0, 0]]


def test_the_end_of_the_film_is_its_last_frame(page: Any) -> None:
    play = """async () => {
      const { player } = annotate;
      player.seek(200); await player.settled(); player.play();
      while (player.isPlaying) await sleep(20);
      return [await player.settled(), burnt(), player.state];
    }"""
    assert page.evaluate(play) == [239, 239, "still"]


def test_a_segment_is_repeated(page: Any) -> None:
    play = """async () => {
      const { player } = annotate, found = [];
      player.setSpeed(0.25);
      player.setLoop({ start: 50, end: 60 });
      await player.settled();
      while (player.frame !== 50) await sleep(1);
      player.addEventListener("frame", () => found.push(player.frame));
      await sleep(1500);
      player.pause();
      const rest = await player.settled();
      return [Math.min(...found), Math.max(...found), found.filter((f,
        i) => f < found[i - 1]).length, rest === burnt()];
    }"""
    least, most, times, at_rest = page.evaluate(play)
    assert least == 50
    assert 59 <= most <= 61  # a picture may come while the seek is under way
    assert times >= 2
    assert at_rest


def test_speeds(page: Any) -> None:
    for key, rate in (("2", 0.5), ("3", 0.25), ("4", 0.125), ("1", 1)):
        page.keyboard.press(key)
        page.evaluate("annotate.work.idle()")
        assert page.evaluate("film.playbackRate") == rate
        assert page.input_value("#speed") == str(rate)


def test_without_a_number_nothing_is_marked(page: Any, served: Served) -> None:
    page.evaluate("annotate.player.reader = { read: () => null }; annotate.player.seek(100)")
    unreadable = """async () => {
      while (annotate.player.state !== "unreadable") await sleep(20);
      return [annotate.player.frame, annotate.player.canMark];
    }"""
    assert page.evaluate(unreadable) == [None, False]
    assert "marking is off" in page.inner_text("#state")
    assert page.is_disabled('[data-action="start"]')
    page.keyboard.press("i")
    page.evaluate("annotate.work.idle()")
    assert "cannot be read" in page.inner_text("#said")
    assert page.evaluate("annotate.marks.all.length") == 0
    assert served.kinds == []


def test_the_strip_is_read_as_python_draws_it(page: Any) -> None:
    """Every number's blocks, through the module's own decoding, and blocks that are none."""
    from ttdata.annotate.proxies.strip import draw_strip

    numbers = [0, 1, 77, 12345, 0xAAAAA, (1 << 20) - 1]
    shades = [draw_strip(number, 384)[8, 8::16, 0].tolist() for number in numbers]
    read = """async (all) => {
      const { numberOf } = await import("/static/strip.js");
      return all.map(numberOf);
    }"""
    assert page.evaluate(read, shades) == numbers
    wrong = [[0] * 24, [255] * 24, [128, *shades[2][1:]], [255 - shades[2][0], *shades[2][1:]]]
    assert page.evaluate(read, wrong) == [None] * 4


def test_the_clock_is_never_read() -> None:
    from served import STATIC

    for path in STATIC.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        reads = [line for line in text.splitlines() if "currentTime" in line]
        assert all("video.currentTime = (" in line for line in reads), path.name
        assert "innerHTML" not in text
        assert "mediaTime" not in text
