"""What happens when in a video: strokes in a row, or whole matches; pure functions of the seed.

In a row, nothing may give a class away: the order of the strokes is a random permutation, durations
are drawn before labels, and gaps are drawn so that a gap widened by the curation's 10 frames on
each side has the distribution of a stroke's duration. In a match a serve opens the rally, as in the
game; serves among themselves and the other strokes come in random permutations.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ttdata.synth.config import SynthConfig
from ttdata.synth.graded.grade import Grade

EventKind = Literal["stroke", "ready", "rest", "pickup", "fake"]

# Streams of random numbers, as in plan.py: no two have one number.
_TIMING, _LABELS, _GAPS = 2, 3, 5
GAP_WIDENING_FRAMES = 20
_MARGIN_SECONDS = 0.3
"""From the last stroke to the end of the video, at least."""

Span = tuple[int, int, int]
"""Start, end and seat of a stroke."""


@dataclass(frozen=True)
class Event:
    """Something a player does in `[start_frame, end_frame)`.

    `label`: the class of a stroke, or in a match the stroke that a fake swing imitates.
    `grade`: how a stroke of a graded session is to be played.
    """

    kind: EventKind
    seat: int
    start_frame: int
    end_frame: int
    label: str | None = None
    grade: Grade | None = None


@dataclass(frozen=True)
class Timeline:
    """The events of a video by their start, and the frames `(start, end)` of its rallies."""

    events: tuple[Event, ...]
    rallies: tuple[tuple[int, int], ...] = ()


Tempos = Callable[[int], tuple[float, ...]]
"""The tempo of each player of a video, by the video's index."""


def plan_drill(config: SynthConfig, index: int, step: int, tempos: Tempos) -> Timeline:
    """Strokes in a row, and one thing to do between any two of them.

    Args:
        config: the source's configuration.
        index: the video's number.
        step: the players of this video are those of `index - step` and so on, whose labels go on.
        tempos: the players' tempos, by the number of a video.
    """
    spans = _spans(config, index, tempos(index))
    earlier = range(index % step, index, step)
    before = sum(len(_spans(config, number, tempos(number))) for number in earlier)
    labels = _labels(config, config.strokes, (index % step,), before, len(spans))
    draw = np.random.default_rng([config.seed, _GAPS, index])
    events = []
    previous_end = 0
    for (start, end, seat), label in zip(spans, labels, strict=True):
        events += _gap(config, draw, previous_end, start, seat)
        events.append(Event("stroke", seat, start, end, label))
        previous_end = end
    return Timeline((*events, *_gap(config, draw, previous_end, config.num_frames, 0)))


def _spans(config: SynthConfig, index: int, tempos: tuple[float, ...]) -> list[Span]:
    """Start, end and seat of each stroke, drawn without knowing its class."""
    draw = np.random.default_rng([config.seed, _TIMING, index])
    tempo = float(np.mean(tempos))
    spans: list[Span] = []
    start = max(round(0.4 * config.fps), _gap_frames(config, draw, tempo))
    seat = int(draw.integers(len(tempos)))
    margin = round(_MARGIN_SECONDS * config.fps)
    while True:
        length = _stroke_frames(config, draw, tempo)
        if start + length + margin > config.num_frames:
            return spans
        spans.append((start, start + length, seat))
        pause, rally = _gap_frames(config, draw, tempo), draw.random()
        if len(tempos) == 2:
            seat = 1 - seat
            if rally < 0.4:  # the other player starts his stroke before this one has ended
                pause = -round(0.1 * rally / 0.4 * length)
        start += length + pause


def _stroke_frames(config: SynthConfig, draw: np.random.Generator, tempo: float) -> int:
    """A duration, the one distribution of all strokes: skewed to the short side, 0.7 to 2.1 s."""
    low, high = config.min_stroke_seconds, config.max_stroke_seconds
    seconds = (low + (high - low) * draw.beta(1.6, 2.7)) / tempo
    return round(float(np.clip(seconds, 0.7, 2.1)) * config.fps)


def _gap_frames(config: SynthConfig, draw: np.random.Generator, tempo: float) -> int:
    """A gap: as long as a stroke once curation has widened it; at least two frames."""
    return max(2, _stroke_frames(config, draw, tempo) - GAP_WIDENING_FRAMES)


def _labels(
    config: SynthConfig, pool: tuple[str, ...], series: tuple[int, ...], first: int, count: int
) -> list[str]:
    """Labels `first` to `first + count` of an endless series of random permutations of a pool."""
    if not (size := len(pool)):
        return []
    labels: list[str] = []
    for block in range(first // size, (first + count) // size + 1):
        draw = np.random.default_rng([config.seed, _LABELS, *series, block])
        labels += [pool[k] for k in draw.permutation(size)]
    return labels[first % size :][:count]


def _gap(
    config: SynthConfig, draw: np.random.Generator, start: int, end: int, seat: int
) -> list[Event]:
    """One thing to do between two strokes; long gaps are cut into pieces of at most 1.6 s."""
    events = []
    for piece_start, piece_end in _pieces(start, end, round(1.6 * config.fps)):
        chance = draw.random()
        kind: EventKind = "rest" if chance < 0.35 else "fake" if chance < 0.75 else "pickup"
        seconds = (piece_end - piece_start) / config.fps
        if kind == "pickup" and seconds < 0.8:
            kind = "fake"
        if kind == "fake" and seconds < 0.3:
            kind = "rest"
        events.append(Event(kind, seat, piece_start, piece_end))
    return events


def _pieces(start: int, end: int, longest: int) -> list[tuple[int, int]]:
    count = max(1, -(-(end - start) // longest)) if end > start else 0
    edges = [start + (end - start) * k // max(count, 1) for k in range(count + 1)]
    return list(itertools.pairwise(edges))


def plan_match(config: SynthConfig, index: int, step: int, tempos: Tempos) -> Timeline:
    """Rallies of changing tempo; between them rest, ball pick-ups and fake swings.

    Every player has a timeline of his own that fills the video.

    Args:
        config: the source's configuration.
        index: the video's number.
        step: the players of this video are those of `index - step` and so on, whose labels go on.
        tempos: the players' tempos, by the number of a video.
    """
    rallies = _rallies(config, index, tempos(index))
    earlier = [_rallies(config, k, tempos(k)) for k in range(index % step, index, step)]
    labels = _match_labels(config, index % step, earlier, rallies)
    strokes = [
        Event("stroke", seat, start, end, label)
        for (start, end, seat), label in zip(itertools.chain(*rallies), labels, strict=True)
    ]
    frames = tuple((spans[0][0], max(end for _, end, _ in spans)) for spans in rallies)
    events = list(strokes)
    picks = np.random.default_rng([config.seed, _GAPS, index]).random((len(frames) + 1, 2))
    for seat, tempo in enumerate(tempos(index)):
        own = [event for event in strokes if event.seat == seat]
        draw = np.random.default_rng([config.seed, _GAPS, index, 1 + seat])
        picking = [
            chance < config.match.pickup_rate and int(who * len(tempos(index))) == seat
            for chance, who in picks
        ]
        events += _between(config, draw, own, frames, picking, tempo, seat)
    return Timeline(tuple(sorted(events, key=lambda e: (e.start_frame, e.seat))), frames)


def _rallies(config: SynthConfig, index: int, tempos: tuple[float, ...]) -> list[list[Span]]:
    """The strokes of each rally, drawn without knowing their classes."""
    draw = np.random.default_rng([config.seed, _TIMING, index])
    match, rallies = config.match, []
    owed = match.rest_share / (1 - match.rest_share)  # break per frame of play
    start = rested = round(draw.uniform(1.0, 2.5) * config.fps)
    played = 0
    while spans := _rally(config, draw, start, tempos):
        rallies.append(spans)
        end = max(end for _, end, _ in spans)
        played += end - start
        wanted = (played * owed - rested) * draw.uniform(0.75, 1.25)
        pause = max(round(wanted), round(1.6 * config.fps))
        rested, start = rested + pause, end + pause
    return rallies


def _rally(
    config: SynthConfig, draw: np.random.Generator, start: int, tempos: tuple[float, ...]
) -> list[Span]:
    """One rally at a tempo of its own: the players in turn, or one and his unseen opponent."""
    match = config.match
    count = int(draw.geometric(1 / match.rally_strokes))
    tempo = float(np.mean(tempos) * np.exp(draw.uniform(-1, 1) * match.tempo_spread))
    seat = int(draw.integers(len(tempos)))
    last = config.num_frames - round(_MARGIN_SECONDS * config.fps)
    spans: list[Span] = []
    for _ in range(count):
        length = _stroke_frames(config, draw, tempo)
        if start + length > last:
            break
        spans.append((start, start + length, seat))
        if len(tempos) == 2:  # the other may start before this stroke has ended
            seat = 1 - seat
            start += length + round(draw.uniform(-0.1 * length, 0.35 * config.fps / tempo))
        else:
            start += length + round(draw.uniform(0.35, 0.9) * config.fps / tempo)
    return spans


def _match_labels(
    config: SynthConfig,
    group: int,
    earlier: Sequence[Sequence[Sequence[Span]]],
    rallies: Sequence[Sequence[Span]],
) -> list[str]:
    """A label per stroke: a serve opens a rally, where there are serves and other strokes."""
    serves = tuple(name for name in config.strokes if name.startswith("Serve"))
    others = tuple(name for name in config.strokes if name not in serves)
    opening = 1 if serves and others else 0
    before = sum(len(video) for video in earlier) * opening
    before_others = sum(len(spans) for video in earlier for spans in video) - before
    total = sum(len(spans) for spans in rallies)
    openings = len(rallies) * opening
    first = iter(_labels(config, serves, (group, 1), before, openings))
    pool = others or serves
    rest = iter(_labels(config, pool, (group, 2), before_others, total - openings))
    return [
        next(first) if opening and place == 0 else next(rest)
        for spans in rallies
        for place in range(len(spans))
    ]


def _between(
    config: SynthConfig,
    draw: np.random.Generator,
    own: Sequence[Event],
    rallies: Sequence[tuple[int, int]],
    picking: Sequence[bool],
    tempo: float,
    seat: int,
) -> list[Event]:
    """What a player does when he plays no stroke: ready in rallies, else `_break`."""
    events: list[Event] = []
    edge = 0
    for (start, end), picks in zip((*rallies, (config.num_frames,) * 2), picking, strict=True):
        events += _break(config, draw, edge, start, picks and edge > 0, tempo, seat)
        edges = [start, *(k for e in own if start <= e.start_frame < end
                          for k in (e.start_frame, e.end_frame)), end]  # fmt: skip
        pairs = zip(edges[::2], edges[1::2], strict=True)
        events += [Event("ready", seat, a, b) for a, b in pairs if b > a]
        edge = end
    return events


def _break(
    config: SynthConfig,
    draw: np.random.Generator,
    start: int,
    end: int,
    picks: bool,
    tempo: float,
    seat: int,
) -> list[Event]:
    """Between two rallies: at first perhaps a pick-up, then rest with a fake swing now and then."""
    fps = config.fps
    pieces: list[tuple[EventKind, int]] = []
    if picks and end - start > 2.8 * fps:
        pieces = [("rest", round(draw.uniform(0.2, 0.5) * fps)),
                  ("pickup", round(draw.uniform(1.5, 2.3) * fps))]  # fmt: skip
    left = end - start - sum(length for _, length in pieces)
    while left > 0:
        fake = draw.random() < config.match.fake_share
        length = _stroke_frames(config, draw, tempo) if fake else round(draw.uniform(0.8, 2) * fps)
        kind: EventKind = "fake" if fake and length <= left else "rest"
        length = min(length, left)
        if kind == "rest" and pieces and pieces[-1][0] == "rest":
            length += pieces.pop()[1]
        pieces.append((kind, length))
        left = end - start - sum(length for _, length in pieces)
    events = []
    for kind, length in pieces:
        label = config.strokes[int(draw.integers(len(config.strokes)))] if kind == "fake" else None
        events.append(Event(kind, seat, start, start + length, label))
        start += length
    return events
