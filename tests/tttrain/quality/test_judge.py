"""References and strokes are measured alike; what a comparison says of cameras."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ttflow import ClipPose
from tttrain.quality.comparable import camera_notes
from tttrain.quality.judge import judge_class
from tttrain.quality.landmarks import StrokeSignal, stroke_signal
from tttrain.quality.measures import MEASURES, build_model
from tttrain.quality.strokes import Stroke
from tttrain.quality.teacher.marks import Marks

Make = Callable[..., StrokeSignal]


def strokes_of(make_signal: Make, even: np.ndarray, count: int) -> list[Stroke]:
    """Strokes of slightly other sizes in two sessions, all at one pace."""
    return [
        Stroke(
            {"clip_id": str(k), "video_id": f"v{k % 2}", "player_id": "p", "session_id": None,
             "label": "Hit", "start_frame": 0, "end_frame": 61, "fps": 60.0},
            "right", make_signal(even, 1 + 0.02 * k, noise=0.005, seed=k), None, 0.0,
        )
        for k in range(count)
    ]  # fmt: skip


def test_a_slip_of_marking_is_no_spread_of_the_references(
    make_signal: Make, even: np.ndarray
) -> None:
    """One contact is marked six frames late: the other references say where it is."""
    strokes = strokes_of(make_signal, even, 5)
    contacts = [30, 30, 36, 30, 30]
    marks = {str(k): Marks(0, contact, 60, 0) for k, contact in enumerate(contacts)}
    model = build_model(strokes, marks)
    times = [moments.contact * 60 for moments in model.moments]
    assert np.abs(np.array(times) - 30).max() < 1.5
    found, _ = judge_class(strokes, marks)
    assert found[2].moments["contact"] == 36  # as it was marked
    assert abs(found[2].phases[1].end_frame - 30) < 1.5  # as it was measured
    assert found[2].contact_spread_seconds is not None


def test_a_reference_copied_as_a_stroke_has_its_distance_and_place(
    make_signal: Make, even: np.ndarray
) -> None:
    """Distances of references are from the other ones, so a copy is nearer to all of them."""
    strokes = strokes_of(make_signal, even, 6)
    marks = {str(k): Marks(0, 30, 60, 0) for k in range(5)}
    found, _ = judge_class(strokes, marks)
    distances = [item.distance for item in found]
    assert all(value is not None for value in distances)
    for place in range(5):
        rest = [distances[other] for other in range(5) if other != place]
        further = sum(value >= distances[place] for value in rest)  # type: ignore[operator]
        assert found[place].distance_percentile == (1 + further) / 5
    further = sum(value >= distances[5] for value in distances[:5])  # type: ignore[operator]
    assert found[5].distance_percentile == round((1 + further) / 6, 6)


def test_a_stroke_whose_hand_is_hidden_is_not_the_nearest(
    make_pose: Callable[..., ClipPose], make_signal: Make, even: np.ndarray
) -> None:
    """Nothing is known of its hand, so neither a distance nor a place; and that is said."""
    strokes = strokes_of(make_signal, even, 7)
    for place in (4, 6):  # a reference and another stroke
        pose = make_pose(even, 1.5)
        pose.visibility[:, 16] = 0.1
        strokes[place] = replace(strokes[place], signal=stroke_signal(pose, 0, 61))
    marks = {str(k): Marks(0, 30, 60, 0) for k in range(5)}
    found, told = judge_class(strokes, marks)
    for item in (found[4], found[6]):
        assert (item.distance, item.distance_percentile) == (None, None)
        assert item.hidden is not None
        gain = item.phases[0].measures[MEASURES.index("gain")]
        assert (gain.value, gain.outside, gain.words) == (None, None, None)
        assert item.phases[0].measures[0].value is not None  # how long it takes is known
    assert found[5].distance is not None
    assert found[5].hidden is None
    further = sum(found[k].distance >= found[5].distance for k in range(4))  # type: ignore[operator]
    assert found[5].distance_percentile == round((1 + further) / 5, 6)
    spread = told.spreads["stroke"]["gain"]
    assert spread is not None
    assert spread.n == 4


def test_what_is_said_of_cameras() -> None:
    assert list(camera_notes(0.0, [0.0, 10.0])) == []
    told = list(camera_notes(0.0, [0.0, 40.0]))
    assert len(told) == 1
    assert told[0].startswith("the references are filmed from directions up to 40 degrees apart")
    assert "the camera's direction cannot be told" in next(camera_notes(None, [0.0]))
    assert "direction of some references cannot be told" in next(camera_notes(0.0, [0.0, None]))
