"""Who is followed, with a model that says what it is told to."""

import numpy as np
import pytest

from ttflow.pose.config import PoseConfig
from ttflow.pose.model import Detection, Landmarks, Square
from ttflow.pose.tracker import PoseTrack, choose, track

PICTURE = np.zeros((100, 200, 3), np.uint8)
HERE, THERE = Square(50, 50, 40, 0.0), Square(150, 50, 60, 0.0)


class Script:
    """A model: what the detector sees in each call, the flag of each square by frame."""

    def __init__(self, detections, flags, drift: float = 1.0) -> None:
        self.detections, self.flags, self.drift = list(detections), list(flags), drift
        self.looked_at: list[float] = []
        self.detected = 0

    def detect(self, picture, min_score=0.3):
        self.detected += 1
        found = self.detections.pop(0) if self.detections else ()
        return [each for each in found if each.score >= min_score]

    def landmarks(self, picture, square):
        self.looked_at.append(square.x)
        return Landmarks(
            points=np.full((33, 2), square.x, np.float32),
            world=np.full((33, 3), 0.5, np.float32),
            visibility=np.full(33, 0.9, np.float32),
            presence=self.flags.pop(0),
            following=Square(square.x + self.drift, square.y, square.side, 0.0),
        )


def run(model: Script, count: int, region=None) -> PoseTrack:
    return track(((4 * i, PICTURE) for i in range(count)), model, PoseConfig(), region)


def test_the_detector_is_asked_once_while_the_person_is_seen() -> None:
    model = Script([[Detection(0.9, HERE)]], [0.9, 0.8, 0.5])
    found = run(model, 3)
    assert model.detected == 1
    assert model.looked_at == [50, 51, 52]
    assert found.frames.tolist() == [0, 4, 8]
    assert found.points[:, 0, 0].tolist() == [50, 51, 52]
    assert found.presence == pytest.approx([0.9, 0.8, 0.5])
    assert found.found.all()
    shapes = (found.points.shape, found.world.shape, found.visibility.shape)
    assert shapes == ((3, 33, 2), (3, 33, 3), (3, 33))
    arrays = (found.points, found.world, found.visibility, found.presence)
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert found.frames.dtype == np.int64


def test_below_the_flag_the_detector_is_asked_in_the_same_frame() -> None:
    model = Script([[Detection(0.9, HERE)], [Detection(0.9, THERE)]], [0.9, 0.4, 0.9, 0.9])
    found = run(model, 3)
    assert model.detected == 2
    assert model.looked_at == [50, 51, 150, 151]
    assert found.points[:, 0, 0].tolist() == [50, 150, 151]


def test_a_frame_without_a_person_is_all_zero() -> None:
    model = Script([[], [Detection(0.9, HERE)], [Detection(0.9, HERE)]], [0.2, 0.7])
    found = run(model, 3)
    assert model.detected == 3
    assert found.found.tolist() == [False, False, True]
    for array in (found.points, found.world, found.visibility):
        assert not array[:2].any()
        assert array[2].all()
    assert found.presence == pytest.approx([0.0, 0.2, 0.7])


def test_no_frames_are_an_empty_track() -> None:
    found = run(Script([], []), 0)
    assert found.frames.shape == (0,)
    assert found.points.shape == (0, 33, 2)
    assert found.world.shape == (0, 33, 3)
    assert found.visibility.shape == (0, 33)
    assert found.found.shape == (0,)


@pytest.mark.parametrize(
    ("scores_and_sides", "chosen"),
    [
        ([], None),
        ([(0.9, 10), (0.6, 30)], 1),  # the largest of the sure ones
        ([(0.9, 10), (0.4, 30)], 0),  # the larger one is not sure
        ([(0.45, 10), (0.4, 30)], 0),  # none is: the surest
    ],
)
def test_the_largest_sure_person_is_followed(scores_and_sides, chosen) -> None:
    seen = [Detection(score, Square(0, 0, side, 0.0)) for score, side in scores_and_sides]
    assert choose(seen, sure=0.5) is (None if chosen is None else seen[chosen])


def test_a_low_score_is_nobody() -> None:
    assert not run(Script([[Detection(0.29, HERE)]], [0.9]), 1).found.any()


@pytest.mark.parametrize(("region", "x"), [((0.0, 0.0, 0.5, 1.0), 50), (None, 150)])
def test_the_person_of_the_region_is_followed(region, x: float) -> None:
    model = Script([[Detection(0.9, THERE), Detection(0.6, HERE)]], [0.9])
    assert run(model, 1, region).points[0, 0, 0] == x


def test_who_is_beside_the_region_is_nobody() -> None:
    model = Script([[Detection(0.9, THERE)]], [])
    assert not run(model, 1, (0.0, 0.0, 0.5, 1.0)).found.any()


def test_a_person_too_small_in_the_whole_picture_is_seen_in_the_region() -> None:
    class Near(Script):
        def detect(self, picture, min_score=0.3):
            self.detected += 1
            height, width = picture.shape[:2]
            whole = (height, width) == PICTURE.shape[:2]
            return [] if whole else [Detection(0.9, Square(30, height / 2, 20, 0.1))]

    model = Near([], [0.9] * 2, drift=0.0)
    found = run(model, 2, (0.5, 0.2, 1.0, 1.0))
    assert found.points[:, 0, 0].tolist() == [PICTURE.shape[1] / 2 + 30] * 2
    assert model.detected == 2  # both in the first frame
    assert not run(Near([], []), 1).found.any()
    assert not run(Near([], []), 1, (0.5, 0.5, 0.5, 0.5)).found.any()


def test_a_tracked_person_may_leave_the_region_a_little() -> None:
    """Up to a quarter of its width; beyond, the detector looks for the region's own."""
    model = Script([[Detection(0.9, HERE)], [Detection(0.9, HERE)]], [0.9] * 4, drift=70.0)
    found = run(model, 2, (0.0, 0.0, 0.5, 1.0))
    assert found.points[:, 0, 0].tolist() == [50, 120]
    found = run(Script([[Detection(0.9, HERE)], []], [0.9] * 4, drift=80.0), 2, (0, 0, 0.5, 1))
    assert found.found.tolist() == [True, False]


def test_landmarks_that_span_nothing_are_followed_by_a_detection() -> None:
    class Point(Script):
        def landmarks(self, picture, square):
            return Landmarks(**{**vars(super().landmarks(picture, square)), "following": None})

    model = Point([[Detection(0.9, HERE)]] * 2, [0.9] * 2)
    assert run(model, 2).found.all()
    assert model.detected == 2
