"""Public frame pairs with known flow, brought to 320 x 180, from where TT_REAL_DATA has them.

Middlebury `other` (Baker et al., IJCV 2011) and examples of FlyingChairs (Dosovitskiy et al., ICCV
2015).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 180
FLO_MAGIC = 202021.25


class Pair(NamedTuple):
    """Two (H, W, 3) uint8 RGB frames, the flow (2, H, W) px between them, and where it counts.

    `before` is the frame before the first, where there is one.
    """

    set_name: str
    first: NDArray[np.uint8]
    second: NDArray[np.uint8]
    flow: NDArray[np.float32]
    known: NDArray[np.bool_]
    before: NDArray[np.uint8] | None = None


def public_pairs(root: Path) -> Iterator[Pair]:
    """The pairs under `root/flow`, at 320 x 180."""
    for folder in sorted((root / "flow/middlebury_other/other-data").iterdir()):
        truth = root / "flow/middlebury_other/other-gt-flow" / folder.name / "flow10.flo"
        yield _public("middlebury", folder / "frame10.png", folder / "frame11.png", truth)
    for truth in sorted((root / "flow/flyingchairs_examples").glob("*-gt.flo")):
        name = truth.name.removesuffix("-gt.flo")
        images = [truth.with_name(f"{name}-img{index}.ppm") for index in (0, 1)]
        yield _public("flyingchairs", *images, truth)


def _public(set_name: str, first: Path, second: Path, truth: Path) -> Pair:
    flow = read_flo(truth)
    known = (np.abs(flow) < 1e9).all(axis=-1)
    height, width = known.shape
    share = _shrink(known.astype(np.float32))
    flow = _shrink(np.where(known[..., None], flow, 0)) / np.maximum(share, 1e-6)[..., None]
    scale = np.array((WIDTH / width, HEIGHT / height), np.float32)
    images = (_shrink(cv2.cvtColor(cv2.imread(str(p)), cv2.COLOR_BGR2RGB)) for p in (first, second))
    return Pair(set_name, *images, (flow * scale).transpose(2, 0, 1), share > 0.99)


def _shrink(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def read_flo(path: Path) -> NDArray[np.float32]:
    """Flow (H, W, 2) px of a Middlebury .flo file; unknown values are above 1e9."""
    data = path.read_bytes()
    if np.frombuffer(data, "<f4", 1)[0] != FLO_MAGIC:
        raise ValueError(f"{path}: no .flo file")
    width, height = np.frombuffer(data, "<i4", 2, 4)
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2)
