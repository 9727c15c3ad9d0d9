"""The facts of a video, read from the file itself."""

from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ttdata.errors import VideoError
from ttdata.video.container import best_stream, open_container, orientation, reason


@dataclass(frozen=True)
class VideoMetadata:
    """The properties of a file's best video stream; size as shown, display matrix applied."""

    fps: float
    num_frames: int
    width: int
    height: int


def probe(path: Path) -> VideoMetadata:
    """Frame rate, number of frames and size of a video.

    The frame count is the container's, less the frames that an edit list hides (a cut without new
    encoding leaves some); where the header has none, packets are counted without decoding. One
    frame is decoded, so a file that opens but shows nothing is an error here.

    Raises:
        VideoError: if the file is missing, is no video, or yields no frame.
    """
    try:
        with open_container(path.absolute()) as container:
            stream = best_stream(container)
            if not isinstance(stream, VideoStream):
                raise VideoError(f"{path}: has no video stream")
            num_frames = _shown(container, stream) or _count_packets(path)
            return _metadata(path, container, stream, num_frames)
    except (OSError, av.FFmpegError) as error:
        raise VideoError(f"{path}: cannot be read as a video ({reason(error)})") from error


def _metadata(
    path: Path, container: InputContainer, stream: VideoStream, num_frames: int
) -> VideoMetadata:
    stream.thread_type = "NONE"
    frame = next(container.decode(stream), None)
    rate = stream.average_rate or stream.guessed_rate
    if frame is None or num_frames < 1:
        raise VideoError(f"{path}: opens as a video but yields no frame")
    if not rate:
        raise VideoError(f"{path}: states no frame rate")
    width, height = frame.width, frame.height
    if orientation(frame).swaps_sides:
        width, height = height, width
    return VideoMetadata(float(rate), num_frames, width, height)


def _shown(container: InputContainer, stream: VideoStream) -> int:
    """Frames that the header promises to show; 0 where it promises nothing."""
    index = stream.index_entries
    if "mov" not in container.format.name or len(index) < stream.frames:
        return stream.frames
    return sum(not entry.is_discard for entry in index)


def _count_packets(path: Path) -> int:
    with open_container(path.absolute()) as container:
        stream = best_stream(container)
        if stream is None:
            return 0
        return sum(1 for packet in container.demux(stream) if packet.size and not packet.is_discard)
