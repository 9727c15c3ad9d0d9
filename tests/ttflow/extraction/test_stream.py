"""Patches of a whole video: the pixels that extraction stores, in memory that no length changes."""

import re
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ttdata.errors import InputError, VideoError
from ttflow import PatchChunk, player_regions, stream_patches, write_clips
from ttflow.extraction import stream
from ttflow.extraction.pipeline import extract_video
from ttflow.flow.estimators import create
from ttflow.roi import Track, fill, smooth
from ttflow.schema import FLAG_NO_FLOW, FLAG_NO_MOTION, FLAG_UNMASKED, FlowConfig
from ttflow.shards.intervals import ClipSpec
from ttflow.shards.patches import decode_rgb, encode_rgb
from ttflow.shards.windows import decode_window

torch.set_num_threads(1)
cv2.setNumThreads(1)


class Rows(list):
    """A sink that keeps everything."""

    def write(self, row: dict[str, Any]) -> None:
        self.append(row)

    def restart(self) -> None:
        self.clear()


def stored_rows(path: Path, clips: list[ClipSpec], config: FlowConfig) -> list[dict[str, Any]]:
    sink = Rows()
    counts = extract_video(path, clips, config, create(config.estimator), sink)
    return [row | {"num_frames": counts.num_frames} for row in sink]


def streamed(path: Path, config: FlowConfig, **options: Any) -> list[PatchChunk]:
    return list(stream_patches(path, config, create(config.estimator), **options))


def joined(chunks: list[PatchChunk]) -> PatchChunk:
    """The chunks of one region as one, which must follow one another."""
    ends = [chunk.first_frame + chunk.num_frames for chunk in chunks]
    assert [chunk.first_frame for chunk in chunks] == [0, *ends[:-1]]
    arrays = ("rgb", "flow", "roi_xy", "left_top", "flags", "time_seconds")
    together = {name: np.concatenate([getattr(c, name) for c in chunks]) for name in arrays}
    return replace(chunks[0], **together)


def check_equal(row: dict[str, Any], whole: PatchChunk) -> None:
    """A stored clip is a stretch of the stream, in every column, bit for bit."""
    first, last = row["stored_start_frame"], row["stored_end_frame"]
    rgb, flow = decode_window(row, first, last - first)
    np.testing.assert_array_equal(whole.rgb[first:last], rgb)
    np.testing.assert_array_equal(whole.flow[first:last], flow)
    assert whole.roi_xy[first:last].ravel().tolist() == row["roi_xy"]
    assert whole.left_top[first:last].ravel().tolist() == row["patch_left_top"]
    assert whole.flags[first:last].tolist() == row["flags"]
    assert whole.time_seconds[first:last].tolist() == row["time_seconds"]


def test_the_stream_holds_what_extraction_stores(lib, square_video: Path) -> None:
    clips = [ClipSpec("warm-up", 0, 20), ClipSpec("inside", 90, 130), ClipSpec("last", 185, 200)]
    counts: list[int] = []
    chunks = streamed(square_video, lib.small, chunk_frames=48, on_frame=counts.append)
    assert [chunk.num_frames for chunk in chunks] == [48, 48, 48, 48, 8]
    assert counts == list(range(1, 201))
    whole = joined(chunks)
    for row in stored_rows(square_video, clips, lib.small):
        check_equal(row, whole)
    assert whole.rgb.shape == (200, 72, 72, 3)
    assert whole.flow.shape == (200, 2, 72, 72)
    assert (whole.rgb.dtype, whole.flow.dtype) == (np.uint8, np.int16)
    assert whole.flags[:5].tolist() == [FLAG_UNMASKED] * 4 + [0]
    assert np.flatnonzero(whole.flags & FLAG_NO_FLOW).tolist() == [199]
    assert not whole.flow[199].any()
    assert whole.flow[100].any()


def test_pixels_before_jpeg(lib, square_video: Path) -> None:
    config = lib.small
    raw = joined(streamed(square_video, config, through_jpeg=False))
    stored = joined(streamed(square_video, config))
    assert (raw.rgb != stored.rgb).any()
    for index in (0, 77, 199):
        blob = encode_rgb(raw.rgb[index], config.jpeg_quality)
        np.testing.assert_array_equal(decode_rgb(blob), stored.rgb[index])
    np.testing.assert_array_equal(raw.flow, stored.flow)


def test_a_stream_per_region(lib, tmp_path: Path) -> None:
    left = lib.moving_square(90, size_hw=(180, 160), speed_px=1.0, seed=1)
    right = lib.moving_square(90, size_hw=(180, 160), speed_px=1.0, seed=2, top=20)
    both = (np.concatenate(pair, axis=1) for pair in zip(left, right, strict=True))
    path = lib.write_video(tmp_path / "two.mp4", both)
    boxes = [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)]
    clips = [ClipSpec(f"{side}", 30, 60, box) for side, box in enumerate(boxes)]
    regions = player_regions(clip.region for clip in clips)
    assert regions == tuple(boxes)
    chunks = streamed(path, lib.small, regions=regions, chunk_frames=40)
    assert [(c.first_frame, c.region) for c in chunks] == [
        (first, box) for first in (0, 40, 80) for box in boxes
    ]
    for row in stored_rows(path, clips, lib.small):
        box = boxes[int(row["clip_id"])]
        check_equal(row, joined([chunk for chunk in chunks if chunk.region == box]))


def test_rests_inside_a_segment_are_filled_as_stored(lib, tmp_path: Path) -> None:
    scene = lib.moving_square(170, still=[range(60, 110)])
    path = lib.write_video(tmp_path / "rest.mp4", scene)
    config = lib.small.model_copy(update={"roi_threshold_px": 0.5})
    (row,) = stored_rows(path, [ClipSpec("a", 50, 130)], config)
    assert sum(bool(flags & FLAG_NO_MOTION) for flags in row["flags"]) > 30
    check_equal(row, joined(streamed(path, config)))


@settings(max_examples=30, deadline=None)
@given(moving=st.lists(st.booleans(), min_size=1, max_size=40), limit=st.integers(0, 12))
def test_a_track_waits_no_longer_than_its_limit(moving: list[bool], limit: int) -> None:
    """Known answer: the frames of a rest before its last `limit` ones have the centre before it."""
    half = 2
    centers = torch.arange(2 * len(moving), dtype=torch.float64).reshape(-1, 2) ** 1.5
    track, found, late = Track((90, 160), 2 * half + 1, 1.0, limit), [], 0
    for index, (center, moves) in enumerate(zip(centers, moving, strict=True)):
        found += track.push(center if moves else None)
        late = max(late, index + 1 - len(found))
    found += track.finish()
    assert late <= limit + half
    known, held = list(moving), centers.clone()
    last = torch.tensor([80.0, 45.0], dtype=torch.float64)
    run = 0
    for index, moves in enumerate(moving):
        run = 0 if moves else run + 1
        if moves:
            last = centers[index]
        elif run > limit:
            held[index - limit], known[index - limit] = last, True
    expected = smooth(fill(held, torch.tensor(known), (90, 160)), 2 * half + 1, 1.0)
    torch.testing.assert_close(torch.stack(found), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("moves", [True, False])
def test_memory_does_not_depend_on_the_length(
    lib, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: bool
) -> None:
    """Working frames and patches that are alive at once, of a short and of a long video."""
    monkeypatch.setattr(stream, "MAX_REST_FRAMES", 30)
    config = lib.small.model_copy(update={"foreground": "none", "roi_threshold_px": 0.5})

    def most_alive(num_frames: int) -> tuple[int, int]:
        still = [] if moves else [range(20, num_frames)]
        path = lib.write_video(
            tmp_path / f"{num_frames}.mp4", lib.moving_square(num_frames, still=still)
        )
        working, chunks, alive = [], [], [0, 0]

        def watched(frames: Iterator[Any], *rest: Any) -> Iterator[Any]:
            for frame in real(frames, *rest):
                working.append(weakref.ref(frame.rgb))
                yield frame

        with monkeypatch.context() as patched:
            real = stream.working_frames
            patched.setattr(stream, "working_frames", watched)
            for chunk in stream_patches(path, config, create(config.estimator), chunk_frames=8):
                chunks.append(weakref.ref(chunk.rgb))
                for position, made in enumerate((working, chunks)):
                    alive[position] = max(alive[position], sum(a() is not None for a in made))
        assert len(working) == num_frames
        return alive[0], alive[1]

    short, long = most_alive(80), most_alive(160)
    assert short == long
    half_a_kernel, rest = config.smooth_taps // 2, 0 if moves else 30
    assert long[0] <= half_a_kernel + rest + 3
    assert long[1] <= 2


def test_wrong_use(lib, square_video: Path, tmp_path: Path) -> None:
    estimator = create("dis-ultrafast")
    with pytest.raises(InputError, match="chunk_frames is 0"):
        stream_patches(square_video, lib.small, estimator, chunk_frames=0)
    for regions in ((), (None, None)):
        with pytest.raises(InputError, match="at least one region, each once"):
            stream_patches(square_video, lib.small, estimator, regions=regions)
    (tmp_path / "no.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"no\.mp4"):
        list(stream_patches(tmp_path / "no.mp4", lib.small, estimator))


def test_the_lines_of_the_readme_run(
    lib, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = Path(__file__).parents[3] / "packages" / "ttflow" / "README.md"
    if not readme.is_file():
        pytest.skip("the README is not beside these tests")
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "stream_patches" in block]
    write_clips(tmp_path / "my_shards", [], lib.small, lib.info)
    lib.write_video(tmp_path / "match.mp4", lib.moving_square(70))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(readme), "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        "0 (64, 72, 72, 3) (64, 2, 72, 72)",
        "64 (6, 72, 72, 3) (6, 2, 72, 72)",
    ]
