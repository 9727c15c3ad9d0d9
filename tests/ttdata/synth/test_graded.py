"""Graded sessions: which strokes, how long, how large, and the truth of what became of them."""

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import ttdata
from ttdata.synth.ball import ball_track
from ttdata.synth.body.figure import figure
from ttdata.synth.config import SynthConfig
from ttdata.synth.crowd import annotate
from ttdata.synth.graded.grade import Levels
from ttdata.synth.graded.joints import true_pose
from ttdata.synth.graded.truth import QualityTruth, quality_rows
from ttdata.synth.motion import TURN_LIMIT_RAD, channels, track
from ttdata.synth.plan import VideoPlan, plan_video

HIT, PUSH, SERVE = "Offensive Forehand Hit", "Defensive Backhand Push", "Serve Backhand Loop"
OLD = Path(__file__).parents[1] / "fixtures" / "dataset_before_rooms"
EXACT = {"variation": 0.0, "session_spread": 0.0}
"""A player who plays a stroke every time alike."""


def graded(count: int = 1, grades: dict | None = None, **values: object) -> list[VideoPlan]:
    small = {"num_players": 1, "num_videos": count, "width": 160, "height": 90, "strokes": (HIT,)}
    config = SynthConfig.model_validate(small | {"graded": True, "grades": grades or {}} | values)
    return [plan_video(config, index) for index in range(count)]


def rows(grades: dict | None = None, **values: object) -> list[QualityTruth]:
    return [row for plan in graded(1, grades, **values) for row in quality_rows(plan)]


def by_kind(found: list[QualityTruth], kind: str) -> list[QualityTruth]:
    return [row for row in found if row.kind == kind]


@pytest.fixture(scope="module")
def exact() -> list[QualityTruth]:
    return rows({**EXACT, "references": 1, "unchanged": 1})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"grades": {"mixed": 1}}, "graded=true"),
        ({"graded": True, "matches": True}, "no matches"),
        ({"graded": True, "players_per_video": 2}, "one player"),
        ({"graded": True, "seconds": 20}, "leave seconds out"),
        ({"graded": True, "grades": {"references": 0, "unchanged": 0, "graded": 0}}, "without str"),
        ({"graded": True, "grades": {"amplitude": [0.1]}}, "0.3"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SynthConfig.model_validate(values)


def test_other_sources_are_what_they_were() -> None:
    """The dataset was made by a release that knew no grades; its crowd says the same today."""
    strokes = ("Offensive Forehand Hit", "Defensive Backhand Push")
    config = SynthConfig(num_videos=3, num_players=3, seconds=5, fps=15, width=160, height=90,
                         seed=3, strokes=strokes)  # fmt: skip
    made = [
        (plan.video_id, one.annotator_id, one.start_frame, one.end_frame)
        for plan in (plan_video(config, index) for index in range(3))
        for one in annotate(plan)
        if one.start_frame is not None
    ]
    columns = ("video_id", "annotator_id", "start_frame", "end_frame")
    assert sorted(made) == sorted(ttdata.load_dataset(OLD).annotations.select(columns).rows())
    assert "grades" not in config.recorded()


def test_a_session_holds_exactly_what_is_asked() -> None:
    grades = {"references": 3, "reference_sessions": 1, "unchanged": 2, "graded": 2, "mixed": 1,
              "turn": (), "height": (0.1,), "amplitude": (0.7, 1.0, 1.3)}  # fmt: skip
    first, second = graded(2, grades, strokes=(HIT, PUSH))
    planned = [
        Counter((e.label, e.grade.kind) for e in p.strokes if e.grade) for p in (first, second)
    ]
    planted = {"amplitude": 6, "backswing_time": 4, "forward_time": 4, "follow_time": 4,
               "height": 2, "mixed": 1, "unchanged": 2}  # fmt: skip
    again = {(label, kind): count for label in (HIT, PUSH) for kind, count in planted.items()}
    assert planned == [again | {(HIT, "reference"): 3, (PUSH, "reference"): 3}, again]
    assert first.session_id != second.session_id


def test_a_session_may_be_of_several_videos() -> None:
    plans = graded(4, {"videos_per_session": 2, "reference_sessions": 1})
    assert [plan.session_id for plan in plans] == ["session_000"] * 2 + ["session_001"] * 2
    assert [len(plan.strokes) for plan in plans] == [10, 10, 8, 8]
    kinds = Counter(e.grade.kind for plan in plans[:2] for e in plan.strokes if e.grade)
    assert (kinds["reference"], kinds["unchanged"], kinds["amplitude"]) == (4, 2, 4)
    assert plans[0].view.azimuth_rad == plans[1].view.azimuth_rad != plans[2].view.azimuth_rad
    assert plans[0].seats[0].player == plans[1].seats[0].player


def test_moments_are_frames_of_a_timeline_that_fills_the_video() -> None:
    (plan,) = graded()
    edges = [(event.start_frame, event.end_frame) for event in plan.events]
    assert (edges[0][0], edges[-1][1]) == (0, plan.num_frames)
    assert all(one[1] == two[0] for one, two in itertools.pairwise(edges))
    for event, row in zip(plan.strokes, quality_rows(plan), strict=True):
        moments = (row.ready_frame, row.backswing_frame, row.contact_frame, row.end_frame)
        assert (moments[0], moments[-1]) == (event.start_frame, event.end_frame)
        assert all(one < two for one, two in itertools.pairwise(moments))
        seconds = (row.backswing_seconds, row.forward_seconds, row.follow_seconds)
        assert seconds == tuple(float(length) for length in np.diff(moments) / plan.config.fps)


@pytest.mark.parametrize("phase", ["backswing", "forward", "follow"])
def test_each_phase_is_scaled_on_its_own(exact: list[QualityTruth], phase: str) -> None:
    plain = by_kind(exact, "unchanged")[0]
    scaled = by_kind(exact, f"{phase}_time")
    assert {getattr(row, f"asked_{phase}_time") for row in scaled} == {0.7, 1.4}
    for row in scaled:
        for name in ("backswing", "forward", "follow"):
            factor = getattr(row, f"asked_{phase}_time") if name == phase else 1.0
            wanted = factor * getattr(plain, f"{name}_seconds")
            assert getattr(row, f"{name}_seconds") == pytest.approx(wanted, abs=1.01 / 120)
        assert row.amplitude == pytest.approx(1.0, abs=1e-9)


def test_a_phase_that_is_asked_too_short_is_recorded_as_it_was_played() -> None:
    (row,) = by_kind(rows({**EXACT, "forward_time": (0.3,)}), "forward_time")
    assert row.asked_forward_time == 0.3
    assert row.forward_seconds == pytest.approx(0.08, abs=0.5 / 120)


def test_amplitude_within_reach_is_what_was_asked(exact: list[QualityTruth]) -> None:
    sized = sorted(by_kind(exact, "amplitude"), key=lambda row: row.asked_amplitude)
    assert [row.asked_amplitude for row in sized] == [0.6, 0.8, 1.25, 1.5]
    for row in sized:
        assert row.gain == pytest.approx(row.asked_amplitude, abs=0.02)
        assert row.amplitude == pytest.approx(row.asked_amplitude, abs=0.04)
    paths = [row.path_torso for row in sized]
    assert paths == sorted(paths)


def test_amplitude_beyond_the_arm_is_recorded_as_it_was_played() -> None:
    sized = by_kind(
        rows({**EXACT, "amplitude": (0.6, 1.0, 1.5, 2.0)}, strokes=(SERVE,)), "amplitude"
    )
    sized.sort(key=lambda row: row.asked_amplitude)
    realised = [row.amplitude for row in sized]
    assert realised == sorted(realised)
    assert realised[0] == pytest.approx(0.6, abs=0.02)
    assert realised[2] < 1.3
    assert realised[3] < 1.6
    assert [row.gain for row in sized] == sorted(row.gain for row in sized)


def test_the_turn_of_the_trunk_is_scaled_alone_and_has_a_limit() -> None:
    found = rows({**EXACT, "turn": (0.5, 1.5, 2.5), "unchanged": 1})
    (plain,) = by_kind(found, "unchanged")
    half, more, most = sorted(by_kind(found, "turn"), key=lambda row: row.asked_turn)
    assert plain.trunk_turn_deg > 20  # a forehand: the bat shoulder goes back
    sway = 4.0  # degrees
    assert half.trunk_turn_deg == pytest.approx(0.5 * plain.trunk_turn_deg, abs=sway)
    assert more.trunk_turn_deg == pytest.approx(1.5 * plain.trunk_turn_deg, abs=sway)
    limit = np.rad2deg(TURN_LIMIT_RAD)
    assert most.yaw_backswing_deg == pytest.approx(limit, abs=sway)
    assert 2.5 * plain.trunk_turn_deg > limit + sway  # as asked it would be more
    for row in (half, more, most):
        assert row.amplitude == pytest.approx(1.0, abs=0.02)


def test_contact_is_higher_or_lower() -> None:
    (plan,) = graded(1, {**EXACT, "height": (-0.2, 0.3)})
    plain = tuple(
        replace(event, grade=replace(event.grade, levels=Levels())) if event.grade else event
        for event in plan.events
    )
    for row, without in zip(
        quality_rows(plan), quality_rows(replace(plan, events=plain)), strict=True
    ):
        if row.asked_amplitude == 1 and row.asked_turn == 1:
            higher = row.contact_height - without.contact_height
            assert higher == pytest.approx(row.asked_height, abs=0.01)


def test_mixed_strokes_have_every_grade_between_the_levels() -> None:
    grades = {"references": 0, "unchanged": 0, "graded": 0, "mixed": 12, "turn": ()}
    found = rows(grades)
    assert {row.kind for row in found} == {"mixed"}
    assert len({row.asked_amplitude for row in found}) == 12
    for row in found:
        assert 0.6 <= row.asked_amplitude <= 1.5
        assert 0.7 <= row.asked_forward_time <= 1.4
        assert -0.2 <= row.asked_height <= 0.2
        assert row.asked_turn == 1.0


@settings(max_examples=15, deadline=None)
@given(
    amplitude=st.floats(0.3, 2.5),
    forward=st.floats(0.3, 2.5),
    turn=st.floats(0.3, 2.5),
    height=st.floats(-0.5, 0.5),
    label=st.sampled_from([HIT, PUSH, SERVE]),
    seed=st.integers(0, 5),
)
def test_no_stroke_is_larger_than_asked_nor_backwards(
    amplitude: float, forward: float, turn: float, height: float, label: str, seed: int
) -> None:
    levels = {"amplitude": (amplitude,), "forward_time": (forward,), "turn": (turn,),
              "height": (height,), "backswing_time": (), "follow_time": ()}  # fmt: skip
    grades = {"references": 0, "unchanged": 1, **levels}
    for row in rows(grades, strokes=(label,), seed=seed, fps=30):
        assert row.ready_frame < row.backswing_frame < row.contact_frame < row.end_frame
        assert 0.2 < row.gain < row.asked_amplitude + 0.05 + abs(row.asked_height)
        assert abs(row.yaw_backswing_deg) < np.rad2deg(TURN_LIMIT_RAD) + 4


def test_sessions_differ_a_little() -> None:
    plans = graded(6, {"graded": 0})
    azimuths = [np.rad2deg(plan.view.azimuth_rad) for plan in plans]
    assert min(azimuths) >= 20
    assert max(azimuths) <= 28
    players = [plan.seats[0].player for plan in plans]
    assert {player.player_id for player in players} == {"player_00"}
    assert len({player.shirt for player in players}) == 6
    assert np.ptp([player.tempo for player in players]) < 0.12
    same = graded(3, {"graded": 0, "session_spread": 0, "azimuth_spread_deg": 0})
    assert len({plan.view.azimuth_rad for plan in same}) == 1
    assert len({plan.seats[0].player.tempo for plan in same}) == 1


def test_left_handers_have_the_same_signs() -> None:
    right = rows({**EXACT, "references": 1, "unchanged": 0, "graded": 0})[0]
    left = rows({**EXACT, "references": 1, "unchanged": 0, "graded": 0}, left_handed_share=1)[0]
    assert (right.left_handed, left.left_handed) == (False, True)
    for name in ("trunk_turn_deg", "path_torso", "contact_height", "azimuth_deg", "gain"):
        assert getattr(left, name) == pytest.approx(getattr(right, name), rel=1e-9), name


def test_equal_seeds_equal_rows() -> None:
    first = rows()
    assert rows() == first
    assert rows(seed=1) != first
    assert rows({"variation": 1.0}) != first


@pytest.mark.parametrize("label", [HIT, SERVE])
def test_the_ball_is_hit_at_the_moment_of_contact(label: str) -> None:
    (plan,) = graded(1, {"references": 0, "unchanged": 0, "amplitude": ()}, strokes=(label,))
    frames = [row.contact_frame for row in quality_rows(plan)]
    poses = channels(plan, 0, track(plan, 0), 0, plan.num_frames)
    figures = [figure(poses, plan.seats[0], plan.view)]
    across = ball_track(plan, figures, 0, plan.num_frames)[:, 0]
    forward = np.diff(across) > 0  # a right-hander plays to the right
    for contact in frames:
        assert np.isfinite(across[contact - 3 : contact + 4]).all()
        assert forward[contact : contact + 3].all()
        if label == HIT:
            assert not forward[contact - 3 : contact].any()


def test_the_crowd_annotates_strokes_shorter_than_its_errors() -> None:
    short = {"amplitude": (), "turn": (), "height": (), "references": 0, "unchanged": 0,
             "backswing_time": (0.3,), "forward_time": (0.3,), "follow_time": (0.3,),
             "graded": 0, "mixed": 20}  # fmt: skip
    (plan,) = graded(1, short, crowd={"too_short_rate": 0.5, "skill_spread": 0.0})
    assert min(e.end_frame - e.start_frame for e in plan.strokes) < 60  # half a second
    made = [one for one in annotate(plan) if one.planted_error == "too_short"]
    assert len(made) > 10
    for one in made:
        assert one.start_frame is not None
        assert one.end_frame is not None
        assert one.stroke.start_frame <= one.start_frame < one.end_frame <= one.stroke.end_frame


def test_the_arm_turns_back_at_the_backswing_of_every_class() -> None:
    """Within two frames the bat wrist, as seen from the shoulder, is farthest against its swing.

    Blocks are left out: they hardly move the hand.
    """
    every = tuple(label for label in SynthConfig().strokes if "Block" not in label)
    (plan,) = graded(1, {"references": 1, "unchanged": 0, "graded": 0}, strokes=every)
    assert {stroke.label for stroke in plan.strokes} == set(every)
    _, world, _ = true_pose(plan, 0, plan.num_frames)
    paths = world[:, 16] - world[:, 12]
    for row in quality_rows(plan):
        path = paths[row.ready_frame : row.contact_frame + 1]
        backswing = row.backswing_frame - row.ready_frame
        along = path @ (path[-1] - path[backswing])
        assert abs(int(along.argmin()) - backswing) <= 2, row.label
