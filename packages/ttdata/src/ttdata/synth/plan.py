"""The plan of a video: players, camera and timeline, as pure functions of the seed.

Nothing here may give a class away: the order of the strokes is a random permutation, durations are
drawn before labels, and gaps are drawn so that a gap widened by the curation's 10 frames on each
side has the distribution of a stroke's duration.
"""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ttdata.synth.config import SynthConfig
from ttdata.synth.players import Player, make_player

EventKind = Literal["stroke", "rest", "pickup", "fake"]

# Streams of random numbers, each seeded by (seed, stream, index): changing one leaves the others.
# 0 and 1 are those of players.py.
_TIMING, _LABELS, _VIEW, _GAPS = range(2, 6)
GAP_WIDENING_FRAMES = 20


@dataclass(frozen=True)
class View:
    """An orthographic camera: the image position of the table's centre, its angles and scale."""

    azimuth_rad: float
    elevation_rad: float
    px_per_m: float
    origin_xy: tuple[float, float]


@dataclass(frozen=True)
class Seat:
    """A player's place in a video: `end` is -1 at the table's left, +1 at its right."""

    player: Player
    end: int
    root_m: tuple[float, float]


@dataclass(frozen=True)
class Event:
    """Something a player does in `[start_frame, end_frame)`; strokes carry a label."""

    kind: EventKind
    seat: int
    start_frame: int
    end_frame: int
    label: str | None = None


@dataclass(frozen=True)
class VideoPlan:
    """All that happens in a video; `config` holds its size, rate and disturbances."""

    config: SynthConfig
    index: int
    video_id: str
    session: int
    seats: tuple[Seat, ...]
    view: View
    events: tuple[Event, ...]

    @property
    def num_frames(self) -> int:
        """Frames of the video."""
        return self.config.num_frames

    @property
    def strokes(self) -> tuple[Event, ...]:
        """The events with a label, in order of their start."""
        return tuple(event for event in self.events if event.kind == "stroke")

    @property
    def player_id(self) -> str | None:
        """The one player of the video; None where there are two."""
        return self.seats[0].player.player_id if len(self.seats) == 1 else None

    @property
    def session_id(self) -> str:
        """Videos of one session show the same hall."""
        return f"session_{self.session:03d}"

    def region(self, seat: int) -> tuple[float, float, float, float]:
        """Where a player is, with his reach: x_min, y_min, x_max, y_max, fractions of the frame."""
        root_x, root_y = project_root(self.view, self.seats[seat])
        height = self.seats[seat].player.height_m * self.view.px_per_m
        width, tall = self.config.width, self.config.height
        left, right = root_x - 0.72 * height, root_x + 0.72 * height
        if len(self.seats) == 2:  # neighbours share no pixel
            left, right = (
                (left, min(right, width / 2)) if seat == 0 else (max(left, width / 2), right)
            )
        box = (left / width, (root_y - 1.25 * height) / tall, right / width, (root_y + 9) / tall)
        x_min, y_min, x_max, y_max = (round(min(max(value, 0.0), 1.0), 4) for value in box)
        return x_min, y_min, x_max, y_max


def project_root(view: View, seat: Seat) -> tuple[float, float]:
    """The image point (x, y) below a player's hips, on the floor, in pixels."""
    x, y = seat.root_m
    toward = np.sin(view.azimuth_rad) * x + np.cos(view.azimuth_rad) * y
    across = np.cos(view.azimuth_rad) * x - np.sin(view.azimuth_rad) * y
    return (
        float(view.origin_xy[0] + across * view.px_per_m),
        float(view.origin_xy[1] + toward * np.sin(view.elevation_rad) * view.px_per_m),
    )


def plan_video(config: SynthConfig, index: int) -> VideoPlan:
    """Players, camera and timeline of one video.

    Args:
        config: the source's configuration.
        index: the video's number, below `config.num_videos`.

    Returns:
        The plan; equal arguments give equal plans, and disturbances (flicker, noise, shake) do
        not change players, camera and timeline.
    """
    players, visit = _cast(config, index)
    view = _view(config, index)
    if len(players) == 1:
        ends: tuple[int, ...] = (-players[0].handedness,)  # left-handers: filmed mirrored
        if ends[0] == 1:
            view = View(-view.azimuth_rad, view.elevation_rad, view.px_per_m, view.origin_xy)
    else:
        ends = (-1, 1)
    draw = np.random.default_rng([config.seed, _VIEW, index, 1])
    seats = tuple(
        Seat(player, end, (end * float(draw.uniform(1.9, 2.0)), float(draw.uniform(-0.2, 0.2))))
        for player, end in zip(players, ends, strict=True)
    )
    if len(seats) == 1:
        view = _centred(config, view, seats[0], draw)
    return VideoPlan(
        config=config,
        index=index,
        video_id=f"video_{index:04d}",
        session=_session(config, index, visit),
        seats=seats,
        view=view,
        events=_events(config, index, seats, visit),
    )


def _cast(config: SynthConfig, index: int) -> tuple[tuple[Player, ...], int]:
    """The players of a video, and how many videos the first of them played in before."""
    groups = config.num_players // config.players_per_video
    first = index % groups * config.players_per_video
    players = tuple(make_player(config, first + k) for k in range(config.players_per_video))
    return players, index // groups


def _session(config: SynthConfig, index: int, visit: int) -> int:
    """A group's videos, two by two, are of one session."""
    groups = config.num_players // config.players_per_video
    return visit // 2 * groups + index % groups


def _view(config: SynthConfig, index: int) -> View:
    draw = np.random.default_rng([config.seed, _VIEW, index])
    return View(
        azimuth_rad=float(np.deg2rad(draw.uniform(20, 28))),
        elevation_rad=float(np.deg2rad(draw.uniform(10, 14))),
        px_per_m=float(config.height / 180 * draw.uniform(46.5, 48.5)),
        origin_xy=(config.width * float(draw.uniform(0.49, 0.51)), config.height * 0.645),
    )


def _centred(config: SynthConfig, view: View, seat: Seat, draw: np.random.Generator) -> View:
    """The camera moved so that a lone player stands at about two fifths of the width."""
    x, y = project_root(view, seat)
    share = float(draw.uniform(0.34, 0.42))
    wanted_x = config.width * (share if seat.end < 0 else 1 - share)
    wanted_y = config.height * float(draw.uniform(0.62, 0.66))
    origin = (view.origin_xy[0] + wanted_x - x, view.origin_xy[1] + wanted_y - y)
    return View(view.azimuth_rad, view.elevation_rad, view.px_per_m, origin)


def _events(
    config: SynthConfig, index: int, seats: tuple[Seat, ...], visit: int
) -> tuple[Event, ...]:
    """The timeline: strokes with their labels, and what happens between them."""
    groups = config.num_players // config.players_per_video
    spans = _spans(config, index, seats)
    before = sum(
        len(_spans(config, earlier, seats)) for earlier in range(index % groups, index, groups)
    )
    labels = _labels(config, index % groups, before, len(spans))
    draw = np.random.default_rng([config.seed, _GAPS, index])
    events = []
    previous_end = 0
    for (start, end, seat), label in zip(spans, labels, strict=True):
        events += _gap(config, draw, previous_end, start, seat)
        events.append(Event("stroke", seat, start, end, label))
        previous_end = end
    return (*events, *_gap(config, draw, previous_end, config.num_frames, 0))


def _spans(config: SynthConfig, index: int, seats: tuple[Seat, ...]) -> list[tuple[int, int, int]]:
    """Start, end and seat of each stroke, drawn without knowing its class."""
    draw = np.random.default_rng([config.seed, _TIMING, index])
    tempo = float(np.mean([seat.player.tempo for seat in seats]))
    spans: list[tuple[int, int, int]] = []
    start = max(round(0.4 * config.fps), _gap_frames(config, draw, tempo))
    seat = int(draw.integers(len(seats)))
    margin = round(0.3 * config.fps)
    while True:
        length = _stroke_frames(config, draw, tempo)
        if start + length + margin > config.num_frames:
            return spans
        spans.append((start, start + length, seat))
        pause, rally = _gap_frames(config, draw, tempo), draw.random()
        if len(seats) == 2:
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


def _labels(config: SynthConfig, group: int, first: int, count: int) -> list[str]:
    """Labels `first` to `first + count` of the players' endless series of random permutations."""
    size = len(config.strokes)
    labels: list[str] = []
    for block in range(first // size, (first + count) // size + 1):
        draw = np.random.default_rng([config.seed, _LABELS, group, block])
        labels += [config.strokes[k] for k in draw.permutation(size)]
    skipped = first % size
    return labels[skipped : skipped + count]


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
