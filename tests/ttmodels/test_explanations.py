"""Grad-CAM against the formula written out, and by hand."""

import pytest
import torch

from ttmodels import C3D, I3D, LTC, SSTC, EarlyFusion, LateFusion, RGBNet, StrokeModel, grad_cam

CHANNELS = {"rgb": 3, "flow": 2}
BUILDERS = {
    "sstc": lambda: SSTC(3, (16, 24, 17)),
    "bilinear": lambda: SSTC(3, (16, 24, 17), "bilinear"),
    "late": lambda: LateFusion(3, (16, 24, 17)),
    "early": lambda: EarlyFusion(3, (16, 24, 17)),
    "ltc": lambda: LTC(3, (32, 64, 33)).eval(),
    "c3d": lambda: C3D(3, (32, 64, 33)).eval(),
    "i3d": lambda: I3D(3, 2, clip_shape=(16, 64, 33)).eval(),
}


def clips_for(model: StrokeModel) -> list[torch.Tensor]:
    return [torch.rand(2, CHANNELS[name], *model.config.clip_shape) for name in model.inputs]


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_the_formula(build) -> None:
    model = build()
    clips = clips_for(model)
    target = torch.tensor([2, 0])
    maps = [stream.detach().requires_grad_() for stream in model.forward_features(*clips)]
    logits = model.forward_head(*maps)
    torch.testing.assert_close(logits, model(*clips))
    found = grad_cam(model, *clips, target=target, full_size=False)
    assert tuple(found) == model.streams
    for stream, leaf in zip(model.streams, maps, strict=True):
        for row in range(2):
            (gradient,) = torch.autograd.grad(logits[row, target[row]], leaf, retain_graph=True)
            weights = gradient[row].mean(dim=(1, 2, 3))
            wanted = torch.einsum("c,cthw->thw", weights, leaf[row]).clamp(min=0)
            wanted = wanted / wanted.max().clamp(min=1e-30)
            torch.testing.assert_close(found[stream][row], wanted.detach(), rtol=1e-4, atol=1e-5)


def test_one_array_per_branch_of_the_clips_size() -> None:
    model = SSTC(3, (16, 24, 17))
    clips = clips_for(model)
    found = grad_cam(model, *clips)
    for stream in ("rgb", "flow"):
        assert found[stream].shape == (2, 16, 24, 17)
        assert found[stream].min() >= 0
        assert found[stream].max() <= 1
        assert not found[stream].requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_default_is_the_largest_logit() -> None:
    model = RGBNet(4, (8, 16, 16))
    (clip,) = clips_for(model)
    best = model(clip).argmax(1)
    assert torch.equal(grad_cam(model, clip)["rgb"], grad_cam(model, clip, target=best)["rgb"])


def test_it_points_at_the_place_that_decides() -> None:
    # feature 0 is the positive part of channel 0 at one cell of 2 x 2 x 2; class 1 reads it
    model = RGBNet(2, (16, 16, 16))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for conv in model.branch.convolutions():
            conv.weight[0, 0, 1, 1, 1] = 1
        model.branch.fc.weight[0, 0b101] = 1  # cell t 1, y 0, x 1
        model.head.weight[1, 0] = 1
    clip = torch.zeros(1, 3, 16, 16, 16)
    clip[0, 0, 12, 4, 12] = 1
    cam = grad_cam(model, clip, target=1, full_size=False)["rgb"][0]
    assert cam.flatten().tolist() == [0, 0, 0, 0, 0, 1, 0, 0]
    assert not grad_cam(model, clip, target=0)["rgb"].any()  # nothing speaks for class 0


def test_inside_no_grad_and_wrong_targets() -> None:
    model = RGBNet(4, (8, 8, 8))
    (clip,) = clips_for(model)
    with torch.no_grad():
        assert grad_cam(model, clip, target=3)["rgb"].shape == (2, 8, 8, 8)
    with pytest.raises(ValueError, match="target is 4, expected integers 0 to 3"):
        grad_cam(model, clip, target=4)
    with pytest.raises(ValueError, match=r"target has shape \(3,\), expected \(\) or \(2,\)"):
        grad_cam(model, clip, target=torch.tensor([0, 1, 2]))
