"""A session from the first start to the dataset: everybody at a browser, by keyboard alone."""

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ttdata.annotate.store.database import reading
from ttdata.sources.formats.annotation_project import MARKS
from ttdata.storage.dataset import load_dataset

pytest.importorskip("fastapi", reason="ttdata[annotate] is not installed")

LABELS = ("Serve Forehand Topspin", "Offensive Forehand Hit", "Offensive Backhand Loop")
PASSWORD = "blue table, white line"
PATIENCE_MS = 120_000
MOST_TABS, MOST_DOUBTS = 80, 40
NEAR_FRAMES = 3
READY = "() => globalThis.annotate?.player.state === 'still'"
IS_SENT = "() => annotate.work.isDone && annotate.outbox.state.pending === 0"
LABEL_KEYS = """async (label) => {
  const { labels } = annotate.work;
  const { words } = labels.classes.find((found) => found.label === label);
  return words.map((word, level) =>
    labels.choices(words.slice(0, level)).find((choice) => choice.word === word).key);
}"""
SHOWN = """[...document.querySelectorAll('#item-title, #left, #stack, #nothing-text')]
  .map((element) => element.textContent).join()"""
STROKES = pl.Schema(
    {
        "video_id": pl.String(),
        "start_frame": pl.Int64(),
        "end_frame": pl.Int64(),
        "label": pl.String(),
    }
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
Stroke = tuple[int, int, str]


@dataclass
class Seat:
    """A person at a browser of his own, who has a keyboard and no mouse."""

    page: Any
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, browser: Any, url: str) -> "Seat":
        seat = cls(browser.new_context().new_page())
        seat.page.set_default_timeout(PATIENCE_MS)
        seat.page.on("pageerror", lambda error: seat.problems.append(str(error)))
        seat.page.on("request", lambda asked: seat.hosts.add(asked.url.split("/")[2]))
        seat.page.goto(url)
        return seat

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def go_to(self, what: str) -> None:
        """Tab until what a selector finds has the focus."""
        place = self.page.locator(what).first
        place.wait_for()
        for _ in range(MOST_TABS):
            if place.evaluate("(element) => element === document.activeElement"):
                return
            self.press("Tab")
        pytest.fail(f"{what}: not reached by {MOST_TABS} tabs on {self.page.url}")

    def follow(self, what: str) -> None:
        """Go to a link or a button, and take it; returns on the next page."""
        self.go_to(what)
        with self.page.expect_navigation():
            self.press("Enter")

    def heading(self) -> str:
        return self.page.locator("h1").inner_text()


def seek(seat: Seat, frame: int) -> None:
    tens, ones = divmod(frame, 10)
    seat.press("Home", *["Shift+ArrowRight"] * tens, *["ArrowRight"] * ones)


def name(seat: Seat, label: str) -> None:
    seat.press(*seat.page.evaluate(LABEL_KEYS, label))


def mark(seat: Seat, stroke: Stroke) -> None:
    start, end, label = stroke
    seek(seat, start)
    seat.press("i")
    seek(seat, end - 1)
    seat.press("o")
    # The namer opens by itself once both bounds are there.
    seat.page.locator("#namer").wait_for()
    name(seat, label)
    seat.page.wait_for_function(
        "(label) => document.getElementById('said').textContent.startsWith(label)", arg=label
    )


def watch(seat: Seat) -> None:
    """See every frame: what full speed leaves out on a slow machine is looked at more slowly."""
    for speed in ("1", "2", "3", "4"):
        seat.press("g", speed, " ")
        seat.page.wait_for_function(
            "() => annotate.player.isPlaying || annotate.seen.missing === 0"
        )
        seat.page.wait_for_function(
            "() => annotate.seen.missing === 0 || annotate.player.state === 'still'"
        )
        if seat.page.evaluate("annotate.seen.missing") == 0:
            break
    if seat.page.evaluate("annotate.player.isPlaying"):
        seat.press(" ")


def do_video(
    seat: Seat,
    strokes_of: Callable[[str], list[Stroke]],
    slip: Callable[[int, Stroke], Stroke],
) -> None:
    """Mark the open video wholly, with what a person gets wrong, and say done."""
    seat.page.wait_for_function(READY)
    watch(seat)
    for number, stroke in enumerate(strokes_of(seat.page.url.rpartition("/")[2])):
        mark(seat, slip(number, stroke))
    seat.press("Shift+Enter")
    seat.page.wait_for_function(IS_SENT)


def strokes_of_assignment(
    project: Path, truth: dict[str, list[Stroke]], assignment: str
) -> list[Stroke]:
    """Pages are not told which video they show."""
    query = "SELECT video_id FROM assignment WHERE assignment_id = ?"
    with reading(project / MARKS) as db:
        return truth[db.execute(query, (assignment,)).fetchone()[0]]


def exactly(_: int, stroke: Stroke) -> Stroke:
    return stroke


def two_frames_late(_: int, stroke: Stroke) -> Stroke:
    start, end, label = stroke
    return start + 2, end + 2, label


def first_name_wrong(number: int, stroke: Stroke) -> Stroke:
    start, end, label = stroke
    return (start, end, LABELS[1] if label != LABELS[1] else LABELS[2]) if number == 0 else stroke


def settle_doubts(seat: Seat, truth: dict[str, list[Stroke]]) -> list[str]:
    """Decide on every doubt by what was really played; the titles of the doubts."""
    titles = []
    for _ in range(MOST_DOUBTS):
        seat.page.locator("#review:visible, #nothing:visible").first.wait_for()
        if seat.page.locator("#nothing").is_visible():
            return titles
        title, before = seat.page.locator("#item-title").inner_text(), shown(seat)
        titles.append(title)
        if seat.page.locator("#review").get_attribute("data-kind") == "negative":
            seat.press("y")
        else:
            seat.press(letter_of_truth(seat, truth) or "y")
        seat.page.wait_for_function(f"(before) => ({SHOWN}) !== before", arg=before)
    pytest.fail(f"doubts do not end: {titles}")


def shown(seat: Seat) -> str:
    return seat.page.evaluate(SHOWN)


def letter_of_truth(seat: Seat, truth: dict[str, list[Stroke]]) -> str | None:
    """The key of the mark whose name is the true one, if the annotators gave several names."""
    rows = seat.page.locator("#stack li").all()
    names = {row.locator(".what").inner_text(): row.locator(".letter").inner_text() for row in rows}
    if len(names) < 2:
        return None
    first = int(seat.page.locator("#mark-start").inner_text())
    video = seat.page.locator("#film-name").inner_text()
    _, _, label = min(truth[video], key=lambda stroke: abs(stroke[0] - first))
    return names[label].lower()


@contextmanager
def served(folder: Path, scripts: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`ttdata annotate FOLDER serve`; gives the teacher's first link."""
    command = ["ttdata", "annotate", str(folder), "serve", "--port", "0"]
    process = subprocess.Popen(
        command, env=scripts, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        lines, link = [], None
        for line in process.stdout:
            lines.append(line)
            link = re.search(r"http://\S+/setup/\S+", "".join(lines))
            if "Ctrl-C ends it" in line:
                break
        assert link, "".join(lines)
        yield link[0], process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def room(run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films of 4 s with two strokes each, in a project for two people a video."""
    folder = tmp_path_factory.mktemp("room")
    size = ("--videos", "2", "--players", "2", "--seconds", "4", "--fps", "30", "--size", "320x180")
    run("ttdata", "synth", folder / "films", *size, "--strokes", ",".join(LABELS))
    project, taxonomy = folder / "project", folder / "films" / "taxonomy.json"
    run("ttdata", "annotate", project, "init", "--taxonomy", taxonomy, "--golden-share", "0")
    run("ttdata", "annotate", project, "add", folder / "films")
    return folder


def true_strokes(films: Path) -> dict[str, list[Stroke]]:
    rows = pl.read_csv(films / "truth.csv").select(STROKES.names()).sort("video_id", "start_frame")
    found = {
        video: [(s, e, label) for _, s, e, label in part.iter_rows()]
        for (video,), part in rows.group_by("video_id", maintain_order=True)
    }
    assert [len(strokes) for strokes in found.values()] == [2, 2]
    return found


def test_from_the_first_start_to_the_dataset(room: Path, browser, run, scripts) -> None:
    truth = true_strokes(room / "films")
    strokes_of = partial(strokes_of_assignment, room / "project", truth)
    with served(room / "project", scripts) as (link, server):
        teacher = Seat.open(browser, link)
        set_up(teacher)
        ann, ben, cleo = (join(browser, path) for path in invite(teacher))
        do_video(ann, strokes_of, exactly)
        do_video(cleo, strokes_of, first_name_wrong)
        ann.follow("#next")
        do_video(ann, strokes_of, exactly)
        do_video(ben, strokes_of, two_frames_late)
        for seat in (ann, ben, cleo):
            seat.follow("#next")
            assert seat.heading() == "Nothing left to mark"
        cleo.follow("nav a[href='/review']")
        titles = settle_doubts(cleo, truth)
        assert "A stroke without an agreed name" in titles
        export = exported(teacher)
        for seat in (teacher, ann, ben, cleo):
            assert seat.problems == []
            assert seat.hosts == {link.split("/")[2]}
            seat.page.context.close()
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
    for source, name_ in ((export, "from_export"), (room / "project", "from_project")):
        run("ttdata", "curate", source, "--out", room / name_)
        check_dataset(room / name_, truth)


def set_up(teacher: Seat) -> None:
    assert teacher.heading() == "First start"
    teacher.go_to("input[name=password]")
    teacher.page.keyboard.type(PASSWORD)
    with teacher.page.expect_navigation():
        teacher.press("Enter")
    teacher.page.wait_for_url("**/teacher/start")


def invite(teacher: Seat) -> list[str]:
    """Two annotators by name, and one who settles doubts, too; their links."""
    teacher.go_to("textarea[name=names]")
    teacher.page.keyboard.type("Anna\nBenno")
    teacher.follow("form[data-post='/api/teacher/invitations'] button")
    teacher.follow("nav a[href='/teacher/people']")
    teacher.go_to("input[name=count]")
    teacher.press("Control+a", "1")
    teacher.go_to("select[name=role]")
    teacher.press("ArrowDown")
    teacher.follow("form[data-post='/api/teacher/invitations'] button")
    links = [text.strip() for text in teacher.page.locator(".invitations .link").all_inner_texts()]
    assert len(set(links)) == 3
    return links


def join(browser: Any, link: str) -> Seat:
    seat = Seat.open(browser, link)
    seat.follow("main button")
    seat.page.wait_for_url("**/annotate/*")
    return seat


def exported(teacher: Seat) -> Path:
    teacher.follow("nav a[href='/teacher/export']")
    teacher.follow("form[data-post='/api/teacher/exports'] button")
    folder = teacher.page.locator("td", has_text="/exports/").first.inner_text()
    return Path(folder)


def check_dataset(folder: Path, truth: dict[str, list[Stroke]]) -> None:
    """The same strokes as the truth: names, and bounds within 3 frames."""
    dataset = load_dataset(folder)
    clips = dataset.clips.filter(kind="stroke")
    found = clips.select(STROKES.names()).sort("video_id", "start_frame").rows()
    wanted = [(video, *stroke) for video, strokes in truth.items() for stroke in strokes]
    assert [(video, label) for video, _, _, label in found] == [
        (v, label) for v, _, _, label in wanted
    ]
    for (_, start, end, _), (_, true_start, true_end, _) in zip(found, wanted, strict=True):
        assert abs(start - true_start) <= NEAR_FRAMES
        assert abs(end - true_end) <= NEAR_FRAMES
