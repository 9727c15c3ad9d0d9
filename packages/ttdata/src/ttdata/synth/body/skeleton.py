"""From poses to the joints of a body in space."""

import numpy as np
from numpy.typing import NDArray

from ttdata.synth.players import Player
from ttdata.synth.strokes import CROUCH, FACE, FREE, HAND, LEAN, STEP, WRIST, YAW

Array = NDArray[np.float64]

NOMINAL_M = 1.75

# Lengths of a person of 1.75 m, in metres.
_THIGH, _SHIN, _ANKLE = 0.45, 0.45, 0.07
_SPINE, _SHOULDER, _HIP = 0.50, 0.19, 0.11
_UPPER_ARM, _FOREARM = 0.31, 0.32
TORSO = _SPINE - 0.02
"""From the hips to the shoulders."""
BAT_M = 0.27
"""From the wrist to the middle of the blade."""


def skeleton(pose: Array, player: Player) -> dict[str, Array]:
    """Joints in a player's own axes (f, r, u), metres: each (T, 3).

    Args:
        pose: (T, 18) channels.
        player: scales the lengths.

    Returns:
        hips, spine_top, shoulder_bat, shoulder_free, elbow_*, wrist_*, knee_*, ankle_*, toe_*,
        hip_*, neck, head, and of the bat: blade (its middle), axis and normal (unit vectors).
    """
    joints, across, half = _trunk(pose)
    step = pose[:, STEP]
    _arms(joints, pose, across, step)
    _legs(joints, step, half)
    return {name: value * (player.height_m / NOMINAL_M) for name, value in joints.items()} | _bat(
        joints, pose, player
    )


def bat_shoulder(row: Array) -> Array:
    """Where the shoulder of the bat arm is in a pose (18,): (f, r, u) of a person of 1.75 m."""
    return np.asarray(_trunk(row[None])[0]["shoulder_bat"][0])


def _trunk(pose: Array) -> tuple[dict[str, Array], Array, Array]:
    """Trunk and head of a person of 1.75 m; the lines of the shoulders and of the hips."""
    step = pose[:, STEP]
    joints: dict[str, Array] = {}
    crouch = pose[:, CROUCH : CROUCH + 1]
    up = np.array([0.0, 0.0, 1.0])
    hips = step + (_ANKLE + _THIGH + _SHIN - 0.02 - crouch) * up
    lean, yaw = pose[:, LEAN], pose[:, YAW]
    hips[:, 0] -= 0.25 * lean  # the seat goes back as the trunk bends
    spine = np.stack([np.sin(lean), np.zeros_like(lean), np.cos(lean)], axis=1)
    across = np.stack([-np.sin(yaw), np.cos(yaw), np.zeros_like(yaw)], axis=1)
    half = np.stack([-np.sin(yaw / 2), np.cos(yaw / 2), np.zeros_like(yaw)], axis=1)
    top = hips + _SPINE * spine
    joints |= {"hips": hips, "spine_top": top}
    joints["neck"] = top + 0.07 * spine
    joints["head"] = top + 0.11 * up + 0.15 * spine
    for side, sign in (("bat", 1.0), ("free", -1.0)):
        joints[f"shoulder_{side}"] = top + sign * _SHOULDER * across - 0.02 * up
        joints[f"hip_{side}"] = hips + sign * _HIP * half
    return joints, across, half


def _arms(joints: dict[str, Array], pose: Array, across: Array, step: Array) -> None:
    for side, sign, where in (("bat", 1.0, HAND), ("free", -1.0, FREE)):
        pole = sign * 0.5 * across + np.array([-0.35, 0.0, -0.8])
        target = pose[:, where] + step
        elbow, wrist = _two_bones(joints[f"shoulder_{side}"], target, _UPPER_ARM, _FOREARM, pole)
        joints[f"elbow_{side}"], joints[f"wrist_{side}"] = elbow, wrist


def _legs(joints: dict[str, Array], step: Array, half: Array) -> None:
    for side, sign, forward in (("bat", 1.0, -0.08), ("free", -1.0, 0.12)):
        foot = np.array([forward, sign * 0.24, _ANKLE]) + 0.8 * step
        knee, ankle = _two_bones(
            joints[f"hip_{side}"], foot, _THIGH, _SHIN, np.array([1.0, 0.25 * sign, 0.1])
        )
        joints[f"knee_{side}"], joints[f"ankle_{side}"] = knee, ankle
        joints[f"toe_{side}"] = ankle + np.array([0.17, 0.04 * sign, -0.03])


def _two_bones(
    root: Array, target: Array, upper: float, lower: float, pole: Array
) -> tuple[Array, Array]:
    """Middle and end joint of a limb that reaches for the target, bent towards the pole."""
    reach = target - root
    distance = np.linalg.norm(reach, axis=1, keepdims=True)
    direction = reach / np.maximum(distance, 1e-6)
    length = np.clip(distance, abs(upper - lower) + 0.12, 0.99 * (upper + lower))
    along = (upper**2 - lower**2 + length**2) / (2 * length)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
    bend = _unit(pole - (pole * direction).sum(axis=1, keepdims=True) * direction)
    return root + along * direction + aside * bend, root + length * direction


def _bat(joints: dict[str, Array], pose: Array, player: Player) -> dict[str, Array]:
    forearm = _unit(joints["wrist_bat"] - joints["elbow_bat"])
    axis = _unit(0.6 * forearm + _unit(pose[:, WRIST]))
    face = pose[:, FACE]
    normal = _unit(face - (face * axis).sum(axis=1, keepdims=True) * axis)
    wrist = joints["wrist_bat"] * (player.height_m / NOMINAL_M)
    return {"blade": wrist + BAT_M * axis, "axis": axis, "normal": normal}


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), 1e-6))
