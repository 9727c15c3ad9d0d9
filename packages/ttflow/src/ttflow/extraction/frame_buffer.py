"""A queue of frames that outgrows memory onto the disk."""

import tempfile
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StoredFrame:
    """A working frame that waits for its centre: what a patch is cut from."""

    index: int
    time_seconds: float
    flags: int
    rgb: NDArray[np.uint8]
    """(H, W, 3)"""
    flow: NDArray[np.int16]
    """(2, H, W), units of 1/32 px, masked"""


class FrameQueue:
    """First in, first out; pixels beyond `memory_frames` wait in a temporary file.

    All frames have one size. The file has no name, so nothing is left behind by a killed process.
    """

    def __init__(self, memory_frames: int = 128) -> None:
        self._memory_frames = memory_frames
        self._head: deque[StoredFrame] = deque()
        self._spilled: deque[tuple[int, float, int]] = deque()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._read_at = 0
        self._write_at = 0

    def __len__(self) -> int:
        return len(self._head) + len(self._spilled)

    def close(self) -> None:
        """Drop everything."""
        self._file.close()

    def push(self, frame: StoredFrame) -> None:
        """Add a frame at the end."""
        if not self._spilled and len(self._head) < self._memory_frames:
            self._head.append(frame)
            return
        self._shapes = frame.rgb.shape, frame.flow.shape
        self._file.seek(self._write_at)
        for pixels in (frame.rgb, frame.flow):
            self._write_at += self._file.write(np.ascontiguousarray(pixels).tobytes())
        self._spilled.append((frame.index, frame.time_seconds, frame.flags))

    def pop(self) -> StoredFrame:
        """Remove the first frame."""
        if self._head:
            return self._head.popleft()
        index, time_seconds, flags = self._spilled.popleft()
        rgb_shape, flow_shape = self._shapes
        self._file.seek(self._read_at)
        rgb = np.frombuffer(self._file.read(int(np.prod(rgb_shape))), np.uint8)
        flow = np.frombuffer(self._file.read(2 * int(np.prod(flow_shape))), np.int16)
        self._read_at = self._file.tell()
        if not self._spilled:
            self._read_at = self._write_at = 0
            self._file.truncate(0)
        return StoredFrame(
            index, time_seconds, flags, rgb.reshape(rgb_shape), flow.reshape(flow_shape)
        )
