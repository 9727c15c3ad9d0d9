"""Moments and measures of strokes made of formulas."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttflow import ClipPose
from tttrain.quality.comparable import hidden
from tttrain.quality.landmarks import StrokeSignal, stroke_signal
from tttrain.quality.measures import (
    MEASURES,
    Template,
    centred,
    chords,
    fitted,
    gain,
    measure,
    phase_path,
    residual,
    robust_weights,
    template,
    trunk_turn,
)
from tttrain.quality.timing.ends import outer_end, outer_moves
from tttrain.quality.timing.moments import (
    PHASES,
    Moments,
    Reference,
    agreed_references,
    carry_among,
    carry_moments,
    marked_moments,
    turning_point,
)

Make = Callable[..., StrokeSignal]
CONTACT = 0.5


def paced(pace: float) -> np.ndarray:
    """(61,) the same movement, its first half slower (pace < 0) or faster."""
    share = np.linspace(0, 1, 61)
    return share + pace * np.sin(np.pi * share) ** 2


def reference(signal: StrokeSignal, contact: float = CONTACT) -> Reference:
    return Reference(signal, marked_moments(signal, 0.0, contact, 1.0))


def test_the_turning_point_is_furthest_back(make_signal: Make, even: np.ndarray) -> None:
    # Where the wrist is furthest back: 0.3 of the movement.
    assert turning_point(make_signal(even), 0.0, CONTACT) == pytest.approx(0.3, abs=0.005)
    assert turning_point(make_signal(even), 0.0, 0.0) == 0.0
    assert turning_point(make_signal(even, 0.4), 0.1, 0.6) == pytest.approx(0.3, abs=0.005)


def test_without_a_way_back_the_stroke_begins_forward(make_signal: Make, even: np.ndarray) -> None:
    signal = make_signal(0.3 + 0.4 * even)  # from furthest back to furthest ahead
    assert turning_point(signal, 0.1, 0.5) == 0.1


def test_moments_are_carried_to_a_warped_copy(make_signal: Make, even: np.ndarray) -> None:
    """Within a sample, 1/60 s, whatever the size of the movement."""
    references = [reference(make_signal(even))]
    for pace, size in ((0.06, 1.0), (-0.06, 0.7), (0.05, 1.4)):
        signal = make_signal(paced(pace), size)
        found = carry_moments(references, [signal])[0]
        contact = float(np.interp(CONTACT, paced(pace), even))
        backswing = float(np.interp(0.3, paced(pace), even))
        assert found.contact == pytest.approx(contact, abs=1 / 60)
        assert found.backswing == pytest.approx(backswing, abs=1.5 / 60)
        assert (found.ready, found.end) == pytest.approx((0, 1), abs=1 / 60)


def test_the_median_over_references_counts(make_signal: Make, even: np.ndarray) -> None:
    """One of three was marked wrong by 0.15 s."""
    signal = make_signal(even)
    marks = [reference(signal), reference(signal), reference(signal, CONTACT + 0.15)]
    found = carry_moments(marks, [make_signal(even, 0.9)])[0]
    assert found.contact == pytest.approx(CONTACT, abs=1 / 60)
    assert found.spread == pytest.approx(0.0375, abs=0.005)


def test_references_agree_on_turning_points(make_signal: Make, even: np.ndarray) -> None:
    marks = [reference(make_signal(even)) for _ in range(3)]
    wrong = Moments(0.0, 0.45, CONTACT, 1.0)
    agreed = agreed_references([*marks, Reference(make_signal(even), wrong)])
    assert [item.moments.backswing for item in agreed] == pytest.approx([0.3] * 4, abs=0.01)
    assert [item.moments.contact for item in agreed] == [CONTACT] * 4


@settings(deadline=None, max_examples=40)
@given(factor=st.floats(-2, 3), seed=st.integers(0, 99))
def test_the_fit_is_the_factor(factor: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    path, sure = draw.normal(size=(20, 2)), draw.uniform(size=20)
    assert fitted(path * factor, path, sure) == pytest.approx(factor)
    assert residual(path * factor, path * factor, sure) == 0


def test_the_fit_ignores_what_is_across_and_what_is_not_believed() -> None:
    mean = np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    across = np.array([[0.0, 1.0], [0.0, -2.0], [0.0, 1.0]])
    assert fitted(mean + across, mean, np.ones(3)) == 1
    assert residual(mean + across, mean, np.ones(3)) == pytest.approx(np.sqrt(2))  # (1 + 4 + 1) / 3
    wild, sure = np.array([[-2.0, 0.0], [99.0, 9.0], [2.0, 0.0]]), np.array([1.0, 0.0, 1.0])
    assert fitted(wild, mean, sure) == pytest.approx(2)
    assert np.isnan(fitted(mean, np.zeros((3, 2)), np.ones(3)))
    assert centred(wild + np.array([5.0, 7.0]), sure)[[0, 2]] == pytest.approx(
        wild[[0, 2]], abs=0.1
    )


def test_gain_is_the_mean_of_fit_and_way() -> None:
    assert gain(0.5, 1.6, 0.8) == 1.0
    assert gain(-0.8, 0.2, 0.1) == pytest.approx(-np.sqrt(1.6))
    assert gain(0.0, 1.0, 1.0) == 0
    assert np.isnan(gain(1.0, 1.0, 0.0))


def test_chords_are_as_sure_as_what_they_span() -> None:
    path = np.cumsum([[0.0, 0.0], [3.0, 0.0], *[[0.0, 1.0]] * 6], axis=0)
    sure = np.array([0.7, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    lengths, weights = chords(path, sure)
    assert lengths.tolist() == [5, 5, 5]  # (3, 4) first, then straight up
    assert weights.tolist() == [0.7, 1.0, 1e-3]


def test_samples_far_off_count_little() -> None:
    """A quarter of the path jumps away; the rest says 0.8."""
    share = np.linspace(0, 2 * np.pi, 40)
    mean = np.stack([np.cos(share), np.sin(share)], axis=1)
    path = 0.8 * mean
    path[5:15] += [2.0, -1.0]
    weights = robust_weights(path, mean, np.ones(40))
    one, other = centred(path, weights), centred(mean, weights)
    assert fitted(one, other, weights) == pytest.approx(0.8, abs=0.02)
    assert weights[5:15].max() < 0.01
    plain = centred(path, np.ones(40)), centred(mean, np.ones(40))
    assert abs(fitted(*plain, np.ones(40)) - 0.8) > 0.1
    assert robust_weights(path, np.zeros_like(mean), np.ones(40)).tolist() == [1.0] * 40


@pytest.mark.parametrize("size", [0.6, 1.0, 1.5])
def test_a_larger_movement_has_its_gain(make_signal: Make, even: np.ndarray, size: float) -> None:
    one = reference(make_signal(even))
    signal = make_signal(even, size)
    found = measure(signal, one.moments, template([one]))
    for phase in PHASES:
        assert found[phase]["gain"] == pytest.approx(size, abs=1e-4)
        assert found[phase]["residual"] == pytest.approx(0, abs=1e-4)
    assert tuple(found["stroke"]) == MEASURES


def test_a_movement_towards_the_camera_counts_by_half(
    make_pose: Callable[..., ClipPose], even: np.ndarray
) -> None:
    """A wrist that moves in depth alone, 0.6 of a torso (0.5 m) back and forth."""
    found = []
    for size in (1.0, 1.4):
        pose = make_pose(even, 0.0)
        pose.world[:, 16, 2] = 0.3 * size * np.sin(2 * np.pi * even)
        signal = stroke_signal(pose, 0, 61)
        assert signal is not None
        found.append(signal)
    depth = found[0].arm[:, 2]
    assert found[0].arm[:, :2].std(axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert depth.max() == pytest.approx(0.3, abs=0.005)  # half of 0.3 m over 0.5 m
    moments = Moments(0.0, 0.3, 0.5, 1.0)
    values = measure(found[1], moments, template([Reference(found[0], moments)]))
    for phase in PHASES:
        assert values[phase]["gain"] == pytest.approx(1.4, abs=1e-4)


def test_gain_is_the_root_of_fit_times_chords(make_signal: Make, even: np.ndarray) -> None:
    one = reference(make_signal(even))
    plain = template([one])
    longer = Template(plain.path, plain.chords / 1.21)
    found = measure(one.signal, one.moments, longer)
    assert [found[name]["gain"] for name in PHASES] == pytest.approx([1.1] * 4)


def test_chords_hardly_see_a_trembling_hand() -> None:
    """A path that goes a torso in 60 samples, and noise of a hundredth: steps would double."""
    path = np.column_stack([np.linspace(0, 1, 60), np.zeros(60), np.zeros(60)])
    shaking = path + np.random.default_rng(0).normal(0, 0.01, path.shape)
    steps = np.linalg.norm(np.diff(shaking, axis=0), axis=1).sum()
    assert steps > 1.5
    lengths = [chords(item, np.ones(60))[0].sum() for item in (shaking, path)]
    assert 1 < lengths[0] / lengths[1] < 1.08


def test_durations_places_and_speed(make_signal: Make, even: np.ndarray) -> None:
    signal = make_signal(even)
    moments = Moments(0.0, 0.3, 0.5, 1.0)
    found = measure(signal, moments, template([Reference(signal, moments)]))
    assert [found[phase]["duration_s"] for phase in PHASES] == pytest.approx([0.3, 0.2, 0.5, 1])
    assert [found[phase]["duration_share"] for phase in PHASES] == pytest.approx([0.3, 0.2, 0.5, 1])
    # The shoulder is at (0.3, 1.0 up); the wrist (0.6, -0.2) from it, and -1 back or 0 at contact.
    assert found["backswing"]["wrist_x"] == pytest.approx(-0.1, abs=0.02)
    assert found["forward"]["wrist_x"] == pytest.approx(0.9, abs=0.02)
    assert found["forward"]["wrist_y"] == pytest.approx(0.8, abs=0.02)
    # A cosine from -1 to 1 in 0.4 s is fastest in its middle: pi / 0.4, times its slant.
    assert found["forward"]["peak_speed"] == pytest.approx(np.pi / 0.4 * np.hypot(1, 0.4), rel=0.03)
    assert found["stroke"]["peak_speed"] >= found["backswing"]["peak_speed"]


def test_a_stroke_without_time_has_no_shares(make_signal: Make, even: np.ndarray) -> None:
    signal = make_signal(even)
    found = measure(signal, Moments(0.5, 0.5, 0.5, 0.5), template([reference(signal)]))
    assert np.isnan(found["stroke"]["duration_share"])
    assert np.isnan([found[phase]["gain"] for phase in PHASES]).all()


def turning(
    make_pose: Callable[..., ClipPose], even: np.ndarray, degrees: np.ndarray, left: bool = False
) -> ClipPose:
    """The bat's shoulder goes back by so far in each frame, while the hips stay."""
    pose, angle = make_pose(even, left=left), np.deg2rad(degrees)
    side = -1.0 if left else 1.0
    for joint, sign in ((12, 1), (11, -1)):
        # The player looks away from the camera: back is towards it, z falls.
        pose.world[:, joint, 0] = sign * 0.2 * np.cos(angle)
        pose.world[:, joint, 2] = -sign * side * 0.2 * np.sin(angle)
    return pose


@pytest.mark.parametrize("left", [False, True])
def test_the_trunk_turns_back(
    make_pose: Callable[..., ClipPose], even: np.ndarray, left: bool
) -> None:
    pose = turning(make_pose, even, 30 * even, left)
    signal = stroke_signal(pose, 0, 61, "left" if left else "right")
    assert signal is not None
    found = trunk_turn(signal)
    assert found[30] == pytest.approx(15, abs=0.01)
    assert found[[0, 60]] == pytest.approx([0, 30], abs=0.6)  # an end is drawn to the middle


def test_without_metres_there_is_no_turn(
    make_pose: Callable[..., object], even: np.ndarray
) -> None:
    pose = make_pose(even)
    pose.world[:] = 0
    signal = stroke_signal(pose, 0, 61)
    assert signal is not None
    found = measure(signal, Moments(0.0, 0.3, 0.5, 1.0), template([reference(signal)]))
    assert np.isnan(found["backswing"]["trunk_turn"])
    assert not signal.has_depth


def test_strokes_with_and_without_metres_meet_in_the_picture(
    make_pose: Callable[..., ClipPose], even: np.ndarray
) -> None:
    """A wrist that also moves in depth by 0.6 of a torso."""
    moments = Moments(0.0, 0.3, 0.5, 1.0)

    def signal(metres: bool, size: float = 1.0) -> StrokeSignal:
        pose = make_pose(even, size)
        pose.world[:, 16, 2] = 0.3 * np.sin(2 * np.pi * even)
        pose.world[:] *= metres
        found = stroke_signal(pose, 0, 61)
        assert found is not None
        return found

    deep, flat = Reference(signal(True), moments), Reference(signal(False), moments)
    for references, size, metres in (([deep], 1.3, False), ([flat, deep], 1.3, True)):
        found = measure(signal(metres, size), moments, template(references))
        for phase in PHASES:
            assert found[phase]["gain"] == pytest.approx(size, abs=1e-4)
            assert found[phase]["residual"] == pytest.approx(0, abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(
    scale=st.floats(0.7, 1.3),
    shift=st.floats(-200, 400),
    left=st.booleans(),
    size=st.floats(0.6, 1.5),
)
def test_measures_do_not_depend_on_how_it_is_filmed(
    make_signal: Make, even: np.ndarray, scale: float, shift: float, left: bool, size: float
) -> None:
    one = reference(make_signal(even))
    signals = make_signal(even, size), make_signal(even, size, scale=scale, shift=shift, left=left)
    plain, found = (
        measure(item, carry_moments([one], [item])[0], template([one])) for item in signals
    )
    for phase in PHASES:
        for name in MEASURES:
            expected = pytest.approx(plain[phase][name], abs=2e-3, nan_ok=True)
            assert found[phase][name] == expected, (phase, name)


def test_paths_are_laid_upon_each_other_by_phase(make_signal: Make, even: np.ndarray) -> None:
    """Another pace of the phases is no other path."""
    signal, other = make_signal(even), make_signal(paced(0.1))
    warped = [float(np.interp(at, paced(0.1), even)) for at in (0.0, 0.3, 0.5, 1.0)]
    one, sure = phase_path(signal, Moments(0.0, 0.3, 0.5, 1.0))
    assert one.shape == (60, 3)
    assert sure.tolist() == [1.0] * 60
    assert np.abs(one - phase_path(other, Moments(*warped))[0]).max() < 0.15


def test_an_arm_that_is_not_seen_well_does_not_count(
    make_pose: Callable[..., object], make_signal: Make, even: np.ndarray
) -> None:
    """A network that takes one arm for the other for four frames, unsurely, changes little."""
    one = reference(make_signal(even))
    pose = make_pose(even, 0.8)
    pose.points[14:18, 14:17:2] -= [60, 0]
    pose.visibility[14:18, 16] = 0.6
    signal = stroke_signal(pose, 0, 61)
    assert signal is not None
    assert signal.sure[[10, 15, 25]] == pytest.approx([1, (0.6 / 0.9) ** 8, 1])
    found = carry_moments([one], [signal])[0]
    assert found.contact == pytest.approx(CONTACT, abs=2 / 60)
    sizes = measure(signal, one.moments, template([one]))
    assert sizes["stroke"]["gain"] == pytest.approx(0.8, abs=0.06)


def unknown(found: Mapping[str, Mapping[str, float]]) -> set[tuple[str, str]]:
    return {(phase, name) for phase in PHASES for name in MEASURES if np.isnan(found[phase][name])}


def test_where_the_hand_is_hidden_its_way_is_not_measured(
    make_pose: Callable[..., ClipPose], make_signal: Make, even: np.ndarray
) -> None:
    """In 8 of the 19 frames of the backswing, which are 8 of 61 of the stroke."""
    one = reference(make_signal(even))
    pose = make_pose(even)
    pose.visibility[6:14, 16] = 0.4
    signal = stroke_signal(pose, 0, 61)
    assert signal is not None
    assert signal.seen(*one.moments.phase("backswing")) == pytest.approx(11 / 19, abs=0.02)
    found = measure(signal, one.moments, template([one]))
    assert unknown(found) == {("backswing", name) for name in ("gain", "peak_speed", "residual")}
    (said,) = hidden(signal, one.moments)
    assert "more than a third of the backswing: its way is not measured" in said


def test_a_place_is_not_measured_where_the_hand_is_hidden_there(
    make_pose: Callable[..., ClipPose], make_signal: Make, even: np.ndarray
) -> None:
    """In 8 of 30 frames of the follow-through, its last ones."""
    one = reference(make_signal(even))
    pose = make_pose(even)
    pose.visibility[53:, 16] = 0.4
    signal = stroke_signal(pose, 0, 61)
    assert signal is not None
    found = measure(signal, one.moments, template([one]))
    assert unknown(found) == {
        (phase, name) for phase in ("follow_through", "stroke") for name in ("wrist_x", "wrist_y")
    }
    assert not list(hidden(signal, one.moments))


def test_a_phase_shorter_than_a_sample_is_hidden_with_what_is_around_it(
    make_pose: Callable[..., ClipPose], even: np.ndarray
) -> None:
    pose = make_pose(even)
    pose.visibility[:, 16] = 0.4
    signal = stroke_signal(pose, 0, 61)
    assert signal is not None
    assert signal.seen(0.301, 0.312) == 0


def test_a_turn_is_the_short_way_round(
    make_pose: Callable[..., ClipPose], make_signal: Make, even: np.ndarray
) -> None:
    """Front and back taken for each other on the way would count as 350 degrees."""
    one = reference(make_signal(even))
    pose = turning(make_pose, even, np.interp(even, [0.2, 0.8], [0, 350]))
    signal = stroke_signal(pose, 0, 61)
    assert signal is not None
    turn = measure(signal, one.moments, template([one]))["stroke"]["trunk_turn"]
    assert turn == pytest.approx(-10, abs=1)


def test_shoulders_that_jump_or_are_hardly_seen_turn_no_further(
    make_pose: Callable[..., ClipPose], make_signal: Make, even: np.ndarray
) -> None:
    """For two frames at the turning point the network has the one for the other."""
    one = reference(make_signal(even))
    pose = turning(make_pose, even, np.interp(even, [0.0, 0.3, 1.0], [0, 40, 0]))
    pose.world[17:19, [11, 12]] = pose.world[17:19, [12, 11]]
    pose.visibility[:, [11, 12]] = 0.3
    signal = stroke_signal(pose, 0, 61)
    assert signal is not None
    turn = measure(signal, one.moments, template([one]))["backswing"]["trunk_turn"]
    assert turn == pytest.approx(37, abs=3)


@pytest.mark.parametrize("first", [10, 22, 28, 34])
def test_moments_stay_though_the_wrist_jumps(
    make_pose: Callable[..., ClipPose], make_signal: Make, even: np.ndarray, first: int
) -> None:
    """To the other wrist for five frames, surely: it moved contact or turning by up to 0.12 s."""
    references = [reference(make_signal(even, size)) for size in (0.9, 1.0, 1.1)]
    pose = make_pose(even)
    pose.points[first : first + 5, 16] = pose.points[first : first + 5, 15]
    signal = stroke_signal(pose, 0, 61)
    assert signal is not None
    found = carry_moments(references, [signal])[0]
    assert found.contact == pytest.approx(CONTACT, abs=0.003)
    assert found.backswing == pytest.approx(0.3, abs=0.003)


def test_an_end_without_a_reason_to_stray_stays(
    make_pose: Callable[..., ClipPose], even: np.ndarray
) -> None:
    """Before a stroke that is still nothing is more like the references than anything else."""
    signal = signal_between(make_pose, np.zeros(61), 0, 61)
    moving = outer_moves(signal_between(make_pose, even, 0, 61), (20 / 60, 38 / 60))
    assert outer_end(moving[None], signal, (30 / 60, 45 / 60)) == pytest.approx(0.5, abs=0.005)


def test_a_fast_hand_is_as_fast_as_it_is(make_signal: Make) -> None:
    """What removes jumps would remove it: 0.4 s for 4 m of way in half the time."""
    share = np.concatenate([np.zeros(18), np.linspace(0, 1, 25), np.ones(18)])
    one = reference(make_signal(share))
    speed = measure(one.signal, one.moments, template([one]))["stroke"]["peak_speed"]
    # Two torso lengths of a half cosine in 0.4 of 0.4 s, sideways and 0.4 of it up.
    assert speed == pytest.approx(np.pi * np.hypot(1, 0.4) / 0.16, rel=0.12)


def test_references_are_carried_to_as_other_strokes(make_signal: Make) -> None:
    marked = [reference(make_signal(paced(pace))) for pace in (-0.1, 0.0, 0.05, 0.1)]
    found = carry_among(marked)
    for index, one in enumerate(marked):
        others = [item for item in marked if item is not one]
        assert found[index] == carry_moments(others, [one.signal])[0]


@pytest.mark.parametrize("slow", [0.75, 1.0, 1.4])
@pytest.mark.parametrize(("early", "late"), [(6, 6), (-6, -6), (6, -6), (0, 0)])
def test_a_stroke_begins_and_ends_where_it_moves_whatever_its_clip_says(
    make_pose: Callable[..., ClipPose], even: np.ndarray, slow: float, early: int, late: int
) -> None:
    """A clip that is 6 frames too long or too short, of a slower or faster backswing.

    Straying from what the clip says has its price, so at most 2.5 of the 6 frames are left.
    """
    first = signal_between(make_pose, even, 0, 61)
    reference = Reference(first, Moments(20 / 60, 38 / 60, 50 / 60, 80 / 60))
    ahead = np.interp(np.arange(0, 18 * slow) / (18 * slow), [0, 1], [0, 0.3])
    share = np.concatenate([ahead, even[18:]])
    signal = signal_between(make_pose, share, -early, len(share) + late)
    found = carry_moments([reference], [signal])[0]
    assert found.ready * 60 == pytest.approx(20, abs=2.6)
    assert found.end * 60 == pytest.approx(20 + len(share) - 1, abs=2.6)
    assert found.backswing * 60 == pytest.approx(20 + 18 * slow, abs=2)


def signal_between(
    make_pose: Callable[..., ClipPose], share: np.ndarray, first: int, last: int
) -> StrokeSignal:
    """The signal of frames [first, last) of a movement, with a third of a second of rest around."""
    rest = np.concatenate([np.zeros(20), share, np.ones(20)])
    found = stroke_signal(make_pose(rest), 20 + first, 20 + last)
    assert found is not None
    return found
