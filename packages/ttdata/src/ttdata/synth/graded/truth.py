"""What graded strokes have become, after all limits of the body: measured on the true joints."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from pydantic import Field

from ttdata.settings import FrozenModel
from ttdata.storage.tables import polars_schema
from ttdata.synth.body.skeleton import NOMINAL_M, Array, skeleton
from ttdata.synth.graded.grade import Grade, GradeKind, Levels
from ttdata.synth.motion import Track, channels, track
from ttdata.synth.plan import VideoPlan
from ttdata.synth.players import Player
from ttdata.synth.strokes import HAND, STEP
from ttdata.synth.timeline import Event


class QualityTruth(FrozenModel):
    """A row of `quality_truth.csv`: a stroke of a graded session as it was played."""

    video_id: str = Field(description="as in `videos.csv`")
    session_id: str = Field(description="as in `videos.csv`")
    player_id: str = Field(description="as in `videos.csv`")
    left_handed: bool = Field(description="who plays")
    label: str = Field(description="class")
    kind: GradeKind = Field(
        description="what was graded, as the settings name it; `reference` and `unchanged`: nothing"
    )
    reference: bool = Field(description="one of the reference strokes")
    ready_frame: int = Field(description="`start_frame` of `truth.csv`")
    backswing_frame: int = Field(description="where the arm turns back to the ball")
    contact_frame: int = Field(description="where the ball is hit")
    end_frame: int = Field(description="as in `truth.csv`; the player is ready again")
    backswing_seconds: float = Field(description="from ready to backswing")
    forward_seconds: float = Field(description="from backswing to contact")
    follow_seconds: float = Field(description="from contact to end")
    amplitude: float = Field(
        description="length of the path of the bat wrist as seen from its shoulder, over that of "
        "the same stroke at grade 1 in a body without limits"
    )
    amplitude_backswing: float = Field(description="the same from ready to backswing")
    amplitude_forward: float = Field(description="the same from backswing to contact")
    amplitude_follow: float = Field(description="the same from contact to end")
    gain: float = Field(
        description="least-squares ratio of those two paths, frame by frame, each less its ready"
    )
    path_torso: float = Field(description="length of that path")
    trunk_turn_deg: float = Field(description="`yaw_backswing_deg` less `yaw_ready_deg`")
    yaw_ready_deg: float = Field(description="line of the shoulders; positive: bat shoulder back")
    yaw_backswing_deg: float = Field(description="the same at backswing")
    yaw_contact_deg: float = Field(description="the same at contact")
    yaw_end_deg: float = Field(description="the same at the end")
    contact_height: float = Field(description="of the bat wrist above the hips, torso lengths")
    torso_m: float = Field(description="from the middle of the hips to that of the shoulders")
    asked_amplitude: float = Field(description="factor")
    asked_backswing_time: float = Field(description="factor")
    asked_forward_time: float = Field(description="factor")
    asked_follow_time: float = Field(description="factor")
    asked_turn: float = Field(description="factor")
    asked_height: float = Field(description="added at contact, torso lengths")
    azimuth_deg: float = Field(description="of the camera; of left-handers mirrored")


def quality_rows(plan: VideoPlan) -> list[QualityTruth]:
    """The graded strokes of a video in order of their start, measured on its true joints.

    Args:
        plan: of a graded session.
    """
    player = plan.seats[0].player
    events = tuple(_at_grade_one(event) for event in plan.events)
    tracks = track(plan, 0), track(replace(plan, events=events), 0)
    return [_row(plan, event, event.grade, player, tracks) for event in plan.strokes if event.grade]


def quality_csv(plans: Sequence[VideoPlan]) -> str:
    """The text of `quality_truth.csv`: a row per stroke, numbers to six decimals."""
    rows = [row.model_dump() for plan in plans for row in quality_rows(plan)]
    table = pl.DataFrame(rows, schema=polars_schema(QualityTruth))
    return table.with_columns(pl.col(pl.Float64).round(6)).write_csv()


def _at_grade_one(event: Event) -> Event:
    if event.grade is None:
        return event
    return replace(event, grade=replace(event.grade, levels=Levels()))


def _row(
    plan: VideoPlan, event: Event, grade: Grade, player: Player, tracks: tuple[Track, Track]
) -> QualityTruth:
    start, end = event.start_frame, event.end_frame + 1
    pose, free = (channels(plan, 0, keys, start, end) for keys in tracks)
    joints = skeleton(pose, player)
    torso = (joints["shoulder_bat"] + joints["shoulder_free"])[0] / 2 - joints["hips"][0]
    places = np.array(grade.moments) - start
    return QualityTruth(
        video_id=plan.video_id,
        session_id=plan.session_id,
        player_id=player.player_id,
        left_handed=player.handedness < 0,
        label=str(event.label),
        kind=grade.kind,
        reference=grade.kind == "reference",
        **_times(grade, plan.config.fps),
        **_sizes(joints["wrist_bat"] - joints["shoulder_bat"], _unlimited(free, player), places,
                 float(np.linalg.norm(torso))),
        **_trunk(joints, places),
        contact_height=float((joints["wrist_bat"] - joints["hips"])[places[2], 2])
        / float(np.linalg.norm(torso)),
        **{f"asked_{name}": value for name, value in vars(grade.levels).items()},
        azimuth_deg=float(np.rad2deg(-plan.seats[0].end * plan.view.azimuth_rad)),
    )  # fmt: skip


def _times(grade: Grade, fps: float) -> dict[str, float]:
    frames = zip(("ready", "backswing", "contact", "end"), grade.moments, strict=True)
    seconds = zip(("backswing", "forward", "follow"), np.diff(grade.moments) / fps, strict=True)
    return {f"{name}_frame": frame for name, frame in frames} | {
        f"{name}_seconds": float(value) for name, value in seconds
    }


def _unlimited(pose: Array, player: Player) -> Array:
    """From the bat shoulder to where the hand is to be, (T, 3) in metres, however far that is."""
    target = (pose[:, HAND] + pose[:, STEP]) * player.height_m / NOMINAL_M
    return np.asarray(target - skeleton(pose, player)["shoulder_bat"])


def _sizes(path: Array, free: Array, places: Array, torso_m: float) -> dict[str, float]:
    """How large a path (T, 3) is against an unlimited one, as a whole and by phase."""
    lengths = [np.linalg.norm(np.diff(way, axis=0), axis=1) for way in (path, free)]
    played, full = ([steps[a:b].sum() for a, b in itertools.pairwise(places)] for steps in lengths)
    away, full_away = path - path[0], free - free[0]
    names = ("amplitude_backswing", "amplitude_forward", "amplitude_follow")
    by_phase = {
        name: float(one / other) for name, one, other in zip(names, played, full, strict=True)
    }
    return by_phase | {
        "amplitude": float(sum(played) / sum(full)),
        "gain": float((away * full_away).sum() / (full_away**2).sum()),
        "path_torso": float(sum(played)) / torso_m,
        "torso_m": torso_m,
    }


def _trunk(joints: dict[str, Array], places: Array) -> dict[str, float]:
    """The azimuth of the line of the shoulders at the moments, in the player's own axes."""
    line = (joints["shoulder_bat"] - joints["shoulder_free"])[places]
    ready, backswing, contact, end = (
        float(yaw) for yaw in np.rad2deg(np.arctan2(-line[:, 0], line[:, 1]))
    )
    return {
        "trunk_turn_deg": backswing - ready,
        "yaw_ready_deg": ready,
        "yaw_backswing_deg": backswing,
        "yaw_contact_deg": contact,
        "yaw_end_deg": end,
    }
