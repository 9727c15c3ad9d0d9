"""The live wall: what it shows, and whom it wakes."""

import asyncio
import threading

import pytest

from ttdata.annotate.people.directory import Person
from ttdata.annotate.server.wall import HERE_MS, Wall
from ttdata.annotate.store.events import MarkMade, Seen

HIT = "Offensive Forehand Hit"
ANN, BOB = (Person(pseudonym=name, role="annotator") for name in ("ann", "bob"))


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wall(clock: Clock) -> Wall:
    return Wall(clock)


def test_who_works_on_what(wall: Wall, clock: Clock, log) -> None:
    log.finish("a", "ann", 900, (100, 200, HIT))
    log.open("b", "ann", 910)
    log.send(MarkMade(start_frame=10), 911, assignment=910)
    log.send(MarkMade(start_frame=20), 912, assignment=910)
    wall.report("ann", 3, "b")
    state = wall.snapshot(log.db, [ANN, BOB])
    ann, bob = state.people
    assert state.at == clock.now
    assert (ann.is_here, ann.video, ann.marks, ann.unsent) == (True, "b", 2, 3)
    assert (ann.videos_done, ann.last_at) == (1, 0)
    assert (bob.is_here, bob.video, bob.last_at, bob.unsent) == (False, None, None, 0)
    assert (state.coverage.videos, state.coverage.begun) == (3, 2)


def test_who_is_not_heard_is_away(wall: Wall, clock: Clock, log) -> None:
    log.open("b", "ann", 910)
    wall.report("ann", 2, "b")
    clock.now += HERE_MS
    assert wall.snapshot(log.db, [ANN]).people[0].is_here
    clock.now += 1
    (ann,) = wall.snapshot(log.db, [ANN]).people
    # What was unsent is told also of one who is away: it waits in his browser.
    assert (ann.is_here, ann.video, ann.unsent) == (False, "b", 2)
    wall.leave("ann")
    assert wall.snapshot(log.db, [ANN]).people[0].unsent == 0


def test_a_video_that_is_not_ones_own_is_not_shown(wall: Wall, log) -> None:
    wall.report("ann", 0, "b")
    assert wall.snapshot(log.db, [ANN]).people[0].video is None


def test_only_the_moment_differs_where_nothing_happens(wall: Wall, clock: Clock, log) -> None:
    log.open("b", "ann", 910)
    before = wall.snapshot(log.db, [ANN])
    clock.now += 500
    after = wall.snapshot(log.db, [ANN])
    assert (before == after, before.content == after.content) == (False, True)
    log.send(Seen(spans=((0, 5),)), assignment=910)
    log.send(MarkMade(start_frame=10), 911, assignment=910)
    assert wall.snapshot(log.db, [ANN]).content != before.content


def test_watchers_are_woken_once_from_any_thread(wall: Wall) -> None:
    async def run() -> list[bool]:
        with wall.watching() as watcher:
            found = [await watcher.changed(0.01)]
            for _ in range(3):
                thread = threading.Thread(target=wall.touch)
                thread.start()
                thread.join()
            await asyncio.sleep(0)
            found += [await watcher.changed(5), await watcher.changed(0.01)]
            wall.report("ann", 1)
            found.append(await watcher.changed(5))
        wall.touch()  # nobody is there any more
        found.append(await watcher.changed(0.01))
        return found

    assert asyncio.run(run()) == [False, True, False, True, False]


def test_a_watcher_whose_loop_is_gone_hurts_nobody(wall: Wall) -> None:
    async def forget() -> None:
        wall.watching().__enter__()

    asyncio.run(forget())
    wall.touch()
