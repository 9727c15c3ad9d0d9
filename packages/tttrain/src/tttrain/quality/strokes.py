"""The strokes of a shards folder with their signals, hands and cameras."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ttdata.errors import InputError
from ttflow import ClipPose, Shards, read_poses
from ttflow.errors import ShardError
from ttflow.shards.poses import stored_info
from tttrain.quality.comparable import direction, facing, track_problem
from tttrain.quality.document import Hand, StrokeQuality
from tttrain.quality.landmarks import FREE_WRIST, WRIST, StrokeSignal, stroke_signal

GUESSED = "which hand holds the bat was guessed (it moves more); --players CSV tells it"
TAKEN = "taken for right-handed; --players CSV tells who is not"
FEWEST_TO_GUESS = 3
"""Strokes of a known player by which his hand is guessed: one alone is often wrong."""
_WRISTS = [16, 15]
"""Right and left."""


@dataclass(frozen=True, eq=False)
class Stroke:
    """A stroke to be measured."""

    row: Mapping[str, Any]
    """Of `clips.parquet`."""
    hand: Hand | None = None
    signal: StrokeSignal | None = None
    problem: str | None = None
    """Why it cannot be measured."""
    camera: float | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def session(self) -> str:
        """What is one session: player and session, or the video where that is unknown."""
        return f"{self.row['player_id'] or ''}/{self.row['session_id'] or self.row['video_id']}"

    @property
    def player(self) -> str:
        """Who plays; where that is unknown, whoever is in the video."""
        return str(self.row["player_id"] or self.row["video_id"])

    def result(self, **found: Any) -> StrokeQuality:
        """The stroke as it is reported, with what was found of it."""
        names = ("clip_id", "video_id", "player_id", "session_id", "label", "start_frame",
                 "end_frame", "fps")  # fmt: skip
        signal = self.signal
        known = {
            "hand": self.hand,
            "mirrored": signal is not None and signal.mirrored,
            "camera_degrees": None if self.camera is None else round(self.camera, 1),
            "torso_px": None if signal is None else round(signal.torso_px, 2),
            "notes": self.notes,
        }
        return StrokeQuality(**{name: self.row[name] for name in names}, **(known | found))


def load_strokes(shards: Shards, hands: Mapping[str, Hand]) -> dict[str, Stroke]:
    """Every stroke of a folder by clip, in the folder's order.

    Args:
        shards: with poses.
        hands: by player, where it is known; otherwise it is guessed per player.

    Raises:
        InputError: if the folder has no poses, or no stroke.
    """
    rows = {row["clip_id"]: row for row in shards.clips.filter(kind="stroke").to_dicts()}
    if not rows:
        raise InputError(f"{shards.path}: no stroke; expected clips of kind stroke")
    if stored_info(shards.path) is None:
        raise InputError(
            f"{shards.path}: no poses; run `ttflow pose {shards.path}`, or measure with --coarse"
        )
    poses, problems = _poses(shards, rows)
    guessed = guess_hands(rows, poses)
    found = {}
    for clip_id, row in rows.items():
        hand, notes = _hand(row["player_id"] or "", hands, guessed)
        if clip_id not in poses:
            found[clip_id] = Stroke(row, hand, None, problems[row["video_id"]], None, notes)
            continue
        signal = stroke_signal(poses[clip_id], row["start_frame"], row["end_frame"], hand)
        found[clip_id] = Stroke(row, hand, signal, track_problem(signal), None, notes)
    return with_cameras(found)


def _poses(
    shards: Shards, rows: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, ClipPose], dict[str, str]]:
    """Poses by clip, and by video why it has none."""
    by_video: dict[str, list[str]] = {}
    for clip_id, row in rows.items():
        by_video.setdefault(row["video_id"], []).append(clip_id)
    poses: dict[str, ClipPose] = {}
    problems = {}
    for video_id, clip_ids in by_video.items():
        try:
            poses |= read_poses(shards, clip_ids)
        except ShardError as error:
            problems[video_id] = " ".join(str(error).split())
    return poses, problems


def _hand(
    player: str, hands: Mapping[str, Hand], guessed: Mapping[str, Hand]
) -> tuple[Hand, tuple[str, ...]]:
    """The hand of a player, and what to say of it."""
    if player in hands:
        return hands[player], ()
    return (guessed[player], (GUESSED,)) if player in guessed else ("right", (TAKEN,))


def guess_hands(
    rows: Mapping[str, Mapping[str, Any]], poses: Mapping[str, ClipPose]
) -> dict[str, Hand]:
    """By known player of at least three strokes the hand whose wrist moves more in most of them.

    Moves more: the variance of its place seen from the hips, times the square of how visible it
    is. Speeds would say that of the hidden hand, whose landmark jumps.
    """
    found: dict[str, list[float]] = {}
    for clip_id, pose in poses.items():
        row = rows[clip_id]
        signal = stroke_signal(pose, row["start_frame"], row["end_frame"])
        if signal is None or row["player_id"] is None:
            continue
        inside = (pose.frames >= row["start_frame"]) & (pose.frames < row["end_frame"])
        seen = pose.visibility[inside & pose.found][:, _WRISTS].mean(axis=0)
        right, left = signal.xy[:, [WRIST, FREE_WRIST]].var(axis=0).sum(axis=1) * seen**2
        found.setdefault(row["player_id"], []).append(float(right - left))
    return {
        player: "right" if np.median(more) >= 0 else "left"
        for player, more in found.items()
        if len(more) >= FEWEST_TO_GUESS
    }


def with_cameras(strokes: Mapping[str, Stroke]) -> dict[str, Stroke]:
    """The same, each with the direction of its video's camera, from all of its strokes."""
    lines: dict[tuple[str, str], list[Any]] = {}
    for item in strokes.values():
        if item.signal is not None and item.problem is None:
            key = (item.row["video_id"], item.player)
            lines.setdefault(key, []).append(facing(item.signal, item.signal.times[0]))
    cameras = {key: direction(found) for key, found in lines.items()}
    return {
        clip_id: Stroke(
            *(item.row, item.hand, item.signal, item.problem),
            *(cameras.get((item.row["video_id"], item.player)), item.notes),
        )
        for clip_id, item in strokes.items()
    }
