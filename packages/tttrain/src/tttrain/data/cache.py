"""What is on the device that trains: clips, decoded once as uint8 and int16; small tables."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ttflow.shards.intervals import padded_indices
from tttrain.data.sampling import Request, StoredClip, Window


@dataclass(frozen=True, eq=False)
class _Kept:
    interval: tuple[int, int]
    total_frames: int
    rgb: Tensor
    flow: Tensor


class ResidentSource:
    """Windows of clips kept on a device: views of them, so a window costs no copy.

    Args:
        clips: decoded; taken one by one.
        num_frames: T of the windows.
        device: where the clips stay.
    """

    def __init__(
        self, clips: Iterable[StoredClip], num_frames: int, device: str | torch.device = "cpu"
    ) -> None:
        self._num_frames = num_frames
        self._clips = {
            clip.clip_id: _Kept(
                clip.interval,
                clip.total_frames,
                tensor(clip.rgb).to(device),
                tensor(clip.flow).to(device),
            )
            for clip in clips
        }

    def windows(self, requests: Sequence[Request]) -> Iterator[Window]:
        """The windows asked for, in that order; equal to decoding them directly."""
        for item in requests:
            yield self._window(item, self._clips[item.clip_id])

    def _window(self, item: Request, clip: _Kept) -> Window:
        positions, real = padded_indices(
            item.start_frame, self._num_frames, clip.interval, clip.total_frames
        )
        if real == self._num_frames:
            span = slice(positions[0], positions[0] + real)
            return Window(item.clip_id, clip.rgb[span], clip.flow[span])
        flow = clip.flow[positions]
        flow[real:] = 0
        return Window(item.clip_id, clip.rgb[positions], flow)


def place(device: str, gib: float) -> str:
    """Where clips of this size stay: on a GPU where half of its free memory takes them."""
    if not on_gpu(device):
        return "cpu"
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return device if gib * 2**30 <= free / 2 else "cpu"


def tensor(array: np.ndarray | Tensor) -> Tensor:
    """The same numbers as a tensor, without a copy where they may be written to."""
    if isinstance(array, Tensor):
        return array
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def on_gpu(device: torch.device | str) -> bool:
    """Whether a device is a GPU of CUDA."""
    return torch.device(device).type == "cuda"


def without_waiting(values: Tensor, device: torch.device | str) -> Tensor:
    """A few numbers from the CPU on a device; the host does not wait until they are there."""
    if not on_gpu(device):
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
