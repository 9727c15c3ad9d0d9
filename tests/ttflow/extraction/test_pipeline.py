"""From video to rows: frames, flow and centres belong together, whatever the plan of the clips."""

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ttdata.errors import VideoError
from ttflow.decode import frames
from ttflow.extraction import tracking
from ttflow.extraction.frame_buffer import FrameQueue
from ttflow.extraction.frames import FlowFrame, WorkingFrame
from ttflow.extraction.pipeline import extract_video, flow_frames
from ttflow.flow.estimators import create
from ttflow.foreground import Foreground
from ttflow.roi import centers, region_mask, smooth
from ttflow.schema import FLAG_NO_FLOW, FLAG_NO_MOTION, FLAG_UNMASKED, FlowConfig
from ttflow.shards.intervals import ClipSpec, plan_video, stored_interval, unions
from ttflow.shards.patches import (
    center_crop,
    crop_left_top,
    dequantize_flow,
    patch_left_top,
    quantize_flow,
)
from ttflow.shards.windows import decode_window

torch.set_num_threads(1)
cv2.setNumThreads(1)


class Rows(list):
    """A sink that keeps everything."""

    restarts = 0

    def write(self, row: dict[str, Any]) -> None:
        self.append(row)

    def restart(self) -> None:
        self.clear()
        self.restarts += 1


def rows_of(
    path: Path, clips: list[ClipSpec], config: FlowConfig, promised: int = 0
) -> dict[str, dict[str, Any]]:
    sink = Rows()
    counts = extract_video(path, clips, config, create(config.estimator), sink, promised)
    return {row["clip_id"]: row | {"num_frames": counts.num_frames} for row in sink}


WIDE = FlowConfig(
    crop_height=176, crop_width=304, patch_side=320, window_frames=16, margin_frames=4
)
"""Nearly the whole frame is in the patch, so every bar can be read."""


def test_stored_frames_are_the_claimed_ones(lib, number_video: Path) -> None:
    clips = [ClipSpec("a", 5, 30), ClipSpec("b", 20, 60), ClipSpec("c", 140, 150)]
    rows = rows_of(number_video, clips, WIDE.model_copy(update={"estimator": "dis-ultrafast"}), 150)
    assert {k: (r["stored_start_frame"], r["stored_end_frame"]) for k, r in rows.items()} == {
        "a": (1, 34),
        "b": (16, 64),
        "c": (130, 150),
    }
    for row in rows.values():
        first, last = row["stored_start_frame"], row["stored_end_frame"]
        rgb, _ = decode_window(row, first, last - first)
        numbers = [
            lib.read_number(image[160:170], row["patch_left_top"][2 * step])
            for step, image in enumerate(rgb)
        ]
        assert numbers == list(range(first, last))
        np.testing.assert_allclose(row["time_seconds"], np.arange(first, last) / 120, atol=1e-6)


def test_flow_belongs_to_the_frame_and_its_successor(lib, tmp_path: Path) -> None:
    """The square moves only between frames 40 and 41: flow is at 40, to the right."""

    def images():
        scene = list(lib.moving_square(2, speed_px=3.0))
        for index in range(80):
            yield scene[int(index > 40)]

    path = lib.write_video(tmp_path / "step.mp4", images(), options={"crf": "1"})
    config = FlowConfig(window_frames=20, foreground="none", estimator="dis-medium")
    row = rows_of(path, [ClipSpec("a", 30, 50)], config)["a"]
    first = row["stored_start_frame"]
    _, flow = decode_window(row, first, row["stored_end_frame"] - first)
    moving = np.abs(dequantize_flow(flow)).max((1, 2, 3)) > 1
    assert np.flatnonzero(moving).tolist() == [40 - first]
    left, top = row["patch_left_top"][2 * (40 - first) : 2 * (40 - first) + 2]
    inside = dequantize_flow(flow[40 - first])[:, 80 - top : 100 - top, 50 - left : 70 - left]
    assert float(np.median(inside[0])) == pytest.approx(3, abs=0.3)
    assert abs(float(np.median(inside[1]))) < 0.15


def plain_rows(path: Path, clips: list[ClipSpec], config: FlowConfig) -> dict[str, Any]:
    """The same numbers without streaming: everything of the video is held at once."""
    size = (config.frame_height, config.frame_width)
    images = [image for _, _, image in frames(path, size)]
    foreground, estimator = Foreground(config), create(config.estimator)
    masks = [foreground(image) for image in images]
    flows = np.zeros((len(images), 2, *size), np.float32)
    for index in range(len(images) - 1):
        pair = [torch.from_numpy(images[i]).permute(2, 0, 1)[None] for i in (index, index + 1)]
        flow = estimator(*pair)[0].numpy()
        mask = masks[index]
        flows[index] = flow if mask is None else flow * mask
    stored = {
        clip.clip_id: stored_interval(
            clip.start_frame,
            clip.end_frame,
            len(images),
            window_frames=config.window_frames,
            margin_frames=config.margin_frames,
        )
        for clip in clips
    }
    widen = config.smooth_taps // 2
    segments = unions((max(0, a - widen), min(len(images), b + widen)) for a, b in stored.values())
    result = {}
    for clip in clips:
        first, last = stored[clip.clip_id]
        (segment,) = [s for s in segments if s[0] <= first < s[1]]
        track = smooth(
            centers(
                torch.from_numpy(flows[segment[0] : segment[1]]),
                None,
                (config.crop_height, config.crop_width),
                config.roi_alpha,
                config.roi_threshold_px,
                clip.region,
            ),
            config.smooth_taps,
            config.smooth_sigma_frames,
        ).numpy()[first - segment[0] : last - segment[0]]
        crop_hw = (config.crop_height, config.crop_width)
        corners = [crop_left_top((x, y), crop_hw, size) for x, y in track]
        crops = [
            quantize_flow(flows[first + step])[:, top : top + crop_hw[0], left : left + crop_hw[1]]
            for step, (left, top) in enumerate(corners)
        ]
        result[clip.clip_id] = (stored[clip.clip_id], track, np.stack(crops))
    return result


def check_against_plain(path: Path, clips: list[ClipSpec], config: FlowConfig) -> dict[str, Any]:
    rows = rows_of(path, clips, config)
    expected = plain_rows(path, clips, config)
    assert rows.keys() == expected.keys()
    for clip_id, (stored, track, crops) in expected.items():
        row = rows[clip_id]
        assert (row["stored_start_frame"], row["stored_end_frame"]) == stored
        np.testing.assert_allclose(np.reshape(row["roi_xy"], (-1, 2)), track, atol=1e-9)
        _, flow = decode_window(row, stored[0], stored[1] - stored[0])
        crop_hw = (config.crop_height, config.crop_width)
        np.testing.assert_array_equal(center_crop(flow, crop_hw), crops)
        fastest = np.abs(crops.astype(int)).max((2, 3)) / 32
        np.testing.assert_array_equal(np.reshape(row["flow_max_px"], (-1, 2)), fastest)
    return rows


def test_streaming_equals_the_plain_way(lib, square_video: Path) -> None:
    clips = [
        ClipSpec("warm-up", 0, 20),
        ClipSpec("over", 15, 60),
        ClipSpec("lapping", 50, 70),
        ClipSpec("far", 150, 160),
        ClipSpec("last", 190, 200),
    ]
    rows = check_against_plain(square_video, clips, lib.small)
    assert rows["warm-up"]["flags"][:5] == [FLAG_UNMASKED] * 4 + [0]
    assert rows["last"]["flags"][-1] & FLAG_NO_FLOW
    assert not any(flags & FLAG_NO_FLOW for flags in rows["last"]["flags"][:-1])
    # Overlapping clips share their bytes.
    over, lapping = rows["over"], rows["lapping"]
    shift = lapping["stored_start_frame"] - over["stored_start_frame"]
    assert over["rgb"][shift + 3] is lapping["rgb"][3]


def test_frames_of_long_rests_wait_on_disk(
    lib, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ttflow.extraction.tracking.FrameQueue", lambda: FrameQueue(memory_frames=7)
    )
    scene = lib.moving_square(220, still=[range(60, 160)])
    path = lib.write_video(tmp_path / "rest.mp4", scene)
    config = lib.small.model_copy(update={"roi_threshold_px": 0.5})
    rows = check_against_plain(path, [ClipSpec("a", 30, 200)], config)
    still = [bool(flags & FLAG_NO_MOTION) for flags in rows["a"]["flags"]]
    assert sum(still) > 80


def test_each_region_has_its_own_track(lib, tmp_path: Path) -> None:
    left = lib.moving_square(100, size_hw=(180, 160), speed_px=1.0, seed=1)
    right = lib.moving_square(100, size_hw=(180, 160), speed_px=1.0, seed=2, top=20)
    both = (np.concatenate(pair, axis=1) for pair in zip(left, right, strict=True))
    path = lib.write_video(tmp_path / "two.mp4", both)
    clips = [
        ClipSpec("left", 30, 60, (0.0, 0.0, 0.5, 1.0)),
        ClipSpec("right", 35, 65, (0.5, 0.0, 1.0, 1.0)),
        ClipSpec("both", 30, 60),
    ]
    rows = check_against_plain(path, clips, lib.small)
    x = {clip_id: np.array(row["roi_xy"][0::2]) for clip_id, row in rows.items()}
    assert (x["left"] < 70).all()
    assert (x["right"] > 90).all()


def test_a_region_is_followed_only_where_it_has_a_clip(
    lib, square_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    clips = [
        ClipSpec("a", 5, 10, left),
        ClipSpec("b", 90, 95),
        ClipSpec("c", 93, 99, right),
        ClipSpec("d", 180, 190, left),
    ]
    plan = plan_video(clips, lib.small, 200)
    assert len(plan.segments) == 3
    followed: dict[Any, int] = {}

    center = tracking._Tracker._center

    def counted(tracker: Any, flow: np.ndarray, region: Any) -> Any:
        followed[region] = followed.get(region, 0) + 1
        return center(tracker, flow, region)

    monkeypatch.setattr(tracking._Tracker, "_center", counted)
    rows = rows_of(square_video, clips, lib.small, 200)
    lengths = [end - start for start, end in plan.segments]
    assert followed == {left: lengths[0] + lengths[2], None: lengths[1], right: lengths[1]}
    # Following every region everywhere gives the very same bytes.
    everywhere = [sorted({clip.region for clip in clips}, key=lambda r: r or ())] * 3
    monkeypatch.setattr(
        "ttflow.extraction.pipeline.regions_of_segments", lambda clips, plan: everywhere
    )
    assert rows_of(square_video, clips, lib.small, 200) == rows
    assert sum(followed.values()) == 4 * sum(lengths) + lengths[1]


def test_a_wrong_promise_changes_nothing(lib, square_video: Path) -> None:
    clips = [ClipSpec("last", 185, 200), ClipSpec("first", 3, 10)]
    expected = rows_of(square_video, clips, lib.small, promised=200)
    for promised in (0, 150, 201, 1000):
        assert rows_of(square_video, clips, lib.small, promised) == expected


def test_a_clip_past_the_end_is_an_error(lib, square_video: Path) -> None:
    clips = [ClipSpec("ok", 3, 10), ClipSpec("late", 190, 205)]
    with pytest.raises(VideoError, match=r"square\.mp4: clip late ends at frame 205.*only 200"):
        rows_of(square_video, clips, lib.small, 300)


def test_a_video_shorter_than_the_window(lib, tmp_path: Path) -> None:
    path = lib.write_video(tmp_path / "short.mp4", lib.moving_square(10))
    row = rows_of(path, [ClipSpec("a", 2, 9)], lib.small)["a"]
    assert (row["stored_start_frame"], row["stored_end_frame"]) == (0, 10)
    rgb, flow = decode_window(row, -3, 24)
    assert rgb.shape == (24, 72, 72, 3)
    assert not flow[9:].any()
    assert flow[:9].any()
    np.testing.assert_array_equal(rgb[10:], np.broadcast_to(rgb[9], (14, 72, 72, 3)))


def test_background_is_the_median_of_the_clip(lib, square_video: Path) -> None:
    row = rows_of(square_video, [ClipSpec("a", 20, 50)], lib.small)["a"]
    picture = np.frombuffer(row["background_rgb"], np.uint8).reshape(18, 32, 3)
    small = [
        cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA)
        for index, _, image in frames(square_video, (90, 160))
        if 20 <= index < 50
    ]
    np.testing.assert_array_equal(picture, np.rint(np.median(small, axis=0)).astype(np.uint8))


def test_the_same_video_gives_the_same_bytes(lib, square_video: Path) -> None:
    clips = [ClipSpec("a", 20, 50)]
    first = rows_of(square_video, clips, lib.small)
    cv2.setRNGSeed(99)  # what another video of this process may leave behind
    assert rows_of(square_video, clips, lib.small) == first


class Batched:
    """DIS, which wants batches and notes their sizes; the flow it gave is kept when asked."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.sizes: list[int] = []
        self.flows: list[np.ndarray] = []
        self._one = create("dis-ultrafast")

    def __call__(self, first, second, initial_flow=None):
        self.sizes.append(len(first))
        flow = self._one(first, second)
        self.flows += list(flow.numpy())
        return flow


@pytest.mark.parametrize("batch_size", [7, 64])
def test_batches_fill_up_across_segments(lib, square_video: Path, batch_size: int) -> None:
    clips = [ClipSpec("a", 20, 30), ClipSpec("b", 90, 100), ClipSpec("c", 160, 170)]
    sink, estimator = Rows(), Batched(batch_size)
    counts = extract_video(square_video, clips, lib.small, estimator, sink, 200)
    expected = rows_of(square_video, clips, lib.small, 200)
    assert {row["clip_id"]: row | {"num_frames": 200} for row in sink} == expected
    # Three segments of some 70 frames: all batches are full but the last of the video.
    full, rest = divmod(counts.flow_frames, batch_size)
    assert full >= 2
    assert estimator.sizes == [batch_size] * full + [rest] * (rest > 0)


def test_no_more_than_a_batch_of_frames_waits(lib) -> None:
    held, made, most = 5, [], 0
    config = lib.small.model_copy(update={"foreground": "none"})

    def working():
        for index in range(200):
            frame = WorkingFrame(index, index / 120, np.zeros((90, 160, 3), np.uint8), None)
            made.append(weakref.ref(frame))
            yield frame

    class Still:
        batch_size = held

        def __call__(self, first, second, initial_flow=None):
            return torch.zeros(len(first), 2, config.frame_height, config.frame_width)

    for _ in flow_frames(working(), [(10, 60), (100, 180)], Still()):
        most = max(most, sum(frame() is not None for frame in made))
    assert held <= most <= held + 2


def test_stored_flow_is_the_estimators(lib, square_video: Path) -> None:
    """Quantising costs 1/32 px / sqrt(12), or 0.009 px rms, and nothing else is lost."""
    config = lib.small.model_copy(update={"foreground": "none"})
    clip, sink, estimator = ClipSpec("a", 90, 120), Rows(), Batched(1)
    extract_video(square_video, [clip], config, estimator, sink, 200)
    row = sink[0] | {"num_frames": 200}
    first, last = row["stored_start_frame"], row["stored_end_frame"]
    _, flow = decode_window(row, first, last - first)
    segment_start = first - config.smooth_taps // 2
    differences = []
    for step, stored in enumerate(dequantize_flow(flow)):
        left, top = row["patch_left_top"][2 * step : 2 * step + 2]
        rows, columns = slice(max(top, 0), min(top + 72, 90)), slice(max(left, 0), left + 72)
        truth = estimator.flows[first - segment_start + step][:, rows, columns]
        inside = stored[:, rows.start - top :, columns.start - left :]
        differences.append(inside[:, : truth.shape[1], : truth.shape[2]] - truth)
    squares = np.concatenate([difference.ravel() ** 2 for difference in differences])
    assert np.abs(np.concatenate(estimator.flows)).max() > 1
    assert 0.001 < np.sqrt(squares.mean()) < 0.01


# --- small pieces --------------------------------------------------------------------------------


def test_queue_keeps_order_and_pixels_in_memory_and_on_disk() -> None:
    rng = np.random.default_rng(0)
    queue, expected, out = FrameQueue(memory_frames=3), [], []
    for index in range(60):
        frame = FlowFrame(
            index,
            index / 7,
            index % 5,
            rng.integers(0, 255, (6, 8, 3), dtype=np.uint8),
            rng.integers(-99, 99, (2, 6, 8)).astype(np.float32),
        )
        queue.push(frame)
        expected.append(frame)
        if rng.random() < (0.3 if index < 40 else 0.9):
            out.append(queue.pop())
    while len(queue):
        out.append(queue.pop())
    queue.close()
    for found, frame in zip(out, expected, strict=True):
        same = replace(found, rgb=frame.rgb, flow=frame.flow)
        assert same == frame
        np.testing.assert_array_equal(found.rgb, frame.rgb)
        np.testing.assert_array_equal(found.flow, frame.flow)


def test_quantised_flow_saturates_and_drops_what_is_not_finite() -> None:
    flow = np.array([0.0, 1 / 64, 1.02, -3.5, 5000, -5000, np.nan, np.inf], np.float32)
    assert quantize_flow(flow).tolist() == [0, 0, 33, -112, 32767, -32767, 0, 0]
    values = np.random.default_rng(0).uniform(-500, 500, 1000).astype(np.float32)
    assert np.abs(dequantize_flow(quantize_flow(values)) - values).max() <= 1 / 64


@pytest.mark.parametrize(
    ("center", "left_top"),
    [
        ((160, 90), (68, -2)),
        ((60, 60), (-32, -32)),
        ((260, 120), (168, 28)),
        ((60.5, 60.4), (-31, -32)),
    ],
)
def test_patch_corner(center: tuple[float, float], left_top: tuple[int, int]) -> None:
    assert patch_left_top(center, (120, 120), (180, 320), 184) == left_top


def test_region_mask_takes_pixel_centers() -> None:
    assert region_mask((0.0, 0.0, 0.5, 1.0), (2, 4)).tolist() == [[True, True, False, False]] * 2
    assert region_mask((0.3, 0.0, 0.7, 0.5), (2, 4)).tolist() == [
        [False, True, True, False],
        [False] * 4,
    ]


def test_the_warm_up_has_no_foreground() -> None:
    foreground = Foreground(FlowConfig(warmup_frames=3))
    image = np.full((180, 320, 3), 100, np.uint8)
    masks = [foreground(image) for _ in range(5)]
    assert [mask is None for mask in masks] == [True] * 3 + [False] * 2


@pytest.mark.parametrize("kind", ["knn", "mog2"])
def test_foreground_finds_the_square_and_dilates(lib, kind: str) -> None:
    foreground = Foreground(FlowConfig(foreground=kind))
    for image in lib.moving_square(40):
        mask = foreground(image)
    assert mask is not None
    assert 0.5 < mask.sum() / 40**2 < 1.6


def test_unknown_estimator_lists_the_known() -> None:
    with pytest.raises(Exception, match=r"unknown flow estimator 'lucas'.*dis-fast.*farneback"):
        create("lucas")


@pytest.mark.parametrize("name", ["dis", "dis-ultrafast", "dis-fast", "dis-medium", "farneback"])
def test_estimators_find_a_shift(name: str) -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 255, (180, 320, 3), dtype=np.uint8), (0, 0), 5)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    moved = np.roll(image, (1, 2), (0, 1))
    first, second = (torch.from_numpy(i).permute(2, 0, 1)[None] for i in (image, moved))
    pair = torch.cat([first, second]), torch.cat([second, first])
    flow = create(name)(*pair)
    assert flow.shape == (2, 2, 180, 320)
    assert flow.dtype == torch.float32
    median = flow[:, :, 20:-20, 20:-20].flatten(2).median(-1).values
    torch.testing.assert_close(median, torch.tensor([[2.0, 1.0], [-2.0, -1.0]]), atol=0.25, rtol=0)
    guess = flow.clone()
    again = create(name)(*pair, guess)
    assert torch.equal(guess, flow)
    median = again[:, :, 20:-20, 20:-20].flatten(2).median(-1).values
    torch.testing.assert_close(median, torch.tensor([[2.0, 1.0], [-2.0, -1.0]]), atol=0.25, rtol=0)
