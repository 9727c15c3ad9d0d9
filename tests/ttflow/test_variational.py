"""The variational flow against a float64 loop version of the reference and known motion."""

import math

import numpy as np
import pytest
import torch
from numba import njit

from ttflow.variational import BeyondPixels, RobustSettings
from ttflow.variational.pyramid import level_sizes, pyramid

ALPHA, RATIO, OMEGA = 0.012, 0.75, 1.8
D5 = np.array([1.0, -8, 0, 8, -1]) / 12
G5 = np.array([0.02, 0.11, 0.74, 0.11, 0.02])

# ---- The oracle: float64, pixel by pixel; numba only makes its loops bearable. ----


@njit
def correlate(image, taps, axis):
    height, width, channels = image.shape
    radius = len(taps) // 2
    out = np.zeros_like(image)
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                for k in range(-radius, radius + 1):
                    if axis == 1:
                        value = image[i, min(max(j + k, 0), width - 1), c]
                    else:
                        value = image[min(max(i + k, 0), height - 1), j, c]
                    out[i, j, c] += value * taps[k + radius]
    return out


@njit
def sample(image, x, y, c):
    height, width, _ = image.shape
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    total = 0.0
    for m in range(2):
        for n in range(2):
            weight = (x - x0 if m else 1 - x + x0) * (y - y0 if n else 1 - y + y0)
            row, column = min(max(y0 + n, 0), height - 1), min(max(x0 + m, 0), width - 1)
            total += weight * image[row, column, c]
    return total


@njit
def resize(image, height, width, ratio_y, ratio_x):
    out = np.zeros((height, width, image.shape[2]))
    for i in range(height):
        for j in range(width):
            for c in range(image.shape[2]):
                out[i, j, c] = sample(image, (j + 1) / ratio_x - 1, (i + 1) / ratio_y - 1, c)
    return out


@njit
def warp(first, second, u, v):
    height, width, channels = first.shape
    out = first.copy()
    for i in range(height):
        for j in range(width):
            x, y = j + u[i, j], i + v[i, j]
            if 0 <= x <= width - 1 and 0 <= y <= height - 1:
                for c in range(channels):
                    out[i, j, c] = sample(second, x, y, c)
    return out


@njit
def edges(u, v):
    height, width = u.shape
    phi = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            square = 1e-6
            for w in (u, v):
                if j < width - 1:
                    square += (w[i, j + 1] - w[i, j]) ** 2
                if i < height - 1:
                    square += (w[i + 1, j] - w[i, j]) ** 2
            phi[i, j] = 0.5 * ALPHA / math.sqrt(square)
    return phi


@njit
def data(dx, dy, dt):
    height, width, channels = dx.shape
    terms = np.zeros((5, height, width))
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                x, y, t = dx[i, j, c], dy[i, j, c], dt[i, j, c]
                psi = 0.5 / math.sqrt(t**2 + 1e-6) / channels
                for n, product in enumerate((x * x, x * y, y * y, -x * t, -y * t)):
                    terms[n, i, j] += psi * product
    return terms


@njit
def around(w, phi, i, j):
    """Weighted sum of the four neighbours, and the sum of their weights."""
    total = weights = 0.0
    for di, dj in ((0, -1), (0, 1), (-1, 0), (1, 0)):
        p, q = i + di, j + dj
        if 0 <= p < w.shape[0] and 0 <= q < w.shape[1]:
            total += phi[min(i, p), min(j, q)] * w[p, q]
            weights += phi[min(i, p), min(j, q)]
    return total, weights


@njit
def solve(dx, dy, dt, u, v, sweeps):
    height, width, _ = dx.shape
    phi = edges(u, v)
    a11, a12, a22, b1, b2 = data(dx, dy, dt)
    du, dv = np.zeros((2, height, width))
    for _ in range(sweeps):
        for i in range(height):
            for j in range(width):
                near_u, weights = around(u, phi, i, j)
                near_v, _ = around(v, phi, i, j)
                near_du, _ = around(du, phi, i, j)
                near_dv, _ = around(dv, phi, i, j)
                diagonal = weights + 0.05 * ALPHA
                right = b1[i, j] + near_u - weights * u[i, j] + near_du - a12[i, j] * dv[i, j]
                du[i, j] += OMEGA * (right / (a11[i, j] + diagonal) - du[i, j])
                right = b2[i, j] + near_v - weights * v[i, j] + near_dv - a12[i, j] * du[i, j]
                dv[i, j] += OMEGA * (right / (a22[i, j] + diagonal) - dv[i, j])
    return du, dv


def gauss(image, sigma):
    steps = np.arange(-int(3 * sigma), int(3 * sigma) + 1)
    taps = np.exp(-(steps**2) / (2 * sigma**2))
    return correlate(correlate(image, taps / taps.sum(), 1), taps / taps.sum(), 0)


def oracle_pyramid(image):
    width = image.shape[1]
    levels = [image]
    for i in range(1, max(int(math.log(20 / width) / math.log(RATIO)), 1)):
        source = levels[0] if i <= 4 else levels[i - 4]
        rate = RATIO**i if i <= 4 else RATIO**i * width / source.shape[1]
        size = (int(source.shape[0] * rate), int(source.shape[1] * rate))
        levels.append(resize(gauss(source, min(i, 4) * (1 / RATIO - 1)), *size, rate, rate))
    return levels


def oracle_features(image):
    red, green, blue = image[..., :1], image[..., 1:2], image[..., 2:]
    gray = 0.299 * red + 0.587 * green + 0.114 * blue
    parts = (gray, correlate(gray, D5, 1), correlate(gray, D5, 0), green - red, green - blue)
    return np.concatenate(parts, axis=-1)


def oracle_flow(first, second):
    """Flow (2, H, W) of uint8 images (H, W, 3)."""
    one, two = oracle_pyramid(first / 255.0), oracle_pyramid(second / 255.0)
    u = v = np.zeros(one[-1].shape[:2])
    for k in reversed(range(len(one))):
        f1, f2 = oracle_features(one[k]), oracle_features(two[k])
        (height, width), (old_height, old_width) = f1.shape[:2], u.shape
        if k < len(one) - 1:
            ratios = (height / old_height, width / old_width)
            u = resize(u[..., None], height, width, *ratios)[..., 0] / RATIO
            v = resize(v[..., None], height, width, *ratios)[..., 0] / RATIO
        s1 = correlate(correlate(f1, G5, 1), G5, 0)
        for _ in range(7 + k):
            s2 = correlate(correlate(warp(f1, f2, u, v), G5, 1), G5, 0)
            mixed = 0.4 * s1 + 0.6 * s2
            du, dv = solve(
                correlate(mixed, D5, 1), correlate(mixed, D5, 0), s2 - s1, u, v, 30 + 3 * k
            )
            u, v = u + du, v + dv
    return np.stack((u, v))


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
    estimator = BeyondPixels(engine=engine, threads=2)
    together = estimator(first, second)
    for index, (one, two) in enumerate(pairs):
        assert (estimator(one, two)[0] - together[index]).abs().max() < 1e-4


@pytest.mark.parametrize("engine", ENGINES)
def test_warm_start_is_as_exact(engine: str) -> None:
    estimator = BeyondPixels(engine=engine)
    cold, warm = [], []
    for seed in range(2):
        first, second, truth, _ = moving_disc(seed)
        last = estimator(*moving_disc(seed, shift=(1.4, -0.8))[:2])
        cold.append(error(estimator(first, second), truth).mean())
        warm.append(error(estimator(first, second, last), truth).mean())
    assert np.mean(warm) <= 1.03 * np.mean(cold)


@pytest.mark.parametrize("mode", ["robust", "reference"])
@pytest.mark.parametrize("size", [(16, 16), (17, 61), (33, 47)])
def test_odd_sizes_gray_and_constant_frames_are_finite(mode: str, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 1, *size), dtype=torch.uint8, generator=generator)
    black = torch.zeros_like(image)
    estimator = BeyondPixels(mode)
    for second in (image.flip(0), black):
        flow = estimator(image, second)
        assert flow.shape == (2, 2, *size)
        assert flow.isfinite().all()
    for still in (image, black):
        assert estimator(still, still).abs().max() < 1e-3


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
