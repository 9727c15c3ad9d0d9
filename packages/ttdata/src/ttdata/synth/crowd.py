"""Annotators who annotate the strokes of a plan, with the errors of a real crowd at known rates."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ttdata.synth.config import CrowdConfig, SynthConfig
from ttdata.synth.plan import VideoPlan
from ttdata.synth.timeline import Event
from ttdata.taxonomy import TTSTROKE21

PlantedError = Literal[
    "none",
    "starts_at_first_frame",
    "ends_after_video",
    "too_short",
    "too_long",
    "wrong_label",
    "missing_label",
    "missed",
    "not_covered",
]
"""The planted error of an annotation; `not_covered`: the annotator did not watch the stroke."""

Region = tuple[float, float, float, float]

_CROWD, _SKILL, _COVERED = 40, 41, 42  # streams of random numbers
# A correct annotation stays within, as specification 1.1 keeps it.
_MIN_SECONDS, _MAX_SECONDS = 0.6, 2.3
_QUIET_SECONDS = 0.4
"""A span that people cover begins and ends where no stroke is for this long."""
_ERRORS: tuple[tuple[PlantedError, str], ...] = (
    ("starts_at_first_frame", "start_at_zero_rate"),
    ("ends_after_video", "end_past_rate"),
    ("too_short", "too_short_rate"),
    ("too_long", "too_long_rate"),
    ("wrong_label", "wrong_label_rate"),
    ("missing_label", "missing_label_rate"),
    ("missed", "missed_rate"),
)


@dataclass(frozen=True)
class CrowdAnnotation:
    """What one annotator did with one true stroke; no frames where it was not annotated."""

    annotator_id: str
    stroke: Event
    planted_error: PlantedError
    start_frame: int | None = None
    end_frame: int | None = None
    label: str = ""
    region: Region | None = None


def annotate(plan: VideoPlan) -> tuple[CrowdAnnotation, ...]:
    """The crowd's annotations of one video: one per annotator and true stroke, in that order.

    Label errors are planted on one annotator of a stroke at a time, and his colleagues then
    label it rightly, so that the stroke is set aside where they are asked for unanimity.

    Args:
        plan: the video; its configuration holds the crowd's rates.
    """
    draw = np.random.default_rng([plan.config.seed, _CROWD, plan.index])
    annotators = _annotators(plan.config, draw)
    covered = _coverages(plan, annotators, draw)
    annotations: list[tuple[int, CrowdAnnotation]] = []
    for stroke in plan.strokes:
        errors = _errors(plan, stroke, annotators, covered, draw)
        for (number, skill), error in zip(annotators, errors, strict=True):
            annotation = _annotation(plan, stroke, f"annotator_{number:02d}", error, skill, draw)
            annotations.append((number, annotation))
    annotations.sort(key=lambda item: item[0])  # stable: by time within an annotator
    return tuple(annotation for _, annotation in annotations)


def covered_spans(plan: VideoPlan) -> tuple[tuple[int, int], ...]:
    """The frames that somebody annotated, as sorted spans `(start, end)`; they cut no stroke.

    A stroke that is there for all to see and that `annotate` left out as `not_covered` by everyone
    lies outside them.
    """
    draw = np.random.default_rng([plan.config.seed, _CROWD, plan.index])
    coverages = _coverages(plan, _annotators(plan.config, draw), draw)
    whole = sorted(_without_cuts(plan, *span) for spans in coverages.values() for span in spans)
    merged: list[tuple[int, int]] = []
    for start, end in whole:
        if merged and start <= merged[-1][1]:
            start, end = merged[-1][0], max(end, merged.pop()[1])
        if end > start:
            merged.append((start, end))
    return tuple(merged)


def _without_cuts(plan: VideoPlan, start: int, end: int) -> tuple[int, int]:
    """The span without the parts of strokes at its ends."""
    for stroke in plan.strokes:
        if stroke.start_frame < start < stroke.end_frame:
            start = stroke.end_frame
    for stroke in reversed(plan.strokes):
        if stroke.start_frame < end < stroke.end_frame:
            end = stroke.start_frame
    return start, max(start, end)


def _coverages(
    plan: VideoPlan, annotators: list[tuple[int, float]], draw: np.random.Generator
) -> dict[int, list[tuple[int, int]]]:
    """The spans that each annotator looked at, by his number."""
    spans = _annotated_spans(plan)
    coverages = {}
    for number, _ in annotators:
        first, last = _coverage(plan, draw)
        cut = ((max(start, first), min(end, last)) for start, end in spans)
        coverages[number] = [(start, end) for start, end in cut if end > start]
    return coverages


def _annotated_spans(plan: VideoPlan) -> list[tuple[int, int]]:
    """What is annotated at all: the video, or of a half-annotated one up to three parts of it."""
    config, last = plan.config, plan.num_frames
    order = np.random.default_rng([config.seed, _COVERED]).permutation(config.num_videos)
    if plan.index not in order[: round(config.half_annotated_share * config.num_videos)]:
        return [(0, last)]
    draw = np.random.default_rng([config.seed, _COVERED, plan.index])
    share, count = draw.uniform(0.35, 0.65), int(draw.integers(1, 4))
    lengths = np.zeros(2 * count + 1)
    lengths[1::2] = share * draw.dirichlet(np.full(count, 3.0))
    lengths[::2] = (1 - share) * draw.dirichlet(np.full(count + 1, 3.0))
    edges = np.cumsum(lengths)[:-1] * last
    quiet = _quiet_frames(plan)
    snapped = [min(quiet, key=lambda frame: abs(frame - edge)) for edge in edges]
    spans = list(zip(snapped[::2], snapped[1::2], strict=True))
    return [(start, end) for start, end in spans if end > start] or [
        (0, quiet[len(quiet) // 2] or last)
    ]


def _quiet_frames(plan: VideoPlan) -> list[int]:
    """The middles of what lies between strokes, in order; the first frame where there is none."""
    found, free_from = [], 0
    least = _QUIET_SECONDS * plan.config.fps
    for start, end in (
        *((s.start_frame, s.end_frame) for s in plan.strokes),
        (plan.num_frames,) * 2,
    ):
        if start - free_from >= least:
            found.append((free_from + start) // 2)
        free_from = max(free_from, end)
    return found or [0]


def _annotators(config: SynthConfig, draw: np.random.Generator) -> list[tuple[int, float]]:
    """Numbers and error factors of those who see a video, from a pool of twice as many."""
    size = 2 * config.num_annotators
    spread = config.crowd.skill_spread
    factors = np.linspace(1 - spread, 1 + spread, size)
    factors = np.random.default_rng([config.seed, _SKILL]).permutation(factors)
    alone = draw.random() < config.crowd.single_share
    chosen = draw.choice(size, size=1 if alone else config.num_annotators, replace=False)
    return [(int(number), float(factors[number])) for number in sorted(chosen)]


def _coverage(plan: VideoPlan, draw: np.random.Generator) -> tuple[int, int]:
    """The frames an annotator looked at: mostly all, sometimes a first or a last part."""
    end = plan.num_frames
    partial, share, late = draw.random(), draw.uniform(0.3, 0.8), draw.random()
    if partial >= plan.config.crowd.partial_share:
        return 0, end
    return (round((1 - share) * end), end) if late < 0.5 else (0, round(share * end))


def _errors(
    plan: VideoPlan,
    stroke: Event,
    annotators: list[tuple[int, float]],
    covered: dict[int, list[tuple[int, int]]],
    draw: np.random.Generator,
) -> list[PlantedError]:
    errors: list[PlantedError] = []
    for number, skill in annotators:
        error = _draw_error(plan.config.crowd, skill, float(draw.random()))
        if not any(a <= stroke.start_frame and stroke.end_frame <= b for a, b in covered[number]):
            error = "not_covered"
        elif not _possible(plan, error):
            error = "none"
        errors.append(error)
    if "wrong_label" in errors:
        wrong = errors.index("wrong_label")
        for k, error in enumerate(errors):
            if k != wrong and error != "not_covered":
                errors[k] = "none"
    return errors


def _draw_error(crowd: CrowdConfig, skill: float, chance: float) -> PlantedError:
    for error, rate in _ERRORS:
        chance -= getattr(crowd, rate) * skill
        if chance < 0:
            return error
    return "none"


def _possible(plan: VideoPlan, error: PlantedError) -> bool:
    """Short videos have no room for long annotations; one class leaves no wrong label."""
    if error == "wrong_label":
        return len(plan.config.strokes) > 1
    return error != "too_long" or plan.num_frames > 4.2 * plan.config.fps


def _annotation(
    plan: VideoPlan,
    stroke: Event,
    annotator_id: str,
    error: PlantedError,
    skill: float,
    draw: np.random.Generator,
) -> CrowdAnnotation:
    if error in ("missed", "not_covered"):
        return CrowdAnnotation(annotator_id, stroke, error)
    label = str(stroke.label)
    if error == "wrong_label":
        label = _confused(plan.config.strokes, label, draw)
    label = "" if error == "missing_label" else _spelled(plan.config.crowd, label, draw)
    start, end = _interval(plan, stroke, error, skill, draw)
    region = _region(plan, stroke, draw) if len(plan.seats) > 1 else None
    return CrowdAnnotation(annotator_id, stroke, error, start, end, label, region)


def _confused(strokes: tuple[str, ...], label: str, draw: np.random.Generator) -> str:
    """Another class: twice in three of the same type and hand, where there is one."""
    others = [name for name in strokes if name != label]
    siblings = [name for name in others if name.split()[:2] == label.split()[:2]]
    pool = siblings if siblings and draw.random() < 2 / 3 else others
    return pool[int(draw.integers(len(pool)))]


def _spelled(crowd: CrowdConfig, label: str, draw: np.random.Generator) -> str:
    """The canonical name, or now and then a variant that the taxonomy reads."""
    if draw.random() >= crowd.spelling_share:
        return label
    short = label.replace("Offensive", "Off.").replace("Defensive", "Def.")
    variants = (short, label.lower(), label.replace(" ", "_"), short.upper())
    return variants[int(draw.integers(len(variants)))]


def _interval(
    plan: VideoPlan, stroke: Event, error: PlantedError, skill: float, draw: np.random.Generator
) -> tuple[int, int]:
    fps, last = plan.config.fps, plan.num_frames
    start, end = _jittered(plan, stroke, draw)
    if error == "starts_at_first_frame":
        return 0, end
    if error == "ends_after_video":
        return start, last + int(draw.integers(1, max(2, round(2 * fps))))
    if error == "too_short":
        whole = stroke.end_frame - stroke.start_frame  # a graded stroke may be shorter than that
        length = min(max(1, round(draw.uniform(0.1, 0.5) * fps)), whole)
        start = int(draw.integers(stroke.start_frame, stroke.end_frame - length + 1))
        return start, start + length
    if error == "too_long":
        length = round(draw.uniform(2.5, 4.0) * fps)
        low = max(1, stroke.end_frame - length)
        start = int(draw.integers(low, min(max(low, stroke.start_frame), last - length) + 1))
        return start, start + length
    return start, end


def _jittered(plan: VideoPlan, stroke: Event, draw: np.random.Generator) -> tuple[int, int]:
    """Both ends moved, at most 2.5 standard deviations; inside the video and of a legal length."""
    fps = plan.config.fps
    sigma = plan.config.crowd.boundary_jitter_seconds * fps
    moves = np.clip(draw.normal(0, sigma, 2), -2.5 * sigma, 2.5 * sigma)
    start, end = round(stroke.start_frame + moves[0]), round(stroke.end_frame + moves[1])
    shortest, longest = int(np.ceil(_MIN_SECONDS * fps)), int(_MAX_SECONDS * fps)
    if not shortest <= end - start <= longest:
        return stroke.start_frame, stroke.end_frame
    start = max(start, 1)
    return start, max(min(end, plan.num_frames), start + shortest)


def _region(plan: VideoPlan, stroke: Event, draw: np.random.Generator) -> Region:
    x_min, y_min, x_max, y_max = np.clip(
        np.array(plan.region(stroke.seat)) + draw.normal(0, 0.008, 4), 0, 1
    )
    return round(float(x_min), 4), round(float(y_min), 4), round(float(x_max), 4), round(
        float(y_max), 4
    )  # fmt: skip


def is_variant(label: str) -> bool:
    """Whether a label is spelled otherwise than the taxonomy does."""
    return label != "" and TTSTROKE21.canonical(label) != label
