"""Whole matches: rallies and breaks, what players do in them, half-annotated videos."""

import itertools
from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from ttdata.synth.ball import ball_track, find_pickups
from ttdata.synth.between import swing_keys
from ttdata.synth.body.figure import figure
from ttdata.synth.config import SynthConfig
from ttdata.synth.crowd import annotate, covered_spans
from ttdata.synth.motion import channels, track
from ttdata.synth.plan import VideoPlan, plan_video
from ttdata.synth.render import render
from ttdata.synth.timeline import Event


def matches(num_videos: int = 12, **values: object) -> list[VideoPlan]:
    defaults = {"num_players": 6, "seconds": 60, "width": 320, "height": 180, "matches": True}
    config = SynthConfig.model_validate({"num_videos": num_videos, **defaults, **values})
    return [plan_video(config, index) for index in range(num_videos)]


@pytest.fixture(scope="module")
def single() -> list[VideoPlan]:
    return matches()


@pytest.fixture(scope="module")
def pairs() -> list[VideoPlan]:
    return matches(players_per_video=2)


def of_seat(plan: VideoPlan, seat: int) -> list[Event]:
    return [event for event in plan.events if event.seat == seat]


def test_a_match_repeats(single: list[VideoPlan]) -> None:
    assert plan_video(single[3].config, 3) == single[3]


def test_every_player_has_a_timeline_that_fills_the_video(
    single: list[VideoPlan], pairs: list[VideoPlan]
) -> None:
    for plan in (*single, *pairs):
        for seat in range(len(plan.seats)):
            events = of_seat(plan, seat)
            assert (events[0].start_frame, events[-1].end_frame) == (0, plan.num_frames)
            assert all(a.end_frame == b.start_frame for a, b in itertools.pairwise(events))
            assert all(a.start_frame < a.end_frame for a in events)
            assert {event.kind for event in events} >= {"stroke", "ready", "rest", "fake"}
    kinds = Counter(event.kind for plan in single for event in plan.events)
    assert kinds["pickup"] > len(single)


def test_strokes_are_in_rallies_and_all_else_but_readiness_between_them(
    single: list[VideoPlan], pairs: list[VideoPlan]
) -> None:
    for plan in (*single, *pairs):
        assert all(a[1] < b[0] for a, b in itertools.pairwise(plan.rallies))
        for event in plan.events:
            inside = any(
                start <= event.start_frame and event.end_frame <= end for start, end in plan.rallies
            )
            assert inside == (event.kind in ("stroke", "ready")), event


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_rest_has_its_share(share: float) -> None:
    plans = matches(match={"rest_share": share})
    played = sum(end - start for plan in plans for start, end in plan.rallies)
    assert abs(1 - played / sum(plan.num_frames for plan in plans) - share) < 0.06


def test_tempo_changes_from_rally_to_rally() -> None:
    def spread(value: float) -> float:
        plans = matches(num_videos=40, match={"tempo_spread": value, "rally_strokes": 6})
        means = [
            np.mean([s.end_frame - s.start_frame for s in plan.strokes if a <= s.start_frame < b])
            for plan in plans
            for a, b in plan.rallies
        ]
        return float(np.std(means))

    assert spread(0.4) > 1.3 * spread(0.0)


def test_a_serve_opens_a_rally_and_classes_are_balanced(single: list[VideoPlan]) -> None:
    counts: Counter[str] = Counter()
    for plan in single:
        opening = {start for start, _ in plan.rallies}
        for stroke in plan.strokes:
            assert str(stroke.label).startswith("Serve") == (stroke.start_frame in opening)
            counts[str(stroke.label)] += 1
    for serves in (True, False):
        group = [counts[name] for name in single[0].config.strokes
                 if name.startswith("Serve") == serves]  # fmt: skip
        assert max(group) - min(group) <= 6  # a permutation each, cut once per group of players


@pytest.mark.parametrize("strokes", [("Serve Forehand Loop",), ("Offensive Forehand Hit",)])
def test_one_type_alone_fills_a_match(strokes: tuple[str, ...]) -> None:
    (plan,) = matches(num_videos=1, strokes=strokes)
    assert {stroke.label for stroke in plan.strokes} == set(strokes)


def test_two_players_play_in_turn(pairs: list[VideoPlan]) -> None:
    for plan in pairs:
        for start, end in plan.rallies:
            rally = [stroke for stroke in plan.strokes if start <= stroke.start_frame < end]
            for left, right in itertools.pairwise(rally):
                assert left.seat != right.seat
                shorter = min(s.end_frame - s.start_frame for s in (left, right))
                assert left.end_frame - right.start_frame <= 0.25 * shorter


def test_a_share_of_the_matches_shows_two_players() -> None:
    plans = matches(num_videos=10, players_per_video=2, match={"two_players_share": 0.4})
    assert [len(plan.seats) for plan in plans].count(2) == 4
    groups = {plan.index % 3: set() for plan in plans}
    for plan in plans:
        groups[plan.index % 3] |= {seat.player.player_id for seat in plan.seats}
    assert sorted(map(sorted, groups.values())) == [
        ["player_00", "player_01"], ["player_02", "player_03"], ["player_04", "player_05"],
    ]  # fmt: skip


def swings(plan: VideoPlan, kind: str) -> list[tuple[Event, np.ndarray]]:
    """The bat's way in pixels relative to its start, for each event of a kind."""
    keys = track(plan, 0)
    found = []
    for event in plan.events:
        if event.kind == kind:
            pose = channels(plan, 0, keys, event.start_frame, event.end_frame)
            blade = figure(pose, plan.seats[0], plan.view).blade_xy
            found.append((event, blade - blade[0]))
    return found


def test_fake_swings_are_as_long_as_strokes_and_go_less_far(single: list[VideoPlan]) -> None:
    fakes = [item for plan in single[:5] for item in swings(plan, "fake")]
    strokes = [item for plan in single[:5] for item in swings(plan, "stroke")]
    assert len(fakes) > 15
    lengths = [
        np.median([event.end_frame - event.start_frame for event, _ in items])
        for items in (fakes, strokes)
    ]
    assert abs(lengths[0] - lengths[1]) < 0.1 * lengths[1]
    ways = [
        np.median([np.abs(np.diff(path, axis=0)).sum() for _, path in items])
        for items in (fakes, strokes)
    ]
    assert 0.25 * ways[1] < ways[0] < 0.75 * ways[1]
    assert all(event.label in single[0].config.strokes for event, _ in fakes)


def test_a_fake_swing_has_three_keys_in_order() -> None:
    draw = np.random.default_rng(0)
    for label in (*SynthConfig().strokes, *SynthConfig().strokes):
        times = [key.at for key in swing_keys(draw, label)]
        assert len(times) == 3
        assert times == sorted(times)


def test_the_ball_is_hit_in_strokes_only_and_lies_where_it_is_picked_up(
    single: list[VideoPlan],
) -> None:
    plan = single[1]
    tracks = [track(plan, 0)]
    pickups = find_pickups(plan, tracks)
    poses = channels(plan, 0, tracks[0], 0, plan.num_frames)
    drawn = figure(poses, plan.seats[0], plan.view)
    path = ball_track(plan, [drawn], 0, plan.num_frames, pickups)
    there = np.isfinite(path[:, 0])
    for event in plan.events:
        if event.kind == "stroke":
            assert there[event.start_frame : event.end_frame].any()
        if event.kind in ("fake", "ready"):
            flight = 8 if event.kind == "ready" else 0  # just after a stroke or before the next
            assert not there[event.start_frame + flight : event.end_frame - flight].any()
    rallying = np.zeros(plan.num_frames, dtype=bool)
    for start, end in plan.rallies:
        rallying[start:end] = True
    for pickup in pickups:
        rolling = ball_track(plan, [drawn], 0, plan.num_frames, [pickup])
        alone = ball_track(plan, [drawn], 0, plan.num_frames)
        changed = ~np.isclose(rolling, alone, equal_nan=True).all(axis=1)
        assert changed.any()
        assert not (changed & rallying).any()  # the ball in play is never taken away
    assert len(pickups) == sum(event.kind == "pickup" for event in plan.events) > 0
    for pickup in pickups:
        assert pickup.event.start_frame < pickup.grip_frame < pickup.event.end_frame
        np.testing.assert_allclose(path[pickup.grip_frame - 1], pickup.rest_xy)
        step = np.abs(path[pickup.grip_frame] - path[pickup.grip_frame - 1]).max()
        assert step < 1.5  # the hand closes where the ball lies
        floor = plan.region(0)[3] * plan.config.height
        assert floor - 25 < pickup.rest_xy[1] < floor + 5


def test_frames_of_a_pick_up_do_not_depend_on_where_rendering_starts(
    single: list[VideoPlan],
) -> None:
    plan = single[1]
    event = next(event for event in plan.events if event.kind == "pickup")
    whole = [f.rgb for f in render(plan, False, event.start_frame, event.start_frame + 250)]
    late = [f.rgb for f in render(plan, False, event.start_frame + 247, event.start_frame + 250)]
    np.testing.assert_array_equal(np.stack(whole[247:]), np.stack(late))


@pytest.mark.parametrize("kind", ["rest", "pickup", "fake"])
def test_players_stay_in_their_regions(pairs: list[VideoPlan], kind: str) -> None:
    plan = pairs[1]
    for event in [event for event in plan.events if event.kind == kind][:3]:
        middle = (event.start_frame + event.end_frame) // 2
        frame = next(render(plan, start_frame=middle))
        rows = np.flatnonzero(frame.player_masks[event.seat].any(axis=1))
        columns = np.flatnonzero(frame.player_masks[event.seat].any(axis=0))
        x_min, y_min, x_max, y_max = np.array(plan.region(event.seat)) * (320, 180, 320, 180)
        assert x_min <= columns.min() <= columns.max() <= x_max
        assert y_min <= rows.min() <= rows.max() <= y_max


def test_a_pick_up_goes_down_and_a_rest_is_upright(single: list[VideoPlan]) -> None:
    plan = single[1]
    heights = {}
    for kind in ("pickup", "rest", "ready"):
        long = [e for e in plan.events if e.kind == kind and e.end_frame - e.start_frame > 60]
        middle = (long[0].start_frame + long[0].end_frame) // 2
        mask = next(render(plan, start_frame=middle)).player_masks[0]
        heights[kind] = int(mask.any(axis=1).sum())
    assert heights["pickup"] < 0.8 * heights["ready"]
    assert heights["ready"] <= heights["rest"]


def test_half_annotated_videos_are_annotated_inside_their_spans() -> None:
    plans = matches(half_annotated_share=0.5)
    spans = [covered_spans(plan) for plan in plans]
    whole = [found == ((0, plan.num_frames),) for found, plan in zip(spans, plans, strict=True)]
    assert whole.count(False) == 6
    for plan, covered in zip(plans, spans, strict=True):
        assert list(covered) == sorted(covered)
        assert all(0 <= start < end <= plan.num_frames for start, end in covered)
        for annotation in annotate(plan):
            stroke = annotation.stroke
            inside = any(a <= stroke.start_frame and stroke.end_frame <= b for a, b in covered)
            cut = any(stroke.start_frame < edge < stroke.end_frame for s in covered for edge in s)
            assert not cut
            if annotation.planted_error != "not_covered":
                assert inside
            if annotation.planted_error == "none":
                assert any(
                    a <= int(annotation.start_frame or 0) and int(annotation.end_frame or 0) <= b
                    for a, b in covered
                )
    shares = [sum(b - a for a, b in c) / 7200 for c, all_of in zip(spans, whole, strict=True)
              if not all_of]  # fmt: skip
    assert 0.2 < np.mean(shares) < 0.7


def test_without_half_annotated_videos_only_an_annotators_part_is_left_out() -> None:
    """The crowd of a source with half-annotated videos is else the one of a source without."""
    plain, half = matches(num_videos=4), matches(num_videos=4, half_annotated_share=0.5)
    assert [p.events for p in plain] == [p.events for p in half]
    same = [annotate(a) == annotate(b) for a, b in zip(plain, half, strict=True)]
    assert same.count(True) == 2


def test_settings_of_matches_need_matches() -> None:
    with pytest.raises(ValidationError, match=r"settings of match without matches=true"):
        SynthConfig.model_validate({"match": {"rest_share": 0.3}})
    assert "match" not in SynthConfig().recorded()
    assert SynthConfig(matches=True).recorded()["matches"] is True
