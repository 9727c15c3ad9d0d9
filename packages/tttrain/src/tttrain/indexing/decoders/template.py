"""The template semi-Markov decoder: no training beyond a few moments (specification 6.6)."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from ttdata.settings import FrozenModel
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.decoders.segments import Affine, Segments, central_names, fit_affine
from tttrain.indexing.decoders.semi_markov import best_cuttings, log_posteriors
from tttrain.indexing.decoders.templates import Templates, fit_templates

TEMPERINGS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
PENALTIES = (-3.0, 0.0, 3.0, 6.0, 10.0)
MEMORIES = (0.0, 0.8)


class TemplateDecoder(FrozenModel):
    """Strokes are the segments of the best cutting; posteriors give scores, boundaries."""

    kind: Literal["template"] = "template"
    temperature: float = Field(gt=0, description="divides the logs of the class scores")
    memory: float = Field(
        ge=0,
        lt=1,
        description="this share of the cell before is taken from each cell's log-odds, as windows "
        "share most of their frames",
    )
    evidence: Templates = Field(description="moments of what is left; they give the ratios")
    tempering: float = Field(gt=0, description="alpha, multiplies the log-likelihood ratio")
    penalty: float = Field(description="taken from every segment's score")
    name_radius: int = Field(ge=0, description="cells on each side of the middle that name it")
    affine: Affine = Field(default=Affine(), description="from a segment's length to the stroke's")

    def segments(self, curve: ScoreCurve) -> Segments:
        """The strokes of a video; the score is the posterior of a stroke at that place."""
        return self.affine.apply(self.raw(curve))

    def raw(self, curve: ScoreCurve) -> Segments:
        """The strokes before their lengths are corrected."""
        odds = curve.log_odds(self.temperature)
        ratios = self.evidence.log_ratios(innovations(odds, self.memory))
        return cut([self], curve.log_names(self.temperature), ratios)[0]

    def scores(self, ratios: np.ndarray) -> np.ndarray:
        """Scores (T, D) of segments from their log-likelihood ratios (T, D)."""
        return self.tempering * ratios + (self.evidence.log_prior() - self.penalty)


def cut(
    decoders: Sequence[TemplateDecoder], log_names: np.ndarray, ratios: np.ndarray
) -> list[Segments]:
    """The strokes that decoders of the same templates find in one video, all at once.

    Args:
        decoders: B decoders.
        log_names: (T, strokes) of the video.
        ratios: (T, D) log-likelihood ratios of the templates.
    """
    shortest = decoders[0].evidence.shortest
    scores = np.stack([decoder.scores(ratios) for decoder in decoders])
    cuttings = best_cuttings(scores, shortest)
    posteriors = np.exp(log_posteriors(scores, shortest))
    found = []
    for decoder, cells, posterior in zip(decoders, cuttings, posteriors, strict=True):
        means = [_mean_segment(posterior, shortest, *own) for own in cells]
        start, end, score = np.array(means).reshape(-1, 3).T
        names = central_names(log_names, start, end, decoder.name_radius)
        found.append(Segments(start, end, np.minimum(score, 1.0), names))
    return found


def innovations(odds: np.ndarray, memory: float) -> np.ndarray:
    """What each cell (T,) adds to the one before it; the first cell counts as its own."""
    before = np.concatenate([odds[:1], odds[:-1]])
    result: np.ndarray = odds - memory * before
    return result


def _mean_segment(
    posterior: np.ndarray, shortest: int, start: int, end: int
) -> tuple[float, float, float]:
    """Mean start, mean end, sum of the posteriors of all segments with IoU >= .5 with this one."""
    cells, width = posterior.shape
    longest = shortest + width - 1
    first, last = max(start - longest, 0), min(end, cells)
    starts = np.arange(first, last)[:, None]
    ends = starts + shortest + np.arange(width)[None]
    both = np.minimum(ends, end) - np.maximum(starts, start)
    union = (ends - starts) + (end - start) - both
    weights = np.where((2 * both >= union) & (ends <= cells), posterior[first:last], 0.0)
    total = weights.sum()
    if total <= 0:  # every weight is below the smallest number
        return float(start), float(end), 0.0
    return float((weights * starts).sum() / total), float((weights * ends).sum() / total), total


def template_candidates(
    curves: Sequence[ScoreCurve], strokes: list[np.ndarray], temperature: float, name_radius: int
) -> Iterator[tuple[TemplateDecoder, list[Segments]]]:
    """Decoders of all settings, templates fitted to these videos; what they find in them."""
    odds = [curve.log_odds(temperature) for curve in curves]
    names = [curve.log_names(temperature) for curve in curves]
    for memory in MEMORIES:
        left = [innovations(values, memory) for values in odds]
        evidence = fit_templates(left, strokes)
        ratios = [evidence.log_ratios(values) for values in left]
        for tempering in TEMPERINGS:
            decoders = [
                TemplateDecoder(
                    temperature=temperature,
                    memory=memory,
                    evidence=evidence,
                    tempering=tempering,
                    penalty=penalty,
                    name_radius=name_radius,
                )
                for penalty in PENALTIES
            ]
            by_video = [cut(decoders, *each) for each in zip(names, ratios, strict=True)]
            for decoder, found in zip(decoders, zip(*by_video, strict=True), strict=True):
                affine = fit_affine(list(found), strokes)
                fitted = decoder.model_copy(update={"affine": affine})
                yield fitted, list(map(affine.apply, found))
