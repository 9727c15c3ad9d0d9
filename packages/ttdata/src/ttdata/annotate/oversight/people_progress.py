"""How far each person is, how long it took, how well he does on golden clips."""

from collections.abc import Mapping

from ttdata.annotate.oversight.activity import PersonActivity
from ttdata.annotate.oversight.coverage import VideoCoverage, read_videos
from ttdata.annotate.people.accounts import Account, read_accounts
from ttdata.annotate.project import Project
from ttdata.annotate.work.golden import Score, score_person
from ttdata.settings import FrozenModel


class PersonProgress(FrozenModel):
    """A person's work in numbers; training is not counted."""

    pseudonym: str
    account: Account | None
    """Null of people whose finished work was brought in from elsewhere."""
    videos_done: int
    videos_open: int
    golden_done: int
    """Of the videos done, how many are golden clips."""
    marks: int
    """That stand."""
    spent_ms: int
    """Time at videos, without pauses of more than two minutes."""
    golden: Score
    practice: Score
    """Of the golden clips that he practised on, with the truth shown."""


def read_people(
    project: Project, activity: Mapping[str, PersonActivity]
) -> tuple[PersonProgress, ...]:
    """All who have an account or finished work, by their pseudonyms.

    Args:
        project: opened.
        activity: what each did, as `Activity.read` returns it.
    """
    accounts = {account.person.pseudonym: account for account in read_accounts(project.people)}
    with project.marks.reading() as db:
        videos = read_videos(db)
        workers = {work.person for video in videos for work in video.work}
        return tuple(
            _progress(
                name,
                accounts.get(name),
                videos,
                activity.get(name, PersonActivity()),
                (score_person(db, name), score_person(db, name, training=True)),
            )
            for name in sorted(workers | accounts.keys())
        )


def _progress(
    name: str,
    account: Account | None,
    videos: tuple[VideoCoverage, ...],
    activity: PersonActivity,
    scores: tuple[Score, Score],
) -> PersonProgress:
    own = [(video, work) for video in videos for work in video.counted if work.person == name]
    done = [video for video, work in own if work.state == "done"]
    return PersonProgress(
        pseudonym=name,
        account=account,
        videos_done=len(done),
        videos_open=len(own) - len(done),
        golden_done=sum(video.golden for video in done),
        marks=sum(work.marks for _, work in own),
        spent_ms=activity.spent_ms,
        golden=scores[0],
        practice=scores[1],
    )
