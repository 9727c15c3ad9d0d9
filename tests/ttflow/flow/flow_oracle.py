"""The published variational flow, straightforwardly: float64, pixel by pixel, row by row.

Slow and simple, to hold `BeyondPixels("reference")` against; numba only makes its loops bearable.
Source: Liu 2009, *Beyond Pixels*, appendix A.
"""

import math

import numpy as np
from numba import njit

ALPHA, RATIO, OMEGA = 0.012, 0.75, 1.8
D5 = np.array([1.0, -8, 0, 8, -1]) / 12
G5 = np.array([0.02, 0.11, 0.74, 0.11, 0.02])


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def resize(image, height, width, ratio_y, ratio_x):
    out = np.zeros((height, width, image.shape[2]))
    for i in range(height):
        for j in range(width):
            for c in range(image.shape[2]):
                out[i, j, c] = sample(image, (j + 1) / ratio_x - 1, (i + 1) / ratio_y - 1, c)
    return out


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def around(w, phi, i, j):
    """Weighted sum of the four neighbours, and the sum of their weights."""
    total = weights = 0.0
    for di, dj in ((0, -1), (0, 1), (-1, 0), (1, 0)):
        p, q = i + di, j + dj
        if 0 <= p < w.shape[0] and 0 <= q < w.shape[1]:
            total += phi[min(i, p), min(j, q)] * w[p, q]
            weights += phi[min(i, p), min(j, q)]
    return total, weights


@njit(cache=True)
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
