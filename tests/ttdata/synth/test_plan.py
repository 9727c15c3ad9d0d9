"""The timeline of synthetic videos: legal, complete, and free of shortcuts to the class."""

import itertools

import numpy as np
import pytest
from pydantic import ValidationError

from ttdata.synth.body.figure import figure
from ttdata.synth.config import CrowdConfig, SynthConfig
from ttdata.synth.motion import channels, track
from ttdata.synth.plan import VideoPlan, plan_video
from ttdata.synth.strokes import stroke_keys
from ttdata.synth.timeline import GAP_WIDENING_FRAMES
from ttdata.taxonomy import TTSTROKE21

SMALL = {"width": 320, "height": 180}


@pytest.fixture(scope="module")
def plans() -> list[VideoPlan]:
    config = SynthConfig(num_videos=40, num_players=10, seconds=30, seed=1, **SMALL)
    return [plan_video(config, index) for index in range(config.num_videos)]


def seconds(plan: VideoPlan) -> list[float]:
    return [(s.end_frame - s.start_frame) / plan.config.fps for s in plan.strokes]


def test_plan_repeats() -> None:
    config = SynthConfig(seed=4)
    assert plan_video(config, 2) == plan_video(config, 2)
    assert plan_video(config, 2).events != plan_video(SynthConfig(seed=5), 2).events


@pytest.mark.parametrize("change", [{"flicker": 0.0}, {"noise": 0.0}, {"shake": 0.0}])
def test_disturbances_leave_the_plan(change: dict[str, float]) -> None:
    plain, other = plan_video(SynthConfig(), 1), plan_video(SynthConfig(**change), 1)
    assert (plain.events, plain.seats, plain.view) == (other.events, other.seats, other.view)


def test_events_fill_the_video_in_order(plans: list[VideoPlan]) -> None:
    for plan in plans:
        edges = [(event.start_frame, event.end_frame) for event in plan.events]
        assert edges[0][0] == 0
        assert edges[-1][1] == plan.num_frames
        assert all(left[1] == right[0] for left, right in itertools.pairwise(edges))
        assert all(start < end for start, end in edges)


def test_videos_hold_enough_actions_for_negatives(plans: list[VideoPlan]) -> None:
    assert min(len(plan.strokes) for plan in plans) >= 11


def test_durations_are_legal(plans: list[VideoPlan]) -> None:
    durations = [value for plan in plans for value in seconds(plan)]
    assert min(durations) >= 0.69
    assert max(durations) <= 2.11


def test_widened_gaps_last_as_long_as_strokes(plans: list[VideoPlan]) -> None:
    """Negatives are gaps widened by curation: their durations must not give them away."""
    durations = [value for plan in plans for value in seconds(plan)]
    gaps = [
        (right.start_frame - left.end_frame + GAP_WIDENING_FRAMES) / plan.config.fps
        for plan in plans
        for left, right in itertools.pairwise(plan.strokes)
    ]
    assert len(gaps) > 400
    assert kolmogorov(durations, gaps) < 1.63 * np.sqrt(2 / len(gaps))  # 1 % level


def kolmogorov(first: list[float], second: list[float]) -> float:
    """The largest distance of two empirical distribution functions."""
    at = np.sort(np.concatenate([first, second]))
    shares = [
        np.searchsorted(np.sort(values), at, side="right") / len(values)
        for values in (first, second)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def test_classes_are_balanced_within_players(plans: list[VideoPlan]) -> None:
    by_player: dict[str, list[str]] = {}
    for plan in plans:
        labels = [str(stroke.label) for stroke in plan.strokes]
        by_player.setdefault(str(plan.player_id), []).extend(labels)
    for labels in by_player.values():
        counts = [labels.count(name) for name in plans[0].config.strokes]
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("feature", ["duration", "start"])
def test_timing_tells_nothing_of_the_class(plans: list[VideoPlan], feature: str) -> None:
    """Nearest neighbour on unseen players stays at chance, 1 of 20."""
    rows = [
        ((s.end_frame - s.start_frame, s.start_frame)[feature == "start"], s.label, plan.index % 10)
        for plan in plans
        for s in plan.strokes
    ]
    values, labels, players = (np.array(column) for column in zip(*rows, strict=True))
    train, test = players < 6, players >= 6
    nearest = np.abs(values[test][:, None] - values[train][None]).argmin(axis=1)
    accuracy = (labels[train][nearest] == labels[test]).mean()
    assert accuracy < 0.05 + 3 * np.sqrt(0.05 * 0.95 / test.sum())


def bat_paths(plan: VideoPlan) -> list[np.ndarray]:
    """The bat's way in each stroke as the camera sees it: 16 points relative to the body."""
    keys = track(plan, 0)
    paths = []
    for stroke in plan.strokes:
        pose = channels(plan, 0, keys, stroke.start_frame, stroke.end_frame)
        drawn = figure(pose, plan.seats[0], plan.view)
        steps = np.linspace(0, len(pose) - 1, 16).astype(int)
        path = drawn.blade_xy[steps] - (drawn.axis_x[0], plan.view.origin_xy[1])
        paths.append((path * (-plan.seats[0].end, 1)).ravel())
    return paths


def test_strokes_are_told_apart_by_the_bat(plans: list[VideoPlan]) -> None:
    """Nearest class mean of noisy paths of unseen players."""
    train = [(p, s.label) for plan in plans[:6] + plans[10:16] for p, s in paired(plan)]
    test = [(p, s.label) for plan in plans[6:10] + plans[16:20] for p, s in paired(plan)]
    means = {
        name: np.mean([path for path, label in train if label == name], axis=0)
        for name in plans[0].config.strokes
    }
    hits = [
        min(means, key=lambda n: np.sum((path - means[n]) ** 2)) == label for path, label in test
    ]
    assert len(hits) > 80
    assert np.mean(hits) > 0.9
    spread = [np.sqrt(np.mean((a - b) ** 2)) for a in means.values() for b in means.values()]
    assert min(value for value in spread if value > 0) < 0.35 * np.median(spread)  # siblings


def paired(plan: VideoPlan):
    return zip(bat_paths(plan), plan.strokes, strict=True)


def test_bat_reaches_out_in_every_stroke(plans: list[VideoPlan]) -> None:
    """30 px from the body's axis in a frame of 320 x 180."""
    for plan in plans[:10]:
        keys = track(plan, 0)
        for stroke in plan.strokes:
            pose = channels(plan, 0, keys, stroke.start_frame, stroke.end_frame)
            drawn = figure(pose, plan.seats[0], plan.view)
            assert np.abs(drawn.blade_xy[:, 0] - drawn.axis_x).max() >= 30, stroke


def test_motion_is_continuous() -> None:
    plan = plan_video(SynthConfig(seconds=20, **SMALL), 0)
    pose = channels(plan, 0, track(plan, 0), 0, plan.num_frames)
    blade = figure(pose, plan.seats[0], plan.view).blade_xy
    assert np.abs(np.diff(blade, axis=0)).max() < 9  # a bat moves at most 15 m/s


def test_any_frame_can_be_had_alone() -> None:
    plan = plan_video(SynthConfig(seconds=10, **SMALL), 0)
    keys = track(plan, 0)
    whole = channels(plan, 0, keys, 0, plan.num_frames)
    np.testing.assert_array_equal(channels(plan, 0, keys, 500, 510), whole[500:510])


def test_every_stroke_has_a_movement_of_its_own() -> None:
    movements = {
        label: tuple((key.at, key.pose) for key in stroke_keys(label))
        for label in SynthConfig().strokes
    }
    assert len(set(movements.values())) == len(TTSTROKE21.strokes) == 20
    assert all(
        len(keys) == (5 if label.startswith("Serve") else 3) for label, keys in movements.items()
    )


def test_unknown_stroke_has_no_movement() -> None:
    with pytest.raises(ValueError, match="no movement for 'Smash'"):
        stroke_keys("Smash")


def test_two_players_alternate_with_little_overlap() -> None:
    config = SynthConfig(num_players=4, players_per_video=2, seconds=60, **SMALL)
    plan = plan_video(config, 1)
    strokes = plan.strokes
    assert plan.player_id is None
    assert {plan.seats[s.seat].player.player_id for s in strokes} == {"player_02", "player_03"}
    overlaps = 0
    for left, right in itertools.pairwise(strokes):
        assert left.seat != right.seat
        overlap = left.end_frame - right.start_frame
        shorter = min(left.end_frame - left.start_frame, right.end_frame - right.start_frame)
        assert overlap <= 0.25 * shorter
        overlaps += overlap > 0
    assert overlaps > 3
    assert plan.region(0)[2] <= 0.5 <= plan.region(1)[0]


def test_left_handers_are_the_asked_share() -> None:
    config = SynthConfig(num_players=10, num_videos=10, left_handed_share=0.3)
    seats = [plan_video(config, index).seats[0] for index in range(10)]
    assert sum(seat.player.handedness == -1 for seat in seats) == 3
    assert all(seat.end == -seat.player.handedness for seat in seats)  # filmed mirrored


def test_videos_shorter_than_a_stroke_have_none() -> None:
    plan = plan_video(SynthConfig(seconds=0.5), 0)
    assert plan.num_frames == 60
    assert plan.strokes == ()


@pytest.mark.parametrize("fps", [10.0, 25.0, 59.94, 240.0])
def test_other_rates(fps: float) -> None:
    plan = plan_video(SynthConfig(fps=fps, seconds=30), 0)
    assert len(plan.strokes) >= 11
    assert all(0.6 <= value <= 2.3 for value in seconds(plan))


def test_configuration_reads_any_spelling() -> None:
    config = SynthConfig(strokes=("Serve Forehand Loop", "off. forehand hit"))
    assert config.strokes == ("Offensive Forehand Hit", "Serve Forehand Loop")
    assert config.taxonomy.classes == (*config.strokes, "Negative")
    assert SynthConfig().taxonomy == TTSTROKE21


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strokes": ("Smash",)}, "unknown stroke 'Smash'"),
        ({"strokes": ("Negative",)}, "unknown stroke 'Negative'"),
        ({"strokes": ("Off Forehand Hit", "Offensive Forehand Hit")}, "there twice"),
        ({"min_stroke_seconds": 1.8}, "exceeds max_stroke_seconds"),
        ({"num_players": 1, "players_per_video": 2}, "exceeds num_players"),
        ({"width": 641}, "multiple of 2"),
    ],
)
def test_bad_configurations(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SynthConfig.model_validate(values)


def test_error_rates_leave_room_for_correct_marks() -> None:
    with pytest.raises(ValidationError, match="error rates sum"):
        CrowdConfig(missed_rate=0.9)
