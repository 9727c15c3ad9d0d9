"""Suppression of intervals, hard, soft, with answers by hand."""

import numpy as np
import pytest

from tttrain.indexing.nms import nms, soft_nms

START, END = np.array([0, 2, 20, 0]), np.array([10, 12, 30, 10])


def test_the_better_of_two_that_overlap_is_kept() -> None:
    score = np.array([0.5, 0.9, 0.1, 0.5])
    # IoU of the first two: 8 / 12.
    assert nms(START, END, score, 0.5).tolist() == [1, 2]
    assert nms(START, END, score, 8 / 12).tolist() == [1, 0, 2]
    assert nms(START, END, score, 1.0).tolist() == [1, 0, 3, 2]
    assert nms(START[:0], END[:0], score[:0], 0.5).tolist() == []


def test_a_neighbour_loses_score_by_its_overlap() -> None:
    kept, scores = soft_nms(START[:3], END[:3], np.array([0.5, 0.9, 0.3]))
    assert kept.tolist() == [1, 2, 0]
    assert scores == pytest.approx([0.9, 0.3, 0.5 * np.exp(-((8 / 12) ** 2) / 0.5)])


def test_decay_adds_up_over_all_that_are_taken() -> None:
    kept, scores = soft_nms(START, END, np.array([0.8, 0.7, 0.6, 0.75]))
    assert kept.tolist() == [0, 2, 1, 3]
    assert scores[2] == pytest.approx(0.7 * np.exp(-((8 / 12) ** 2) / 0.5))
    assert scores[3] == pytest.approx(0.75 * np.exp(-1 / 0.5) * np.exp(-((8 / 12) ** 2) / 0.5))


def test_what_falls_below_the_least_score_is_dropped() -> None:
    kept, _ = soft_nms(START, END, np.array([0.8, 0.0005, 0.6, 0.005]))
    assert kept.tolist() == [0, 2]
    assert soft_nms(START[:0], END[:0], np.empty(0))[0].tolist() == []


def test_the_scores_handed_in_stay() -> None:
    score = np.array([0.5, 0.9, 0.1, 0.5])
    soft_nms(START, END, score)
    assert score.tolist() == [0.5, 0.9, 0.1, 0.5]
