"""What is drawn: the same pixels for the same plan, and the truth beside them."""

import dataclasses
import itertools

import numpy as np
import pytest

from ttdata.synth.config import SynthConfig
from ttdata.synth.plan import VideoPlan, plan_video
from ttdata.synth.render import SynthFrame, render


def small(**values: object) -> SynthConfig:
    return SynthConfig.model_validate({"width": 320, "height": 180, "seconds": 4, **values})


def pixels(plan: VideoPlan, start: int, stop: int) -> np.ndarray:
    frames = render(plan, with_truth=False, start_frame=start, end_frame=stop)
    return np.stack([frame.rgb for frame in frames])


@pytest.fixture(scope="module")
def stroke_frames() -> list[SynthFrame]:
    plan = plan_video(small(seconds=30), 0)
    stroke = plan.strokes[0]
    return list(render(plan, start_frame=stroke.start_frame, end_frame=stroke.end_frame))


def test_same_plan_same_pixels() -> None:
    plan = plan_video(small(), 0)
    first = pixels(plan, 0, 20)
    assert first.dtype == np.uint8
    assert first.shape == (20, 180, 320, 3)
    np.testing.assert_array_equal(first, pixels(plan, 0, 20))
    assert (first != pixels(plan_video(small(seed=9), 0), 0, 20)).mean() > 0.5


def test_frames_do_not_depend_on_where_rendering_starts() -> None:
    """Across the border of a chunk of 240 frames."""
    plan = plan_video(small(), 0)
    np.testing.assert_array_equal(pixels(plan, 238, 243), pixels(plan, 0, 243)[238:])


def test_flicker_alone_is_switched() -> None:
    """Without flicker all else stays: the difference is a gain of a few per cent."""
    config = small(noise=0.0)
    steady = dataclasses.replace(plan_video(config, 0), config=small(noise=0.0, flicker=0.0))
    flickering = pixels(plan_video(config, 0), 100, 112).astype(float)
    gain = flickering / np.maximum(pixels(steady, 100, 112), 1)
    bright = flickering > 80
    assert np.abs(gain[bright] - 1).max() < config.flicker + 0.025
    assert np.ptp(flickering.mean(axis=(1, 2, 3))) > 1.0


def test_still_camera_keeps_the_hall() -> None:
    frames = pixels(plan_video(small(noise=0.0, flicker=0.0, shake=0.0), 0), 0, 30)
    assert not (frames != frames[0]).any(axis=(0, 3))[140:].any()  # the floor before the player


def test_shake_moves_the_picture_by_at_most_its_amplitude() -> None:
    config = small(noise=0.0, flicker=0.0, shake=2.0, players_per_video=1)
    floor = pixels(plan_video(config, 0), 0, 240)[:, 140:].astype(float).mean(axis=-1)
    moved = np.abs(floor - floor[0]).mean(axis=(1, 2))
    assert moved.max() > 0.5
    still = small(noise=0.0, flicker=0.0, shake=0.0)
    assert pixels(plan_video(still, 0), 0, 1).shape == (1, 180, 320, 3)


def test_noise_has_its_size_and_no_bias() -> None:
    quiet, loud = small(noise=0.0, flicker=0.0), small(noise=4.0, flicker=0.0)
    difference = pixels(plan_video(loud, 0), 0, 4).astype(float) - pixels(
        plan_video(quiet, 0), 0, 4
    )
    assert abs(difference.mean()) < 0.05
    assert difference.std() == pytest.approx(4.0 * np.sqrt(1 + 0.4**2), rel=0.1)
    assert (difference[0] != difference[1]).mean() > 0.5


def test_player_is_as_tall_as_promised(stroke_frames: list[SynthFrame]) -> None:
    for frame in stroke_frames:
        rows = np.flatnonzero(frame.player_masks[0].any(axis=1))
        assert 70 <= np.ptp(rows) + 1 <= 100
    reach = [abs(frame.bat_xy[0][0] - frame.body_x[0]) for frame in stroke_frames]
    assert max(reach) >= 30


def test_bat_is_where_the_truth_says(stroke_frames: list[SynthFrame]) -> None:
    inside = 0
    for frame in stroke_frames:
        (x, y), mask = frame.bat_xy[0], frame.player_masks[0]
        inside += mask[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].any()
    assert inside == len(stroke_frames)


def test_mask_covers_what_moves() -> None:
    """Without disturbances, ball and shadow, only the player's pixels ever change."""
    config = small(noise=0.0, flicker=0.0, shake=0.0, ball=False)
    frames = list(itertools.islice(render(plan_video(config, 0)), 120))
    changed = (np.stack([frame.rgb for frame in frames]) != frames[0].rgb).any(axis=-1)
    player = np.stack([frame.player_masks[0] for frame in frames])
    grown = player | player[0]
    for axis, step in itertools.product((1, 2), (-1, 1, -1, 1)):  # anti-aliased edges
        grown = grown | np.roll(grown, step, axis=axis)
    assert not (changed & ~grown).any()
    assert changed.sum() > 0.2 * player.sum()


def test_two_players_have_masks_of_their_own() -> None:
    plan = plan_video(small(players_per_video=2), 0)
    frame = next(render(plan, start_frame=50))
    left, right = frame.player_masks
    assert np.flatnonzero(left.any(axis=0)).max() < np.flatnonzero(right.any(axis=0)).min()
    for seat, mask in enumerate((left, right)):
        x_min, y_min, x_max, y_max = np.array(plan.region(seat)) * (320, 180, 320, 180)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert x_min <= columns.min() <= columns.max() <= x_max
        assert y_min <= rows.min() <= rows.max() <= y_max


def test_videos_of_one_session_share_a_hall_and_others_do_not() -> None:
    config = small(noise=0.0, flicker=0.0, shake=0.0, num_players=1, num_videos=4, num_annotators=1)
    plans = [plan_video(config, index) for index in range(4)]
    assert [plan.session for plan in plans] == [0, 0, 1, 1]
    walls = [pixels(plan, 0, 1)[0, 18:60].astype(float) for plan in plans]
    assert all((a != b).mean() > 0.3 for a, b in itertools.combinations(walls, 2))  # light differs
    # Windows, wall bars and lamps stand where they stand.
    edges = [np.abs(np.diff(wall.mean(axis=2), axis=1)) > 8 for wall in walls]
    alike = {
        (a, b): (edges[a] & edges[b]).sum() / (edges[a] | edges[b]).sum()
        for a, b in itertools.combinations(range(4), 2)
    }
    same = [alike.pop(pair) for pair in ((0, 1), (2, 3))]
    assert min(same) > 0.5 > 2 * max(alike.values())
