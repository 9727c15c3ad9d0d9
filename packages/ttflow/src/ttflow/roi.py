"""Region of interest: where the player is, frame by frame (specification 2.3 and 2.4; paper IV-B).

Points are (x, y) in pixels of the working frame, x to the right, y down. Results are float64, on
the device of the input.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

Region = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max as fractions of the frame."""

ALPHA = 0.6
"""Weight of the fastest pixel against the centre of gravity."""
SMOOTH_TAPS = 41
SMOOTH_SIGMA_FRAMES = 40 / 9


def centers(
    flow: Float[Tensor, "time 2 height width"],
    mask: Bool[Tensor, "time height width"] | None,
    crop_hw: tuple[int, int] = (120, 120),
    alpha: float = ALPHA,
    threshold_px: float = 0.0,
    region: Region | None = None,
) -> Float64[Tensor, "time 2"]:
    """Centre of the region of interest per frame, before smoothing.

    Frames without a moving pixel lie on the line between the nearest frames that have one,
    constant at the ends; without any such frame all are the frame's centre.

    Args:
        flow: pixels per frame, channel 0 = x, 1 = y; need not be masked.
        mask: where the foreground is; None: everywhere.
        crop_hw: height and width of the crop, which the centre keeps inside the frame.
        alpha: weight of the fastest pixel against the centre of gravity.
        threshold_px: a pixel moves when |Vx| + |Vy| exceeds this; a non-finite flow never does.
        region: x_min, y_min, x_max, y_max as fractions of the frame; outside nothing moves.

    Returns:
        (T, 2), x then y.

    Raises:
        ValueError: if there is no frame, or the crop exceeds the frame.

    Source: specification 2.3; paper IV-B, equation 1. Differs: the paper prints f with
        frame and crop exchanged, which would always give the frame's centre.
    """
    if flow.shape[0] == 0:
        raise ValueError("no frame")
    found, moving = frame_centers(flow, mask, crop_hw, alpha, threshold_px, region)
    return fill(found, moving, (flow.shape[2], flow.shape[3]))


def frame_centers(
    flow: Float[Tensor, "time 2 height width"],
    mask: Bool[Tensor, "time height width"] | None,
    crop_hw: tuple[int, int] = (120, 120),
    alpha: float = ALPHA,
    threshold_px: float = 0.0,
    region: Region | None = None,
) -> tuple[Float64[Tensor, "time 2"], Bool[Tensor, " time"]]:
    """Centres of single frames, and which frames have a moving pixel; the others' are 0.

    Arguments, errors and source: see `centers`.
    """
    height, width = flow.shape[2], flow.shape[3]
    _check_crop(crop_hw, (height, width))
    allowed = mask
    if region is not None:
        part = region_mask(region, (height, width)).to(flow.device)
        allowed = part if mask is None else mask & part
    counted = _counts_on_cpu if flow.device.type == "cpu" else _counts
    fastest, columns, rows = counted(flow, allowed, threshold_px)
    count = rows.sum(1)
    xs = torch.arange(width, dtype=torch.float64, device=flow.device)
    ys = torch.arange(height, dtype=torch.float64, device=flow.device)
    share = count.clamp(min=1)
    gravity = torch.stack([columns @ xs / share, rows @ ys / share], 1)
    peak = torch.stack([fastest % width, fastest // width], 1).to(torch.float64)
    inside = (
        clamp_to_crop(peak, crop_hw, (height, width)),
        clamp_to_crop(gravity, crop_hw, (height, width)),
    )
    has_motion = count > 0
    found = alpha * inside[0] + (1 - alpha) * inside[1]
    return torch.where(has_motion[:, None], found, 0.0), has_motion


def _counts(
    flow: Tensor, allowed: Tensor | None, threshold_px: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the moving pixels: row-major index (T,) of the fastest, numbers (T, W) and (T, H).

    Of equally fast pixels the first; the numbers are per column and per row, in float64.
    """
    speed = flow[:, 0].abs() + flow[:, 1].abs()
    moving = (speed > threshold_px) & (speed < torch.inf)  # false where it is not finite
    if allowed is not None:
        moving = moving & allowed
    fastest = torch.where(moving, speed, -1).flatten(1).argmax(1)
    return fastest, moving.sum(1, dtype=torch.float64), moving.sum(2, dtype=torch.float64)


def _counts_on_cpu(
    flow: Tensor, allowed: Tensor | None, threshold_px: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What `_counts` gives, in a third of its time: NumPy's passes over single frames are short."""
    across, down = flow.detach().numpy().swapaxes(0, 1)
    with np.errstate(all="ignore"):
        speed = np.abs(across)
        speed += np.abs(down)
        moving = (speed > threshold_px) & (speed < np.inf)
    if allowed is not None:
        moving &= allowed.numpy()
    np.copyto(speed, -1, where=~moving)
    fastest = speed.reshape(len(speed), -1).argmax(1)
    # Numbers far below 2^24 are exact in float32, and its products are faster than sums of bits.
    # Products of small frames now and then report an invalid value that none of them holds.
    ones = moving.astype(np.float32)
    with np.errstate(invalid="ignore"):
        columns = (np.ones((1, ones.shape[1]), np.float32) @ ones)[:, 0]
        rows = ones @ np.ones(ones.shape[2], np.float32)
    return (
        torch.from_numpy(fastest),
        torch.from_numpy(columns).double(),
        torch.from_numpy(rows).double(),
    )


def _check_crop(crop_hw: tuple[int, int], frame_hw: tuple[int, int]) -> None:
    if crop_hw[0] > frame_hw[0] or crop_hw[1] > frame_hw[1]:
        raise ValueError(f"crop {crop_hw} exceeds the frame {frame_hw} (height, width)")


def clamp_to_crop(points: Tensor, crop_hw: tuple[int, int], frame_hw: tuple[int, int]) -> Tensor:
    """The function f of the paper's equation 1: centres (T, 2) whose crop lies inside the frame.

    Source: specification 2.3. Differs: the paper prints f with frame and crop exchanged.
    """
    half = points.new_tensor([crop_hw[1] / 2, crop_hw[0] / 2])
    frame = points.new_tensor([frame_hw[1], frame_hw[0]])
    return torch.maximum(torch.minimum(points, frame - half), half)


def region_mask(region: Region, frame_hw: tuple[int, int]) -> Bool[Tensor, "height width"]:
    """Where the middle of a pixel lies inside a region given as fractions of the frame."""
    x_min, y_min, x_max, y_max = region
    ys = (torch.arange(frame_hw[0], dtype=torch.float64) + 0.5) / frame_hw[0]
    xs = (torch.arange(frame_hw[1], dtype=torch.float64) + 0.5) / frame_hw[1]
    return ((ys >= y_min) & (ys <= y_max))[:, None] & ((xs >= x_min) & (xs <= x_max))[None, :]


def fill(
    found: Float64[Tensor, "time 2"],
    moving: Bool[Tensor, " time"],
    frame_hw: tuple[int, int],
) -> Float64[Tensor, "time 2"]:
    """Centres of all frames: those without motion by linear interpolation, constant at the ends."""
    if not bool(moving.any()):
        return found.new_tensor([frame_hw[1] / 2, frame_hw[0] / 2]).expand(len(found), 2).clone()
    index = torch.arange(len(found), device=found.device)
    before = torch.where(moving, index, -1).cummax(0).values
    after = torch.where(moving, index, len(found)).flip(0).cummin(0).values.flip(0)
    before, after = (
        torch.where(before < 0, after, before),
        torch.where(after == len(found), before, after),
    )
    span = (after - before).clamp(min=1)
    share = ((index - before).to(torch.float64) / span)[:, None]
    return found[before] + (found[after] - found[before]) * share


def smooth(
    centers: Float[Tensor, "time 2"],
    taps: int = SMOOTH_TAPS,
    sigma_frames: float = SMOOTH_SIGMA_FRAMES,
) -> Float64[Tensor, "time 2"]:
    """Centres smoothed over time by a normalised Gaussian; the edge frames repeat at the borders.

    Raises:
        ValueError: if there is no frame, or the number of taps is even.

    Source: specification 2.4; paper IV-B. Differs: 41 taps for the paper's 40, since an even
        kernel shifts the track by half a frame.
    """
    if centers.shape[0] == 0 or taps % 2 == 0:
        raise ValueError(f"{centers.shape[0]} frames and {taps} taps, expected some and an odd one")
    half = taps // 2
    values = centers.to(torch.float64)
    index = torch.arange(-half, len(values) + half, device=values.device).clamp(0, len(values) - 1)
    return _blend(values[index], _weights(taps, sigma_frames).to(values.device))


def _weights(taps: int, sigma_frames: float) -> Tensor:
    """(taps,) float64, their sum 1."""
    offsets = torch.arange(taps, dtype=torch.float64) - taps // 2
    weights = torch.exp(-0.5 * (offsets / sigma_frames) ** 2)
    return weights / weights.sum()


def _blend(values: Tensor, weights: Tensor) -> Tensor:
    """(time - taps + 1, 2) weighted means of the windows of (time, 2) values."""
    return (values.unfold(0, len(weights), 1) * weights).sum(-1)


class Track:
    """The smoothed centres of one segment, found while its frames arrive.

    Gives what `smooth(fill(...))` gives for the whole segment, each centre as soon as it is
    certain: half a kernel late, later still behind frames without motion.

    Args:
        frame_hw: height and width of the working frame.
        taps: of the smoothing.
        sigma_frames: of the smoothing.
        max_rest_frames: no more frames than these wait for motion; the earlier ones of a longer
            rest keep the last centre there was, at the start of the segment the frame's. So a rest
            as long as this, or shorter, is filled as `fill` does. None: no limit.
    """

    def __init__(
        self,
        frame_hw: tuple[int, int],
        taps: int = SMOOTH_TAPS,
        sigma_frames: float = SMOOTH_SIGMA_FRAMES,
        max_rest_frames: int | None = None,
    ) -> None:
        self._frame_hw = frame_hw
        self._max_rest_frames = max_rest_frames
        self._taps = taps
        self._weights = _weights(taps, sigma_frames)
        self._last: Tensor | None = None
        self._waiting = 0
        self._recent = torch.empty(0, 2, dtype=torch.float64)

    def push(self, center: Float64[Tensor, " 2"] | None) -> list[Tensor]:
        """Add the next frame's centre, None without motion; returns those now certain, in order."""
        if center is None:
            self._waiting += 1
            return self._advance(self._held()) if self._rests_too_long() else []
        filled = self._filled(center) if self._waiting else center[None]
        self._last, self._waiting = center, 0
        return self._advance(filled)

    def _rests_too_long(self) -> bool:
        return self._max_rest_frames is not None and self._waiting > self._max_rest_frames

    def _held(self) -> Tensor:
        """The centre of the first frame that waits, which waits no longer."""
        if self._last is None:
            height, width = self._frame_hw
            self._last = torch.tensor([width / 2, height / 2], dtype=torch.float64)
        self._waiting -= 1
        return self._last[None]

    def finish(self) -> list[Tensor]:
        """End the segment: returns the centres still due, in order."""
        due = self._advance(self._filled(None)) if self._waiting else []
        if len(self._recent):
            due += self._advance(self._recent[-1:].expand(self._taps // 2, 2))
        return due

    def _filled(self, center: Tensor | None) -> Tensor:
        """The centres of the frames that wait, and `center` where there is one."""
        ends = [self._last is not None, center is not None]
        found = torch.zeros(self._waiting + sum(ends), 2, dtype=torch.float64)
        moving = torch.zeros(len(found), dtype=torch.bool)
        if self._last is not None:
            found[0], moving[0] = self._last, True
        if center is not None:
            found[-1], moving[-1] = center, True
        return fill(found, moving, self._frame_hw)[int(ends[0]) :]

    def _advance(self, values: Tensor) -> list[Tensor]:
        if not len(self._recent):  # the segment begins: its first centre repeats
            values = torch.cat([values[:1].expand(self._taps // 2, 2), values])
        known = torch.cat([self._recent, values])
        self._recent = known[max(0, len(known) - self._taps + 1) :]
        return list(_blend(known, self._weights)) if len(known) >= self._taps else []
