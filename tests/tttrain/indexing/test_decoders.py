"""Decoders on curves whose answer is known, their choice, their storage, the baselines."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from ttdata.errors import InputError
from tttrain import detection_scores
from tttrain.indexing.baselines import argmax_strokes, grid_strokes, motion_curve
from tttrain.indexing.decoders import fitting
from tttrain.indexing.decoders.curves import ScoreCurve, strokes_of
from tttrain.indexing.decoders.fitting import Decoder, Fit, decoded, fit_decoder, fit_kind
from tttrain.indexing.decoders.segments import (
    Affine,
    Segments,
    central_names,
    fit_affine,
    fit_name_radius,
    to_table,
)
from tttrain.indexing.decoders.tag import TagDecoder, contrast, grouped
from tttrain.indexing.decoders.template import TemplateDecoder, innovations
from tttrain.indexing.decoders.threshold import ThresholdDecoder, smoothed

LABELS = ("push", "serve", "Negative")


def curve_of(odds: Any, video_id: str = "v", serve: float = 0.9, **options: Any) -> ScoreCurve:
    """A curve with these log-odds of a stroke, which is a serve with this probability."""
    values = np.asarray(odds, dtype=float)
    stroke, rest = -np.logaddexp(0, -values), -np.logaddexp(0, values)
    scores = np.stack([stroke + np.log(1 - serve), stroke + np.log(serve), rest], axis=1)
    options = {"num_frames": 8 * len(values), "stride_frames": 8, "first_frame": 4.0} | options
    return ScoreCurve(video_id, scores, LABELS, **options)


def steps(cells: int, *strokes: tuple[int, int], low: float = -4.0) -> np.ndarray:
    """Log-odds of 4 in these cells, `low` elsewhere."""
    odds = np.full(cells, low)
    for start, end in strokes:
        odds[start:end] = 4.0
    return odds


def segments(*rows: tuple[float, float]) -> Segments:
    start, end = np.array(rows).reshape(-1, 2).T
    return Segments(start, end, np.ones(len(start)), np.zeros((len(start), 1)))


def test_positions_and_frames_are_inverse() -> None:
    curve = curve_of(np.zeros(9), stride_frames=10, first_frame=50.0, num_frames=200)
    assert curve.to_frames(np.array([0.0, 0.5, 1.0])).tolist() == [45, 50, 55]
    assert curve.to_cells(curve.to_frames(np.array([2.0, 7.0]))).tolist() == [2, 7]
    assert curve.to_frames(np.array([-9.0, 99.0])).tolist() == [0, 200], "inside the video"


def test_log_odds_and_names() -> None:
    curve = curve_of([2.0, -20.0, 3.0])
    assert curve.log_odds() == pytest.approx([2, -12, 3])
    assert np.exp(curve.log_names()) == pytest.approx(np.array([[0.1, 0.9]] * 3))
    flat = np.log(np.array([[0.25, 0.25, 0.5]]))
    assert ScoreCurve("v", flat, LABELS, 8, 8).log_odds(2.0) == pytest.approx([np.log(2 / 2**0.5)])
    assert ScoreCurve("v", np.log([[1.0, 1e-300, 1e-300]]), LABELS, 8, 8).log_odds() == [12]


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros((3, 2)), LABELS, r"v: scores have shape \(3, 2\), expected \(cells, 3\)"),
        (np.zeros((3, 2)), ("push", "serve"), "v: no class 'Negative' beside strokes"),
        (np.zeros((3, 1)), ("Negative",), "v: no class 'Negative' beside strokes"),
        (np.array([[-1.0] * 3, [0.5] * 3]), LABELS, r"v: frame 8 \(cell 1\) has scores"),
        (np.array([[np.nan] * 3]), LABELS, r"v: frame 0 \(cell 0\) has scores"),
    ],
)
def test_wrong_curves_are_refused(scores: Any, labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ScoreCurve("v", scores, labels, 24, 8)


def test_smoothing_is_the_mean_of_the_cells_that_exist() -> None:
    assert smoothed(np.array([3.0, 0.0, 6.0, 0.0]), 3).tolist() == [1.5, 3, 2, 3]
    assert smoothed(np.array([3.0, 0.0]), 1).tolist() == [3, 0]


def test_runs_above_the_threshold_become_rows() -> None:
    curve = curve_of(steps(30, (5, 15), (20, 21)))
    decoder = ThresholdDecoder(
        temperature=1, threshold=0, smooth_cells=1, min_cells=2, name_radius=0
    )
    found = to_table(curve, decoder.segments(curve))
    assert found.drop("score").rows() == [("v", 40, 120, "serve")]
    assert found["score"][0] == pytest.approx(0.9 / (1 + np.exp(-4)))


def test_the_name_comes_from_the_middle() -> None:
    """The cells of a segment's sides speak of the strokes before and after."""
    log_names = np.log(np.repeat([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], [3, 1, 3], axis=0))
    start, end = np.array([0.0, 2.9, 6.0]), np.array([7.0, 4.2, 7.0])
    alone = np.exp(central_names(log_names, start, end, 0))
    assert alone == pytest.approx(np.array([[0.4, 0.6], [0.4, 0.6], [0.2, 0.8]]))
    wide = central_names(log_names, start[:1], end[:1], 1)[0]
    mean = np.log([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]).mean(axis=0)
    assert wide[0] - wide[1] == pytest.approx(mean[0] - mean[1])
    assert np.exp(wide).sum() == pytest.approx(1)
    last = central_names(log_names, start[2:], end[2:], 2)  # two cells of three exist
    assert np.exp(last) == pytest.approx(np.array([[0.2, 0.8]]))


def test_the_radius_that_names_most_strokes_is_taken() -> None:
    """Three strokes: the middle cell errs in one, its neighbours outvote it, farther ones err."""
    serve, push = np.log([0.1, 0.9]), np.log([0.9, 0.1])
    names = np.stack([push, push, serve, push, serve, push, push] + [serve] * 10)
    scores = np.concatenate([names - np.log(2), np.full((17, 1), -np.log(2))], axis=1)
    curve = ScoreCurve("v", scores, LABELS, 17 * 8, 8, 4.0)
    rows = [("v", 0, 56, "serve"), ("v", 64, 88, "serve"), ("v", 96, 120, "serve")]
    truths = pl.DataFrame(
        rows, schema=["video_id", "start_frame", "end_frame", "label"], orient="row"
    )
    assert curve.stroke_labels == ("push", "serve")
    assert fit_name_radius([curve], truths, 1.0) == 1
    assert fit_name_radius([curve], truths.with_columns(label=pl.lit("lob")), 1.0) == 0


def test_lengths_are_corrected_about_the_centre() -> None:
    found = Affine(slope=0.5, intercept_cells=3).apply(segments((10, 20), (30, 31)))
    assert found.start.tolist() == [11, 28.75]
    assert found.end.tolist() == [19, 32.25]
    short = Affine(slope=0.0, intercept_cells=-5).apply(segments((10, 20)))
    assert (short.start[0], short.end[0]) == (14.5, 15.5), "at least one cell"


def test_an_affine_law_is_found_again() -> None:
    """True length 2 x found + 1, twelve pairs; a segment that meets nothing does not count."""
    found = [(40.0 * n, 40.0 * n + 3 + n % 4) for n in range(12)]
    strokes = [(s - (e - s + 1) / 2, e + (e - s + 1) / 2) for s, e in found]
    lone = segments(*found, (1000.0, 1030.0))
    law = fit_affine([lone], [np.array(strokes)])
    assert (law.slope, law.intercept_cells) == (pytest.approx(2), pytest.approx(1))
    few = fit_affine([segments(*found[:4])], [np.array(strokes)])
    assert (few.slope, few.intercept_cells) == (1, pytest.approx(5.5)), "too few for a slope"
    assert fit_affine([segments()], [np.array(strokes)]) == Affine()


def test_basins_join_while_they_fill_their_group() -> None:
    stroke = np.array([0, 1, 1, 0, 1, 0, 0, 0, 0, 1, 0], dtype=float)
    groups = set(map(tuple, grouped(stroke, 20).tolist()))
    # 3 of 4 cells are filled; with the last basin 4 of 9.
    assert groups == {(1, 3), (4, 5), (9, 10), (1, 5)}
    assert (1, 5) not in set(map(tuple, grouped(stroke, 3).tolist()))


def test_contrast_is_inside_minus_a_quarter_around() -> None:
    stroke = np.array([0.5, 0.1, 0.3, 0.9, 0.7, 0.9, 0.9, 0.2, 0.4])
    groups = np.array([[3, 7], [0, 2]])
    expected = [0.85 - (0.3 + 0.2) / 2, 0.3 - 0.3]
    assert contrast(stroke, groups) == pytest.approx(expected)


def test_of_groups_of_one_stroke_one_is_left() -> None:
    odds = steps(60, (10, 20), (40, 52))
    odds[14] = -1.0
    curve = curve_of(odds)
    decoder = TagDecoder(
        temperature=1, smooth_cells=1, min_contrast=0.3, max_iou=0.1, max_cells=30, name_radius=0
    )
    found = to_table(curve, decoder.segments(curve))
    assert found.select("start_frame", "end_frame").rows() == [(80, 160), (320, 416)]


def test_an_innovation_is_what_a_cell_adds() -> None:
    assert innovations(np.array([2.0, 3.0, 1.0]), 0.5).tolist() == [1, 2, -0.5]


def test_a_template_decoder_finds_clean_strokes() -> None:
    rng = np.random.default_rng(0)
    strokes = [(20 + 40 * n, 20 + 40 * n + int(rng.integers(8, 20))) for n in range(30)]
    clean = steps(1300, *strokes) + rng.normal(0, 0.3, 1300)
    curve = curve_of(clean)
    truths = pl.DataFrame(
        [("v", 8 * start, 8 * end, "serve") for start, end in strokes],
        schema=["video_id", "start_frame", "end_frame", "label"],
        orient="row",
    )
    decoder = fit_kind("template", [curve], truths)
    assert isinstance(decoder, TemplateDecoder)
    found = decoded(decoder, [curve])
    assert found.select("start_frame", "end_frame").to_numpy() == pytest.approx(
        truths.select("start_frame", "end_frame").to_numpy(), abs=4
    )
    assert set(found["label"]) == {"serve"}
    assert found["score"].min() > 0.85


@pytest.mark.parametrize("kind", ["threshold", "tag", "template"])
def test_a_video_without_strokes_gives_no_row(kind: Any, bench: Callable[..., Any]) -> None:
    decoder = fit_kind(kind, *bench("easy", 1, 3, 300))
    for cells in (0, 1, 40):
        calm, scores = bench("easy", 1, 3, 300)[0][0], np.log([[0.01] * 4 + [0.96]] * cells)
        curve = ScoreCurve("calm", scores.reshape(cells, 5), calm.labels, 8 * cells, 8, 4.0)
        found = decoded(decoder, [curve])
        assert found.is_empty()
        assert found.schema == decoded(decoder, [calm]).schema


def test_few_strokes_leave_the_threshold(bench: Callable[..., Any]) -> None:
    curves, truths = bench("easy", 1, 3, 300)
    decoder = fit_decoder(curves, truths)
    assert decoder.num_strokes < fitting.LEAST_STROKES
    assert decoder.chosen.kind == "threshold"
    assert decoder.values.keys() == {"threshold"}


def test_the_kind_that_does_best_on_other_videos_is_chosen(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    curves, truths = bench("peaky", 3, 1, 450)
    monkeypatch.setattr("tttrain.indexing.decoders.tag.SMOOTH", (1,))
    decoder = fit_decoder(curves, truths, measure="f1", kinds=("threshold", "tag"))
    assert (decoder.num_videos, decoder.num_strokes) == (3, len(truths))
    assert decoder.chosen.kind == max(decoder.values, key=lambda kind: decoder.values[kind])
    assert decoder.chosen == fit_kind(decoder.chosen.kind, curves, truths, Fit(measure="f1"))
    halves = [curves[0::2], curves[1::2]]
    names = [[curve.video_id for curve in half] for half in halves]
    found = [
        decoded(
            fit_kind("tag", other, truths.filter(pl.col("video_id").is_in(known)), Fit("f1")),
            half,
        )
        for half, other, known in zip(halves, halves[::-1], names[::-1], strict=True)
    ]
    value = detection_scores(truths, pl.concat(found), videos_of(curves), resamples=0).f1
    assert decoder.values["tag"] == pytest.approx(value)


@pytest.mark.parametrize("kind", ["threshold", "tag", "template"])
def test_a_decoder_survives_json(kind: Any, bench: Callable[..., Any]) -> None:
    curves, truths = bench("typical", 1, 4, 300)
    decoder = Decoder(
        chosen=fit_kind(kind, curves, truths),
        stride_frames=8,
        measure="pxr",
        values={kind: 0.5},
        num_videos=1,
        num_strokes=len(truths),
    )
    again = Decoder.model_validate_json(decoder.model_dump_json())
    assert again == decoder
    assert again.decode(curves).equals(decoder.decode(curves))
    with pytest.raises(InputError, match="a score every 4 frames, but the decoder was fitted to"):
        decoder.decode([curve_of(np.zeros(3), stride_frames=4)])


def test_a_decoder_needs_strokes_and_one_stride(bench: Callable[..., Any]) -> None:
    curves, truths = bench("easy", 1, 3, 300)
    with pytest.raises(InputError, match=r"strides \[8\] and 0 strokes"):
        fit_decoder(curves, truths.clear())
    with pytest.raises(InputError, match=r"strides \[4, 8\]"):
        fit_decoder([*curves, curve_of(np.zeros(3), stride_frames=4)], truths)
    with pytest.raises(InputError, match="no video to decode"):
        decoded(fit_kind("threshold", curves, truths), [])


def test_strokes_in_cells() -> None:
    truths = pl.DataFrame({"video_id": ["v", "w"], "start_frame": [40, 0], "end_frame": [120, 8]})
    assert strokes_of(curve_of(np.zeros(30)), truths).tolist() == [[5, 15]]


def videos_of(curves: list[ScoreCurve]) -> pl.DataFrame:
    rows = [(curve.video_id, curve.num_frames) for curve in curves]
    return pl.DataFrame(rows, schema=["video_id", "num_frames"], orient="row")


def pxr_of(decoder: Any, curves: list[ScoreCurve], truths: pl.DataFrame) -> float:
    found = decoded(decoder, curves)
    return detection_scores(truths, found, videos_of(curves), resamples=0).pxr


@pytest.mark.parametrize("kind", ["easy", "typical", "hard", "peaky"])
def test_decoders_rank_as_expected(
    kind: str, bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Argmax < threshold <= templates, fitted to three minutes, tested on six others."""
    monkeypatch.setattr("tttrain.indexing.decoders.template.TEMPERINGS", (0.8,))
    (curves, truths), (unseen, answers) = bench(kind, 3, 1), bench(kind, 6, 2)
    argmax = pl.concat(map(argmax_strokes, unseen))
    baseline = detection_scores(answers, argmax, videos_of(unseen), resamples=0).pxr
    threshold = pxr_of(fit_kind("threshold", curves, truths), unseen, answers)
    template = pxr_of(fit_kind("template", curves, truths), unseen, answers)
    assert baseline < threshold - 0.02
    assert threshold < template + 0.01
    grid = grid_strokes(videos_of(unseen), "drive")
    assert detection_scores(answers, grid, videos_of(unseen), resamples=0).pxr < 0.1


def test_an_hour_decodes_in_seconds(bench: Callable[..., Any]) -> None:
    decoder = fit_kind("template", *bench("typical", 1, 4, 300))
    (hour,), _ = bench("typical", 1, 5, 54_000)
    before = time.process_time()
    found = decoded(decoder, [hour])
    assert time.process_time() - before < 5
    assert len(found) > 700


def test_argmax_runs_by_hand() -> None:
    odds = steps(20, (2, 6), (10, 13))
    found = argmax_strokes(curve_of(odds))
    assert found.drop("score").rows() == [("v", 16, 48, "serve")], "three cells are 24 frames"
    assert found["score"][0] == pytest.approx(0.9 / (1 + np.exp(-4)))
    assert argmax_strokes(curve_of(odds, serve=0.1))["label"].to_list() == ["push"]
    assert argmax_strokes(curve_of(steps(5))).is_empty()


def test_a_grid_knows_nothing() -> None:
    videos = pl.DataFrame({"video_id": ["a", "b"], "num_frames": [320, 149]})
    expected = [("a", 0, 150, "x", 1.0), ("a", 150, 300, "x", 1.0)]
    assert grid_strokes(videos, "x").rows() == expected


def test_motion_is_decoded_like_scores() -> None:
    energy = np.exp(steps(200, *((start, start + 12) for start in range(10, 190, 30))))
    energy += np.random.default_rng(0).random(200)
    curve = motion_curve("v", energy, label="x", num_frames=1600, stride_frames=8, first_frame=4)
    starts = [8 * start for start in range(10, 190, 30)]
    truths = pl.DataFrame(
        {
            "video_id": "v",
            "start_frame": starts,
            "end_frame": [s + 96 for s in starts],
            "label": "x",
        }
    )
    assert pxr_of(fit_kind("threshold", [curve], truths), [curve], truths) == 1
    twice = motion_curve("v", 2 * energy, label="x", num_frames=1600, stride_frames=8)
    assert twice.log_odds() == pytest.approx(curve.log_odds())
    with pytest.raises(InputError, match="v: motion energy of cell 1 is nan"):
        motion_curve("v", np.array([1, np.nan]), label="x", num_frames=16, stride_frames=8)
