"""The strokes of a shards folder with their signals, hands and cameras."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ttdata.errors import InputError, TTError
from ttflow import ClipPose, Shards
from ttflow.jobs.pose_planning import video_paths
from ttflow.shards.pose_reader import known_poses
from ttflow.shards.poses import stored_info
from tttrain.quality.comparable import direction, facing, track_problem
from tttrain.quality.document import Hand, StrokeQuality
from tttrain.quality.landmarks import FREE_WRIST, WRIST, StrokeSignal, stroke_signal
from tttrain.quality.teacher.marks import Marks

GUESSED = "which hand holds the bat was guessed (it moves more); --players CSV tells it"
TAKEN = "taken for right-handed; --players CSV tells who is not"
FEWEST_TO_GUESS = 3
"""Strokes of a known player by which his hand is guessed: one alone is often wrong."""
UNSURE = 0.5
"""An index that is less sure of a stroke is to be looked at."""
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
        """What is one session: that of `session_name`, of a player."""
        return f"{self.row['player_id'] or ''}/{self.session_name or 'unknown'}"

    @property
    def session_name(self) -> str | None:
        """As `with_sessions` told; without it the session, or the video where that is unknown."""
        row = self.row
        if "session" not in row:
            return str(row["session_id"] or row["video_id"])
        return None if row["session"] is None else str(row["session"])

    @property
    def player(self) -> str:
        """Who plays; where that is unknown, whoever is in the video, on his side of it."""
        if self.row["player_id"] is not None:
            return str(self.row["player_id"])
        side = self.row.get("side")
        return f"{self.row['video_id']}\t{side}" if side else str(self.row["video_id"])

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
        same = {name: self.row[name] for name in names}
        where = {"session": self.session_name, "video_path": self.row.get("video_path")}
        return StrokeQuality(**same, **where, **(known | found))


def load_strokes(shards: Shards, hands: Mapping[str, Hand]) -> dict[str, Stroke]:
    """Every stroke of a folder by clip, in the folder's order.

    Args:
        shards: with poses.
        hands: by player, where it is known; otherwise it is guessed per player.

    Raises:
        InputError: if the folder has no poses, or no stroke.
    """
    rows = with_sessions(stroke_rows(shards))
    poses, missing = stroke_poses(shards, list(rows))
    return measurable(rows, poses, missing, hands)


def stroke_rows(shards: Shards) -> dict[str, dict[str, Any]]:
    """The strokes of a folder by clip: rows of `clips.parquet`, and where their videos lie.

    Raises:
        InputError: if there is no stroke.
    """
    rows = {row["clip_id"]: row for row in shards.clips.filter(kind="stroke").to_dicts()}
    if not rows:
        raise InputError(f"{shards.path}: no stroke; expected clips of kind stroke")
    paths: dict[str, str | None] = {}
    with suppress(TTError):  # nothing is measured there, so the dataset may be gone
        paths = video_paths(shards, None)
    return {name: row | {"video_path": paths.get(row["video_id"])} for name, row in rows.items()}


def stroke_poses(
    shards: Shards, clip_ids: Sequence[str]
) -> tuple[dict[str, ClipPose], dict[str, str]]:
    """The poses of clips of a folder, and of those without any why.

    Raises:
        InputError: if the folder has no poses at all.
    """
    if stored_info(shards.path) is None:
        raise InputError(
            f"{shards.path}: no poses; run `ttflow pose {shards.path}`, or measure with --coarse"
        )
    return known_poses(shards, clip_ids)


def with_sessions(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Strokes with what is one session, as `session`, by clip.

    That is `session_id`, else the video. Of a video with a single stroke it is unknown (None): in a
    folder of clips each would be a session of its own, and nothing be known of sessions.
    """
    strokes = Counter(row["video_id"] for row in rows.values())
    return {
        clip_id: dict(row)
        | {
            "session": row["session_id"]
            or (row["video_id"] if strokes[row["video_id"]] > 1 else None)
        }
        for clip_id, row in rows.items()
    }


def measurable(
    rows: Mapping[str, Mapping[str, Any]],
    poses: Mapping[str, ClipPose],
    missing: Mapping[str, str],
    hands: Mapping[str, Hand],
    marks: Mapping[str, Marks] | None = None,
) -> dict[str, Stroke]:
    """Strokes with their signals, by clip, in the order of `rows`.

    Args:
        rows: of strokes, by clip.
        poses: by clip.
        missing: by clip that has none, why.
        hands: by player, where it is known; otherwise it is guessed per player.
        marks: of references; where these have bounds of their own, they are measured within them.
    """
    guessed = guess_hands(rows, poses)
    found = {}
    for clip_id, row in rows.items():
        hand, notes = _hand(row["player_id"] or "", hands, guessed)
        notes = (*notes, *_unsure(row))
        if clip_id not in poses:
            reason = " ".join(missing[clip_id].split())
            found[clip_id] = Stroke(row, hand, None, reason, None, notes)
            continue
        pose, mark = poses[clip_id], (marks or {}).get(clip_id)
        first, end = row["start_frame"], row["end_frame"]
        if mark is not None and mark.bounds is not None:
            first, end = mark.bounds
        signal = stroke_signal(pose, first, end, hand)
        problem = track_problem(signal) or _outside(mark, pose)
        found[clip_id] = Stroke(row, hand, signal, problem, None, notes)
    return with_cameras(found)


def _unsure(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What to say of a stroke that an index found."""
    score = row.get("score")
    if score is None or score >= UNSURE:
        return ()
    return (f"found with a certainty of {score:.2f} only: look whether it is such a stroke",)


def _outside(mark: Marks | None, pose: ClipPose) -> str | None:
    """Why a mark lies where nothing was estimated; None: it does not."""
    first, last = int(pose.frames[0]), int(pose.frames[-1])
    if mark is None or (first <= mark.ready and mark.end <= last):
        return None
    return f"marked from frame {mark.ready} to {mark.end}, its poses are of {first} to {last}"


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
        places = signal.xy[signal.inner][:, [WRIST, FREE_WRIST]]
        right, left = places.var(axis=0).sum(axis=1) * seen**2
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
            lines.setdefault(key, []).append(facing(item.signal, item.signal.bounds[0]))
    cameras = {key: direction(found) for key, found in lines.items()}
    return {
        clip_id: Stroke(
            *(item.row, item.hand, item.signal, item.problem),
            *(cameras.get((item.row["video_id"], item.player)), item.notes),
        )
        for clip_id, item in strokes.items()
    }
