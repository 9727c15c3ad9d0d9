"""Strokes of a class against its references (specification 7.5)."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tttrain.quality.comparable import (
    REPEATED,
    camera_notes,
    camera_problem,
    chance_of,
    hidden,
    least_deviation,
    usable_deviation,
)
from tttrain.quality.consistency import by_number
from tttrain.quality.document import Measured, PhaseQuality, ReferenceClass, StrokeQuality
from tttrain.quality.landmarks import Floats, StrokeSignal
from tttrain.quality.measures import (
    MEASURES,
    Model,
    Values,
    build_model,
    known_signal,
    measure,
    template,
)
from tttrain.quality.reference import (
    FEWEST_REFERENCES,
    NOMINAL,
    at_least,
    distance,
    shrunk_correlation,
)
from tttrain.quality.strokes import Stroke
from tttrain.quality.teacher.marks import Marks
from tttrain.quality.timing.moments import (
    MOMENTS,
    PHASES,
    Moments,
    carry_moments,
)
from tttrain.quality.words import ANOTHER_PLAYER, ONE_SESSION, UNKNOWN_SESSIONS, words

OVERALL = tuple(
    (phase, name)
    for phase in PHASES[:3]
    for name in ("duration_s", "gain", "wrist_x", "wrist_y", "peak_speed", "trunk_turn")
)
"""What the overall distance is made of."""
_DIGITS = 6


def judge_class(
    strokes: Sequence[Stroke], marks: Mapping[str, Marks], player_id: str | None = None
) -> tuple[list[StrokeQuality], ReferenceClass]:
    """Measure the strokes of a class, and compare them with its references.

    Args:
        strokes: of one class, the references among them.
        marks: of the references, by clip.
        player_id: where each player is compared with his own references.

    Returns:
        One result per stroke in the same order, and the references.
    """
    chosen = [item for item in strokes if item.row["clip_id"] in marks]
    label = strokes[0].row["label"]
    clip_ids = tuple(item.row["clip_id"] for item in chosen)
    if len(chosen) < FEWEST_REFERENCES:
        refused = _too_few(label, len(chosen), player_id)
        results = [_refused(item, item.problem or refused, marks) for item in strokes]
        sessions = _in_order(item.session for item in chosen)
        return results, ReferenceClass(label=label, player_id=player_id, clip_ids=clip_ids,
            sessions=sessions, cannot_tell=refused, spreads={})  # fmt: skip
    model = build_model(chosen, marks)
    found = _measured(strokes, marks, model)
    told = ReferenceClass(
        label=label,
        player_id=player_id,
        clip_ids=clip_ids,
        sessions=_in_order(model.sessions),
        cannot_tell=_sessions_problem(model),
        spreads=model.spreads(),
    )
    return found, told


def _in_order(sessions: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(sessions), key=lambda name: (by_number(name), name)))


def _sessions_problem(model: Model) -> str | None:
    """Why the references do not tell what is unusual; None: they do."""
    if not model.one_session:
        return None
    known = any(item.session_name is not None for item in model.strokes)
    return ONE_SESSION if known else UNKNOWN_SESSIONS


def _too_few(label: str, count: int, player_id: str | None) -> str:
    whose = "" if player_id is None else f" by player {player_id}"
    noun = "reference" if count == 1 else "references"
    return (
        f"{count} {noun} of {label}{whose}, expected at least {FEWEST_REFERENCES}; mark more "
        "(`--suggest-references` proposes strokes)"
    )


def _refused(item: Stroke, why: str, marks: Mapping[str, Marks]) -> StrokeQuality:
    return item.result(is_reference=item.row["clip_id"] in marks, refused=why)


def _measured(
    strokes: Sequence[Stroke], marks: Mapping[str, Marks], model: Model
) -> list[StrokeQuality]:
    cameras = [item.camera for item in model.strokes]
    refused: dict[str, str] = {}
    for item in strokes:
        clip_id = item.row["clip_id"]
        problem = item.problem
        if problem is None and clip_id not in marks:
            problem = camera_problem(item.camera, cameras)
        if problem is not None:
            refused[clip_id] = problem
    others = [item for item in strokes if item.row["clip_id"] not in refused | dict(marks)]
    carried = carry_moments(model.references, [known_signal(item) for item in others])
    judged = _Judge(model)
    found = {
        item.row["clip_id"]: judged.other(item, moments)
        for item, moments in zip(others, carried, strict=True)
    }
    for index, item in enumerate(model.strokes):
        found[item.row["clip_id"]] = judged.reference(index, item)
    return [
        found[clip_id] if (clip_id := item.row["clip_id"]) in found
        else _refused(item, refused[clip_id], marks)
        for item in strokes
    ]  # fmt: skip


class _Judge:
    """Compares strokes with a model; what they share is computed once."""

    def __init__(self, model: Model) -> None:
        self._model, self._spreads = model, model.spreads()
        self._template = template(model.references)
        whole = self._spreads["stroke"]["duration_s"]
        fps = min(known_signal(item).fps for item in model.strokes)
        seconds = whole.mean if whole is not None else 1.0
        self._least = {name: least_deviation(name, fps, seconds) for name in MEASURES}
        self._overall = [pair for pair in OVERALL if self._deviation(pair) is not None]
        columns = np.array([self._scores(values) for values in model.values])
        self._correlation = shrunk_correlation(np.nan_to_num(columns))
        self._hands = {item.hand for item in model.strokes}
        self._cameras = [item.camera for item in model.strokes]
        self._players = {item.player for item in model.strokes}

    @cached_property
    def _rest(self) -> list["_Judge"]:
        """Without each reference in turn; none where that leaves too few."""
        count = len(self._model.strokes)
        enough = count > FEWEST_REFERENCES
        return [_Judge(self._model.without(index)) for index in range(count if enough else 0)]

    @cached_property
    def _distances(self) -> list[float]:
        """Of each reference from the other ones, as another stroke's is from all of them."""
        model = self._model
        return [
            one.distance(known_signal(item), moments, values)
            for one, item, moments, values in zip(
                self._rest, model.strokes, model.moments, model.values, strict=False
            )
        ]

    def distance(
        self, signal: StrokeSignal, moments: Moments, values: Mapping[str, Values]
    ) -> float:
        """The overall distance; NaN without a spread to measure it in, or where a hand is hidden.

        What is not seen would count as the references' mean.
        """
        if not self._overall or any(hidden(signal, moments)):
            return float("nan")
        return distance(self._scores(values), self._correlation)

    def _deviation(self, pair: tuple[str, str]) -> float | None:
        item = self._spreads[pair[0]][pair[1]]
        return None if item is None else usable_deviation(item, self._least[pair[1]])

    def _scores(self, values: Mapping[str, Values]) -> Floats:
        """Deviations from the mean in units of what a new stroke may differ."""
        scores = []
        for phase, name in self._overall:
            item, deviation = self._spreads[phase][name], self._deviation((phase, name))
            if item is not None and deviation is not None:
                scores.append((values[phase][name] - item.mean) / deviation)
        return np.array(scores)

    def _against(self, phase: str, values: Values, mirrored: bool) -> Iterator[Measured]:
        for name, value in values.items():
            item = self._spreads[phase][name]
            if item is None or not np.isfinite(value):
                yield _bare(name, value)
                continue
            told: dict[str, Any] = {}
            if (phase, name) not in REPEATED:
                chance = chance_of(name, value, item, self._least[name])
                told["words"] = words(phase, name, value, item.mean, chance, mirrored=mirrored)
                if chance is not None:
                    told |= {"chance": _rounded(chance), "outside": chance < NOMINAL}
            yield Measured(
                name=name,
                value=_rounded(value),
                reference=_rounded(item.mean),
                difference=_rounded(value - item.mean),
                percentile=_rounded(at_least(value, self._model.column(phase, name))),
                **told,
            )

    def other(self, item: Stroke, moments: Moments) -> StrokeQuality:
        """A stroke that is no reference."""
        values = measure(known_signal(item), moments, self._template)
        return self._result(item, moments, values, self._distances, is_reference=False)

    def reference(self, index: int, item: Stroke) -> StrokeQuality:
        """A reference against the other ones; where these are too few, its measures alone."""
        model, signal = self._model, known_signal(item)
        moments, values = model.moments[index], model.values[index]
        marked = _frames(signal, model.references[index].moments)
        if self._rest:
            distances = [*self._distances[:index], *self._distances[index + 1 :]]
            found = self._rest[index]._result(item, moments, values, distances, is_reference=True)
            return found.model_copy(update={"moments": marked})
        alone = "one of three references: there are too few others to compare with"
        return item.result(
            is_reference=True,
            moments=marked,
            contact_spread_seconds=_rounded(moments.spread),
            phases=tuple(
                _phase(name, signal, moments, itertools.starmap(_bare, values[name].items()))
                for name in PHASES
            ),
            notes=(*item.notes, *hidden(signal, moments), alone),
        )

    def _result(
        self,
        item: Stroke,
        moments: Moments,
        values: dict[str, Values],
        distances: Sequence[float],
        *,
        is_reference: bool,
    ) -> StrokeQuality:
        """Every measure against the references, and the overall distance among `distances`."""
        signal = known_signal(item)
        whole = self.distance(signal, moments, values)
        known = bool(np.isfinite(whole) and np.isfinite(distances).any())
        return item.result(
            is_reference=is_reference,
            moments=_frames(signal, moments),
            contact_spread_seconds=_rounded(moments.spread),
            phases=tuple(
                _phase(name, signal, moments, self._against(name, values[name], signal.mirrored))
                for name in PHASES
            ),
            distance=_rounded(whole),
            distance_percentile=_rounded(at_least(whole, distances)) if known else None,
            notes=(*item.notes, *hidden(signal, moments), *self._notes(item)),
        )

    def _notes(self, item: Stroke) -> Iterator[str]:
        """What to know of the comparison."""
        if (problem := _sessions_problem(self._model)) is not None:
            yield problem
        if item.hand not in self._hands:
            yield f"{item.hand}-handed: mirrored, the references hold the bat in the other"
        if item.player not in self._players:
            yield ANOTHER_PLAYER
        yield from camera_notes(item.camera, self._cameras)


def _frames(signal: StrokeSignal, moments: Moments) -> dict[str, float]:
    return {name: round(signal.frame(getattr(moments, name)), 3) for name in MOMENTS}


def _phase(
    name: str, signal: StrokeSignal, moments: Moments, measures: Iterable[Measured]
) -> PhaseQuality:
    begin, end = (round(signal.frame(time), 3) for time in moments.phase(name))
    return PhaseQuality(name=name, start_frame=begin, end_frame=end, measures=tuple(measures))


def _bare(name: str, value: float) -> Measured:
    """A measure that is set against nothing."""
    return Measured(name=name, value=_rounded(value))


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), _DIGITS)
