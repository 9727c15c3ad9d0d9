"""Poses beside the pixels: written, found by what they were made from, refused when damaged."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from ttdata.errors import VersionError
from ttdata.storage.tables import polars_schema
from ttflow import ClipPose, open_shards, read_poses, write_clips
from ttflow.errors import ShardError
from ttflow.pose.config import PoseConfig
from ttflow.schema import FlowConfig, PoseRow
from ttflow.shards import poses as stored
from ttflow.shards.layout import arrow_schema
from ttflow.shards.patches import encode_flow, encode_rgb
from ttflow.shards.pose_reader import known_poses

CONFIG = FlowConfig(patch_side=16, crop_height=8, crop_width=8, window_frames=12)


def make_row(lib, video_id: str, start: int, end: int, first: int, last: int) -> dict:
    count = last - first
    return lib.clip_row(video_id, start, end) | {
        "fps": 120.0,
        "num_frames": 100,
        "session_id": None,
        "start_seconds": None,
        "end_seconds": None,
        "stored_start_frame": first,
        "stored_end_frame": last,
        "roi_xy": [160.0, 90.0] * count,
        "patch_left_top": [152, 82] * count,
        "flags": [0] * count,
        "time_seconds": [frame / 120 for frame in range(first, last)],
        "flow_max_px": [0.0, 0.0] * count,
        "rgb": [encode_rgb(np.zeros((16, 16, 3), np.uint8), 95)] * count,
        "flow": [encode_flow(np.zeros((2, 16, 16), np.int16))] * count,
        "background_rgb": bytes(18 * 32 * 3),
    }


def make_pose(clip_id: str, frames: list[int], seed: int = 0) -> ClipPose:
    rng, number = np.random.default_rng(seed), len(frames)
    return ClipPose(
        frames=np.array(frames, np.int64),
        points=rng.normal(500, 100, (number, 33, 2)).astype(np.float32),
        world=rng.normal(0, 1, (number, 33, 3)).astype(np.float32),
        visibility=rng.random((number, 33)).astype(np.float32),
        presence=rng.random(number).astype(np.float32),
        clip_id=clip_id,
        fps=120.0,
        picture_hw=(1080, 1920),
    )


def assert_same(found: ClipPose, expected: ClipPose) -> None:
    assert (found.clip_id, found.fps) == (expected.clip_id, expected.fps)
    assert found.picture_hw == expected.picture_hw
    for name in ("frames", "points", "world", "visibility", "presence"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def rows(lib) -> list[dict]:
    return [
        make_row(lib, "serve/ä b", 10, 20, 5, 25),
        make_row(lib, "serve/ä b", 30, 40, 25, 45),
        make_row(lib, "-v", 0, 8, 0, 9),
    ]


@pytest.fixture
def shards(tmp_path: Path, rows: list[dict], lib) -> Path:
    write_clips(tmp_path / "shards", rows, CONFIG, lib.info)
    return tmp_path / "shards"


@pytest.fixture
def written(shards: Path) -> dict[str, ClipPose]:
    """Poses of all clips, written as the job does; the second clip of a video comes first."""
    info = stored.agreed_info(shards, PoseConfig())
    stored.write_info(shards, info)
    files = stored.expected_files(open_shards(shards), info)
    first = [make_pose("serve/ä b@30-40", [25, 29, 44], 1), make_pose("serve/ä b@10-20", [5], 2)]
    second = [make_pose("-v@0-8", [0, 4, 8], 3)]
    stored.write_poses(files["serve/ä b"], first)
    stored.write_poses(files["-v"], second)
    return {pose.clip_id: pose for pose in first + second}


def the_file(shards: Path, beginning: str) -> Path:
    (found,) = (shards / "pose").glob(f"{beginning}*.parquet")
    return found


def test_columns_come_from_the_model() -> None:
    assert arrow_schema(PoseRow).names == list(polars_schema(PoseRow).names())
    assert str(arrow_schema(PoseRow).field("points").type) == "list<item: float>"
    assert str(arrow_schema(PoseRow).field("frames").type) == "list<item: int64>"


def test_what_is_written_is_read(shards: Path, written: dict[str, ClipPose]) -> None:
    order = ["serve/ä b@10-20", "serve/ä b@30-40", "-v@0-8"]
    for found in (read_poses(shards), read_poses(str(shards)), read_poses(open_shards(shards))):
        assert list(found) == order
        for clip_id, pose in found.items():
            assert_same(pose, written[clip_id])
    assert list(read_poses(shards, ["-v@0-8"])) == ["-v@0-8"]
    assert read_poses(shards, []) == {}


def test_rows_are_those_of_the_model(shards: Path, written: dict[str, ClipPose]) -> None:
    row = pq.read_table(the_file(shards, "v.")).to_pylist()[0]
    assert PoseRow.model_validate(row).model_dump() == row
    assert (row["clip_id"], row["frames"], row["width"]) == ("-v@0-8", [0, 4, 8], 1920)
    assert row["points"] == written["-v@0-8"].points.ravel().tolist()


def test_the_same_poses_are_the_same_bytes(shards: Path, written: dict[str, ClipPose]) -> None:
    path = the_file(shards, "v.")
    before = path.read_bytes()
    path.unlink()
    stored.write_poses(path, [written["-v@0-8"]])
    assert path.read_bytes() == before
    assert not list((shards / "pose").glob(".*"))


def test_nothing_but_the_folder_of_poses_changes(shards: Path, rows: list[dict], lib) -> None:
    def others() -> dict[Path, bytes]:
        paths = [path for path in shards.rglob("*") if path.is_file()]
        return {p: p.read_bytes() for p in paths if p.parent != shards / "pose"}

    before = others()
    info = stored.agreed_info(shards, PoseConfig())
    assert not (shards / "pose").exists()
    stored.write_info(shards, info)
    stored.write_poses(
        stored.expected_files(open_shards(shards), info)["-v"], [make_pose("-v@0-8", [0])]
    )
    assert others() == before


@pytest.mark.parametrize("clip_ids", [None, ["-v@0-8"]])
def test_without_poses_the_command_is_named(shards: Path, clip_ids: list[str] | None) -> None:
    first = "serve/ä b@10-20" if clip_ids is None else "-v@0-8"
    with pytest.raises(ShardError) as caught:
        read_poses(shards, clip_ids)
    assert str(caught.value) == f"{shards}: no pose of clip {first!r}; run `ttflow pose {shards}`"


def test_the_versions_are_those_that_can_change_a_landmark(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"ai-edge-litert": "2.0", "av": "1", "numpy": "3", "ttflow": "4"}

    def version(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(stored, "version", version)
    assert stored.agreed_info(shards, PoseConfig()).versions == versions


def test_a_clip_that_lacks_is_named(shards: Path, written: dict[str, ClipPose]) -> None:
    the_file(shards, "v.").unlink()
    with pytest.raises(ShardError, match=r"no pose of clip '-v@0-8'; run `ttflow pose "):
        read_poses(shards)
    assert len(read_poses(shards, ["serve/ä b@30-40"])) == 1
    with pytest.raises(ShardError, match=r"no clip 'x' in clips\.parquet"):
        read_poses(shards, ["x"])


def test_a_clip_that_lacks_costs_no_other_one(shards: Path, written: dict[str, ClipPose]) -> None:
    """One without poses, in a file that holds those of another clip; and a damaged file."""
    opened = open_shards(shards)
    first, second = "serve/ä b@10-20", "serve/ä b@30-40"
    stored.write_poses(the_file(shards, "serve"), [written[first]])
    the_file(shards, "v.").write_bytes(b"no table")
    found, missing = known_poses(opened, [second, first, "-v@0-8"])
    assert list(found) == [first]
    assert list(missing) == [second, "-v@0-8"]
    assert f"no pose of clip {second!r}; run `ttflow pose " in missing[second]
    assert "cannot be read" in missing["-v@0-8"]


def test_poses_of_former_pixels_are_not_read(
    shards: Path, written: dict[str, ClipPose], rows: list[dict], lib
) -> None:
    rows[2]["roi_xy"] = [161.0, *rows[2]["roi_xy"][1:]]
    write_clips(shards, rows, CONFIG, lib.info)
    with pytest.raises(ShardError, match="no pose of clip '-v@0-8'"):
        read_poses(shards)
    assert len(read_poses(shards, ["serve/ä b@10-20"])) == 1


def test_a_label_leaves_the_poses_as_they_are(
    shards: Path, written: dict[str, ClipPose], rows: list[dict], lib
) -> None:
    rows[2]["label"] = "Serve Forehand Loop"
    write_clips(shards, rows, CONFIG, lib.info)
    assert len(read_poses(shards)) == 3


def test_another_frame_rate_is_another_file(
    shards: Path, written: dict[str, ClipPose], rows: list[dict], lib
) -> None:
    rows[2]["fps"] = 60.0
    write_clips(shards, rows, CONFIG, lib.info)
    with pytest.raises(ShardError, match="no pose of clip '-v@0-8'"):
        read_poses(shards)


def test_another_configuration_is_refused_with_every_difference(
    shards: Path, written: dict[str, ClipPose]
) -> None:
    with pytest.raises(
        ShardError,
        match=r"pose: made with rate_hz=30\.0, asked 15\.0, min_presence=0\.5, asked 0\.25; use ",
    ):
        stored.agreed_info(shards, PoseConfig(rate_hz=15, min_presence=0.25))
    assert stored.agreed_info(shards, PoseConfig()) == stored.stored_info(shards)


def test_other_weights_are_refused(
    shards: Path, written: dict[str, ClipPose], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "SHA256", {"a.tflite": "12"})
    with pytest.raises(ShardError, match=r"made with weights .*, asked \{'a\.tflite': '12'\}"):
        stored.agreed_info(shards, PoseConfig())


def test_other_schema_versions_are_refused(shards: Path, written: dict[str, ClipPose]) -> None:
    path = the_file(shards, "v.")
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"schema_version": "9"}), path)
    with pytest.raises(VersionError, match=r"schema version 9, .* reads 1; use .*`ttflow pose`"):
        read_poses(shards)
    described = shards / "pose" / "pose.json"
    described.write_text(
        described.read_text().replace('"schema_version": 1', '"schema_version": 7')
    )
    with pytest.raises(VersionError, match=r"pose\.json: schema version 7"):
        read_poses(shards)


def test_damaged_files_are_named(shards: Path, written: dict[str, ClipPose]) -> None:
    path = the_file(shards, "v.")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(ShardError, match=rf"{path.name}: cannot be read .*; remove this file"):
        read_poses(shards)
    path.write_bytes(whole)
    (shards / "pose" / "pose.json").write_text("{")
    with pytest.raises(ShardError, match=r"pose\.json: not a readable JSON file"):
        read_poses(shards)


@pytest.mark.parametrize(
    ("column", "found", "expected"), [("points", 197, 198), ("presence", 2, 3), ("world", 296, 297)]
)
def test_lists_of_wrong_lengths_are_refused(
    shards: Path, written: dict[str, ClipPose], column: str, found: int, expected: int
) -> None:
    path = the_file(shards, "v.")
    table = pl.from_arrow(pq.read_table(path)).with_columns(pl.col(column).list.slice(1))
    made = {"schema_version": "1"}
    schema = arrow_schema(PoseRow)
    pq.write_table(table.to_arrow().cast(schema).replace_schema_metadata(made), path)
    message = f"clip -v@0-8: {found} values of {column}, expected {expected} for 3 frames"
    with pytest.raises(ShardError, match=message):
        read_poses(shards)


def test_files_of_other_columns_are_refused(shards: Path, written: dict[str, ClipPose]) -> None:
    path = the_file(shards, "v.")
    table = pq.read_table(path)
    pq.write_table(
        table.drop_columns(["world"]).replace_schema_metadata(table.schema.metadata), path
    )
    with pytest.raises(ShardError, match=r"columns \['clip_id', .*, expected \['clip_id'"):
        read_poses(shards)
