"""Temporal actionness grouping: basins at many levels, ranked by contrast (specification 6.5).

Source: Zhao, Xiong, Wang, Wu, Tang, Lin, "Temporal Action Detection with Structured Segment
Networks", ICCV 2017 (grouping); Shou, Gao, Zhang, Miyazawa, Chang, "AutoLoc", ECCV 2018
(outer-inner contrast). Differs: one flooding pass per level and share, on log-odds turned into
probabilities; groups longer than any stroke are not made.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal

import numpy as np
from pydantic import Field

from ttdata.settings import FrozenModel
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.decoders.segments import Affine, Segments, central_names, fit_affine, runs
from tttrain.indexing.decoders.threshold import mean_inside, probability, smoothed
from tttrain.indexing.nms import nms

LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20, 2))
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
SMOOTH = (1, 3, 5)
CONTRASTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
MAX_IOU = (0.1, 0.3)


class TagDecoder(FrozenModel):
    """Strokes are groups of basins that stand out against what is around them."""

    kind: Literal["tag"] = "tag"
    temperature: float = Field(gt=0, description="divides the logs of the class scores")
    smooth_cells: int = Field(ge=1, description="width of the moving mean over log-odds")
    min_contrast: float = Field(description="groups of less contrast are dropped")
    max_iou: float = Field(ge=0, le=1, description="of two groups that overlap more, one stays")
    max_cells: int = Field(ge=1, description="longer groups are not made")
    name_radius: int = Field(ge=0, description="cells on each side of the middle that name it")
    affine: Affine = Field(default=Affine(), description="from a group's length to the stroke's")

    def segments(self, curve: ScoreCurve) -> Segments:
        """The groups of a video, lengths corrected; the score is the contrast."""
        return self.affine.apply(self.raw(curve))

    def raw(self, curve: ScoreCurve) -> Segments:
        """The groups as they are."""
        odds = curve.log_odds(self.temperature)
        stroke = probability(smoothed(odds, self.smooth_cells))
        groups = grouped(stroke, self.max_cells)
        score = contrast(stroke, groups)
        standing = score >= self.min_contrast
        groups, score = groups[standing], score[standing]
        kept = nms(groups[:, 0], groups[:, 1], score, self.max_iou)
        start, end = groups[kept].T.astype(float)
        names = central_names(curve.log_names(self.temperature), start, end, self.name_radius)
        return Segments(start, end, np.clip(score[kept], 0.0, 1.0), names)


def grouped(stroke: np.ndarray, max_cells: int) -> np.ndarray:
    """All groups of a video, (N, 2) int64, each once.

    At each level the basins are the runs of cells with probability >= level. From each basin on,
    the next basins join as long as basins fill at least a share of the group.

    Args:
        stroke: (cells,) probabilities.
        max_cells: a group that would become longer is not made longer.
    """
    found = []
    for level in LEVELS:
        basins = runs(stroke >= level)
        found += [_joined(basins, share, max_cells) for share in SHARES]
    groups = np.concatenate(found)
    return np.unique(groups[groups[:, 1] - groups[:, 0] <= max_cells], axis=0)


def _joined(basins: np.ndarray, share: float, max_cells: int) -> np.ndarray:
    """(basins, 2): each basin with those that join it, all basins at once, a step a basin more."""
    groups = basins.copy()
    filled = basins[:, 1] - basins[:, 0]
    growing, reach = np.arange(len(basins)), np.arange(len(basins))
    for _ in range(len(basins)):
        growing = growing[reach[growing] + 1 < len(basins)]
        reach[growing] += 1
        last = basins[reach[growing]]
        total = filled[growing] + last[:, 1] - last[:, 0]
        length = last[:, 1] - groups[growing, 0]
        joins = (total >= share * length) & (length <= max_cells)
        growing = growing[joins]
        if not len(growing):
            break
        groups[growing, 1], filled[growing] = last[joins, 1], total[joins]
    return groups


def contrast(stroke: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean probability inside (N,) minus the mean in a quarter of the length on each side."""
    margin = np.maximum((groups[:, 1] - groups[:, 0] + 2) // 4, 1)
    outer = np.stack(
        [
            np.maximum(groups[:, 0] - margin, 0),
            np.minimum(groups[:, 1] + margin, len(stroke)),
        ],
        axis=1,
    )
    sums = np.concatenate([[0.0], stroke.cumsum()])
    inside = sums[groups[:, 1]] - sums[groups[:, 0]]
    around = sums[outer[:, 1]] - sums[outer[:, 0]] - inside
    cells = (outer[:, 1] - outer[:, 0]) - (groups[:, 1] - groups[:, 0])
    result: np.ndarray = mean_inside(stroke, groups) - around / np.maximum(cells, 1)
    return result


def tag_candidates(
    curves: Sequence[ScoreCurve], strokes: list[np.ndarray], temperature: float, name_radius: int
) -> Iterator[tuple[TagDecoder, list[Segments]]]:
    """Decoders of all widths, contrasts, overlaps, fitted to these videos; what they find."""
    longest = max((float((own[:, 1] - own[:, 0]).max()) for own in strokes if len(own)), default=1)
    for width, iou in product(SMOOTH, MAX_IOU):
        decoder = TagDecoder(
            temperature=temperature,
            smooth_cells=width,
            min_contrast=min(CONTRASTS),
            max_iou=iou,
            max_cells=int(np.ceil(1.2 * longest)),
            name_radius=name_radius,
        )
        found = [decoder.raw(curve) for curve in curves]
        for least in CONTRASTS:
            # A worse group never suppresses a better one, so the groups need not be made again.
            standing = [segments.take(segments.score >= least) for segments in found]
            affine = fit_affine(standing, strokes)
            update = {"min_contrast": least, "affine": affine}
            yield decoder.model_copy(update=update), list(map(affine.apply, standing))
