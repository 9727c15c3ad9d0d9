"""The plan of a video: players, camera and timeline, as pure functions of the seed."""

from dataclasses import dataclass

import numpy as np

from ttdata.synth.config import SynthConfig
from ttdata.synth.graded.session import plan_graded
from ttdata.synth.players import Player, in_session, make_player
from ttdata.synth.timeline import Event, Timeline, plan_drill, plan_match

# Streams of random numbers, each seeded by (seed, stream, index): changing one leaves the others.
# 0 and 1 are those of players.py; 2, 3 and 5 of timeline.py.
_VIEW, _SHARED = 4, 6


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
class VideoPlan:
    """All that happens in a video; `config` holds its size, rate and disturbances."""

    config: SynthConfig
    index: int
    video_id: str
    session: int
    seats: tuple[Seat, ...]
    view: View
    events: tuple[Event, ...]
    rallies: tuple[tuple[int, int], ...] = ()
    """Start and end of each rally of a match."""

    @property
    def num_frames(self) -> int:
        """Frames of the video."""
        return self.events[-1].end_frame if self.config.graded else self.config.num_frames

    @property
    def strokes(self) -> tuple[Event, ...]:
        """The strokes, in order of their start."""
        return tuple(event for event in self.events if event.kind == "stroke")

    @property
    def player_id(self) -> str | None:
        """The one player of the video; None where there are two."""
        return self.seats[0].player.player_id if len(self.seats) == 1 else None

    def player(self, event: Event) -> str:
        """The id of the player of an event."""
        return self.seats[event.seat].player.player_id

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
    session = _session(config, index, visit)
    view = _view(config, index)
    if config.graded:
        players = tuple(in_session(config, player, session) for player in players)
        view = _session_view(config, session)
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
    timeline = (
        plan_graded(config, index, visit, players[0]) if config.graded else _timeline(config, index)
    )
    return VideoPlan(
        config=config,
        index=index,
        video_id=f"video_{index:04d}",
        session=session,
        seats=seats,
        view=view,
        events=timeline.events,
        rallies=timeline.rallies,
    )


def _cast(config: SynthConfig, index: int) -> tuple[tuple[Player, ...], int]:
    """The players of a video, and how many videos the first of them played in before."""
    group, visit = index % _groups(config), index // _groups(config)
    numbers = [group * config.players_per_video + k for k in range(config.players_per_video)]
    if len(numbers) == 2 and not _both_in_view(config, index):
        numbers = [numbers[visit % 2]]
    return tuple(make_player(config, number) for number in numbers), visit


def _both_in_view(config: SynthConfig, index: int) -> bool:
    if not config.matches or config.match.two_players_share == 1:
        return True
    order = np.random.default_rng([config.seed, _SHARED]).permutation(config.num_videos)
    return index in order[: round(config.match.two_players_share * config.num_videos)]


def _groups(config: SynthConfig) -> int:
    """How many groups of players take turns, video by video."""
    return config.num_players // config.players_per_video


def _timeline(config: SynthConfig, index: int) -> Timeline:
    def tempos(number: int) -> tuple[float, ...]:
        return tuple(player.tempo for player in _cast(config, number)[0])

    plan = plan_match if config.matches else plan_drill
    return plan(config, index, _groups(config), tempos)


def _session(config: SynthConfig, index: int, visit: int) -> int:
    """A group's videos, two by two or as many as asked, are of one session."""
    together = config.grades.videos_per_session if config.graded else 2
    return visit // together * _groups(config) + index % _groups(config)


def _view(config: SynthConfig, index: int) -> View:
    draw = np.random.default_rng([config.seed, _VIEW, index])
    return View(
        azimuth_rad=float(np.deg2rad(draw.uniform(20, 28))),
        elevation_rad=float(np.deg2rad(draw.uniform(10, 14))),
        px_per_m=float(config.height / 180 * draw.uniform(46.5, 48.5)),
        origin_xy=(config.width * float(draw.uniform(0.49, 0.51)), config.height * 0.645),
    )


def _session_view(config: SynthConfig, session: int) -> View:
    """The camera of a graded session, put up anew each time."""
    draw = np.random.default_rng([config.seed, _VIEW, session, 2])
    grades = config.grades
    azimuth = grades.azimuth_deg + grades.azimuth_spread_deg * draw.uniform(-0.5, 0.5)
    raised, nearer = grades.session_spread * draw.uniform(-1, 1, 2)
    return View(
        azimuth_rad=float(np.deg2rad(azimuth)),
        elevation_rad=float(np.deg2rad(12 + 1.5 * raised)),
        px_per_m=float(config.height / 180 * 47.5 * np.exp(0.04 * nearer)),
        origin_xy=(config.width * 0.5, config.height * 0.645),
    )


def _centred(config: SynthConfig, view: View, seat: Seat, draw: np.random.Generator) -> View:
    """The camera moved so that a lone player stands at about two fifths of the width."""
    x, y = project_root(view, seat)
    share = float(draw.uniform(0.34, 0.42))
    wanted_x = config.width * (share if seat.end < 0 else 1 - share)
    wanted_y = config.height * float(draw.uniform(0.62, 0.66))
    origin = (view.origin_xy[0] + wanted_x - x, view.origin_xy[1] + wanted_y - y)
    return View(view.azimuth_rad, view.elevation_rad, view.px_per_m, origin)
