"""The crowd errs as often as asked, and only as its truth says."""

from collections import Counter

import numpy as np
import pytest

from ttdata.synth.config import CrowdConfig, SynthConfig
from ttdata.synth.crowd import CrowdAnnotation, annotate, is_variant
from ttdata.synth.plan import plan_video
from ttdata.taxonomy import TTSTROKE21

RATES = {
    "starts_at_first_frame": "start_at_zero_rate",
    "ends_after_video": "end_past_rate",
    "too_short": "too_short_rate",
    "too_long": "too_long_rate",
    "missing_label": "missing_label_rate",
    "missed": "missed_rate",
}


def crowd(config: SynthConfig) -> list[list[CrowdAnnotation]]:
    return [list(annotate(plan_video(config, index))) for index in range(config.num_videos)]


@pytest.fixture(scope="module")
def config() -> SynthConfig:
    return SynthConfig(num_videos=200, num_players=20, seed=3)


@pytest.fixture(scope="module")
def annotations(config: SynthConfig) -> list[list[CrowdAnnotation]]:
    return crowd(config)


def test_rates_are_the_planted_ones(
    config: SynthConfig, annotations: list[list[CrowdAnnotation]]
) -> None:
    """Within four standard deviations; skills vary, hence not exactly binomial."""
    counts = Counter(annotation.planted_error for video in annotations for annotation in video)
    total = sum(counts.values()) - counts["not_covered"]
    assert total > 5000
    for error, field in RATES.items():
        rate = getattr(config.crowd, field)
        assert abs(counts[error] - rate * total) < 5 * np.sqrt(rate * total), error
    # Of several wrong labels on one stroke a single one is kept: slightly fewer than asked.
    rate = config.crowd.wrong_label_rate
    assert 0.75 * rate * total < counts["wrong_label"] < 1.2 * rate * total


def test_each_error_is_what_it_says(
    config: SynthConfig, annotations: list[list[CrowdAnnotation]]
) -> None:
    fps, last = config.fps, config.num_frames
    for annotation in (annotation for video in annotations for annotation in video):
        error, start, end = annotation.planted_error, annotation.start_frame, annotation.end_frame
        if error in ("missed", "not_covered"):
            assert (start, end, annotation.label) == (None, None, "")
            continue
        assert start is not None
        assert end is not None
        assert (start == 0) == (error == "starts_at_first_frame")
        assert (end > last) == (error == "ends_after_video")
        if error == "too_short":
            assert 0 < end - start < 0.6 * fps
        if error == "too_long":
            assert end - start > 2.3 * fps
        canonical = TTSTROKE21.canonical(annotation.label)
        assert (annotation.label == "") == (error == "missing_label")
        if error != "missing_label":
            assert canonical is not None
            assert (canonical != annotation.stroke.label) == (error == "wrong_label")
        if error in ("none", "wrong_label", "missing_label"):
            assert 0.6 <= (end - start) / fps <= 2.3


def test_wrong_labels_are_contradicted(annotations: list[list[CrowdAnnotation]]) -> None:
    """A stroke has one wrong label at most, and every colleague who saw it labels it rightly."""
    strokes: dict[tuple[int, int], list[str]] = {}
    for index, video in enumerate(annotations):
        for annotation in video:
            strokes.setdefault((index, annotation.stroke.start_frame), []).append(
                annotation.planted_error
            )
    wrong = [errors for errors in strokes.values() if "wrong_label" in errors]
    assert len(wrong) > 50
    for errors in wrong:
        assert Counter(errors)["wrong_label"] == 1
        assert set(errors) <= {"wrong_label", "none", "not_covered"}


def test_boundaries_jitter_as_asked(
    config: SynthConfig, annotations: list[list[CrowdAnnotation]]
) -> None:
    moves = [
        annotation.start_frame - annotation.stroke.start_frame
        for video in annotations
        for annotation in video
        if annotation.planted_error == "none" and annotation.start_frame is not None
    ]
    sigma = config.crowd.boundary_jitter_seconds * config.fps
    assert abs(float(np.mean(moves))) < 0.5
    assert 0.9 * sigma < float(np.std(moves)) < 1.05 * sigma  # truncated at 2.5 sigma
    assert max(map(abs, moves)) <= 2.5 * sigma + 0.5


def test_some_videos_have_one_annotator_and_some_only_a_part(
    config: SynthConfig, annotations: list[list[CrowdAnnotation]]
) -> None:
    counts = [len({annotation.annotator_id for annotation in video}) for video in annotations]
    assert set(counts) == {1, config.num_annotators}
    assert 0.04 < counts.count(1) / len(counts) < 0.2
    partial = {
        (index, annotation.annotator_id)
        for index, video in enumerate(annotations)
        for annotation in video
        if annotation.planted_error == "not_covered"
    }
    assert 0.03 < len(partial) / sum(counts) < 0.15


def test_labels_are_sometimes_spelled_otherwise(
    config: SynthConfig, annotations: list[list[CrowdAnnotation]]
) -> None:
    labels = [annotation.label for video in annotations for annotation in video if annotation.label]
    share = np.mean([is_variant(label) for label in labels])
    assert 0.08 < share <= config.crowd.spelling_share + 0.02
    assert any(label.startswith("Off. ") for label in labels)


def test_a_crowd_without_errors_marks_the_truth() -> None:
    rates = {name: 0.0 for name in CrowdConfig.model_fields if name != "skill_spread"}
    config = SynthConfig(num_videos=3, crowd=CrowdConfig(**rates))
    for video in crowd(config):
        assert video
        for annotation in video:
            assert (annotation.start_frame, annotation.end_frame) == (
                annotation.stroke.start_frame,
                annotation.stroke.end_frame,
            )
            assert annotation.label == annotation.stroke.label


def test_one_class_has_no_wrong_label() -> None:
    config = SynthConfig(strokes=("Serve Forehand Loop",), crowd=CrowdConfig(wrong_label_rate=0.5))
    errors = {annotation.planted_error for video in crowd(config) for annotation in video}
    assert "wrong_label" not in errors


def test_marks_of_two_players_carry_their_regions() -> None:
    config = SynthConfig(players_per_video=2, num_videos=1)
    plan = plan_video(config, 0)
    for annotation in annotate(plan):
        if annotation.start_frame is None:
            continue
        assert annotation.region is not None
        x_min, y_min, x_max, y_max = annotation.region
        assert 0 <= x_min < x_max <= 1
        assert 0 <= y_min < y_max <= 1
        assert np.allclose(annotation.region, plan.region(annotation.stroke.seat), atol=0.05)
