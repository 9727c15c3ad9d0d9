"""Crowds that err as the paper's did, with the truth known: what curation makes of them."""

from itertools import pairwise

import polars as pl
import pytest

from ttdata.curation.curate import curate
from ttdata.schema import Video
from ttdata.storage.tables import conform
from ttdata.synth.config import CrowdConfig, SynthConfig
from ttdata.synth.crowd import CrowdAnnotation, annotate, covered_spans
from ttdata.synth.plan import plan_video

REASONS = {
    "starts_at_first_frame": "starts_at_first_frame",
    "ends_after_video": "ends_after_video",
    "too_short": "too_short",
    "too_long": "too_long",
    "missing_label": "unlabelled",
}
"""Planted errors that the rules of specification 1.1 define, and the reason each must have."""

CROWD = CrowdConfig(
    start_at_zero_rate=0.1,
    end_past_rate=0.06,
    too_short_rate=0.08,
    too_long_rate=0.08,
    wrong_label_rate=0.05,
    missing_label_rate=0.1,
    missed_rate=0.05,
    boundary_jitter_seconds=8 / 120,
)


def crowd_annotations(config: SynthConfig) -> list[tuple[str, CrowdAnnotation]]:
    return [
        (f"v{index}", annotation)
        for index in range(config.num_videos)
        for annotation in annotate(plan_video(config, index))
    ]


def tables(
    config: SynthConfig, annotations: list[tuple[str, CrowdAnnotation]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    made = [
        (video, annotation)
        for video, annotation in annotations
        if annotation.start_frame is not None
    ]
    rows = [
        (
            str(i),
            video,
            annotation.annotator_id,
            annotation.start_frame,
            annotation.end_frame,
            annotation.label or None,
        )
        for i, (video, annotation) in enumerate(made)
    ]
    names = ["annotation_id", "video_id", "annotator_id", "start_frame", "end_frame", "label"]
    facts = {"fps": config.fps, "num_frames": config.num_frames, "width": 640, "height": 360}
    videos = pl.DataFrame({"video_id": [f"v{i}" for i in range(config.num_videos)]})
    known = videos.with_columns(**{name: pl.lit(value) for name, value in facts.items()})
    return pl.DataFrame(rows, schema=names, orient="row"), conform(known, Video)


@pytest.mark.parametrize("seed", range(20))
def test_errors_are_caught_and_strokes_found(seed: int) -> None:
    config = SynthConfig(num_videos=6, num_players=6, seconds=60, seed=seed, crowd=CROWD)
    crowd = crowd_annotations(config)
    annotations, videos = tables(config, crowd)
    result = curate(annotations, videos)
    made = [
        (video, annotation) for video, annotation in crowd if annotation.start_frame is not None
    ]
    reasons = dict(result.annotations.select("annotation_id", "reasons").iter_rows())
    for number, (_, annotation) in enumerate(made):
        if annotation.planted_error in REASONS:
            assert REASONS[annotation.planted_error] in reasons[str(number)]
        else:
            assert reasons[str(number)] == [], annotation
    supported: dict[tuple[str, int, int], set[str]] = {}
    for number, (video, annotation) in enumerate(made):
        if not reasons[str(number)]:
            key = (video, annotation.stroke.start_frame, annotation.stroke.end_frame)
            supported.setdefault(key, set()).add(annotation.annotator_id)
    check_strokes(result.actions, supported)
    check_purity(result.annotations, result.actions, made)


def check_strokes(actions: pl.DataFrame, supported: dict[tuple[str, int, int], set[str]]) -> None:
    """Precision and recall of the actions that two or more annotators annotated, at IoU 0.5."""
    rows = [key for key, people in supported.items() if len(people) >= 2]
    true = pl.DataFrame(rows, schema=["video_id", "a", "b"], orient="row")
    common = pl.min_horizontal("end_frame", "b") - pl.max_horizontal("start_frame", "a")
    union = pl.max_horizontal("end_frame", "b") - pl.min_horizontal("start_frame", "a")
    several = actions.filter(pl.col("num_annotators") >= 2)
    hits = several.join(true, on="video_id").filter(common / union >= 0.5)
    assert true.height > 50
    assert hits.n_unique(["video_id", "a", "b"]) >= 0.98 * true.height
    assert hits["action_id"].n_unique() >= 0.98 * several.height


def check_purity(
    annotations: pl.DataFrame, actions: pl.DataFrame, made: list[tuple[str, CrowdAnnotation]]
) -> None:
    """No action mixes two true strokes that overlap by less than 0.25."""
    owner = dict(annotations.select("annotation_id", "action_id").iter_rows())
    members: dict[str, set[tuple[int, int]]] = {}
    for number, (_, annotation) in enumerate(made):
        if (action := owner[str(number)]) is not None:
            interval = (annotation.stroke.start_frame, annotation.stroke.end_frame)
            members.setdefault(action, set()).add(interval)
    assert len(members) == actions.height
    for intervals in members.values():
        ordered = sorted(intervals)
        for (start, end), (other, last) in pairwise(ordered):
            assert (end - other) / min(end - start, last - other) >= 0.25


def test_negatives_of_half_annotated_matches_hold_no_stroke() -> None:
    """Without the covered spans, strokes that nobody annotated become negatives."""
    rates = {name: 0.0 for name in CrowdConfig.model_fields if name != "skill_spread"}
    config = SynthConfig(
        num_videos=6,
        num_players=6,
        seconds=90,
        matches=True,
        half_annotated_share=1.0,
        crowd=CrowdConfig(**rates),
    )
    plans = [plan_video(config, index) for index in range(config.num_videos)]
    spans = [(f"v{plan.index}", *span) for plan in plans for span in covered_spans(plan)]
    covered = pl.DataFrame(spans, schema=["video_id", "start_frame", "end_frame"], orient="row")
    annotations, videos = tables(config, crowd_annotations(config))
    true = {f"v{plan.index}": plan.strokes for plan in plans}

    def negatives_with_a_stroke(within: pl.DataFrame | None) -> tuple[int, int]:
        result = curate(annotations, videos, covered=within)
        negatives = result.clips.filter(kind="negative")
        hits = [
            any(
                min(row["end_frame"], stroke.end_frame)
                - max(row["start_frame"], stroke.start_frame)
                > 10  # what a gap is widened by
                for stroke in true[row["video_id"]]
            )
            for row in negatives.iter_rows(named=True)
        ]
        return sum(hits), len(hits)

    found, of = negatives_with_a_stroke(covered)
    assert (found, of > 20) == (0, True)
    found, _ = negatives_with_a_stroke(None)
    assert found > 3
