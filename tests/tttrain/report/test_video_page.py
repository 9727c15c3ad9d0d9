"""The page of an indexed video: what it says, and in a browser what it shows and gives away."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tttrain.indexing.document import IndexedStroke, VideoIndex
from tttrain.report.video_page import Film, clock, write_overview, write_video_page

FPS = 60
CLASSES = ("Serve Forehand Loop", "Offensive Backhand Hit")
Check = Callable[[Any, int], None]


def stroke(start: int, end: int, label: str, score: float) -> IndexedStroke:
    return IndexedStroke(
        start_frame=start,
        end_frame=end,
        start_seconds=start / FPS,
        end_seconds=end / FPS,
        label=label,
        score=score,
    )


def index(*strokes: IndexedStroke, video_id: str = "match <1>") -> VideoIndex:
    return VideoIndex(
        video_id=video_id,
        video="/recordings/match.mp4",
        fps=FPS,
        num_frames=240,
        classes=CLASSES,
        model="run",
        decoder="template",
        strokes=strokes,
    )


THREE = (
    stroke(30, 90, CLASSES[0], 0.9),
    stroke(100, 150, CLASSES[1], 0.4),
    stroke(180, 228, CLASSES[0], 0.75),
)


def write(folder: Path, *strokes: IndexedStroke) -> Path:
    film, page = folder / "match #1.mp4", folder / "pages" / "match.html"
    write_video_page(page, index(*strokes), Film(film))
    return page


def test_names_are_escaped_and_the_film_is_a_relative_url(tmp_path: Path) -> None:
    text = write(tmp_path, *THREE).read_text()
    assert "match &lt;1&gt;" in text
    assert "match <1>" not in text
    assert 'src="../match%20%231.mp4"' in text


def test_bars_lie_where_the_strokes_are(tmp_path: Path) -> None:
    text = write(tmp_path, *THREE).read_text()
    # 240 frames are 4 s: frame 30 is 12.5 %, 60 frames are 25 %; depth .25 + .75 x .9.
    assert "left:12.5%;width:25.0%;--depth:0.93" in text
    assert text.count('class="lane"') == 2
    assert "3 strokes in 0:04.0" in text


def test_a_long_video_keeps_its_bars_clickable(tmp_path: Path) -> None:
    short = stroke(238, 239, CLASSES[0], 1.0)
    long = index(short).model_copy(update={"num_frames": 1_000_000})
    write_video_page(tmp_path / "page.html", long, Film(tmp_path / "a.mp4"))
    assert "width:0.25%" in (tmp_path / "page.html").read_text()


def test_a_video_without_strokes_says_so(tmp_path: Path) -> None:
    text = write(tmp_path).read_text()
    assert "No stroke was found" in text
    assert "0 strokes" in text


def test_overview_counts(tmp_path: Path) -> None:
    one, two = index(*THREE, video_id="one"), index(video_id="two")
    pages = [(one, tmp_path / "one" / "index.html"), (two, tmp_path / "two" / "index.html")]
    write_overview(tmp_path / "index.html", pages)
    text = (tmp_path / "index.html").read_text()
    assert '<a href="one/index.html">one</a>' in text
    assert '<td class="number">45.0</td>' in text  # 3 strokes in 4 s
    assert text.index(CLASSES[0]) < text.index(CLASSES[1])  # 2 and 1: the most frequent first
    assert clock(59.96) == "1:00.0"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, write_numbered: Callable[..., Path]) -> Path:
    return write_numbered(tmp_path_factory.mktemp("film") / "match #1.mp4")


@pytest.fixture(params=[1280, 400])
def page(request: pytest.FixtureRequest, browser: Any, film: Path) -> Iterator[Any]:
    path = write(film.parent, *THREE)
    opened = browser.new_page(viewport={"width": request.param, "height": 800})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text))
    opened.goto(path.as_uri())
    opened.wait_for_function("film.readyState >= 2")
    opened.evaluate("film.controls = false")
    yield opened
    assert not problems
    assert opened.evaluate("document.documentElement.scrollWidth") <= request.param
    opened.close()


@pytest.mark.slow
def test_keys_play_a_stroke_to_its_last_frame(page: Any, assert_comes_to_rest_at: Check) -> None:
    page.keyboard.press("n")
    page.wait_for_function("!playing && film.paused")
    assert_comes_to_rest_at(page, 89)
    page.keyboard.press(",")
    assert_comes_to_rest_at(page, 88)
    page.keyboard.press(".")
    assert_comes_to_rest_at(page, 89)
    page.keyboard.press("ArrowLeft")  # before the first comes the last
    assert "3 of 3" in page.inner_text("#now")
    page.wait_for_function("!playing && film.paused")
    assert_comes_to_rest_at(page, 227)


PAUSE_AFTER_FRAME = """frame => new Promise((done) => {
  function look() {
    if (painted * data.fps < frame + 0.5) { requestAnimationFrame(look); return; }
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true }));
    done();
  }
  look();
})"""


@pytest.mark.slow
def test_a_film_stopped_anywhere_goes_on_frame_by_frame(
    page: Any, shown_frame: Callable[[Any], int], assert_comes_to_rest_at: Check
) -> None:
    page.keyboard.press("4")  # far from the stroke's end, however late the page gets to look
    page.keyboard.press("n")
    page.evaluate(PAUSE_AFTER_FRAME, 32)
    assert page.evaluate("film.paused && playing === false")
    until = time.monotonic() + 30
    while (stopped := round(page.evaluate("painted * data.fps"))) != shown_frame(page):
        assert time.monotonic() < until
    assert 32 < stopped < 89
    page.keyboard.press(".")
    assert_comes_to_rest_at(page, stopped + 1)
    for _ in range(3):  # at once: none is lost
        page.keyboard.press(",")
    assert_comes_to_rest_at(page, stopped - 2)


NOT_PLAYED = "() => { film.play = () => Promise.reject(new Error('not now')); }"


@pytest.mark.slow
def test_no_step_is_lost_to_a_late_picture(page: Any, assert_comes_to_rest_at: Check) -> None:
    page.evaluate(NOT_PLAYED)
    page.locator('.track .stroke[data-number="1"]').click()
    for key, frame in ((",", 97), (".", 100)) * 3:
        for _ in range(3):
            page.keyboard.press(key)
        assert_comes_to_rest_at(page, frame)
    for _ in range(3):
        page.keyboard.press(",")
        page.evaluate("paint(0, { mediaTime: 100 / data.fps })")  # as of the seek before
    assert_comes_to_rest_at(page, 97)


@pytest.mark.slow
def test_steps_begin_where_the_viewer_sought(page: Any, assert_comes_to_rest_at: Check) -> None:
    page.evaluate(NOT_PLAYED)
    page.locator('.track .stroke[data-number="1"]').click()
    assert_comes_to_rest_at(page, 100)
    page.evaluate("film.currentTime = 237.5 / data.fps")  # as the film's own controls do
    page.wait_for_function("Math.round(painted * data.fps) === 237")
    assert_comes_to_rest_at(page, 237)
    for _ in range(5):  # 239 is the last
        page.keyboard.press(".")
    assert_comes_to_rest_at(page, 239)
    page.keyboard.press(",")
    assert_comes_to_rest_at(page, 238)


@pytest.mark.slow
def test_steps_get_through_frames_of_any_length(
    tmp_path: Path,
    browser: Any,
    write_numbered: Callable[..., Path],
    assert_comes_to_rest_at: Check,
) -> None:
    begins = [0, 40, 80, *range(400, 1880, 40)]  # the third lasts eight times as long as others
    film = write_numbered(tmp_path / "uneven.mp4", milliseconds=begins)
    uneven = {"fps": len(begins) / 1.88, "num_frames": len(begins)}
    whole = index(stroke(0, 60, CLASSES[0], 1.0)).model_copy(update=uneven)
    write_video_page(tmp_path / "page.html", whole, Film(film))
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("film.readyState >= 2")
    page.evaluate("film.controls = false")
    for _ in range(10):
        page.keyboard.press(".")
        page.wait_for_function("!film.seeking")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert page.evaluate("film.currentTime") == pytest.approx(10.5 * 0.047, abs=1e-5)
    for key, presses, frame in ((".", 10, 17), (".", 25, 39), (",", 45, 0)):
        for _ in range(presses):
            page.keyboard.press(key)
        assert_comes_to_rest_at(page, frame)
    page.close()


@pytest.mark.slow
def test_a_click_shows_the_first_frame(page: Any, assert_comes_to_rest_at: Check) -> None:
    page.evaluate(NOT_PLAYED)
    page.locator('.track .stroke[data-number="1"]').click()
    assert_comes_to_rest_at(page, 100)
    page.locator('.show[data-number="2"]').click()
    assert_comes_to_rest_at(page, 180)


@pytest.mark.slow
def test_what_is_filtered_or_unticked_is_not_taken_along(page: Any) -> None:
    assert "3 of 3" in page.inner_text("#taken")
    page.locator("#certainty").fill("50")
    assert page.locator(".card:visible").count() == 2
    assert page.locator(".lane:visible").count() == 1
    page.locator('.chosen[data-number="2"]').uncheck()
    assert "1 of 3" in page.inner_text("#taken")
    with page.expect_download() as download:
        page.locator("#save-csv").click()
    text = Path(download.value.path()).read_text()
    assert download.value.suggested_filename == "match_1_.csv"
    assert text == (
        "video_id,start_frame,end_frame,label,start_seconds,end_seconds,score\n"
        "match <1>,30,90,Serve Forehand Loop,0.5,1.5,0.9\n"
    )
    page.locator("#no-labels").click()
    assert "0 of 3" in page.inner_text("#taken")


@pytest.mark.slow
def test_the_cut_list_counts_frames(page: Any) -> None:
    with page.expect_download() as download:
        page.locator("#save-cuts").click()
    lines = Path(download.value.path()).read_text().splitlines()
    times = [line.split()[-4:] for line in lines if line[:3].isdigit()]
    assert times == [
        ["00:00:00:30", "00:00:01:30", "00:00:00:00", "00:00:01:00"],
        ["00:00:01:40", "00:00:02:30", "00:00:01:00", "00:00:01:50"],
        ["00:00:03:00", "00:00:03:48", "00:00:01:50", "00:00:02:38"],
    ]
    assert page.evaluate("timecode(3600 * 60 + 61, 60)") == "01:00:01:01"
