"""Which video a person gets next: enough independent people a video, the least covered first."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from uuid import uuid4

from ttdata.annotate.store.events import AssignmentOpened, Event
from ttdata.annotate.store.mark_store import MarkStore
from ttdata.annotate.store.rows import assignments_of
from ttdata.annotate.store.states import AssignmentState

_BLOCK = 10
"""Golden clips are dealt per so many videos of a person."""


@dataclass(frozen=True)
class _Covered:
    position: int
    golden: bool
    done: int
    opened: int


def next_video(
    connection: sqlite3.Connection,
    person: str,
    *,
    annotators_per_video: int = 2,
    golden_share: float = 0.1,
    not_these: Container[str] = (),
) -> str | None:
    """The video that a person should open next; the same for the same state of the project.

    His own open one first; else a golden clip where it is its turn; else of the videos that fewer
    than enough people have done, the one that the fewest have opened, in the order of adding. A
    video that somebody opened and never finished is so given to another person in the end.

    Args:
        connection: to the project's database.
        person: a pseudonym.
        annotators_per_video: how many are enough.
        golden_share: of golden clips among the videos that a person gets.
        not_these: videos that he has not begun and must not: he knows others' marks of them.

    Returns:
        A video's id; None where nothing is left for this person.
    """
    own = connection.execute(
        "SELECT video_id, state, golden FROM assignment JOIN video USING (video_id) "
        "WHERE person = ? AND purpose = 'annotate' ORDER BY opened_seq",
        (person,),
    ).fetchall()
    for video_id, state, _ in own:
        if state == "open":
            return str(video_id)
    had = {row[0] for row in _all_of(connection, person)}
    free = {
        name: found
        for name, found in _covered(connection).items()
        if name not in had and name not in not_these
    }
    golden = {name: found for name, found in free.items() if found.golden}
    if golden and _is_golden_turn(person, [bool(row[2]) for row in own], golden_share):
        return _least(golden)
    needed = {
        name: found
        for name, found in free.items()
        if not found.golden and found.done < annotators_per_video
    }
    return _least(needed) if needed else None


def open_next(
    store: MarkStore,
    person: str,
    *,
    annotators_per_video: int = 2,
    golden_share: float = 0.1,
    not_these: Container[str] = (),
) -> AssignmentState | None:
    """The work that a person goes on with, opened where it is new; None where nothing is left.

    Choosing and opening are one step, so two who ask at once do not get in each other's way.

    Args:
        store: of the project.
        person: a pseudonym.
        annotators_per_video: as in `next_video`.
        golden_share: as in `next_video`.
        not_these: as in `next_video`.
    """

    def job(db: sqlite3.Connection) -> AssignmentState | None:
        video_id = next_video(
            db,
            person,
            annotators_per_video=annotators_per_video,
            golden_share=golden_share,
            not_these=not_these,
        )
        if video_id is None:
            return None
        if own := assignments_of(db, person=person, video_id=video_id):
            return own[0]
        name = str(uuid4())
        body = AssignmentOpened(video_id=video_id)
        opened = Event(uuid=name, person=person, assignment=name, body=body)
        return store.append_within(db, opened).assignment

    return store.write(job)


def _all_of(connection: sqlite3.Connection, person: str) -> list[tuple[str]]:
    query = "SELECT video_id FROM assignment WHERE person = ?"
    return connection.execute(query, (person,)).fetchall()


def _covered(connection: sqlite3.Connection) -> dict[str, _Covered]:
    """By video, how many people have done it, or have opened it at all.

    Training is no work; a clip for training is given to nobody unawares.
    """
    counts: dict[str, Counter[str]] = {}
    for video_id, state in connection.execute(
        "SELECT video_id, state FROM assignment WHERE purpose <> 'training'"
    ):
        counts.setdefault(video_id, Counter())[state] += 1
    query = "SELECT video_id, position, golden FROM video WHERE NOT training"
    rows = connection.execute(query).fetchall()
    found = {}
    for video_id, position, golden in rows:
        of_video = counts.get(video_id, Counter())
        found[video_id] = _Covered(position, bool(golden), of_video["done"], of_video.total())
    return found


def _least(videos: dict[str, _Covered]) -> str:
    return min(videos, key=lambda n: (videos[n].opened, videos[n].done, videos[n].position))


def _is_golden_turn(person: str, golden: list[bool], share: float) -> bool:
    """Whether the next of a person's videos is a golden one.

    Of each ten a fixed number are, at places that differ from person to person and from ten to ten,
    so that nobody can count to them. Golden clips that were missed, as there was none, are not
    made up for.

    Args:
        person: the pseudonym.
        golden: of the videos he had, in order, whether they were golden.
        share: the share that should be.
    """
    block, place = divmod(len(golden), _BLOCK)
    # 0.25 of ten are 2 in even blocks and 3 in odd ones: shares hold in the long run.
    wanted = int((block + 1) * _BLOCK * share + 0.5) - int(block * _BLOCK * share + 0.5)
    order = sorted(range(_BLOCK), key=lambda n: _draw(person, block, n))
    return place in order[:wanted]


def _draw(person: str, block: int, place: int) -> bytes:
    return hashlib.sha256(f"{person}\0{block}\0{place}".encode()).digest()
