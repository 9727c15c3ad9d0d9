"""Landmarks: their normalisation by hand, and the network that reads them."""

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import ttmodels
from ttmodels import MODELS, PoseNet, ThreeStreams, normalise_pose, normalise_world_pose
from ttmodels.model_page import model_page

LEFT_SHOULDER, LEFT_HIP, RIGHT_HIP, WRIST = 11, 23, 24, 16


def standing(num_frames: int = 4) -> tuple[Tensor, Tensor]:
    """A person whose hips are at (100, 200) and whose torso is 50 px long; the rest at (110, 210).

    Everything is exact in float32.
    """
    points = torch.tensor([110.0, 210.0]).repeat(num_frames, 33, 1)
    for point, x, y in [(11, 80, 150), (12, 120, 150), (23, 90, 200), (24, 110, 200)]:
        points[:, point] = torch.tensor([x, y], dtype=torch.float32)
    points[:, WRIST] = torch.tensor([200.0, 100.0])
    return points, torch.full((num_frames, 33), 0.5)


# --- normalisation ---


def test_by_hand() -> None:
    pose = normalise_pose(*standing())
    assert pose.shape == (3, 4, 33)
    assert pose[:, 0, WRIST].tolist() == [2.0, -2.0, 0.5]
    assert pose[:, 3, LEFT_HIP].tolist() == pytest.approx([-0.2, 0.0, 0.5])
    assert pose[:, 1, LEFT_SHOULDER].tolist() == pytest.approx([-0.4, -1.0, 0.5])
    assert pose[:, 2, 0].tolist() == pytest.approx([0.2, 0.2, 0.5])


def test_place_size_and_batches_change_nothing() -> None:
    points, visibility = standing()
    points += torch.randn(points.shape)
    expected = normalise_pose(points, visibility)
    moved = torch.stack((points * 4 + torch.tensor([300.0, -20.0]), points, points / 2 - 7))
    found = normalise_pose(moved, visibility.expand(3, 4, 33))
    assert found.shape == (3, 3, 4, 33)
    for pose in found:
        torch.testing.assert_close(pose, expected, rtol=0, atol=1e-5)
    walking = points + torch.tensor([7.0, 3.0]) * torch.arange(4).reshape(4, 1, 1)
    torch.testing.assert_close(normalise_pose(walking, visibility), expected, rtol=0, atol=1e-5)


def test_the_unit_is_one_for_the_clip() -> None:
    points, visibility = standing(3)
    points[2, 11:13, 1] = 175.0  # leans: 25 px in the picture
    pose = normalise_pose(points, visibility)
    assert pose[:2, :, WRIST].tolist() == [[2.0, 2.0, 2.0], [-2.0, -2.0, -2.0]]
    assert pose[1, 2, LEFT_SHOULDER] == -0.5
    assert normalise_pose(points[1:], visibility[1:])[0, 0, WRIST] == 4.0  # of two the shorter


def test_missing_landmarks_are_zeros() -> None:
    points, visibility = standing()
    visibility[0, WRIST] = 0.05
    points[1, WRIST] = torch.nan
    points[2, WRIST, 1] = torch.inf
    visibility[3, WRIST] = 1.5  # more than sure
    pose = normalise_pose(points, visibility)
    assert pose[:, :, WRIST].T.tolist() == [[0.0] * 3] * 3 + [[2.0, -2.0, 1.0]]
    assert normalise_pose(points, visibility, min_visibility=0.05)[0, 0, WRIST] == 2.0


def test_the_origin_is_interpolated_where_a_hip_is_missing() -> None:
    points, visibility = standing(7)
    points[:, :, 0] += torch.tensor([0.0, 0, 50, 0, 0, 50, 50])[:, None]
    # known: frames 2 (hips at x = 150) and 4 (100); 3 lies between, 0, 1, 5 and 6 outside
    visibility[[0, 1, 3, 5, 6], RIGHT_HIP] = 0
    x = normalise_pose(points, visibility)[0, :, WRIST]
    hips = torch.tensor([150.0, 150, 150, 125, 100, 100, 100])
    wrists = torch.tensor([200.0, 200, 250, 200, 200, 250, 250])
    assert x.tolist() == ((wrists - hips) / 50).tolist()


def test_nobody_and_no_torso_are_zeros() -> None:
    points, visibility = standing()
    for found in (
        normalise_pose(points, torch.zeros_like(visibility)),
        normalise_pose(torch.full_like(points, torch.nan), visibility),
        normalise_pose(torch.zeros_like(points), visibility),  # a torso of no length
    ):
        assert not found.any()


def test_outliers_are_cut() -> None:
    points, visibility = standing()
    points[0, WRIST] = torch.tensor([1e6, -1e6])
    assert normalise_pose(points, visibility)[:, 0, WRIST].tolist() == [5.0, -5.0, 0.5]


def in_space(num_frames: int = 4) -> Tensor:
    """A person who faces the camera, half a metre of torso, the right wrist 1 m in front of it."""
    world = torch.zeros((num_frames, 33, 3))
    world[:, LEFT_SHOULDER] = torch.tensor([0.25, -0.5, 0.0])
    world[:, 12] = torch.tensor([-0.25, -0.5, 0.0])
    world[:, WRIST] = torch.tensor([-0.25, -0.5, -1.0])
    return world


def test_in_space_by_hand() -> None:
    pose = normalise_world_pose(in_space())
    assert pose.shape == (3, 4, 33)
    assert pose[:, 0, WRIST].tolist() == pytest.approx([-0.5, -1.0, -2.0])
    assert pose[:, 3, LEFT_SHOULDER].tolist() == pytest.approx([0.5, -1.0, 0.0])
    # Seen from the left of the player, who looks along -x: the same.
    aside = in_space()[..., [2, 1, 0]] * torch.tensor([1.0, 1.0, -1.0])
    torch.testing.assert_close(normalise_world_pose(aside), pose)


def test_a_turn_of_the_trunk_is_kept_of_the_camera_not() -> None:
    world = in_space(2)
    world[0, [11, 12]] = torch.tensor([[0.25, -0.5, -0.25], [-0.25, -0.5, 0.25]])
    world[1, [11, 12]] = torch.tensor([[0.25, -0.5, 0.25], [-0.25, -0.5, -0.25]])
    pose = normalise_world_pose(world)
    assert pose[2, :, LEFT_SHOULDER].tolist() == pytest.approx([-0.5, 0.5])
    cos, sin = math.cos(2.5), math.sin(2.5)
    camera = torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    moved = torch.stack((3 * world @ camera + 7, world))
    torch.testing.assert_close(
        normalise_world_pose(moved), pose.expand(2, 3, 2, 33), rtol=0, atol=1e-5
    )


def test_in_space_nobody_is_zeros_and_far_is_cut() -> None:
    world = in_space()
    world[1] = 0
    pose = normalise_world_pose(world)
    assert not pose[:, 1].any()
    torch.testing.assert_close(pose[:, 0], normalise_world_pose(in_space())[:, 0])
    assert not normalise_world_pose(0 * world).any()
    world[0, WRIST] = 100.0
    assert normalise_world_pose(world)[:, 0, WRIST].tolist() == [5.0, 5.0, 5.0]
    with pytest.raises(ValueError, match=r"expected \(\.\.\., frames, 33, 3\)"):
        normalise_world_pose(world[..., :2])


@pytest.mark.parametrize(
    ("points", "visibility", "message"),
    [
        (
            torch.zeros(4, 33, 3),
            torch.zeros(4, 33),
            r"shape \(4, 33, 3\), expected .*frames, 33, 2",
        ),
        (torch.zeros(0, 33, 2), torch.zeros(0, 33), r"points have shape \(0, 33, 2\), expected"),
        (torch.zeros(4, 33, 2), torch.zeros(3, 33), r"shape \(3, 33\), expected \(4, 33\) as"),
        (
            torch.zeros(4, 33, 2).int(),
            torch.zeros(4, 33),
            "points have dtype torch.int32, expected",
        ),
    ],
)
def test_wrong_landmarks(points: Tensor, visibility: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        normalise_pose(points, visibility)


# --- the network ---


def poses(model: PoseNet, batch: int = 2) -> Tensor:
    weight = next(model.parameters())
    return torch.randn(batch, 3, model.config.clip_shape[0], 33, dtype=weight.dtype)


def test_parameter_count() -> None:
    convolutions = (99 * 5 * 64 + 64) + (64 * 5 * 128 + 128) + (128 * 5 * 128 + 128)
    expected = convolutions + (128 * 12 * 500 + 500) + (500 * 21 + 21)
    assert sum(parameter.numel() for parameter in PoseNet().parameters()) == expected == 933_901


@torch.no_grad()
def test_by_hand_weights() -> None:
    """Feature 0 follows the y of one landmark, past its largest value of eight frames."""
    model = PoseNet(2, (17, 8, 8))
    for parameter in model.parameters():
        parameter.zero_()
    model.branch.conv1.weight[0, 1 * 33 + WRIST, 2] = 1
    model.branch.conv2.weight[0, 0, 2] = model.branch.conv3.weight[0, 0, 2] = 1
    model.branch.fc.weight[0, 1] = 2  # channel 0, the second time
    model.head.weight[1, 0] = 3
    pose = torch.zeros(1, 3, 17, 33)
    pose[0, 1, :, WRIST] = torch.arange(17.0)
    assert model.features(pose)[0, 0] == 2 * 15
    assert model(pose).tolist() == [[0.0, 90.0]]


def test_gradients_equal_plain_layers() -> None:
    model = PoseNet(4, (21, 8, 8)).double()
    pose = poses(model).requires_grad_()
    maps = torch.cat([pose[:, channel].transpose(1, 2) for channel in range(3)], dim=1)
    for conv in (model.branch.conv1, model.branch.conv2, model.branch.conv3):
        maps = functional.max_pool1d(functional.relu(conv(maps)), 2)
    features = functional.relu(model.branch.fc(maps.reshape(2, -1)))
    torch.testing.assert_close(model.features(pose), features)
    wanted, leaves = model.head(features), [*model.parameters(), pose]
    for ours, theirs in zip(
        torch.autograd.grad(model(pose).square().sum(), leaves),
        torch.autograd.grad(wanted.square().sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
        assert theirs.abs().max() > 0


def test_its_folder(tmp_path: Path) -> None:
    model = PoseNet(3, (16, 24, 24))
    model.save_pretrained(tmp_path, ttmodels.ModelCard(("a", "b", "c")))
    stored = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert stored["config"] == {"num_classes": 3, "clip_shape": [16, 24, 24]}
    assert stored["inputs"] == {"pose": {"channels": 3, "range": [-5.0, 5.0]}}
    pose = poses(model)
    for again in (ttmodels.load(tmp_path), PoseNet.from_pretrained(tmp_path)):
        assert type(again) is PoseNet is MODELS["pose"]
        assert torch.equal(again(pose), model(pose))
    page = model_page("me/pose", "pose", model.config, model.card, model.inputs)
    assert "`pose`: (batch, 3, time, 33) floats: x (right)" in page
    assert "model.predict_proba(pose)  # (batch, 3)" in page


def test_a_folder_says_which_landmarks(tmp_path: Path) -> None:
    model = PoseNet(3, (16, 24, 24), landmarks="world")
    model.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert stored["config"]["landmarks"] == "world"
    again = PoseNet.from_pretrained(tmp_path)
    assert again.landmarks == "world"
    pose = poses(model)
    assert torch.equal(again(pose), model(pose))
    page = model_page("me/pose", "pose", model.config, model.card, model.inputs)
    assert "`ttmodels.normalise_world_pose`" in page
    with pytest.raises(ValueError, match="landmarks is 'depth', expected 'picture' or 'world'"):
        PoseNet(3, landmarks="depth")  # type: ignore[arg-type]


def test_grad_cam_says_when() -> None:
    model = PoseNet(3, (40, 8, 8))
    pose = poses(model)
    found = ttmodels.grad_cam(model, pose)["pose"]
    assert found.shape == (2, 40, 1, 1)
    assert ttmodels.grad_cam(model, pose, full_size=False)["pose"].shape == (2, 5, 1, 1)
    assert found.min() >= 0
    assert found.max() <= 1


def test_exported_program() -> None:
    model = PoseNet(3, (16, 8, 8))
    module = ttmodels.export_program(model).module()
    for batch in (1, 3):
        pose = poses(model, batch)
        torch.testing.assert_close(module(pose), model(pose))


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx(tmp_path: Path) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    import onnxruntime

    model = PoseNet(3, (16, 8, 8))
    path = ttmodels.export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pose = poses(model, 3)
    (logits,) = session.run(None, {"pose": pose.numpy()})
    assert (torch.from_numpy(logits) - model(pose)).abs().max() < 1e-5


def test_scores_of_any_type() -> None:
    model = PoseNet(3, (16, 8, 8))
    pose = poses(model)
    torch.testing.assert_close(model.predict_proba(pose), model(pose).softmax(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (model(pose.bfloat16()).float() - model(pose)).abs().max() < 0.05


def test_shape_annotations_hold(checked: Any) -> None:
    model = checked.PoseNet(3, (17, 8, 8))
    points, visibility = torch.rand(2, 17, 33, 2), torch.rand(2, 17, 33)
    pose = checked.normalise_pose(points, visibility)
    model(pose).sum().backward()
    assert model.features(pose).shape == (2, 500)
    model.predict_proba(pose)
    checked.grad_cam(model, pose, target=1)


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        (
            torch.zeros(2, 3, 15, 33),
            r"pose has shape \(2, 3, 15, 33\), expected \(batch, 3, 16, 33",
        ),
        (torch.zeros(2, 16, 33, 3), r"expected \(batch, 3, 16, 33\) as normalise_pose gives it"),
        (torch.zeros(2, 3, 16, 8, 8), r"pose has shape \(2, 3, 16, 8, 8\)"),
        (
            torch.zeros(2, 3, 16, 33).double(),
            "pose has dtype torch.float64, expected torch.float32",
        ),
        (torch.zeros(2, 3, 16, 33).int(), r"torch.int32, expected .* with values in \[-5, 5\]"),
    ],
)
def test_wrong_poses(pose: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PoseNet(3, (16, 8, 8))(pose)


def test_windows_are_of_clips() -> None:
    with pytest.raises(ValueError, match="model is a PoseNet, expected one of the SSTC family"):
        ttmodels.SlidingWindows(PoseNet(3, (16, 8, 8)), 4)  # type: ignore[arg-type]


# --- three streams ---


def three_inputs(model: ThreeStreams, batch: int = 2) -> list[Tensor]:
    return [
        torch.randn_like(clip[:1].expand(batch, *clip.shape[1:])) for clip in model.example_inputs()
    ]


def test_three_streams_count_their_parameters() -> None:
    pose_branch = 933_901 - (500 * 21 + 21)
    with torch.device("meta"):
        for head in ("flat", "pooled"):
            found = sum(p.numel() for p in ThreeStreams(head=head).parameters())
            others = sum(p.numel() for p in ttmodels.SSTC(head=head).parameters())
            assert found == others + pose_branch + 500 * 21


@pytest.mark.parametrize("head", ["flat", "pooled"])
def test_three_streams_are_their_branches(head: Any) -> None:
    """With the weights of an SSTC and a PoseNet, logits add up."""
    sstc, pose_net = ttmodels.SSTC(3, (16, 24, 24), head=head), PoseNet(3, (16, 24, 24))
    model = ThreeStreams(3, (16, 24, 24), head=head)
    model.rgb_branch, model.flow_branch = sstc.rgb_branch, sstc.flow_branch
    model.pose_branch = pose_net.branch
    with torch.no_grad():
        model.head.weight.copy_(torch.cat((sstc.head.weight, pose_net.head.weight), dim=1))
        model.head.bias.copy_(sstc.head.bias + pose_net.head.bias)
    rgb, flow, pose = three_inputs(model)
    torch.testing.assert_close(model(rgb, flow, pose), sstc(rgb, flow) + pose_net(pose))
    features = torch.cat((sstc.features(rgb, flow), pose_net.features(pose)), dim=1)
    torch.testing.assert_close(model.features(rgb, flow, pose), features)
    found = torch.autograd.grad(model(rgb, flow, pose).square().sum(), [*model.parameters()])
    assert all(gradient.abs().max() > 0 for gradient in found)


def test_three_streams_in_a_folder_in_a_program_and_explained(tmp_path: Path) -> None:
    model = ThreeStreams(3, (16, 24, 24), head="pooled", pool_fields=1)
    model.save_pretrained(tmp_path)
    clips = three_inputs(model, 3)
    again = ttmodels.load(tmp_path)
    assert type(again) is ThreeStreams
    assert again.config == model.config
    assert torch.equal(again(*clips), model(*clips))
    torch.testing.assert_close(ttmodels.export_program(model).module()(*clips), model(*clips))
    found = ttmodels.grad_cam(model, *clips, target=1)
    assert {name: tuple(value.shape) for name, value in found.items()} == dict.fromkeys(
        ("rgb", "flow", "pose"), (3, 16, 24, 24)
    )
    times = found["pose"][:, :, :1, :1].expand(3, 16, 24, 24)
    torch.testing.assert_close(found["pose"], times)  # the same at every place


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_the_branches_say_adds_up(checked: Any, dtype: torch.dtype) -> None:
    model = checked.ThreeStreams(3, (8, 8, 8)).to(dtype)
    clips = three_inputs(model)
    apart = model.branch_logits(*clips)
    torch.testing.assert_close(apart.sum(dim=1), model(*clips))
    # A branch hears nothing of the others.
    other = model.branch_logits(clips[0], *three_inputs(model)[1:])
    assert torch.equal(other[:, 0], apart[:, 0])
    assert not torch.isclose(other[:, 1:], apart[:, 1:]).all()


def test_three_streams_say_which_landmarks(tmp_path: Path) -> None:
    model = ThreeStreams(3, (16, 24, 24), head="pooled", landmarks="world")
    assert model.config.stored()["landmarks"] == "world"
    assert "landmarks" not in ThreeStreams(3, (16, 24, 24)).config.stored()
    model.save_pretrained(tmp_path)
    again = ttmodels.load(tmp_path)
    assert again.config == model.config
    clips = three_inputs(model)
    assert torch.equal(again(*clips), model(*clips))
    page = model_page("me/three", model.name, model.config, model.card, model.inputs)
    assert page.count("`ttmodels.normalise_world_pose`") == 1
    assert "- Input `rgb`: (batch, 3, time, height, width) floats in [0, 1]" in page
    with pytest.raises(ValueError, match="landmarks is 'depth', expected 'picture' or 'world'"):
        ThreeStreams(3, landmarks="depth")  # type: ignore[arg-type]


def test_three_streams_check_what_comes_in(checked: Any) -> None:
    model = ThreeStreams(3, (8, 8, 8))
    rgb, flow, pose = three_inputs(model)
    with pytest.raises(
        ValueError, match="batch sizes are 2 of rgb and 1 of pose, expected the sam"
    ):
        model(rgb, flow, pose[:1])
    with pytest.raises(ValueError, match="looks like flow: are the inputs swapped"):
        model(flow, rgb, pose)
    with pytest.raises(
        ValueError, match="model is a ThreeStreams, expected one of the SSTC family"
    ):
        ttmodels.SlidingWindows(model, 4)  # type: ignore[arg-type]
    typed = checked.ThreeStreams(3, (8, 8, 8), head="pooled")
    typed(rgb, flow, pose).sum().backward()
    typed.features(rgb, flow, pose)
    typed.predict_proba(rgb, flow, pose)
    checked.grad_cam(typed, rgb, flow, pose)
