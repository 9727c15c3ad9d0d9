"""Shards folders: writing, reading, windows, verification, and what damaged ones say."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttdata.errors import VersionError
from ttflow import decode_frame, decode_window, open_shards, write_clips
from ttflow.errors import ShardError
from ttflow.schema import ClipRow, Failure, FlowConfig, PartRow
from ttflow.shards.intervals import central_window, flow_segments, inside, stored_interval, unions
from ttflow.shards.layout import all_manifests, part_schema, video_stem
from ttflow.shards.locks import clean_temporary
from ttflow.shards.patches import encode_flow, encode_rgb
from ttflow.shards.verify import verify
from ttflow.shards.writer import VideoWriter, remove_stale

SIDE = 16
CONFIG = FlowConfig(patch_side=SIDE, crop_height=8, crop_width=8, window_frames=12)


def make_row(lib, video_id: str, start: int, end: int, stored: tuple[int, int], num_frames: int):
    frames = range(*stored)
    return lib.clip_row(video_id, start, end) | {
        "fps": 120.0,
        "num_frames": num_frames,
        "session_id": None,
        "start_seconds": None,
        "end_seconds": None,
        "stored_start_frame": stored[0],
        "stored_end_frame": stored[1],
        "roi_xy": [160.0, 90.0] * len(frames),
        "patch_left_top": [152, 82] * len(frames),
        "flags": [0] * len(frames),
        "time_seconds": [frame / 120 for frame in frames],
        "flow_max_px": [frame / 32 for frame in frames for _ in "xy"],
        "rgb": [encode_rgb(np.full((SIDE, SIDE, 3), f, np.uint8), 95) for f in frames],
        "flow": [encode_flow(np.full((2, SIDE, SIDE), f, np.int16)) for f in frames],
        "background_rgb": bytes(18 * 32 * 3),
    }


@pytest.fixture
def rows(lib) -> list[dict]:
    return [
        make_row(lib, "serve/ä b", 10, 20, (5, 25), 100),
        make_row(lib, "serve/ä b", 30, 40, (25, 45), 100),
        make_row(lib, "-v", 0, 8, (0, 9), 9),
    ]


@pytest.fixture
def shards(tmp_path: Path, rows: list[dict], lib) -> Path:
    write_clips(tmp_path / "shards", rows, CONFIG, lib.info)
    return tmp_path / "shards"


def test_what_is_written_is_read(shards: Path, rows: list[dict], lib) -> None:
    opened = open_shards(shards)
    assert opened.info.config == CONFIG
    assert opened.dataset == lib.info
    assert opened.clips["clip_id"].to_list() == [row["clip_id"] for row in rows]
    for row in rows:
        found = opened.read(row["clip_id"])
        assert found == row
        ClipRow.model_validate(found)
    assert set(opened.read(rows[0]["clip_id"], ["flags"])) == set(opened.clips.columns) | {"flags"}
    assert verify(shards, deep=True).problems == ()


def test_columns_of_many_clips(shards: Path, rows: list[dict]) -> None:
    opened, names = open_shards(shards), ("stored_start_frame", "background_rgb")
    backwards = {row["clip_id"]: {name: row[name] for name in names} for row in reversed(rows)}
    assert opened.read_columns(list(backwards), names) == backwards
    assert list(opened.read_columns(list(backwards), names)) == list(backwards)
    assert opened.read_columns([], names) == {}
    with pytest.raises(ShardError, match="no pixels of clip 'x'"):
        opened.read_columns([rows[0]["clip_id"], "x"], names)
    opened.location(rows[0]["clip_id"]).part.write_bytes(b"torn")
    with pytest.raises(ShardError, match=r"row group 1, 0 cannot be read .*extract again"):
        opened.read_columns(list(backwards), names)


def test_columns_come_from_the_model() -> None:
    assert part_schema().names == list(PartRow.model_fields)
    assert str(part_schema().field("rgb").type) == "list<item: binary>"


def test_writing_again_replaces(shards: Path, rows: list[dict], lib) -> None:
    write_clips(shards, rows[2:], CONFIG, lib.info)
    assert open_shards(shards).clips.height == 1
    assert len(list((shards / "parts").iterdir())) == 1
    assert verify(shards).problems == ()


def test_another_configuration_is_refused(shards: Path, rows: list[dict], lib) -> None:
    other = CONFIG.model_copy(update={"roi_alpha": 0.5, "jpeg_quality": 90})
    with pytest.raises(ShardError, match=r"roi_alpha=0\.6, asked 0\.5, jpeg_quality=95, asked 90"):
        write_clips(shards, rows, other, lib.info)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, rows: list[dict], lib) -> None:
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(ShardError, match="neither empty nor a shards folder"):
        write_clips(tmp_path, rows, CONFIG, lib.info)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_wrong_lengths_are_refused(tmp_path: Path, rows: list[dict], lib) -> None:
    rows[0]["flags"] = rows[0]["flags"][1:]
    with pytest.raises(ShardError, match=r"serve/ä b@10-20: 19 values of flags, expected 20"):
        write_clips(tmp_path / "x", rows, CONFIG, lib.info)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("roi_xy", lambda values: [161.0, *values[1:]]),
        ("patch_left_top", lambda values: [151, *values[1:]]),
        ("flags", lambda values: [4, *values[1:]]),
        ("time_seconds", lambda values: [value + 1 for value in values]),
        ("flow_max_px", lambda values: [value + 1 for value in values]),
        ("background_rgb", lambda value: bytes([1]) + value[1:]),
        ("num_frames", lambda value: value + 1),
    ],
)
def test_the_same_pixels_with_other_facts_are_written(
    shards: Path, rows: list[dict], lib, name: str, change
) -> None:
    rows[2][name] = change(rows[2][name])
    write_clips(shards, rows, CONFIG, lib.info)
    assert open_shards(shards).read(rows[2]["clip_id"]) == rows[2]
    assert verify(shards, deep=True).problems == ()


def test_the_same_pixels_of_another_interval_are_written(
    shards: Path, rows: list[dict], lib
) -> None:
    moved = {"stored_start_frame": 10, "stored_end_frame": 30}
    rows[0] |= moved
    write_clips(shards, iter(rows), CONFIG, lib.info)
    assert open_shards(shards).read(rows[0]["clip_id"]) == rows[0]


@pytest.mark.parametrize("fault", ["twice", "apart"])
def test_rows_that_cannot_be_are_refused_before_anything_changes(
    shards: Path, rows: list[dict], lib, fault: str
) -> None:
    before = {path: path.read_bytes() for path in shards.rglob("*") if path.is_file()}
    changed = rows[0] | {"flags": [4] * 20}
    late = rows[2] if fault == "twice" else rows[1]
    with pytest.raises(ShardError, match="comes twice" if fault == "twice" else "follow one ano"):
        write_clips(shards, iter([changed, rows[2], late]), CONFIG, lib.info)
    assert {path: path.read_bytes() for path in shards.rglob("*") if path.is_file()} == before


# --- windows -------------------------------------------------------------------------------------


def decoded(row: dict, start: int, count: int) -> tuple[list[int], list[int]]:
    rgb, flow = decode_window(row, start, count)
    assert rgb.shape == (count, SIDE, SIDE, 3)
    assert flow.shape == (count, 2, SIDE, SIDE)
    return rgb[:, 0, 0, 0].tolist(), flow[:, 1, 2, 3].tolist()


def test_windows_decode_the_frames_asked(rows: list[dict]) -> None:
    assert decoded(rows[0], 8, 3) == ([8, 9, 10], [8, 9, 10])
    assert decoded(rows[0], -5, 3) == ([5, 6, 7], [5, 6, 7])
    assert decoded(rows[0], 90, 3) == ([22, 23, 24], [22, 23, 24])
    assert int(decode_frame(rows[0], 11)[0, 0, 0]) == 11


def test_only_the_frames_asked_are_decoded(rows: list[dict]) -> None:
    row = rows[0] | {"rgb": [b"broken"] * 20, "flow": [b""] * 20}
    row["rgb"][3:5], row["flow"][3:5] = rows[0]["rgb"][3:5], rows[0]["flow"][3:5]
    assert decoded(row, 8, 2) == ([8, 9], [8, 9])


def test_a_short_video_repeats_its_last_frame(rows: list[dict]) -> None:
    assert decoded(rows[2], 0, 12) == ([*range(9), 8, 8, 8], [*range(9), 0, 0, 0])


def test_a_window_that_was_not_stored_is_an_error(rows: list[dict]) -> None:
    with pytest.raises(ValueError, match=r"serve/ä b@10-20: a window of 21 frames"):
        decode_window(rows[0], 5, 21)


def test_damaged_pixels_name_clip_and_frame(rows: list[dict]) -> None:
    row = rows[0] | {"rgb": [*rows[0]["rgb"][:4], b"x", *rows[0]["rgb"][5:]]}
    with pytest.raises(ShardError, match=r"serve/ä b@10-20, frame 9"):
        decode_window(row, 5, 8)
    row = rows[0] | {"flow": [rows[0]["flow"][0][:-3], *rows[0]["flow"][1:]]}
    with pytest.raises(ShardError, match=r"serve/ä b@10-20, frame 5"):
        decode_window(row, 5, 8)


# --- damage --------------------------------------------------------------------------------------


def part_of(shards: Path) -> Path:
    return sorted((shards / "parts").glob("*.parquet"))[0]


def test_verify_finds_truncation(shards: Path) -> None:
    part = part_of(shards)
    part.write_bytes(part.read_bytes()[:-10])
    (problem,) = verify(shards).problems
    assert part.name in problem
    assert "bytes, expected" in problem


def test_verify_finds_a_missing_part(shards: Path) -> None:
    part_of(shards).unlink()
    assert "cannot be read" in verify(shards).problems[0]


def test_verify_finds_a_flipped_bit(shards: Path) -> None:
    part = part_of(shards)
    data = bytearray(part.read_bytes())
    data[len(data) // 3] ^= 1
    part.write_bytes(data)
    assert any("SHA-256" in problem for problem in verify(shards).problems)


def test_verify_finds_what_was_lost(shards: Path, lib) -> None:
    """A video that failed is told; clips that are missing without one, too."""
    num_clips = open_shards(shards).clips.height
    counts = {"clips_stroke": num_clips, "clips_negative": 2}
    info = lib.info.model_copy(update={"counts": counts})
    (shards / "dataset.json").write_text(info.model_dump_json())
    (problem,) = verify(shards).problems
    assert f"{num_clips} clips with those that failed, the dataset has {num_clips + 2}" in problem
    failure = Failure(video_id="v é", path="v.mp4", error="v.mp4: no frame", num_clips=2)
    (shards / "failures.jsonl").write_text(failure.model_dump_json() + "\n")
    report = verify(shards)
    assert report.problems == ()
    assert (report.failed_videos, report.missing_clips) == (1, 2)
    assert "1 videos failed and 2 clips are missing, see failures.jsonl: 0 problems" in report.text


def test_verify_finds_clips_without_pixels(shards: Path) -> None:
    path, _ = all_manifests(shards)[0]
    path.unlink()
    problems = verify(shards).problems
    assert any("listed in clips.parquet but not stored" in problem for problem in problems)
    assert any("no manifest in force" in problem for problem in problems)


def test_verify_finds_a_center_outside(tmp_path: Path, rows: list[dict], lib) -> None:
    rows[0]["roi_xy"][7] = 1.0
    write_clips(tmp_path / "x", rows, CONFIG, lib.info)
    assert "frame 8: roi y 1.0, expected 4.0 to 176.0" in verify(tmp_path / "x").problems[0]


def test_newer_files_are_refused(shards: Path) -> None:
    values = json.loads((shards / "shards.json").read_text())
    (shards / "shards.json").write_text(json.dumps(values | {"schema_version": 99}))
    with pytest.raises(VersionError, match="schema version 99"):
        open_shards(shards)


def test_missing_and_unfinished_folders(tmp_path: Path, shards: Path) -> None:
    with pytest.raises(ShardError, match=r"nothing.shards\.json: no such file"):
        open_shards(tmp_path / "nothing")
    (shards / "clips.parquet").unlink()
    with pytest.raises(ShardError, match="run `ttflow extract` to its end"):
        open_shards(shards)


def test_unknown_clip(shards: Path) -> None:
    with pytest.raises(ShardError, match="no clip 'x'"):
        open_shards(shards).read("x")


# --- committing ----------------------------------------------------------------------------------


def pixels_only(row: dict) -> dict:
    return {name: row[name] for name in PartRow.model_fields}


def test_nothing_shows_before_the_commit(shards: Path, rows: list[dict]) -> None:
    before = sorted(path.name for path in (shards / "parts").glob("*.parquet"))
    with VideoWriter(shards, "new", "k" * 16) as writer:
        writer.write(pixels_only(rows[0]))
        assert sorted(path.name for path in (shards / "parts").glob("*.parquet")) == before
    assert sorted(path.name for path in (shards / "parts").iterdir()) == before


def test_parts_roll_at_their_size(shards: Path, rows: list[dict]) -> None:
    with VideoWriter(shards, "new", "k" * 16, target_bytes=1) as writer:
        for row in rows[:2]:
            writer.write(pixels_only(row))
        manifest = writer.commit((0, ""), 100, 40)
    assert [part.clip_ids for part in manifest.parts] == [(row["clip_id"],) for row in rows[:2]]


def test_a_new_key_replaces_the_old(shards: Path, rows: list[dict]) -> None:
    for key in ("1" * 16, "2" * 16):
        with VideoWriter(shards, "new", key) as writer:
            writer.write(pixels_only(rows[0]))
            writer.commit((0, ""), 100, 40)
    (manifest,) = [m for _, m in all_manifests(shards) if m.video_id == "new"]
    assert manifest.key == "2" * 16
    assert manifest.generation == 1
    parts = [path.name for path in (shards / "parts").iterdir() if path.name.startswith("new.")]
    assert parts == [manifest.parts[0].file]


def test_a_second_job_keeps_what_the_first_committed(shards: Path, rows: list[dict]) -> None:
    with (
        VideoWriter(shards, "new", "k" * 16) as first,
        VideoWriter(shards, "new", "k" * 16) as second,
    ):
        first.write(pixels_only(rows[0]))
        second.write(pixels_only(rows[0]))
        clean_temporary(shards / "parts")
        committed = first.commit((0, ""), 100, 40)
        assert second.commit((0, ""), 100, 40) == committed
    assert len([p for p in (shards / "parts").iterdir() if p.name.startswith("new.")]) == 1


def test_uncommitted_parts_of_a_dead_job_are_removed(shards: Path) -> None:
    path, manifest = all_manifests(shards)[0]
    stem = path.name.removesuffix(".json")
    orphan = shards / "parts" / f"{stem}-007-00000000.parquet"
    orphan.write_bytes(b"left behind")
    remove_stale(shards, {"some other": "0" * 16})
    assert orphan.exists()
    remove_stale(shards, {manifest.video_id: manifest.key})
    assert not orphan.exists()
    assert verify(shards).problems == ()


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_stems_are_file_names_and_differ(one: str, other: str) -> None:
    stem = video_stem(one)
    assert len(stem) < 80
    assert stem.isascii()
    assert not stem.startswith(("-", "."))
    assert "/" not in stem
    assert (stem == video_stem(other)) == (one == other)


# --- intervals -----------------------------------------------------------------------------------

frames = st.integers(0, 400)


@given(frames, st.integers(1, 300), st.integers(1, 120), frames, st.integers(0, 20))
def test_stored_intervals_hold_what_is_needed(
    start: int, length: int, window: int, rest: int, margin: int
) -> None:
    end = start + length
    total = end + rest
    first, last = stored_interval(start, end, total, window_frames=window, margin_frames=margin)
    low, high = central_window(start, end, window, total)
    assert 0 <= first <= start < end <= last <= total
    assert first <= low
    assert last >= min(high, total)
    assert first == 0 or first <= start - margin
    assert last == total or last >= end + margin
    (segment,) = flow_segments([(first, last)], total)
    assert segment == (max(0, first - 20), min(total, last + 20))


@given(st.lists(st.tuples(frames, st.integers(1, 50)), max_size=20), frames)
def test_unions_hold_the_same_frames(pairs: list[tuple[int, int]], frame: int) -> None:
    intervals = [(start, start + length) for start, length in pairs]
    merged = unions(intervals)
    assert all(a[1] < b[0] for a, b in pairwise(merged))
    assert inside(frame, merged) == any(start <= frame < end for start, end in intervals)


def test_records_are_polars(shards: Path) -> None:
    clips = open_shards(shards).clips
    assert clips.schema["num_frames"] == pl.Int64
    assert clips.filter(pl.col("split") == "train").height == 3
