"""Landmarks of windows: the frames of the pixels, moved as the crop is."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ttdata.errors import TTError
from ttflow import ClipPose
from ttflow.errors import ShardError
from ttflow.shards.intervals import padded_indices
from ttflow.shards.poses import stored_poses, write_poses
from ttmodels import normalise_pose, normalise_world_pose
from tttrain.config import AugmentConfig, NetworkConfig
from tttrain.data.cache import ResidentSource
from tttrain.data.dataset import ShardSource, open_data
from tttrain.data.decode import decode_clip
from tttrain.data.poses import MIRRORED, PoseSource, StoredPose, move_poses
from tttrain.data.sampling import Request, central_request
from tttrain.data.spatial_augment import IDENTITY, Augment, Draw

WRIST = 16
POSE = NetworkConfig(model="pose")


def torso(num_frames: int) -> np.ndarray:
    """Shoulders at y 0, hips at y 10 and x 0: a torso is 10 px long."""
    points = np.zeros((num_frames, 33, 2), np.float32)
    points[:, :, 1] = 5
    points[:, [11, 12], 1], points[:, [23, 24], 1] = 0, 10
    return points


def pose_of(frames: np.ndarray, visibility: np.ndarray | None = None) -> ClipPose:
    """The right wrist's x is the number of the frame."""
    points = torso(len(frames))
    points[:, WRIST, 0] = frames
    seen = np.ones((len(frames), 33), np.float32) if visibility is None else visibility
    world = np.zeros((len(frames), 33, 3), np.float32)
    return ClipPose(frames, points, world, seen, seen[:, 0], "a", 30.0)


def wrist_frames(stored: StoredPose, start: int, num_frames: int) -> list[float]:
    """Which frame each step of a window shows."""
    pose = stored.window(start, num_frames).pose
    assert pose.shape == (3, num_frames, 33)
    assert pose.dtype == torch.float32
    return (pose[0, :, WRIST] * 10).round(decimals=4).tolist()


def test_left_and_right() -> None:
    """Of the names in BlazePose's figure: eyes 1 to 6, ears 7, 8, mouth 9, 10, then by pairs."""
    assert [MIRRORED[point] for point in range(11)] == [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9]
    assert [MIRRORED[point] for point in (11, 12, 15, 16, 23, 24, 31, 32)] == [
        *(12, 11, 16, 15, 24, 23, 32, 31)
    ]
    assert [MIRRORED[MIRRORED[point]] for point in range(33)] == list(range(33))


@pytest.mark.parametrize(
    ("start", "frames"),
    [
        (12, [12, 13, 14, 15]),
        (3, [10, 11, 12, 13]),  # before the first stored frame
        (19, [16, 17, 18, 19]),  # beyond the last
    ],
)
def test_a_window_shows_the_frames_of_its_pixels(start: int, frames: list[int]) -> None:
    stored = StoredPose("a", (10, 20), 40, pose_of(np.arange(10, 20)))
    assert wrist_frames(stored, start, 4) == frames
    positions, _ = padded_indices(start, 4, (10, 20), 40)
    assert [10 + position for position in positions] == frames


def test_the_last_frame_of_a_short_video_repeats() -> None:
    stored = StoredPose("a", (0, 3), 3, pose_of(np.arange(3)))
    assert wrist_frames(stored, 0, 6) == [0, 1, 2, 2, 2, 2]
    longer = StoredPose("a", (0, 3), 9, pose_of(np.arange(3)))
    with pytest.raises(ValueError, match=r"clip a: a window of 6 frames does not fit"):
        longer.window(0, 6)


def test_frames_between_estimated_ones() -> None:
    stored = StoredPose("a", (10, 20), 40, pose_of(np.array([10, 14, 18, 19])))
    assert wrist_frames(stored, 11, 8) == [11, 12, 13, 14, 15, 16, 17, 18]


def test_nobody_in_a_window() -> None:
    pose = pose_of(np.arange(8), np.zeros((8, 33), np.float32))
    assert not StoredPose("a", (0, 8), 8, pose).window(0, 8).pose.any()


def normalised(points: np.ndarray) -> torch.Tensor:
    seen = torch.ones(points.shape[:2])
    return normalise_pose(torch.from_numpy(points.astype(np.float32)), seen)


def random_pose() -> np.ndarray:
    points = torso(5) + np.random.default_rng(0).normal(0, 1, (5, 33, 2)).astype(np.float32)
    return points.astype(np.float32)


def test_known_moves() -> None:
    pose = torch.zeros(1, 3, 2, 33)
    pose[0, :, :, WRIST] = torch.tensor([1.0, 0.5, 0.9])[:, None]

    def moved(item: Draw, point: int = WRIST) -> list[float]:
        return move_poses(pose, [item])[0, :, 0, point].round(decimals=5).tolist()

    # x to the right, y down: a quarter turn takes right to down.
    assert moved(Draw(angle_radians=math.pi / 2)) == pytest.approx([-0.5, 1.0, 0.9])
    assert moved(Draw(scale=1.1)) == pytest.approx([1.1, 0.55, 0.9])
    assert moved(Draw(shift_xy=(7.0, -3.0))) == pytest.approx([1.0, 0.5, 0.9])
    # The right wrist of a mirrored person is a left one, on the other side.
    assert moved(Draw(mirror=True), 15) == pytest.approx([-1.0, 0.5, 0.9])
    assert moved(Draw(mirror=True), WRIST) == [0, 0, 0]
    pose[0, 0] *= 4.8
    assert moved(Draw(scale=1.1)) == pytest.approx([5.0, 0.55, 0.9])


def test_moved_landmarks_are_those_of_the_moved_picture() -> None:
    """Rotation about any centre, a shift and a mirror, before the normalisation or after it."""
    points, item = random_pose(), Draw(0.3, (4.0, -2.0), 1.0, mirror=True)
    centre = np.array([60.0, 50.0])
    # s (R M p + t) about the centre of the crop.
    picture = (points - centre) @ item.matrix().T + np.array(item.shift_xy) + centre
    expected = normalised(picture[:, MIRRORED])
    found = move_poses(normalised(points)[None], [item])[0]
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, normalised(points), atol=0.1)


def test_each_clip_has_the_draw_of_its_crop() -> None:
    augment = Augment(AugmentConfig(mirror=True), (16, 16), 3)
    draws = augment.draws(["a", "b"], 4)
    poses = torch.stack([normalised(random_pose())] * 2)
    moved = move_poses(poses, draws)
    for index, item in enumerate(draws):
        assert torch.equal(moved[index], move_poses(poses[index : index + 1], [item])[0])
    assert not torch.equal(moved[0], moved[1])
    plain = move_poses(poses, augment.draws(["a", "b"], None))
    assert torch.equal(plain, poses)
    assert torch.equal(move_poses(poses, [IDENTITY] * 2), poses)


def test_sources_give_the_same_landmarks(shards_with_poses: Path) -> None:
    data = open_data(shards_with_poses)
    clips = [clip for split in data.clips.values() for clip in split]
    ids = [clip.clip_id for clip in clips]
    requests = [central_request(clip, 8) for clip in clips]
    requests += [Request(clip.clip_id, start) for clip in clips for start in (0, 39)]
    resident = ResidentSource((decode_clip(data.read(clip_id)) for clip_id in ids), 8)
    alone = PoseSource(data.poses(ids), 8).windows(requests)
    beside = PoseSource(data.poses(ids), 8, resident).windows(requests)
    streamed = PoseSource(data.poses(ids), 8, ShardSource(data, 8)).windows(requests)
    for one, two, three, request in zip(alone, beside, streamed, requests, strict=True):
        assert one.clip_id == two.clip_id == three.clip_id == request.clip_id
        assert one.rgb is None
        assert torch.equal(two.rgb, torch.from_numpy(three.rgb))
        assert torch.equal(one.pose, two.pose)
        assert torch.equal(one.pose, three.pose)


@pytest.mark.parametrize("landmarks", ["picture", "world"])
def test_windows_together_are_the_windows_one_by_one(landmarks: str) -> None:
    """To the last bit: clips of several lengths, somebody lost for a while, nobody at all."""
    rng, clips = np.random.default_rng(0), []
    for index, length in enumerate((8, 11, 70, 9)):
        frames = np.arange(0, length, 2)
        seen = (rng.random((len(frames), 33)) > 0.3).astype(np.float32)
        seen[1] = 0.0
        seen *= index < 3
        points = rng.normal(0, 9, (len(frames), 33, 2)).astype(np.float32)
        world = rng.normal(0, 1, (len(frames), 33, 3)).astype(np.float32)
        pose = ClipPose(frames, points, world, seen, seen.max(axis=1), str(index), 30.0)
        clips.append(StoredPose(str(index), (0, length), length, pose).reading(landmarks))
    asked = [Request(str(at % 4), int(rng.integers(0, 60))) for at in range(140)]
    for request, window in zip(asked, PoseSource(clips, 8).windows(asked), strict=True):
        clip = clips[int(request.clip_id)]
        first = min(request.start_frame, clip.interval[1] - 8)
        frames = np.arange(first, first + 8)
        if landmarks == "world":
            alone = normalise_world_pose(torch.from_numpy(clip.pose.world_at(frames)))
        else:
            alone = normalise_pose(*map(torch.from_numpy, clip.pose.at(frames)))
        assert torch.equal(window.pose, alone)
        assert torch.equal(window.pose, clip.window(request.start_frame, 8).pose)


def test_missing_landmarks_are_named(shards: Path, shards_with_poses: Path, tmp_path: Path) -> None:
    data = open_data(shards)
    first, *_ = data.clips["validation"]
    assert data.pose_estimation is None
    with pytest.raises(ShardError, match=rf"{first.clip_id}.*run `ttflow pose {shards}`$") as found:
        data.poses([clip.clip_id for clip in data.clips["validation"]])
    assert isinstance(found.value, TTError)
    path = tmp_path / "shards"
    shutil.copytree(shards_with_poses, path)
    for file in (path / "pose").glob("video_07.*"):
        file.unlink()
    with pytest.raises(ShardError, match=r"no pose of clip 'video 07@"):
        open_data(path).hash_for(POSE)


def test_landmarks_decide_the_result_of_networks_that_read_them(
    shards: Path, shards_with_poses: Path, tmp_path: Path
) -> None:
    pixels, data = NetworkConfig(model="siamese"), open_data(shards_with_poses)
    assert data.hash_for(pixels) == data.hash == open_data(shards).hash
    before = data.hash_for(POSE)
    assert before == open_data(shards_with_poses).hash_for(POSE)
    assert before != data.hash
    shutil.copytree(shards_with_poses, tmp_path / "other")
    (file,) = (tmp_path / "other" / "pose").glob("video_20.*")
    (pose,), _ = stored_poses(file)
    file.unlink()
    write_poses(file, [replace(pose, points=pose.points + 1)])
    other = open_data(tmp_path / "other")
    assert other.hash == data.hash
    assert other.hash_for(POSE) not in (before, data.hash)


def test_windows_of_landmarks_in_space() -> None:
    pose = pose_of(np.arange(10, 20))
    world = np.zeros_like(pose.world)
    world[:, [11, 12]] = np.array([[0.0, -2.0, -1.0], [0.0, -2.0, 1.0]])  # looks along -x
    world[:, WRIST, 0] = np.arange(10)
    stored = StoredPose("a", (10, 20), 40, replace(pose, world=world))
    found = stored.reading("world").window(12, 4).pose
    torch.testing.assert_close(found, normalise_world_pose(torch.from_numpy(world[2:6])))
    assert found[2, :, WRIST].tolist() == pytest.approx([1.0, 1.5, 2.0, 2.5])
    assert torch.equal(stored.reading("picture").window(12, 4).pose, stored.window(12, 4).pose)


def test_the_mirror_image_of_a_turned_person_is_the_turned_mirror_image() -> None:
    """Both hold the same labels, so the mirror may come after the turn."""
    rng = np.random.default_rng(1)
    world = torch.from_numpy(rng.normal(0, 0.1, (5, 33, 3)).astype(np.float32))
    world[:, [11, 12]] += torch.tensor([[0.1, -0.5, 0.3], [-0.1, -0.5, -0.1]])
    world[2] = 0  # nobody
    image = world[:, MIRRORED] * torch.tensor([-1.0, 1.0, 1.0])
    moved = move_poses(normalise_world_pose(world)[None], [Draw(mirror=True)], "world")[0]
    torch.testing.assert_close(moved, normalise_world_pose(image))
    assert (moved - normalise_world_pose(world)).abs().max() > 0.1


def test_landmarks_in_space_are_turned_scaled_and_mirrored() -> None:
    poses = torch.zeros((3, 3, 1, 33))
    poses[:, :, 0, WRIST] = torch.tensor([1.0, 2.0, 4.0])
    draws = [Draw(angle_radians=math.pi / 2), Draw(scale=1.5), Draw(mirror=True)]
    found = move_poses(poses, draws, "world")
    assert found[0, :, 0, WRIST].tolist() == pytest.approx([-2.0, 1.0, 4.0], abs=1e-6)
    assert found[1, :, 0, WRIST].tolist() == [1.5, 3.0, 5.0]  # cut
    assert found[2, :, 0, 15].tolist() == pytest.approx([-1.0, 2.0, 4.0])
    assert not found[2, :, 0, WRIST].any()
