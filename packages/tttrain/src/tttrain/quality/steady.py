"""Landmarks over time without the frames in which a network takes one arm for the other.

Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equation 2.23
(regression) and section 4.2.1 (Matern covariance); weights of the Cauchy distribution, found by
iteration as in Holland and Welsch, "Robust Regression Using Iteratively Reweighted
Least-Squares", 1977.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LENGTH_SECONDS = 0.2
"""Over which places are alike."""
NOISE = 0.2
"""Standard deviation of a sample that is trusted, over that of the places."""
FAR = 0.1
"""Torso lengths or metres off the path at which a sample counts half."""
LEAST_WEIGHT = 1e-3
ROUNDS = 4


def steadied(seconds: Floats, values: Floats, trust: Floats, times: Floats) -> Floats:
    """The path of each joint that most samples agree on (specification 7.1).

    A joint that jumps for a few frames to where another one is, as networks have it, stays on its
    way. A true movement of a few frames is smoothed away with it, so this is for moments and slow
    turns, not for speeds and sizes.

    Args:
        seconds: (n,) ascending times of the samples.
        values: (n, J, D) places of J joints, a joint's D numbers weighted together.
        trust: (n, J) weights of the samples, 0 to 1.
        times: (T,) where the path is wanted.

    Returns:
        (T, J, D).
    """
    near = matern(seconds[:, None] - seconds)
    places = np.moveaxis(values, 1, 0)
    trusted = np.maximum(trust.T, LEAST_WEIGHT)
    weights = trusted
    for _ in range(ROUNDS + 1):
        mean = np.einsum("jn,jnd->jd", weights, places) / weights.sum(axis=1)[:, None]
        apart = places - mean[:, None]
        noise = np.eye(len(seconds)) * (NOISE**2 / weights)[:, None]
        found = np.linalg.solve(near + noise, apart)
        off = np.linalg.norm(apart - near @ found, axis=2)
        weights = trusted / (1 + (off / FAR) ** 2)
    wanted = matern(times[:, None] - seconds)
    return np.moveaxis(mean[:, None] + wanted @ found, 0, 1)


def matern(seconds: Floats) -> Floats:
    """How alike places are so many seconds apart: Matern, 5/2.

    >>> matern(np.array([0.0, 0.2, 1.0])).round(3).tolist()
    [1.0, 0.524, 0.001]
    """
    ways = np.sqrt(5) * np.abs(seconds) / LENGTH_SECONDS
    return np.asarray((1 + ways + ways**2 / 3) * np.exp(-ways))
