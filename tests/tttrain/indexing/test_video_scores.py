"""Scores over a whole video are those of its windows one by one."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from ttdata.errors import InputError
from ttflow.extraction.stream import stream_patches
from ttflow.flow.estimators import create
from ttflow.schema import FlowConfig
from ttmodels import I3D, SSTC, ModelCard, StrokeModel, dense_features
from tttrain.data.sampling import Window
from tttrain.evaluation.scoring import network_inputs
from tttrain.indexing.still import SkipStill, still_scores, window_speeds
from tttrain.indexing.video_scores import (
    VideoScores,
    score_curve,
    video_scores,
    without_still,
)

CONFIG = FlowConfig(
    estimator="dis-ultrafast",
    frame_width=64,
    frame_height=48,
    crop_width=24,
    crop_height=24,
    window_frames=16,
    patch_side=40,
)
LABELS = ("Serve", "Push", "Negative")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright square that goes to and fro, 75 frames."""
    path = tmp_path_factory.mktemp("video") / "match one.mp4"
    noise = np.random.default_rng(0).integers(60, 90, (48, 64, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(120))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(75):
            rgb = noise.copy()
            left = 10 + abs(30 - 2 * number % 60)
            rgb[15:27, left : left + 12] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def model() -> StrokeModel:
    torch.manual_seed(1)
    made = SSTC(3, (16, 24, 24)).eval()
    made.card = ModelCard(labels=LABELS, flow_scale_px=(3.0, 2.0))
    return made


@pytest.mark.parametrize("stride", [8, 5])
def test_as_window_by_window(video: Path, model: StrokeModel, stride: int) -> None:
    estimator = create(CONFIG.estimator, "cpu")
    curve = score_curve(video, model, CONFIG, estimator, stride_frames=stride)
    starts = range(0, 75 - 16 + 1, stride)
    chunks = list(stream_patches(video, CONFIG, estimator))
    rgb = np.concatenate([chunk.rgb for chunk in chunks])
    flow = np.concatenate([chunk.flow for chunk in chunks])
    for start, found in zip(starts, curve.log_probabilities, strict=True):
        window = Window("one", rgb[start : start + 16], flow[start : start + 16])
        with torch.no_grad():
            expected = model.predict_proba(*network_inputs(model, window))[0]
        assert np.exp(found) == pytest.approx(expected.numpy(), abs=1e-5)
    assert np.ptp(curve.log_probabilities, axis=0).max() > 1e-3  # the windows differ
    assert (curve.video_id, curve.num_frames, curve.labels) == ("match one", 75, LABELS)
    assert (curve.stride_frames, curve.first_frame) == (stride, 8.0)


def test_features_and_energy_of_two_regions(video: Path, model: StrokeModel) -> None:
    estimator = create(CONFIG.estimator, "cpu")
    regions = ((0.0, 0.0, 0.5, 1.0), None)
    found = video_scores(
        video, model, CONFIG, estimator, regions=regions, stride_frames=None, features=True
    )
    chunks = list(stream_patches(video, CONFIG, estimator, regions=regions))
    for region, scores in zip(regions, found, strict=True):
        rgb = np.concatenate([chunk.rgb for chunk in chunks if chunk.region == region])
        flow = np.concatenate([chunk.flow for chunk in chunks if chunk.region == region])
        with torch.no_grad():
            window = Window("all", rgb, flow)
            expected = dense_features(model, *network_inputs(model, window))[0].numpy()  # type: ignore[arg-type]
        assert scores.features.dtype == np.float16
        assert scores.features.shape == (75 // 8, 1440)
        np.testing.assert_allclose(scores.features, expected, rtol=2e-3, atol=1e-4)
        assert scores.log_probabilities.shape == (0, 3)
        assert scores.energy.max() > 0
        lengths = np.hypot(flow[:, 0] / 32, flow[:, 1] / 32).mean(axis=(1, 2))
        np.testing.assert_allclose(scores.energy, lengths, rtol=1e-5)
    assert not np.array_equal(found[0].features, found[1].features)


def test_the_same_bits_again_and_settings_are_put_back(video: Path, model: StrokeModel) -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    one, two = (
        score_curve(video, model, CONFIG, create(CONFIG.estimator, "cpu")) for _ in range(2)
    )
    assert np.array_equal(one.log_probabilities, two.log_probabilities)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_what_cannot_be_scored_is_one_line(video: Path, model: StrokeModel) -> None:
    estimator = create(CONFIG.estimator, "cpu")
    long = SSTC(3, (80, 24, 24)).eval()
    long.card = model.card
    with pytest.raises(InputError, match=r"has 75 frames, expected at least the 80"):
        score_curve(video, long, CONFIG, estimator)
    with pytest.raises(InputError, match=r"is a SSTC with 0 labels"):
        score_curve(video, SSTC(3, (16, 24, 24)), CONFIG, estimator)
    with torch.device("meta"):
        other = I3D(3, 3)
    with pytest.raises(InputError, match=r"is a I3D"):
        score_curve(video, other, CONFIG, estimator)


def test_still_windows_get_a_constant_with_and_without_features(
    video: Path, model: StrokeModel
) -> None:
    """The rule says what a still window gets; whether it saves work does not show in the scores."""

    def scores(skip: SkipStill | None, features: bool) -> VideoScores:
        estimator = create(CONFIG.estimator, "cpu")
        (found,) = video_scores(video, model, CONFIG, estimator, features=features, skip_still=skip)
        return found

    plain = scores(None, False)
    speeds = window_speeds(plain.energy, 16, 8)
    skip = SkipStill(float(np.median(speeds)), "Negative")
    still = speeds < skip.below_px
    assert 0 < still.sum() < len(still)
    expected = without_still(plain, model, skip, 8).log_probabilities
    assert (expected[still] == still_scores(LABELS, "Negative")).all()
    assert np.array_equal(expected[~still], plain.log_probabilities[~still])
    for features in (False, True):
        found = scores(skip, features)
        np.testing.assert_allclose(found.log_probabilities, expected, rtol=0, atol=1e-5)
        assert (found.log_probabilities[still] == expected[still]).all()
        assert len(found.features) == (75 // 8 if features else 0)
        assert np.array_equal(found.energy, plain.energy)
