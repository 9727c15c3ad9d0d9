"""What the detector's outputs say, on outputs made by hand."""

import numpy as np
import pytest

from ttflow.pose.detector import NUM_ANCHORS, anchors, persons


def outputs(*seen: tuple[int, float, tuple[float, float], tuple[float, float]]):
    """Boxes and logits in which only these anchors see someone.

    Each is anchor, score, centre of the face and of the hips in pixels of the input; faces are 20
    pixels wide and high.
    """
    values = np.zeros((NUM_ANCHORS, 12), np.float32)
    logits = np.full(NUM_ANCHORS, -30.0, np.float32)
    for anchor, score, face, hips in seen:
        origin = anchors()[anchor] * 224
        values[anchor, :2] = face - origin
        values[anchor, 2:4] = 20
        values[anchor, 4:6] = hips - origin
        logits[anchor] = np.log(score / (1 - score))
    return values, logits


def test_anchors_are_the_middles_of_cells() -> None:
    found = anchors()
    assert found.shape == (28 * 28 * 2 + 14 * 14 * 2 + 7 * 7 * 6, 2) == (2254, 2)
    np.testing.assert_allclose(found[:4] * 224, [(4, 4), (4, 4), (12, 4), (12, 4)])
    np.testing.assert_allclose(found[56] * 224, (4, 12))  # the second row
    np.testing.assert_allclose(found[1568] * 224, (8, 8))  # the second map
    np.testing.assert_allclose(found[1960:1967] * 224, [(16, 16)] * 6 + [(48, 16)])
    np.testing.assert_allclose(found[-1] * 224, (208, 208))


def test_a_person_is_where_its_anchor_says() -> None:
    scores, points = persons(*outputs((1000, 0.8, (90, 40), (93, 120))), min_score=0.3)
    assert scores == pytest.approx([0.8])
    np.testing.assert_allclose(points[0, 0] * 224, (93, 120), atol=1e-4)


def test_nobody_is_seen() -> None:
    scores, points = persons(*outputs((7, 0.29, (90, 40), (93, 120))), min_score=0.3)
    assert scores.shape == (0,)
    assert points.shape == (0, 4, 2)


def test_one_face_is_one_person() -> None:
    """Overlapping faces are averaged by their scores: (0.9 x 100 + 0.6 x 110) / 1.5 = 104."""
    both = outputs(
        (3, 0.6, (52, 40), (110, 120)),
        (900, 0.9, (50, 40), (100, 120)),
        (2000, 0.7, (150, 40), (160, 130)),
    )
    scores, points = persons(*both, min_score=0.3)
    assert scores == pytest.approx([0.9, 0.7])
    np.testing.assert_allclose(points[:, 0] * 224, [(104, 120), (160, 130)], atol=1e-4)


def test_faces_that_hardly_overlap_are_two_persons() -> None:
    """An intersection over union of 10 x 20 / (800 - 200) = 1/3 is one person's, 8 x 20 is not."""
    near = outputs((3, 0.6, (60, 40), (110, 120)), (900, 0.9, (50, 40), (100, 120)))
    apart = outputs((3, 0.6, (62, 40), (110, 120)), (900, 0.9, (50, 40), (100, 120)))
    assert len(persons(*near, min_score=0.3)[0]) == 1
    assert len(persons(*apart, min_score=0.3)[0]) == 2


def test_a_face_without_size_is_seen_once() -> None:
    values, logits = outputs((3, 0.9, (60, 40), (110, 120)))
    values[3, 2:4] = 0
    assert persons(values, logits, min_score=0.3)[0] == pytest.approx([0.9])


def test_scores_beyond_all_bounds_are_certain() -> None:
    values, logits = outputs((3, 0.9, (60, 40), (110, 120)))
    logits[3] = 1e6
    assert persons(values, logits, min_score=0.3)[0] == pytest.approx([1.0])
