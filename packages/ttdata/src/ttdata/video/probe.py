"""The facts of a video, read from the file itself."""

from dataclasses import dataclass, field
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from ttdata.errors import VideoError
from ttdata.video.container import best_stream, open_container, orientation, reason
from ttdata.video.timing import Floats, Timing, read_timing


@dataclass(frozen=True)
class VideoMetadata:
    """The properties of a file's best video stream; size as shown, display matrix applied."""

    fps: float
    num_frames: int
    width: int
    height: int
    frame_seconds: Floats | None = field(default=None, compare=False)
    """When each frame is shown, see `Timing`; None where frame i is shown at i / fps."""


def probe(path: Path) -> VideoMetadata:
    """Frame rate, number of frames, size and presentation times of a video.

    The frame count is the container's, less the frames that an edit list hides (a cut without new
    encoding leaves some); where the header has none, or an AVI dropped some, packets are counted
    without decoding. Where the rate is not constant, or the picture begins late, the times of all
    frames are read from the packets. One frame is decoded, so a file that opens but shows nothing
    is an error here.

    Raises:
        VideoError: if the file is missing, is no video, or yields no frame.
    """
    try:
        with open_container(path.absolute()) as container:
            stream = best_stream(container)
            if not isinstance(stream, VideoStream):
                raise VideoError(f"{path}: has no video stream")
            timing = read_timing(path, container, stream)
            return _metadata(path, container, stream, timing)
    except (OSError, av.FFmpegError) as error:
        raise VideoError(f"{path}: cannot be read as a video ({reason(error)})") from error


def _metadata(
    path: Path, container: InputContainer, stream: VideoStream, timing: Timing
) -> VideoMetadata:
    stream.thread_type = "NONE"
    frame = next(container.decode(stream), None)
    if frame is None or timing.num_frames < 1:
        raise VideoError(f"{path}: opens as a video but yields no frame")
    if not timing.fps:
        raise VideoError(f"{path}: states no frame rate")
    width, height = frame.width, frame.height
    if orientation(frame).swaps_sides:
        width, height = height, width
    return VideoMetadata(timing.fps, timing.num_frames, width, height, timing.seconds)
