"""Every page of every role: no serious fault for those who cannot see or point, and no overflow.

With `TT_SCREENSHOTS=FOLDER` each page is also stored there as `<page>_<width>.png`, with larger
films.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "examples" / "annotate_demo"))
from annotators import Act, paced_acts
from browser import Browser, Film
from room import crowd_of_videos, make_project, place_of, serving, work_to_the_end

from ttdata.annotate.project import Project
from ttdata.synth.config import SynthConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SHOTS = os.environ.get("TT_SCREENSHOTS")
WIDE, NARROW = (1280, 900), (400, 800)
SERIOUS = {"serious", "critical"}
DRAWN = "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
PASSWORD = "a long password"
STILL = "() => globalThis.annotate?.player.state === 'still'"
PICTURE = "() => document.getElementById('film').readyState >= 2"
FILM_PAGES = {"review": PICTURE, "references": PICTURE}
"""What a page with a film waits for."""

# By the path of the route, as the application has it: role, name, and what is asked for.
PAGES: dict[str, tuple[str | None, str, str]] = {
    "/login": (None, "login", "/login"),
    "/join/{token}": (None, "join", "/join/{invitation}"),
    "/annotate/{assignment_id:uuid}": ("ann", "annotate", "/annotate/{open}"),
    "/annotate": ("ben", "nothing_left", "/annotate"),
    "/train": ("ann", "train", "/train"),
    "/train/{assignment_id:uuid}": ("ann", "train_clip", "/train/{practice}"),
    "/review": ("rex", "review", "/review"),
    "/references": ("rex", "references", "/references"),
    "/teacher": ("tess", "teacher_overview", "/teacher"),
    "/teacher/start": ("tess", "teacher_start", "/teacher/start"),
    "/teacher/people": ("tess", "teacher_people", "/teacher/people"),
    "/teacher/people/{pseudonym}": ("tess", "teacher_person", "/teacher/people/ann"),
    "/teacher/invitations": ("tess", "teacher_invitations", "/teacher/invitations"),
    "/teacher/videos": ("tess", "teacher_videos", "/teacher/videos"),
    "/teacher/videos/{position:int}": ("tess", "teacher_video", "/teacher/videos/1"),
    "/teacher/agreement": ("tess", "teacher_agreement", "/teacher/agreement"),
    "/teacher/export": ("tess", "teacher_export", "/teacher/export"),
    "/teacher/backups": ("tess", "teacher_backups", "/teacher/backups"),
}
MORE: dict[str, tuple[str | None, str]] = {
    "annotate_done": ("ann", "/annotate/{done}"),
    "refused": ("ann", "/nowhere"),
}
"""Further states of pages."""
NO_PAGES = {"/", "/setup/{token}", "/train/next"}
"""These lead elsewhere; the first start has a test of its own."""


@dataclass
class Room:
    """A served project in the middle of its work."""

    origin: str
    cookies: dict[str, dict[str, str]]
    places: dict[str, str]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SynthConfig]:
    """A demo's folder, whose films are larger for pictures that people look at."""
    size = {"width": 640, "height": 360} if SHOTS else {"width": 160, "height": 90}
    made = SynthConfig.model_validate(
        {
            **size,
            "fps": 30,
            "num_videos": 6,
            "num_players": 6,
            "seconds": 7,
            "seed": 4,
            "crowd": {"single_share": 0, "partial_share": 0, "wrong_label_rate": 0.15},
        }
    )
    folder = tmp_path_factory.mktemp("pages")
    (folder / "synth.json").write_text(made.model_dump_json())
    make_project(folder, folder / "synth.json")
    return folder, made


@pytest.fixture(scope="module")
def room(config: tuple[Path, SynthConfig]) -> Iterator[Room]:
    """Ben has marked all that was for him, Ann is in the middle of it, Rex has doubts to settle."""
    folder, made = config
    with Project(folder / "project") as project:
        project.people.add("tess", "teacher", password=PASSWORD)
        for name, role in (("ann", "annotator"), ("ben", "annotator"), ("rex", "reviewer")):
            project.people.add(name, role, name={"ann": "Anna"}.get(name))
        with serving(project, 0) as (origin, _):
            yield fill(project, origin, made)


def fill(project: Project, origin: str, made: SynthConfig) -> Room:
    names = [f"video_{number:04}" for number in range(made.num_videos)]
    crowd = crowd_of_videos(made, names)
    cookies, places = {}, {}
    people = {name: Browser(origin, pace=1e6) for name in ("ann", "ben", "rex")}
    for name, person in people.items():
        person.join(f"/join/{project.people.invite(name)}")
        cookies[name] = dict(person.http.cookies)
    work_to_the_end(people["ben"], 1, crowd, project.folder)
    for _ in range(2):
        film = begin(people["ann"])
        people["ann"].work(film, acts_of(film, crowd, project.folder))
        places["done"] = film.assignment
    film = begin(people["ann"])
    acts = list(acts_of(film, crowd, project.folder))
    people["ann"].work(film, acts[: 2 * len(acts) // 3])
    places["open"] = film.assignment
    answer = people["ann"].http.get("/train/next")
    places["practice"] = answer.headers["location"].rpartition("/")[2]
    with closing(Browser(origin)) as teacher:
        teacher.post("/login", {"name": "tess", "password": PASSWORD})
        cookies["tess"] = dict(teacher.http.cookies)
        teacher.post("/api/teacher/invitations", {"names": "Carla\nDan"})
        teacher.post("/api/teacher/exports", {})
        teacher.post("/api/teacher/backups", {})
        shown = teacher.http.get("/teacher/invitations").text
    places["invitation"] = re.findall(r"/join/([\w-]+)", shown)[0]
    for person in people.values():
        person.close()
    return Room(origin, cookies, places)


def begin(person: Browser) -> Film:
    found = person.open_next()
    assert found is not None
    return found


def acts_of(film: Film, crowd: Any, project: Path) -> Iterator[Act]:
    position = place_of(project, film.assignment)
    strokes = crowd[position][0]
    return paced_acts(strokes, film.num_frames, film.fps, np.random.default_rng(position))


def open_as(browser: Any, room: Room, who: str | None, path: str, size: tuple[int, int]) -> Any:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    if who is not None:
        context.add_cookies(
            [{"name": n, "value": v, "url": room.origin} for n, v in room.cookies[who].items()]
        )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(room.origin + path.format(**room.places))
    return page


def settle(page: Any, name: str) -> None:
    """Wait until a page shows what it is for."""
    if name.startswith(("annotate", "train_clip")):
        page.wait_for_function(STILL)
    elif name in FILM_PAGES:
        page.wait_for_function(FILM_PAGES[name])


def all_pages() -> list[tuple[str, str | None, str]]:
    found = [(name, who, path) for who, name, path in PAGES.values()]
    return found + [(name, who, path) for name, (who, path) in MORE.items()]


@pytest.mark.parametrize(("name", "who", "path"), all_pages(), ids=[p[0] for p in all_pages()])
def test_a_page_has_no_serious_fault(browser, room: Room, name: str, who: str, path: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_as(browser, room, who, path, WIDE)
    settle(page, name)
    shoot(page, f"{name}_{WIDE[0]}")
    assert faults(axe, page) == []
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    page.evaluate(DRAWN)
    shoot(page, f"{name}_{NARROW[0]}")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
    assert faults(axe, page) == []
    page.context.close()


@pytest.mark.parametrize(
    ("name", "who", "path"), [("annotate", "ann", "/annotate/{open}"), ("review", "rex", "/review")]
)
def test_the_list_of_keys_has_none_either(
    browser, room: Room, name: str, who: str, path: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_as(browser, room, who, path, WIDE)
    settle(page, name)
    page.keyboard.press("?")
    page.locator("#help").wait_for()
    shoot(page, f"{name}_keys_{WIDE[0]}")
    assert faults(axe, page) == []
    page.context.close()


def test_naming_a_stroke_has_none_either(browser, room: Room) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_as(browser, room, "ann", "/annotate/{open}", WIDE)
    settle(page, "annotate")
    for key in ("n", "n", "t", "o"):
        page.keyboard.press(key)
    page.locator("#namer-title", has_text="Offensive").wait_for()
    page.wait_for_function(STILL)
    for size in (WIDE, NARROW):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.evaluate(DRAWN)
        shoot(page, f"annotate_naming_{size[0]}")
        assert faults(axe, page) == []
    page.context.close()


def test_a_window_that_becomes_narrow_shows_the_same_frames(browser, room: Room) -> None:
    in_sight = """() => {
      const { timeline } = review.stage, { width } = timeline.canvas.getBoundingClientRect();
      return [timeline.frameAt(0.5), timeline.frameAt(width - 0.5), width];
    }"""
    page = open_as(browser, room, "rex", "/review", WIDE)
    settle(page, "review")
    *wide, before = page.evaluate(in_sight)
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    page.wait_for_function(f"(before) => ({in_sight})()[2] < before", arg=before)
    page.evaluate(DRAWN)
    assert page.evaluate(in_sight)[:2] == wide
    page.context.close()


def test_the_first_start_has_none(
    browser, tmp_path: Path, config: tuple[Path, SynthConfig]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    folder = shutil.copytree(
        config[0] / "project", tmp_path / "project", ignore=shutil.ignore_patterns("people*")
    )
    with Project(folder) as project, serving(project, 0) as (origin, setup):
        room = Room(origin, {}, {})
        for path, name in ((setup, "setup"), ("/login", "login_first_start")):
            page = open_as(browser, room, None, path, WIDE)
            shoot(page, f"{name}_{WIDE[0]}")
            assert faults(axe, page) == []
            page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
            shoot(page, f"{name}_{NARROW[0]}")
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
            page.context.close()


def test_every_page_is_looked_at(config: tuple[Path, SynthConfig], tmp_path: Path) -> None:
    """A new page that is not listed here fails."""
    from ttdata.annotate.server.app import create_app
    from ttdata.annotate.server.settings import ServeSettings

    folder = shutil.copytree(config[0] / "project", tmp_path / "project")
    with Project(folder) as project:
        app = create_app(project, ServeSettings(port=8000))
    found, waiting = set(), list(app.routes)
    while waiting:
        route = waiting.pop()
        if inner := getattr(route, "original_router", None):
            waiting += inner.routes
        elif "GET" in route.methods:
            found.add(route.path)
    others = {
        p for p in found if p.startswith(("/api/", "/films/", "/static/")) or p.endswith(".svg")
    }
    assert found - others - NO_PAGES == set(PAGES)


def faults(axe: Any, page: Any) -> list[str]:
    """What axe-core calls serious or critical: the rule and the first place."""
    found = axe.run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found
        if each["impact"] in SERIOUS
    ]


def shoot(page: Any, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)
