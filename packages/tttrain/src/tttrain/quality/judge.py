"""Strokes of a class against its references (specification 7.5)."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tttrain.quality.comparable import (
    REPEATED,
    camera_problem,
    chance_of,
    least_deviation,
    usable_deviation,
)
from tttrain.quality.document import Measured, PhaseQuality, ReferenceClass, StrokeQuality
from tttrain.quality.landmarks import Floats, StrokeSignal
from tttrain.quality.measures import MEASURES, Values, measure, template
from tttrain.quality.moments import (
    MOMENTS,
    PHASES,
    Moments,
    Reference,
    agreed_references,
    carry_moments,
    marked_moments,
)
from tttrain.quality.reference import (
    FEWEST_REFERENCES,
    NOMINAL,
    Spread,
    at_least,
    distance,
    shrunk_correlation,
    spread,
)
from tttrain.quality.reference_marks import Marks
from tttrain.quality.strokes import Stroke
from tttrain.quality.words import ONE_SESSION, words

OVERALL = tuple(
    (phase, name)
    for phase in PHASES[:3]
    for name in ("duration_s", "gain", "wrist_x", "wrist_y", "peak_speed", "trunk_turn")
)
"""What the overall distance is made of."""
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Model:
    """What references of a class do."""

    strokes: Sequence[Stroke]
    references: Sequence[Reference]
    values: Sequence[dict[str, Values]]
    """Of each reference, measured against the other ones."""

    def without(self, index: int) -> "Model":
        """The model of all references but one."""
        return Model(*(
            [item for place, item in enumerate(items) if place != index]
            for items in (self.strokes, self.references, self.values)
        ))  # type: ignore[arg-type]  # fmt: skip

    @property
    def sessions(self) -> list[str]:
        """Of each reference."""
        return [item.session for item in self.strokes]

    @property
    def one_session(self) -> bool:
        """Whether nothing is known of the spread between sessions."""
        return len(set(self.sessions)) == 1

    def column(self, phase: str, name: str) -> Floats:
        """(n,) a measure of all references."""
        return np.array([item[phase][name] for item in self.values])

    def spreads(self) -> dict[str, dict[str, Spread | None]]:
        """Of every measure of every phase."""
        return {
            phase: {name: spread(self.column(phase, name), self.sessions) for name in MEASURES}
            for phase in PHASES
        }


def build_model(strokes: Sequence[Stroke], marks: Mapping[str, Marks]) -> Model:
    """The model of reference strokes, all of which can be measured; at least three."""
    references = []
    for item in strokes:
        signal, mark = _signal(item), marks[item.row["clip_id"]]
        seconds = (frame / signal.fps for frame in (mark.ready, mark.contact, mark.end))
        references.append(Reference(signal, marked_moments(signal, *seconds)))
    references = agreed_references(references)
    values = []
    for one in references:
        others = template([other for other in references if other is not one])
        values.append(measure(one.signal, one.moments, others))
    return Model(strokes, references, values)


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
        sessions = tuple(sorted({item.session for item in chosen}))
        return results, ReferenceClass(label=label, player_id=player_id, clip_ids=clip_ids,
            sessions=sessions, cannot_tell=refused, spreads={})  # fmt: skip
    model = build_model(chosen, marks)
    found = _measured(strokes, marks, model)
    told = ReferenceClass(
        label=label,
        player_id=player_id,
        clip_ids=clip_ids,
        sessions=tuple(sorted(set(model.sessions))),
        cannot_tell=ONE_SESSION if model.one_session else None,
        spreads=model.spreads(),
    )
    return found, told


def _too_few(label: str, count: int, player_id: str | None) -> str:
    whose = "" if player_id is None else f" by player {player_id}"
    noun = "reference" if count == 1 else "references"
    return (
        f"{count} {noun} of {label}{whose}, expected at least {FEWEST_REFERENCES}; mark more "
        "(`--suggest-references` proposes strokes)"
    )


def _signal(item: Stroke) -> StrokeSignal:
    if item.signal is None:
        raise ValueError(f"{item.row['clip_id']}: a reference without a signal")
    return item.signal


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
    carried = carry_moments(model.references, [_signal(item) for item in others])
    judged = _Judge(model)
    found = {
        item.row["clip_id"]: judged.other(item, moments)
        for item, moments in zip(others, carried, strict=True)
    }
    for index, item in enumerate(model.strokes):
        found[item.row["clip_id"]] = _judge_reference(model, index, item)
    return [
        found[clip_id] if (clip_id := item.row["clip_id"]) in found
        else _refused(item, refused[clip_id], marks)
        for item in strokes
    ]  # fmt: skip


def _judge_reference(model: Model, index: int, item: Stroke) -> StrokeQuality:
    """A reference against the other ones; where these are too few, its measures alone."""
    others = model.without(index)
    moments, values = model.references[index].moments, model.values[index]
    if len(others.strokes) >= FEWEST_REFERENCES:
        return _Judge(others).result(item, moments, values, is_reference=True)
    return item.result(
        is_reference=True,
        moments=_frames(_signal(item), moments),
        phases=tuple(
            _phase(name, _signal(item), moments, itertools.starmap(_bare, values[name].items()))
            for name in PHASES
        ),
        notes=(*item.notes, "one of three references: there are too few others to compare with"),
    )


class _Judge:
    """Compares strokes with a model; what they share is computed once."""

    def __init__(self, model: Model) -> None:
        self._model, self._spreads = model, model.spreads()
        self._template = template(model.references)
        whole = self._spreads["stroke"]["duration_s"]
        fps = min(_signal(item).fps for item in model.strokes)
        seconds = whole.mean if whole is not None else 1.0
        self._least = {name: least_deviation(name, fps, seconds) for name in MEASURES}
        self._overall = [pair for pair in OVERALL if self._deviation(pair) is not None]
        columns = np.array([self._scores(values) for values in model.values])
        self._correlation = shrunk_correlation(np.nan_to_num(columns))
        self._distances = [distance(row, self._correlation) for row in columns]
        self._hands = {item.hand for item in model.strokes}

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
        values = measure(_signal(item), moments, self._template)
        return self.result(item, moments, values, is_reference=False)

    def result(
        self, item: Stroke, moments: Moments, values: dict[str, Values], *, is_reference: bool
    ) -> StrokeQuality:
        """Every measure against the references, and the overall distance."""
        model, signal = self._model, _signal(item)
        notes = list(item.notes)
        if model.one_session:
            notes.append(ONE_SESSION)
        if item.hand not in self._hands:
            notes.append(f"{item.hand}-handed: mirrored, the references hold the bat in the other")
        whole = distance(self._scores(values), self._correlation)
        return item.result(
            is_reference=is_reference,
            moments=_frames(signal, moments),
            contact_spread_seconds=_rounded(moments.spread),
            phases=tuple(
                _phase(name, signal, moments, self._against(name, values[name], signal.mirrored))
                for name in PHASES
            ),
            distance=_rounded(whole),
            distance_percentile=_rounded(at_least(whole, self._distances)),
            notes=tuple(notes),
        )


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
