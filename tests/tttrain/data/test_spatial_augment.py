"""The crop and its variations, on pictures with exact answers."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch

from ttflow.shards.stats import flow_scale
from tttrain.config import AugmentConfig
from tttrain.data import spatial_augment
from tttrain.data.normalise import normalise_flow
from tttrain.data.spatial_augment import IDENTITY, Augment, Draw, draw
from tttrain.data.spatial_augment import transform as transform_stored

transform = partial(transform_stored, unit=1.0)
"""Flow comes in pixels here."""
SIDE = 24
CROP = (16, 16)


@pytest.fixture
def patches() -> tuple[torch.Tensor, torch.Tensor]:
    """Two clips of three frames of noise."""
    torch.manual_seed(0)
    rgb = torch.randint(0, 256, (2, 3, SIDE, SIDE, 3), dtype=torch.uint8)
    flow = torch.randint(-300, 300, (2, 3, 2, SIDE, SIDE), dtype=torch.int16)
    return rgb, flow / 32.0


def test_identity_is_the_centre_crop_exactly(patches) -> None:
    rgb, flow = patches
    cut_rgb, cut_flow = transform(rgb, flow, [IDENTITY, IDENTITY], CROP)
    middle = slice(4, 20)
    expected = rgb[:, :, middle, middle].permute(0, 4, 1, 2, 3).float() / 255
    assert torch.equal(cut_rgb, expected)
    assert torch.equal(cut_flow, flow[..., middle, middle].transpose(1, 2))


def test_an_identity_beside_a_rotation_stays_exact(patches) -> None:
    rgb, flow = patches
    both = transform(rgb, flow, [IDENTITY, Draw(angle_radians=0.1)], CROP)
    alone = transform(rgb, flow, [IDENTITY, IDENTITY], CROP)
    for mixed, plain in zip(both, alone, strict=True):
        assert torch.equal(mixed[0], plain[0])
        assert not torch.allclose(mixed[1], plain[1])


def test_quarter_turn(patches) -> None:
    """x right and y down: a positive quarter turn takes right to down, clockwise as seen."""
    rgb, flow = patches
    turned = transform(rgb, flow, [Draw(angle_radians=math.pi / 2)] * 2, CROP)
    plain = transform(rgb, flow, [IDENTITY] * 2, CROP)
    clockwise = {"k": -1, "dims": (-2, -1)}
    assert torch.allclose(turned[0], torch.rot90(plain[0], **clockwise), atol=1e-4)
    x, y = torch.rot90(plain[1], **clockwise).unbind(1)
    assert torch.allclose(turned[1], torch.stack([-y, x], dim=1), atol=2e-3)


def test_mirror_negates_horizontal_flow_only(patches) -> None:
    rgb, flow = patches
    mirrored = transform(rgb, flow, [Draw(mirror=True)] * 2, CROP)
    plain = transform(rgb, flow, [IDENTITY] * 2, CROP)
    assert torch.allclose(mirrored[0], plain[0].flip(-1), atol=1e-4)
    expected = plain[1].flip(-1) * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1, 1)
    assert torch.allclose(mirrored[1], expected, atol=2e-3)


def test_whole_pixel_shift_moves_the_picture(patches) -> None:
    rgb, flow = patches
    moved = transform(rgb, flow, [Draw(shift_xy=(3.0, -2.0))] * 2, CROP)
    # The picture moves 3 right and 2 up: the crop sees what lay 3 to the left and 2 below.
    expected = rgb[:, :, 6:22, 1:17].permute(0, 4, 1, 2, 3).float() / 255
    assert torch.allclose(moved[0], expected, atol=1e-4)
    assert torch.allclose(moved[1], flow[..., 6:22, 1:17].transpose(1, 2), atol=2e-3)


def test_scale_lengthens_flow() -> None:
    rgb = torch.full((1, 1, SIDE, SIDE, 3), 100, dtype=torch.uint8)
    flow = torch.ones((1, 1, 2, SIDE, SIDE)) * torch.tensor([2.0, -1.0]).view(1, 1, 2, 1, 1)
    _, scaled = transform(rgb, flow, [Draw(scale=1.1)], CROP)
    assert torch.allclose(scaled[0, 0], torch.tensor(2.2))
    assert torch.allclose(scaled[0, 1], torch.tensor(-1.1))


@pytest.mark.parametrize("angle_degrees", [-10.0, 7.0, 30.0])
def test_flow_of_a_moving_square_turns_with_its_picture(angle_degrees: float) -> None:
    """The square's displacement, measured on the varied pictures, is the varied flow."""
    side, step = 64, torch.tensor([3.0, 1.0])
    rgb = torch.zeros((1, 2, side, side, 3), dtype=torch.uint8)
    flow = torch.zeros((1, 2, 2, side, side))
    rgb[:, 0, 26:34, 26:34], rgb[:, 1, 27:35, 29:37] = 255, 255
    flow[:, 0, :, 26:34, 26:34] = step.view(1, 2, 1, 1)
    item = Draw(math.radians(angle_degrees), (2.0, -1.5), 1.08)
    pictures, vectors = transform(rgb, flow, [item], (48, 48))
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    weights = pictures[0, 0]
    centres = torch.stack([(weights * x).sum((1, 2)), (weights * y).sum((1, 2))], dim=1)
    centres = centres / weights.sum((1, 2))[:, None]
    moved = centres[1] - centres[0]
    inside = pictures[0, 0, 0] > 0.99
    assert torch.allclose(vectors[0, :, 0][:, inside].mean(1), moved, atol=0.03)


@pytest.mark.parametrize("crop_hw", [(16, 16), (12, 20)])
@pytest.mark.parametrize(
    "item",
    [
        Draw(0.17, (1.6, -1.2), 1.1),
        Draw(-0.13, (-1.4, 0.9), 0.9, mirror=True),
        Draw(1.0, (5.0, -7.0), 0.6),
    ],
)
def test_equals_a_reference_in_float64(patches, item: Draw, crop_hw: tuple[int, int]) -> None:
    """Noise, looked up point by point as the module's docstring says, also beyond the patch."""
    rgb, flow = patches
    found = transform(rgb, flow, [item, item], crop_hw)
    planes = np.concatenate(
        [rgb.permute(0, 1, 4, 2, 3).double().numpy() / 255, flow.double().numpy()], axis=2
    )
    expected = reference(planes, item, crop_hw)
    assert np.abs(found[0].permute(0, 2, 1, 3, 4).numpy() - expected[:, :, :3]).max() < 2e-5
    assert np.abs(found[1].permute(0, 2, 1, 3, 4).numpy() - expected[:, :, 3:]).max() < 2e-4


def reference(planes: np.ndarray, item: Draw, crop_hw: tuple[int, int]) -> np.ndarray:
    """(B, T, 5, H, W) float64: q = s (R M p + t) solved for p, bilinear, zero outside."""
    cos, sin = math.cos(item.angle_radians), math.sin(item.angle_radians)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1 if item.mirror else 1, 1])
    middle, result = (SIDE - 1) / 2, np.zeros((*planes.shape[:3], *crop_hw))
    for row, column in np.ndindex(crop_hw):
        q = np.array([column - (crop_hw[1] - 1) / 2, row - (crop_hw[0] - 1) / 2])
        x, y = turn.T @ (q / item.scale - item.shift_xy) + middle
        for at_x, at_y in itertools.product(
            (math.floor(x), math.floor(x) + 1), (math.floor(y), math.floor(y) + 1)
        ):
            if 0 <= at_x < SIDE and 0 <= at_y < SIDE:
                weight = (1 - abs(x - at_x)) * (1 - abs(y - at_y))
                result[..., row, column] += weight * planes[..., at_y, at_x]
    moved = np.einsum("ij,btjhw->btihw", item.scale * turn, result[:, :, 3:])
    return np.concatenate([result[:, :, :3], moved], axis=2)


def test_flow_of_a_rotating_disc_stays_tangent() -> None:
    """A disc that turns about a point off the centre still turns about it, at the same rate."""
    side, rate, centre = 64, 0.04, np.array([4.0, -3.0])
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    field = rate * np.stack([-(y - centre[1]), x - centre[0]])
    flow = torch.from_numpy(field).float()[None, None]
    item = Draw(math.radians(9), (3.0, 2.5), 1.07)
    rgb = torch.zeros((1, 1, side, side, 3), dtype=torch.uint8)
    _, found = transform(rgb, flow, [item], (48, 48))
    middle = item.matrix() @ centre + item.scale * np.array(item.shift_xy)
    y, x = np.mgrid[:48, :48] - 23.5
    radius = np.stack([x - middle[0], y - middle[1]])
    vectors = found[0, :, 0].double().numpy()
    assert np.abs((vectors * radius).sum(axis=0)).max() < 1e-3
    assert vectors == pytest.approx(rate * np.stack([-radius[1], radius[0]]), abs=1e-4)


def test_bits_do_not_depend_on_how_many_frames_are_cut_at_once(
    patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [Draw(0.17, (1.6, -1.2), 1.1), Draw(-0.1, mirror=True)]
    expected = transform(*patches, items, CROP)
    monkeypatch.setattr(spatial_augment, "_CPU_BYTES", 1)
    for found, other in zip(transform(*patches, items, CROP), expected, strict=True):
        assert torch.equal(found, other)


def test_no_clip_waits_for_where_its_pixels_look(patches, monkeypatch: pytest.MonkeyPatch) -> None:
    """The places come to a GPU by way of memory that it reads by itself; an identity needs none."""
    sent = []
    monkeypatch.setattr(
        spatial_augment, "without_waiting", lambda grid, device: sent.append(grid.shape) or grid
    )
    transform(*patches, [Draw(0.1), IDENTITY], CROP)
    assert sent == [(1, *CROP, 2)]


def test_outside_the_patch_is_black_and_still() -> None:
    rgb = torch.full((1, 1, SIDE, SIDE, 3), 255, dtype=torch.uint8)
    flow = torch.ones((1, 1, 2, SIDE, SIDE))
    picture, vectors = transform(rgb, flow, [Draw(shift_xy=(12.0, 0.0))], CROP)
    assert float(picture[..., :7].max()) == 0
    assert float(vectors[..., :7].abs().max()) == 0
    assert float(picture[..., 9:].min()) == pytest.approx(1)


def test_default_bounds_stay_inside_the_stored_patch() -> None:
    """The outermost pixel of a crop of 120 px looks at real pixels of a patch of 184 px."""
    corner, reach = 59.5, 0.0
    for sign_x in (-1, 1):
        for angle in (-10, 10):
            item = Draw(math.radians(angle), (12.0 * sign_x, 12.0), 0.9)
            back = np.linalg.inv(item.matrix() / item.scale)
            for x, y in ((corner, corner), (-corner, corner), (corner, -corner)):
                point = back @ (np.array([x, y]) / item.scale - np.array(item.shift_xy))
                reach = max(reach, float(np.abs(point).max()))
    assert 90 < reach <= 91.5


def test_draws_are_bounded_keyed_and_varied() -> None:
    augment = Augment(AugmentConfig(mirror=True), (120, 100), seed=3)
    ids = [f"clip {index}" for index in range(300)]
    draws = augment.draws(ids, 5)
    assert draws == list(reversed(augment.draws(ids[::-1], 5)))
    assert draws != augment.draws(ids, 6)
    angles = np.degrees([item.angle_radians for item in draws])
    shifts = np.array([item.shift_xy for item in draws])
    scales = np.array([item.scale for item in draws])
    for values, bound in ((angles, 10), (shifts[:, 0], 10), (shifts[:, 1], 12), (scales - 1, 0.1)):
        assert np.abs(values).max() <= bound
        assert values.min() < -0.9 * bound
        assert values.max() > 0.9 * bound
    assert 0.4 < np.mean([item.mirror for item in draws]) < 0.6


def test_no_variation_when_off_or_in_evaluation() -> None:
    off = AugmentConfig(spatial=False)
    assert draw(off, CROP, np.random.default_rng(0)) == IDENTITY
    assert Augment(off, CROP, 0).draws(["a"], 1) == [IDENTITY]
    assert Augment(AugmentConfig(), CROP, 0).draws(["a"], None) == [IDENTITY]
    assert not draw(AugmentConfig(), CROP, np.random.default_rng(0)).mirror


def test_wrong_crop_is_refused() -> None:
    with pytest.raises(ValueError, match="crop 17 x 16 must fit into the patch 24 x 24"):
        transform(
            torch.zeros((1, 1, 24, 24, 3)), torch.zeros((1, 1, 2, 24, 24)), [IDENTITY], (17, 16)
        )


def test_flow_scale_by_hand() -> None:
    # x: above 5 px are 6 and 8: mean 7, deviation 1. y: none above 5 px, so all count.
    maxima = np.array([[6.0, 1.0], [8.0, 3.0], [4.0, 2.0]])
    x, y = flow_scale(maxima)
    assert x == pytest.approx(10.0)
    assert y == pytest.approx(2.0 + 3 * math.sqrt(2 / 3))
    assert flow_scale(np.zeros((4, 2))) == (1.0, 1.0)
    with pytest.raises(ValueError, match=r"found \(0, 2\)"):
        flow_scale(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="not finite"):
        flow_scale(np.full((1, 2), np.nan))


def test_normalised_flow_is_clipped_per_axis() -> None:
    flow = torch.tensor([5.0, -40.0]).view(1, 2, 1, 1, 1)
    assert normalise_flow(flow, (10.0, 20.0)).flatten().tolist() == [0.5, -1.0]
