"""A project of synthetic videos with three simulated annotators at work, for a teacher to watch.

    python examples/annotate_demo/room.py [FOLDER] [--port N] [--pace F] [--until-done]

The first call makes the videos and the project (about a minute). Then the server starts and a link
for the teacher is printed. The annotators come in by invitations and work at a human's pace through
the routes that the pages use; with `--pace 5` five times as fast. Ctrl-C ends it, a later call goes
on. `--until-done` ends by itself when nothing is left to mark.
"""

import argparse
import itertools
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from annotators import Stroke, crowd_strokes, paced_acts
from browser import Browser, Stopped

from ttdata.annotate.project import Project
from ttdata.annotate.server.app import create_app
from ttdata.annotate.server.run import listen, make_server
from ttdata.annotate.server.settings import LOOPBACK, ServeSettings
from ttdata.annotate.store.database import reading
from ttdata.annotate.work.videos import list_videos
from ttdata.commands.annotate import run_add, run_init
from ttdata.commands.notes import Note
from ttdata.commands.synth import run_synth
from ttdata.sources.formats.annotation_project import MARKS
from ttdata.synth.config import SynthConfig
from ttdata.synth.plan import plan_video

HERE = Path(__file__).parent
Crowd = Mapping[int, Sequence[Sequence[Stroke]]]
"""By position of a video in the project: what each of its annotators would mark."""
NAMES = ("ann", "ben", "cleo")
NUM_GOLDEN, GOLDEN_SHARE = 2, 0.3
_TRUTH = "truth.csv"
_LOOK_SECONDS = 0.2
"""Short sleeps: polars makes system calls go on after Ctrl-C, so that a long one would not end."""


def make_project(folder: Path, config_path: Path) -> SynthConfig:
    """Synthetic videos and a project of them; what is there stays.

    The last two videos are golden clips: one to score people by, one to practise on.
    """
    films, golden, project = folder / "films", folder / "golden", folder / "project"
    config = run_synth(films, config_path)
    if project.is_dir():
        return config
    videos = sorted((films / "videos").glob("*.mp4"))
    ordinary, known = videos[:-NUM_GOLDEN], videos[-NUM_GOLDEN:]
    (golden / "videos").mkdir(parents=True, exist_ok=True)
    for video in known:
        shutil.copyfile(video, golden / "videos" / video.name)
    header, *rows = (films / _TRUTH).read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if row.partition(",")[0] in {video.stem for video in known}]
    (golden / _TRUTH).write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")
    # Under another name until it is whole: a demo that is ended here begins anew.
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    made = (
        run_init(unfinished, str(films / "taxonomy.json"), 2, GOLDEN_SHARE),
        run_add(unfinished, ordinary),
        run_add(unfinished, [golden], golden=True),
    )
    for line in itertools.chain.from_iterable(made):
        if isinstance(line, Note):
            print(line)
    unfinished.rename(project)
    print(f"{project}: {len(ordinary)} videos, {len(known)} golden clips")
    return config


def crowd_of_videos(config: SynthConfig, video_ids: Sequence[str]) -> Crowd:
    """What a crowd would mark in synthetic videos.

    Args:
        config: that the videos are made by.
        video_ids: in the order in which they were added to the project.
    """
    planned = [plan_video(config, number) for number in range(config.num_videos)]
    plans = {plan.video_id: plan for plan in planned}
    return {place: crowd_strokes(plans[name]) for place, name in enumerate(video_ids, 1)}


def video_ids_of(project: Project) -> list[str]:
    """The videos of a project in the order of adding."""
    with project.marks.reading() as db:
        return [video.video_id for video in list_videos(db)]


def invited(project: Project, name: str) -> str:
    """The path of a new invitation of a person, who is added where he is new."""
    if project.people.find(name) is None:
        project.people.add(name, "annotator")
    return f"/join/{project.people.invite(name)}"


def place_of(project: Path, assignment: str) -> int:
    """The position of an assignment's video: pages are not told it, for the golden clips' sake.

    Args:
        project: its folder; it may be open elsewhere.
        assignment: that a page shows.
    """
    query = "SELECT position FROM assignment JOIN video USING (video_id) WHERE assignment_id = ?"
    with reading(project / MARKS) as db:
        return int(db.execute(query, (assignment,)).fetchone()[0])


def work_to_the_end(browser: Browser, number: int, crowd: Crowd, project: Path) -> int:
    """One annotator until nothing is left for him; how many videos he has done.

    Args:
        browser: that he is logged in with.
        number: which of the annotators he is.
        crowd: of all videos.
        project: the folder.
    """
    done = 0
    while (film := browser.open_next()) is not None:
        browser.clear(film)
        position = place_of(project, film.assignment)
        draw = np.random.default_rng([number, position])
        people = crowd[position]
        strokes = people[number % len(people)]
        browser.work(film, paced_acts(strokes, film.num_frames, film.fps, draw))
        done += 1
    return done


@contextmanager
def serving(project: Project, port: int) -> Iterator[tuple[str, str | None]]:
    """Serve a project in a thread; gives the origin, and the path of the first teacher's link."""
    with closing(listen(LOOPBACK, port)) as listening:
        settings = ServeSettings(port=listening.getsockname()[1])
        app = create_app(project, settings)
        server = make_server(app, settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            token = app.state.context.first_start.token
            yield settings.origin, None if token is None else f"/setup/{token}"
        finally:
            server.should_exit = True
            thread.join()


class Annotator(threading.Thread):
    """One simulated annotator at work; `problem` says why he could not go on."""

    def __init__(
        self, project: Project, name: str, number: int, browser: Browser, crowd: Crowd
    ) -> None:
        super().__init__(name=name)
        self.project, self.link = project.folder, invited(project, name)
        self.number, self.browser, self.crowd = number, browser, crowd
        self.problem: str | None = None

    def run(self) -> None:
        """Come in and work to the end, or until the demo ends."""
        with closing(self.browser):
            try:
                self.browser.join(self.link)
                done = work_to_the_end(self.browser, self.number, self.crowd, self.project)
                print(f"{self.name}: nothing left to mark, {done} videos done", flush=True)
            except Stopped:
                pass
            except Exception as error:
                self.problem = str(error)
                print(f"{self.name}: {error}", flush=True)


def main() -> int:
    """Make, serve, work; 1 if an annotator could not go on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("annotate_demo"))
    parser.add_argument("--port", type=int, default=8000, help="0: any free one")
    parser.add_argument("--pace", type=float, default=1.0, help="times faster than a person")
    parser.add_argument("--config", type=Path, default=HERE / "synth.json")
    parser.add_argument("--until-done", action="store_true")
    options = parser.parse_args()
    config = make_project(options.folder, options.config)
    stop = threading.Event()
    with (
        Project(options.folder / "project") as project,
        serving(project, options.port) as (origin, setup),
    ):
        crowd = crowd_of_videos(config, video_ids_of(project))
        people = [
            Annotator(project, name, n, Browser(origin, options.pace, stop), crowd)
            for n, name in enumerate(NAMES)
        ]
        print(
            f"for the teacher, who chooses a password there: {origin}{setup}"
            if setup
            else f"for the teacher, who has a password: {origin}/login"
        )
        print(f"{', '.join(NAMES)} are at work; Ctrl-C ends the demo", flush=True)
        try:
            for person in people:
                person.start()
            while any(person.is_alive() for person in people):
                time.sleep(_LOOK_SECONDS)
            if not options.until_done:
                print("all is marked; the server runs on until Ctrl-C", flush=True)
            while not options.until_done:
                time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            pass
        finally:
            stop.set()
            for person in people:
                person.join()
    print(f"ended; go on with: ttdata annotate {options.folder / 'project'} serve", flush=True)
    return int(any(person.problem for person in people))


if __name__ == "__main__":
    sys.exit(main())
