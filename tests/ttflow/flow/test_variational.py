"""The variational flow against a float64 loop version of the reference and known motion."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ttflow.flow.variational import BeyondPixels, RobustSettings, estimator, torch_path
from ttflow.flow.variational.pyramid import level_sizes, pyramid

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from flow_oracle import oracle_flow

# ---- Pictures with known motion ----


def texture(rng: np.random.Generator):
    """A smooth random picture in [0, 1] as a sum of waves, a function of real coordinates."""
    frequency = rng.uniform(0.03, 0.35, (24, 1, 1)) * rng.choice((-1, 1), (24, 1, 1))
    angle, phase = rng.uniform(0, np.pi, (2, 24, 1, 1))
    colour = rng.uniform(-1, 1, (24, 3, 1, 1))

    def draw(x, y):
        wave = np.sin(frequency * (np.cos(angle) * x + np.sin(angle) * y) * 2 + phase)
        return (0.5 + (colour * wave[:, None]).sum(0) / 16).clip(0, 1)

    return draw


def moving_disc(seed: int, height: int = 72, width: int = 96, shift=(1.6, -0.9)):
    """A textured disc that moves over a still background; flow and the disc's pixels."""
    rng = np.random.default_rng(seed)
    ground, disc = texture(rng), texture(rng)
    y, x = np.mgrid[:height, :width].astype(float)

    def picture(dx, dy):
        distance = np.hypot(x - width / 2 - dx, y - height / 2 - dy)
        alpha = np.clip(height / 4 - distance + 0.5, 0, 1)
        image = ground(x, y) * (1 - alpha) + disc(x - dx, y - dy) * alpha
        return torch.from_numpy((image * 200 + 25).round().astype(np.uint8))[None], alpha > 0.5

    first, inside = picture(0, 0)
    second, _ = picture(*shift)
    flow = np.where(inside, np.array(shift)[:, None, None], 0.0)
    return first, second, flow, inside


def error(flow: torch.Tensor, truth: np.ndarray) -> np.ndarray:
    return np.hypot(*(flow[0].double().numpy() - truth))


def as_image(batch: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(batch[0].permute(1, 2, 0).numpy())


ENGINES = ("torch", "numba")


@pytest.mark.parametrize("size", [(72, 96), (61, 83)])
def test_reference_equals_the_oracle(size: tuple[int, int]) -> None:
    first, second, _, _ = moving_disc(1, *size)
    expected = oracle_flow(as_image(first), as_image(second))
    difference = np.abs(BeyondPixels("reference")(first, second)[0].numpy() - expected)
    assert difference.mean() < 1e-4
    assert np.percentile(difference, 99) < 1e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_motion_is_found(engine: str) -> None:
    first, second, truth, inside = moving_disc(2)
    found = error(BeyondPixels(engine=engine)(first, second), truth)
    assert found.mean() < 0.15
    assert np.median(found[inside]) < 0.05


def test_robust_is_as_exact_as_the_reference() -> None:
    reference, robust = [], []
    for seed in range(3):
        first, second, truth, _ = moving_disc(seed)
        reference.append(error(BeyondPixels("reference")(first, second), truth).mean())
        robust.append(error(BeyondPixels()(first, second), truth).mean())
    assert np.mean(robust) <= 1.05 * np.mean(reference)


def test_flicker_is_not_motion() -> None:
    clean, flickering, reference = [], [], []
    for seed in range(2):
        first, second, truth, _ = moving_disc(seed)
        brighter = (second * 1.1).round().clamp(0, 255).to(torch.uint8)
        clean.append(error(BeyondPixels()(first, second), truth).mean())
        flickering.append(error(BeyondPixels()(first, brighter), truth).mean())
        reference.append(error(BeyondPixels("reference")(first, brighter), truth).mean())
    assert np.mean(flickering) < 1.2 * np.mean(clean)
    assert np.mean(flickering) < 0.5 * np.mean(reference)


def test_engines_agree() -> None:
    for seed in range(2):
        first, second, _, _ = moving_disc(seed, 61, 107)
        flows = [BeyondPixels(engine=engine)(first, second) for engine in ENGINES]
        difference = (flows[0] - flows[1]).abs()
        assert difference.mean() < 1e-4
        assert difference.flatten().quantile(0.99) < 1e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_batch_does_not_matter(engine: str) -> None:
    pairs = [moving_disc(seed, 45, 60)[:2] for seed in range(3)]
    first, second = (torch.cat(images) for images in zip(*pairs, strict=True))
    compute = BeyondPixels(engine=engine, threads=2)
    together = compute(first, second)
    for index, (one, two) in enumerate(pairs):
        assert (compute(one, two)[0] - together[index]).abs().max() < 1e-4


def test_large_batches_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [moving_disc(seed, 30, 40)[:2] for seed in range(3)]
    first, second = (torch.cat(images) for images in zip(*pairs, strict=True))
    compute = BeyondPixels(engine="torch")
    together = compute(first, second)
    near = compute(first, second, together)
    sizes: list[int] = []
    whole = torch_path.robust
    counted = lambda one, *rest: sizes.append(len(one)) or whole(one, *rest)  # noqa: E731
    monkeypatch.setattr(torch_path, "robust", counted)
    monkeypatch.setattr(estimator, "_PIXELS_AT_ONCE", 2 * 30 * 40 + 1)
    assert (compute(first, second) - together).abs().max() < 1e-4
    assert (compute(first, second, together) - near).abs().max() < 1e-4
    assert sizes == [2, 1, 2, 1]


@pytest.mark.parametrize(
    ("kind", "off", "engine"),
    [
        ("cuda", None, "kernels"),
        ("cuda", "TTFLOW_NO_TRITON", "torch"),
        ("cpu", None, "numba"),
        ("cpu", "TTFLOW_NO_NUMBA", "torch"),
    ],
)
def test_which_engine_is_the_default(
    kind: str, off: str | None, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimator, "_has", lambda package: True)
    for name in ("TTFLOW_NO_TRITON", "TTFLOW_NO_NUMBA"):
        monkeypatch.delenv(name, raising=False)
    if off:
        monkeypatch.setenv(off, "1")
    assert estimator._default_engine("robust", kind) == engine


@pytest.mark.parametrize("engine", ENGINES)
def test_warm_start_is_as_exact(engine: str) -> None:
    compute = BeyondPixels(engine=engine)
    cold, warm = [], []
    for seed in range(2):
        first, second, truth, _ = moving_disc(seed)
        last = compute(*moving_disc(seed, shift=(1.4, -0.8))[:2])
        cold.append(error(compute(first, second), truth).mean())
        warm.append(error(compute(first, second, last), truth).mean())
    assert np.mean(warm) <= 1.03 * np.mean(cold)


@pytest.mark.parametrize("mode", ["robust", "reference"])
@pytest.mark.parametrize("size", [(16, 16), (17, 61), (33, 47)])
def test_odd_sizes_gray_and_constant_frames_are_finite(mode: str, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 1, *size), dtype=torch.uint8, generator=generator)
    black = torch.zeros_like(image)
    compute = BeyondPixels(mode)
    for second in (image.flip(0), black):
        flow = compute(image, second)
        assert flow.shape == (2, 2, *size)
        assert flow.isfinite().all()
    for still in (image, black):
        assert compute(still, still).abs().max() < 1e-3


def test_pyramid_sizes() -> None:
    levels = pyramid(torch.zeros(1, 3, 180, 320))
    assert len(levels) == 9
    assert levels[-1].shape == (1, 3, 17, 32)
    assert [source for source, *_ in level_sizes(180, 320)] == [0, 0, 0, 0, 1, 2, 3, 4]


def test_wrong_arguments_are_named() -> None:
    image = torch.zeros(1, 3, 20, 20, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"torch\.float32 and torch\.uint8"):
        BeyondPixels()(image.float(), image)
    with pytest.raises(ValueError, match=r"\(1, 3, 20, 20\) and \(1, 3, 20, 19\)"):
        BeyondPixels()(image, image[..., :-1])
    with pytest.raises(ValueError, match="initial_flow"):
        BeyondPixels()(image, image, torch.zeros(1, 2, 9, 9))
    with pytest.raises(ValueError, match="'fast'"):
        BeyondPixels("fast")
    with pytest.raises(ValueError, match="numba"):
        BeyondPixels("reference", engine="numba")


def test_the_callers_denormals_stay() -> None:
    first, second, _, _ = moving_disc(0, 24, 32)
    BeyondPixels()(first, second)
    assert np.float32(1e-40) * np.float32(1) > 0


def test_settings_are_kept() -> None:
    assert BeyondPixels(settings=RobustSettings(sweeps=3)).settings.sweeps_at(2) == 11
