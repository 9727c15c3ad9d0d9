"""The timeline of a graded session: which strokes, at which grades, how long each phase."""

from collections.abc import Iterator

import numpy as np

from ttdata.synth.config import SynthConfig
from ttdata.synth.graded.grade import Grade, GradeKind, Levels
from ttdata.synth.players import Player
from ttdata.synth.strokes import moment_shares
from ttdata.synth.timeline import Event, Timeline
from ttdata.taxonomy import TTSTROKE21

_CLASS, _HABIT, _DAY, _TASKS, _STROKES = 70, 71, 72, 73, 74  # streams of random numbers
_LEVELS: tuple[GradeKind, ...] = (
    *("amplitude", "backswing_time", "forward_time", "follow_time"),
    *("turn", "height"),
)
_SECONDS = (1.0, 1.4)
"""A stroke at grade 1 and tempo 1."""
_HABIT_SPREAD, _DAY_SPREAD, _STROKE_SPREAD = 0.06, 0.02, 0.05
"""Of the logarithm of a phase's duration: between players, sessions, strokes (`variation` 1)."""
_LEAST_SECONDS = 0.08
"""No phase is shorter."""
_REST_SECONDS = (0.5, 1.1)
_EDGE_SECONDS = 1.0
"""Before the first stroke and after the last."""

Task = tuple[str, GradeKind, Levels]


def plan_graded(config: SynthConfig, index: int, visit: int, player: Player) -> Timeline:
    """The strokes of one video of a graded session, in random order, with rests between.

    Args:
        config: the source's configuration.
        index: the video's number.
        visit: how many videos the player was in before.
        player: as he is in this session.
    """
    session, part = divmod(visit, config.grades.videos_per_session)
    tasks = session_tasks(config, player, session)[part :: config.grades.videos_per_session]
    draw = np.random.default_rng([config.seed, _STROKES, index])
    fps = config.fps
    rests = draw.uniform(*_REST_SECONDS, len(tasks))
    rests[:1] = _EDGE_SECONDS
    events, end = [], 0
    for rest, (label, kind, levels) in zip(rests, tasks, strict=True):
        phases = _phase_seconds(config, player, session, label, levels, draw)
        frames = (max(1, round(seconds * fps)) for seconds in (float(rest), *phases))
        ready, backswing, contact, stop = (int(k) for k in np.cumsum([end, *frames])[1:])
        grade = Grade(kind, levels, (ready, backswing, contact, stop), moment_shares(label))
        events.append(Event("rest", 0, end, ready))
        events.append(Event("stroke", 0, ready, stop, label, grade))
        end = stop
    events.append(Event("rest", 0, end, end + max(1, round(_EDGE_SECONDS * fps))))
    return Timeline(tuple(events))


def session_tasks(config: SynthConfig, player: Player, session: int) -> list[Task]:
    """Every stroke of a player's session in the order in which he plays them: class and grade.

    Args:
        config: the source's configuration.
        player: who plays.
        session: his first is 0.
    """
    draw = np.random.default_rng([config.seed, _TASKS, player.index, session])
    tasks = [task for label in config.strokes for task in _tasks(config, label, session, draw)]
    return [tasks[place] for place in draw.permutation(len(tasks))]


def _tasks(
    config: SynthConfig, label: str, session: int, draw: np.random.Generator
) -> Iterator[Task]:
    grades = config.grades
    references = grades.references if session < grades.reference_sessions else 0
    for _ in range(references):
        yield label, "reference", Levels()
    for _ in range(grades.unchanged):
        yield label, "unchanged", Levels()
    ranges = {kind: getattr(grades, kind) for kind in _LEVELS if getattr(grades, kind)}
    for kind, values in ranges.items():
        for value in values:
            for _ in range(grades.graded):
                yield label, kind, Levels(**{kind: value})
    for _ in range(grades.mixed):
        yield (
            label,
            "mixed",
            Levels(**{kind: _between(kind, ranges[kind], draw) for kind in ranges}),
        )


def _between(kind: GradeKind, values: tuple[float, ...], draw: np.random.Generator) -> float:
    """A grade between the extremes of its levels and grade 1, factors by their logarithms."""
    if kind == "height":
        return float(draw.uniform(min(*values, 0.0), max(*values, 0.0)))
    return float(np.exp(draw.uniform(*np.log([min(*values, 1.0), max(*values, 1.0)]))))


def _phase_seconds(
    config: SynthConfig,
    player: Player,
    session: int,
    label: str,
    levels: Levels,
    draw: np.random.Generator,
) -> tuple[float, ...]:
    """How long the phases last: the class's, in the player's manner, of that day, this time."""
    number = [stroke.label for stroke in TTSTROKE21.strokes].index(label)
    seconds = np.random.default_rng([config.seed, _CLASS, number]).uniform(*_SECONDS)
    phases = np.diff(moment_shares(label)) * seconds / player.tempo
    habit = np.random.default_rng([config.seed, _HABIT, player.index, number]).normal(size=3)
    day = np.random.default_rng([config.seed, _DAY, player.index, session, number]).normal(size=3)
    spread = _DAY_SPREAD * config.grades.session_spread
    stroke = _STROKE_SPREAD * config.grades.variation * draw.normal(size=3)
    factors = (levels.backswing_time, levels.forward_time, levels.follow_time)
    wanted = phases * factors * np.exp(_HABIT_SPREAD * habit + spread * day + stroke)
    return tuple(float(value) for value in np.maximum(wanted, _LEAST_SECONDS))
