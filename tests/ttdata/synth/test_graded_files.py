"""What a graded source holds on disk, and the true joints in BlazePose's order."""

import csv
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ttdata.commands.synth import run_synth
from ttdata.errors import InputError
from ttdata.sources.formats import read_source
from ttdata.synth.body.figure import figure
from ttdata.synth.config import SynthConfig
from ttdata.synth.graded.joints import true_pose
from ttdata.synth.graded.truth import QualityTruth, quality_csv, quality_rows
from ttdata.synth.motion import channels, track
from ttdata.synth.plan import VideoPlan, plan_video
from ttdata.synth.write import write_source

BODY = [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28, 31, 32]
ONE_STROKE = {"references": 1, "unchanged": 0, "graded": 0}


def tiny(poses: bool = True, **values: object) -> SynthConfig:
    small = {"num_videos": 1, "num_players": 1, "fps": 15, "width": 64, "height": 64}
    grades = {**ONE_STROKE, "poses": poses}
    return SynthConfig.model_validate(
        small | {"strokes": ("Offensive Forehand Hit",), "graded": True, "grades": grades} | values
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("graded") / "with space é"
    write_source(out, tiny(), num_workers=1)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_files(source: Path) -> None:
    assert set(contents(source)) == {
        *("synth.json", "taxonomy.json", "videos.csv", "annotations.csv"),
        *("truth.csv", "truth_events.csv", "quality_truth.csv"),
        *("videos/video_0000.mp4", "quality_poses/video_0000.parquet"),
    }


def test_rows_are_those_of_the_truth(source: Path) -> None:
    (graded,), (true,) = rows(source / "quality_truth.csv"), rows(source / "truth.csv")
    (video,) = rows(source / "videos.csv")
    assert list(graded) == list(QualityTruth.model_fields)
    assert (graded["ready_frame"], graded["end_frame"]) == (true["start_frame"], true["end_frame"])
    assert (graded["label"], graded["player_id"]) == (true["label"], true["player_id"])
    assert (graded["session_id"], graded["kind"]) == (video["session_id"], "reference")
    assert (graded["reference"], graded["left_handed"]) == ("true", "false")
    length = int(graded["contact_frame"]) - int(graded["backswing_frame"])
    assert float(graded["forward_seconds"]) == round(length / 15, 6)
    (row,) = quality_rows(plan_video(tiny(), 0))
    assert float(graded["path_torso"]) == round(row.path_torso, 6)


def test_it_is_a_source_that_curation_reads(source: Path) -> None:
    found = read_source(source)
    assert (found.format, found.notes) == ("crowd", ())
    assert set(found.annotations["video_id"]) <= {"video_0000"}
    assert found.annotations.height == len(rows(source / "annotations.csv"))


def test_the_same_bytes_again(source: Path, tmp_path: Path) -> None:
    write_source(tmp_path / "again", tiny(), num_workers=1)
    assert contents(tmp_path / "again") == contents(source)


def test_a_rerun_writes_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_source(out, tiny(), num_workers=1)
    before = contents(out)
    (out / "quality_poses" / "video_0000.parquet").unlink()
    (out / "quality_truth.csv").write_text("broken")
    write_source(out, tiny(), num_workers=1)
    assert contents(out) == before


def test_a_rerun_removes_what_a_kill_left_half_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_source(out, tiny(), num_workers=1)
    before = contents(out)
    old, new = (out / "quality_poses" / f".video_0000.parquet.{name}.tmp" for name in ("0a", "0b"))
    for leftover in (old, new):
        leftover.write_bytes(b"half")
    os.utime(old, (0, 0))
    write_source(out, tiny(), num_workers=1)
    assert not old.exists()
    new.unlink()  # another process may still be writing it
    assert contents(out) == before


def test_a_table_without_strokes_has_its_header() -> None:
    plan = plan_video(tiny(grades={**ONE_STROKE, "reference_sessions": 0}), 0)
    assert plan.strokes == ()
    assert quality_csv([plan]).splitlines() == [",".join(QualityTruth.model_fields)]


def test_the_command_takes_the_option_and_says_what_it_lacks(tmp_path: Path) -> None:
    options = {"graded": True, "num_videos": 1, "num_players": 1, "fps": 15, "size": "64x64",
               "strokes": "Offensive Forehand Hit"}  # fmt: skip
    sets = [f"grades.{name}={value}" for name, value in ONE_STROKE.items()]
    run_synth(tmp_path / "out", options=options, overrides=sets)
    assert len(rows(tmp_path / "out" / "quality_truth.csv")) == 1
    assert not (tmp_path / "out" / "quality_poses").exists()
    with pytest.raises(InputError, match="without graded=true; add --graded"):
        run_synth(tmp_path / "other", overrides=sets)
    with pytest.raises(InputError, match="last as long as their strokes; leave seconds out"):
        run_synth(tmp_path / "other", options={**options, "seconds": 5.0})
    assert not (tmp_path / "other").exists()


def test_pose_files_hold_the_true_joints(source: Path) -> None:
    plan = plan_video(tiny(), 0)
    table = pl.read_parquet(source / "quality_poses" / "video_0000.parquet")
    assert table.schema == {
        "frame": pl.Int64,
        **{name: pl.List(pl.Float32) for name in ("points", "world", "visibility")},
    }
    assert table["frame"].to_list() == list(range(plan.num_frames))
    points, world, visibility = true_pose(plan, 3, 9)
    for name, values in (("points", points), ("world", world), ("visibility", visibility)):
        stored = np.array(table[name].to_list(), np.float32)[3:9]
        np.testing.assert_array_equal(stored, values.reshape(6, -1), err_msg=name)


@pytest.mark.parametrize("left_handed", [0, 1])
def test_joints_are_those_that_are_drawn(left_handed: int) -> None:
    plan = plan_video(tiny(left_handed_share=left_handed), 0)
    points, world, visibility = true_pose(plan, 10, 30)
    assert np.flatnonzero(visibility[0]).tolist() == BODY
    assert (visibility == visibility[0]).all()
    drawn = figure(channels(plan, 0, track(plan, 0), 10, 30), plan.seats[0], plan.view)
    free_wrist = 16 if left_handed else 15
    np.testing.assert_allclose(points[:, free_wrist], drawn.free_xy, atol=1e-3)
    hips = (points[:, 23] + points[:, 24]) / 2
    np.testing.assert_allclose(hips[:, 0], drawn.axis_x, atol=1e-3)
    # An orthographic camera: metres across are pixels across, whatever the depth.
    across = (points[:, BODY] - hips[:, None]) / plan.view.px_per_m
    np.testing.assert_allclose(world[:, BODY, :2], across, atol=1e-5)
    np.testing.assert_allclose(world[:, 23] + world[:, 24], 0, atol=1e-6)


@pytest.mark.parametrize("left_handed", [0, 1])
def test_the_bat_side_is_near_the_camera_and_depth_points_away(left_handed: int) -> None:
    """Right-handers face right, left-handers left; both turn the bat arm to the camera."""
    plan = plan_video(tiny(left_handed_share=left_handed), 0)
    _, world, _ = true_pose(plan, 0, 1)
    bat, free = (11, 12) if left_handed else (12, 11)
    assert world[0, bat, 2] < world[0, free, 2]
    assert (world[0, 31, 0] > world[0, 27, 0]) == (not left_handed)  # toes before the ankle
    assert world[0, 27, 1] > world[0, 11, 1]  # y is down


def test_path_and_height_follow_from_the_joints() -> None:
    """The table agrees with what a reader of the joints alone would compute."""
    plan: VideoPlan = plan_video(tiny(fps=120), 0)
    (row,) = quality_rows(plan)
    _, world, _ = true_pose(plan, row.ready_frame, row.end_frame + 1)
    world = world.astype(float)
    path = np.linalg.norm(np.diff(world[:, 16] - world[:, 12], axis=0), axis=1).sum()
    torso = np.linalg.norm(world[0, 11] + world[0, 12]) / 2
    assert row.torso_m == pytest.approx(torso, abs=1e-5)
    assert row.path_torso == pytest.approx(path / torso, abs=1e-3)
    elevation = plan.view.elevation_rad
    up = -np.cos(elevation) * world[:, 16, 1] - np.sin(elevation) * world[:, 16, 2]
    height = up[row.contact_frame - row.ready_frame] / torso
    assert row.contact_height == pytest.approx(height, abs=1e-5)
