"""How far a project is: who has which video, and how many are done by enough people."""

import sqlite3
from typing import Literal

from ttdata.annotate.store.states import Purpose
from ttdata.settings import FrozenModel


class VideoWork(FrozenModel):
    """One person's work on one video, in numbers."""

    assignment_id: str
    person: str
    purpose: Purpose
    state: Literal["open", "done"]
    marks: int
    """That stand."""
    times_reopened: int


class VideoCoverage(FrozenModel):
    """A video, and who works or worked on it, in the order in which they began."""

    position: int
    """Stable, from 1 on: what addresses of pages say."""
    video_id: str
    fps: float
    num_frames: int
    golden: bool
    training: bool = False
    """A golden clip that people practise on: it scores nobody unawares."""
    work: tuple[VideoWork, ...] = ()

    @property
    def kind(self) -> str:
        """What it is for, in words."""
        if not self.golden:
            return "to mark"
        return "golden clip, to practise" if self.training else "golden clip"

    @property
    def counted(self) -> tuple[VideoWork, ...]:
        """Without training, which covers nothing."""
        return tuple(work for work in self.work if work.purpose != "training")

    @property
    def done(self) -> int:
        """How many people have done it."""
        return sum(work.state == "done" for work in self.counted)

    @property
    def opened(self) -> int:
        """How many people have opened it, done or not."""
        return len(self.counted)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.num_frames / self.fps


class Coverage(FrozenModel):
    """The videos that are to be annotated, golden clips apart."""

    videos: int
    done: int
    """By as many people as the project wants, or more."""
    begun: int
    """That somebody has opened, and that are not done by enough people."""
    marks: int
    """All marks that stand in them."""


def read_videos(connection: sqlite3.Connection) -> tuple[VideoCoverage, ...]:
    """All videos in the order of adding, golden ones too.

    Args:
        connection: to the project's database.
    """
    work: dict[str, list[VideoWork]] = {}
    names = ("assignment_id", "person", "purpose", "state", "times_reopened", "marks")
    for video_id, *values in connection.execute(
        "SELECT video_id, assignment_id, person, purpose, state, times_reopened, "
        "(SELECT count(*) FROM mark WHERE mark.assignment_id = assignment.assignment_id "
        "AND NOT removed) FROM assignment ORDER BY opened_seq"
    ):
        row = dict(zip(names, values, strict=True))
        work.setdefault(video_id, []).append(VideoWork.model_validate(row))
    rows = connection.execute(
        "SELECT position, video_id, fps, num_frames, golden, training FROM video ORDER BY position"
    )
    return tuple(
        VideoCoverage(
            position=position,
            video_id=video_id,
            fps=fps,
            num_frames=num_frames,
            golden=bool(golden),
            training=bool(training),
            work=tuple(work.get(video_id, ())),
        )
        for position, video_id, fps, num_frames, golden, training in rows
    )


def coverage_of(videos: tuple[VideoCoverage, ...], annotators_per_video: int) -> Coverage:
    """How many of the videos are done by enough people.

    Args:
        videos: as `read_videos` returns them.
        annotators_per_video: how many are enough.
    """
    ordinary = [video for video in videos if not video.golden]
    enough = [video for video in ordinary if video.done >= annotators_per_video]
    return Coverage(
        videos=len(ordinary),
        done=len(enough),
        begun=sum(video.opened > 0 for video in ordinary if video not in enough),
        marks=sum(work.marks for video in ordinary for work in video.counted),
    )
