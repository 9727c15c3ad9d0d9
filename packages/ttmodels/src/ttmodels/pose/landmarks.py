"""Landmarks of a person as networks take them: hip-centred, torso-scaled, missing ones marked.

The 33 points are those of BlazePose (Bazarevsky et al., "BlazePose: On-device Real-time Body Pose
Tracking", 2020): 11 and 12 are the shoulders, 23 and 24 the hips, the left of each pair first.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ttmodels.inputs import POSE, POSE_POINTS

SHOULDERS = (11, 12)
HIPS = (23, 24)
MIN_VISIBILITY = 0.1


def normalise_pose(
    points: Float[Tensor, "*batch frames points 2"],
    visibility: Float[Tensor, "*batch frames points"],
    min_visibility: float = MIN_VISIBILITY,
) -> Float[Tensor, "*batch 3 frames points"]:
    """Return the pose that networks take from landmarks in pixels.

    A landmark is missing where its visibility is below `min_visibility` or a coordinate is not
    finite. In each frame the middle of the hips becomes the origin; where a hip or a shoulder is
    missing, that middle is interpolated over time between the frames that have all four, and taken
    from the nearest one before the first and after the last. The unit is the median over these
    frames (of two in the middle the shorter) of the distance from the middle of the shoulders to
    that of the hips: one for the whole clip, so that leaning forward does not enlarge the person.

    Args:
        points: 33 landmarks per frame, x (right) and y (down), in pixels or any unit that is the
            same along both axes.
        visibility: of each landmark, in [0, 1]; 0 in frames without a person.
        min_visibility: below that a landmark is missing.

    Returns:
        Channels x, y in torso lengths, cut to [-5, 5], and visibility in [0, 1]; all three are 0
        for a missing landmark, and for all where no frame has both hips and both shoulders.

    Raises:
        ValueError: if a shape is another, or values are integers.
    """
    _check(points, visibility)
    seen = (visibility >= min_visibility) & points.isfinite().all(dim=-1)
    hips = points[..., HIPS, :].mean(dim=-2)
    torso = (points[..., SHOULDERS, :].mean(dim=-2) - hips).norm(dim=-1)
    whole = seen[..., SHOULDERS + HIPS].all(dim=-1) & (torso > 0)
    unit = torso.masked_fill(~whole, torch.nan).nanmedian(dim=-1).values
    placed = (points - _filled(hips, whole)[..., None, :]) / unit[..., None, None, None]
    used = seen & whole.any(dim=-1)[..., None, None]
    placed = placed.clamp(POSE.low, POSE.high).masked_fill(~used[..., None], 0)
    shown = visibility.clamp(0, 1).masked_fill(~used, 0)
    return torch.cat((placed.movedim(-1, -3), shown.unsqueeze(-3)), dim=-3)


def normalise_world_pose(
    world: Float[Tensor, "*batch frames points 3"],
) -> Float[Tensor, "*batch 3 frames points"]:
    """Return the pose that networks on turned landmarks take from world coordinates.

    The person is turned about the vertical until the shoulders, on average over the clip, lie along
    x, the left one on the positive side: so it does not matter from where a stroke was filmed. One
    turn per clip, since turning the trunk is part of the stroke. In each frame the middle of the
    hips becomes the origin. The unit is the median over the frames with a torso (of two in the
    middle the shorter) of the distance from the middle of the shoulders to that of the hips.

    Args:
        world: 33 landmarks per frame, x (right), y (down) and z (away from the camera), in metres
            or any unit that is the same along all axes; all 0 in frames without a person.

    Returns:
        Channels x, y, z in torso lengths, cut to [-5, 5]; 0 in frames without a torso.

    Raises:
        ValueError: if the shape is another, or values are integers.
    """
    _check(world, world[..., 0], axes=3)
    left, right = world[..., SHOULDERS[0], :], world[..., SHOULDERS[1], :]
    hips = world[..., HIPS, :].mean(dim=-2)
    torso = ((left + right) / 2 - hips).norm(dim=-1)
    whole = (torso > 0) & world.isfinite().flatten(-2).all(dim=-1)
    unit = torso.masked_fill(~whole, torch.nan).nanmedian(dim=-1).values[..., None, None, None]
    across = (left - right).masked_fill(~whole[..., None], 0).sum(dim=-2)
    turn = torch.atan2(across[..., 2], across[..., 0])[..., None, None]
    x, y, z = ((world - hips[..., None, :]) / unit).unbind(dim=-1)
    turned = torch.stack(
        (x * turn.cos() + z * turn.sin(), y, z * turn.cos() - x * turn.sin()), dim=-3
    )
    return turned.clamp(POSE.low, POSE.high).masked_fill(~whole[..., None, :, None], 0)


def _filled(
    values: Float[Tensor, "*batch frames 2"], known: Bool[Tensor, "*batch frames"]
) -> Float[Tensor, "*batch frames 2"]:
    """Return the values with the unknown ones interpolated over time, at the ends repeated."""
    num_frames = known.shape[-1]
    frames = torch.arange(num_frames, device=known.device).expand(known.shape)
    before = frames.masked_fill(~known, -1).cummax(dim=-1).values
    after = frames.masked_fill(~known, num_frames).flip(-1).cummin(dim=-1).values.flip(-1)
    first = torch.where(before < 0, after, before).clamp(max=num_frames - 1)
    last = torch.where(after == num_frames, before, after).clamp(min=0)
    share = ((frames - first) / (last - first).clamp(min=1)).to(values.dtype)
    low, high = (
        values.gather(-2, index.unsqueeze(-1).expand(values.shape)) for index in (first, last)
    )
    return low + (high - low) * share.unsqueeze(-1)


def _check(points: Tensor, visibility: Tensor, axes: int = 2) -> None:
    shape = tuple(points.shape)
    if points.ndim < 3 or shape[-2:] != (POSE_POINTS, axes) or shape[-3] < 1:
        raise ValueError(
            f"points have shape {shape}, expected (..., frames, {POSE_POINTS}, {axes})"
        )
    if visibility.shape != points.shape[:-1]:
        raise ValueError(
            f"visibility has shape {tuple(visibility.shape)}, expected {shape[:-1]} as the points"
        )
    for name, values in (("points", points), ("visibility", visibility)):
        if not values.is_floating_point():
            raise ValueError(f"{name} have dtype {values.dtype}, expected floats")
