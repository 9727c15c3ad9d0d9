"""The desk at which reviewers sit: each gets the worst doubt that no other has in hand."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ttdata.annotate.project import Project
from ttdata.annotate.reviewing.doubts import Doubts, Stand, find_doubts, stand_of
from ttdata.annotate.reviewing.items import Item, Shown, items_of, shown_item
from ttdata.annotate.reviewing.verdicts import Verdict, reviewed_videos, rows_of
from ttdata.annotate.store.errors import Refused
from ttdata.annotate.store.rows import num_frames_of
from ttdata.annotate.work.visibility import blind_videos
from ttdata.errors import AnnotationError
from ttdata.review.ingest import add_decisions
from ttdata.settings import FrozenModel
from ttdata.storage.dataset import REVIEWS

LEASE_MS = 10 * 60_000


class Turn(FrozenModel):
    """What a reviewer looks at next."""

    shown: Shown | None
    """None where nothing is left for him now."""
    left: int
    """Doubts that nobody has settled, those in others' hands included."""


@dataclass(frozen=True)
class _Lease:
    person: str
    until: int


class ReviewDesk:
    """The doubts of an opened project; safe to use from all threads.

    They are found anew when finished work has changed, or when all that were known are settled.
    """

    def __init__(
        self, project: Project, clock: Callable[[], int] | None = None, lease_ms: int = LEASE_MS
    ) -> None:
        """A desk that has looked at nothing yet.

        Args:
            project: opened.
            clock: milliseconds; the project's by default.
            lease_ms: after so long without a sign of its reviewer an item is free again.
        """
        self._project = project
        self._clock = clock or project.marks.clock
        self._lease_ms = lease_ms
        self._lock = threading.Lock()
        self._stand: Stand | None = None
        self._doubts: Doubts | None = None
        self._open: dict[str, Item] = {}
        self._leases: dict[str, _Lease] = {}
        self._put_off: dict[str, set[str]] = {}
        self._undecided = False  # whether decisions came since the doubts were found
        # Apart from the rest: who asks for a video to mark does not wait until doubts are found.
        self._known_lock = threading.Lock()
        self._shown: dict[str, set[str]] = {}
        self._settled: dict[str, frozenset[str]] = {}
        self._settled_as_of: tuple[int, int] | None = None

    def turn(self, person: str) -> Turn:
        """The item that a reviewer has in hand, or the worst that nobody has; it is his for now.

        Items of videos that he is annotating himself are not shown to him: he works unseen marks.

        Raises:
            AnnotationError: if `reviews.csv` is damaged.
        """
        with self._lock:
            doubts = self._found()
            item = self._choose(person)
            if item is None:
                return Turn(shown=None, left=len(self._open))
            self._leases[item.item_id] = _Lease(person, self._clock() + self._lease_ms)
            self.note_shown(person, item.video_id)
            with self._project.marks.reading() as db:
                shown = shown_item(db, doubts, item)
            return Turn(shown=shown, left=len(self._open))

    def known_to(self, person: str) -> frozenset[str]:
        """The videos whose marks somebody knows: he settled doubts of them, or was shown marks.

        He is no independent witness any more: these are not for him to mark. A damaged
        `reviews.csv`, which the page for doubts tells, keeps nobody from marking.
        """
        with self._known_lock:
            self._read_settled()
            return self._settled.get(person, frozenset()) | self._shown.get(person, set())

    def note_shown(self, person: str, video_id: str) -> None:
        """Say that somebody sees others' marks of a video, here or on another page."""
        with self._known_lock:
            self._shown.setdefault(person, set()).add(video_id)

    def keep(self, person: str, item_id: str) -> bool:
        """Whether an item is still a reviewer's own; it is so for some minutes more."""
        with self._lock:
            if item_id not in self._open or not self._is_free_for(person, item_id):
                return False
            self._leases[item_id] = _Lease(person, self._clock() + self._lease_ms)
            return True

    def put_off(self, person: str, item_id: str) -> None:
        """Leave an item to others; its reviewer gets it again after all others."""
        with self._lock:
            lease = self._leases.get(item_id)
            if lease is not None and lease.person == person:
                del self._leases[item_id]
            if item_id in self._open:  # ids that are made up do not fill the memory
                self._put_off.setdefault(person, set()).add(item_id)

    def decide(self, person: str, verdict: Verdict) -> int:
        """Store a decision in the project's `reviews.csv`; returns how many rows it made.

        Raises:
            Refused: if the item is settled or in another's hands, or the decision does not fit it.
            AnnotationError: if `reviews.csv` is damaged.
        """
        with self._lock:
            doubts, item = self._found(), self._open.get(verdict.item_id)
            if item is None or doubts.tables is None:
                raise Refused("this doubt is settled already, or its marks have changed")
            if not self._is_free_for(person, verdict.item_id):
                raise Refused("somebody else is looking at this doubt now")
            with self._project.marks.reading() as db:
                num_frames = num_frames_of(db, item.video_id) or 0
            taxonomy = self._project.taxonomy
            taken = add_decisions(
                self._project.folder / REVIEWS,
                rows_of(verdict, item, num_frames, taxonomy, person),
                Path(REVIEWS),
                taxonomy=taxonomy,
                videos=doubts.tables.videos,
            )
            self._settle(verdict.item_id)
            return taken.taken

    def _read_settled(self) -> None:
        """Who settled doubts of what, anew where `reviews.csv` has changed."""
        path = self._project.folder / REVIEWS
        found = path.stat() if path.is_file() else None
        as_of = None if found is None else (found.st_mtime_ns, found.st_size)
        if as_of == self._settled_as_of:
            return
        self._settled = {}
        with suppress(AnnotationError):
            self._settled = reviewed_videos(path)
        self._settled_as_of = as_of

    def _settle(self, item_id: str) -> None:
        del self._open[item_id]
        self._leases.pop(item_id, None)
        self._undecided = True

    def _found(self) -> Doubts:
        """The doubts as of now."""
        stand = stand_of(self._project)
        if self._doubts is None or stand != self._stand or (self._undecided and not self._open):
            self._doubts, self._stand = find_doubts(self._project), stand
            self._open = {item.item_id: item for item in items_of(self._doubts)}
            self._leases = {k: v for k, v in self._leases.items() if k in self._open}
            self._undecided = False
        return self._doubts

    def _choose(self, person: str) -> Item | None:
        with self._project.marks.reading() as db:
            blind = blind_videos(db, person)
        free = [
            item
            for item in self._open.values()
            if item.video_id not in blind and self._is_free_for(person, item.item_id)
        ]
        held = [item for item in free if item.item_id in self._leases and self._is_live(item)]
        later = self._put_off.get(person, set())
        return _first(held) or _first(i for i in free if i.item_id not in later) or _first(free)

    def _is_live(self, item: Item) -> bool:
        return self._leases[item.item_id].until > self._clock()

    def _is_free_for(self, person: str, item_id: str) -> bool:
        lease = self._leases.get(item_id)
        return lease is None or lease.person == person or lease.until <= self._clock()


def _first(items: Iterable[Item]) -> Item | None:
    return next(iter(items), None)
