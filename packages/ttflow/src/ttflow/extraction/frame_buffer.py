"""A queue of frames whose pixels go to the disk beyond a number of frames."""

import tempfile
from collections import deque

import numpy as np

from ttflow.extraction.frames import FlowFrame


class FrameQueue:
    """First in, first out; pixels beyond `memory_frames` wait in a temporary file.

    All frames have one size. The file has no name, so nothing is left behind by a killed process.
    """

    def __init__(self, memory_frames: int = 80) -> None:
        self._memory_frames = memory_frames
        self._in_memory: deque[FlowFrame] = deque()
        self._on_disk: deque[tuple[int, float, int]] = deque()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._read_at = 0
        self._write_at = 0

    def __len__(self) -> int:
        return len(self._in_memory) + len(self._on_disk)

    def close(self) -> None:
        """Drop everything."""
        self._file.close()

    def push(self, frame: FlowFrame) -> None:
        """Add a frame at the end."""
        if not self._on_disk and len(self._in_memory) < self._memory_frames:
            self._in_memory.append(frame)
            return
        self._shapes = frame.rgb.shape, frame.flow.shape
        self._file.seek(self._write_at)
        for pixels in (frame.rgb, frame.flow):
            self._write_at += self._file.write(np.ascontiguousarray(pixels).data)
        self._on_disk.append((frame.index, frame.time_seconds, frame.flags))

    def pop(self) -> FlowFrame:
        """Remove the first frame."""
        if self._in_memory:
            return self._in_memory.popleft()
        index, time_seconds, flags = self._on_disk.popleft()
        rgb_shape, flow_shape = self._shapes
        self._file.seek(self._read_at)
        rgb = np.frombuffer(self._file.read(int(np.prod(rgb_shape))), np.uint8)
        flow = np.frombuffer(self._file.read(4 * int(np.prod(flow_shape))), np.float32)
        self._read_at = self._file.tell()
        if not self._on_disk:
            self._read_at = self._write_at = 0
            self._file.truncate(0)
        return FlowFrame(
            index, time_seconds, flags, rgb.reshape(rgb_shape), flow.reshape(flow_shape)
        )
