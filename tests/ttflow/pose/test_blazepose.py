"""BlazePose itself, on rendered players and on real strokes; skipped without its weights."""

import itertools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ttdata.synth.config import SynthConfig
from ttdata.synth.plan import plan_video
from ttdata.synth.render import render
from ttflow.decode import frames
from ttflow.errors import PoseUnavailable
from ttflow.pose.blazepose import BlazePose, open_model
from ttflow.pose.runtime import Network, _without_chatter
from ttflow.pose.tracker import PoseTrack, track

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from blazepose_reference import follow

SYNTH = SynthConfig(num_videos=2, num_players=2, seconds=10, width=640, height=360, seed=5)
STROKES = ("serve/serve1", "backhand/backhand10", "f_volley/f_volley20")


def rendered(index: int, size_hw: tuple[int, int], count: int, step: int) -> list[np.ndarray]:
    """Frames of the first strokes of a synthetic video."""
    values = {"height": size_hw[0], "width": size_hw[1]}
    plan = plan_video(SYNTH.model_copy(update=values), index)
    start = plan.strokes[0].start_frame
    images = render(plan, with_truth=False, start_frame=start)
    return [frame.rgb for frame in itertools.islice(images, 0, count * step, step)]


@pytest.fixture(scope="module")
def strokes() -> Path:
    folder = os.environ.get("TT_REAL_DATA")
    if not folder:
        pytest.skip("TT_REAL_DATA does not name a folder of real videos")
    return Path(folder) / "strokes"


def stroke_frames(strokes: Path, name: str, count: int = 57) -> Iterator[tuple[int, np.ndarray]]:
    """The last frames of these clips are no part of the stroke."""
    for index, _, picture in itertools.islice(frames(strokes / f"{name}.mp4"), count):
        yield index, picture


def assert_equal(found: PoseTrack, pictures: list[np.ndarray], weights: dict[str, bytes]) -> None:
    """Against the plain reference: 1e-4 of a pixel, of a metre, of a probability."""
    someone = 0
    for i, expected in enumerate(follow(pictures, weights)):
        assert found.found[i] == (expected is not None), f"frame {i}"
        if expected is not None:
            points, world, visibility, flag, _ = expected
            someone += 1
            for ours, theirs in (
                (found.points[i], points),
                (found.world[i], world),
                (found.visibility[i], visibility),
                (found.presence[i], flag),
            ):
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4, err_msg=f"frame {i}")
    assert someone


def test_landmarks_equal_the_reference(blazepose: BlazePose, true_weights) -> None:
    pictures = rendered(0, (360, 640), 12, 4)
    pictures[6:6] = [np.zeros_like(pictures[0])]  # nobody: the detector is asked again
    assert_equal(track(enumerate(pictures), blazepose), pictures, true_weights)


@pytest.mark.real
def test_landmarks_of_a_real_stroke_equal_the_reference(blazepose, true_weights, strokes) -> None:
    seen = list(stroke_frames(strokes, STROKES[0], 10))
    assert_equal(track(seen, blazepose), [picture for _, picture in seen], true_weights)


@pytest.mark.parametrize("size_hw", [(360, 640), (180, 320)], ids=["640x360", "320x180"])
@pytest.mark.parametrize("index", [0, 1])
def test_rendered_players_are_tracked(blazepose: BlazePose, index: int, size_hw) -> None:
    found = track(enumerate(rendered(index, size_hw, 20, 12)), blazepose)
    assert found.found.mean() >= 0.95


@pytest.mark.real
@pytest.mark.parametrize("name", STROKES)
def test_real_strokes_are_tracked(blazepose: BlazePose, strokes: Path, name: str) -> None:
    found = track(stroke_frames(strokes, name), blazepose)
    assert found.found.mean() >= 0.95
    hips = found.world[found.found][:, 23:25].mean(axis=1)
    assert np.abs(hips).max() < 0.05  # the origin is between the hips


def test_landmarks_move_with_the_picture(blazepose: BlazePose) -> None:
    """A player shifted by 64 x 32 px in a wider picture is found there."""
    (picture,) = rendered(0, (360, 640), 1, 1)
    shifted = np.pad(picture, ((32, 0), (64, 0), (0, 0)), mode="edge")
    first, second = (track([(0, each)], blazepose) for each in (picture, shifted))
    moved = second.points[0] - first.points[0]
    np.testing.assert_allclose(np.median(moved, axis=0), (64, 32), atol=1.5)


def test_the_same_frames_give_the_same_bytes(blazepose: BlazePose) -> None:
    pictures = list(enumerate(rendered(0, (180, 320), 3, 4)))
    first, second = track(pictures, blazepose), track(pictures, open_model())
    for one, other in zip(vars(first).values(), vars(second).values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_opening_says_nothing(blazepose: BlazePose, capfd: pytest.CaptureFixture[str]) -> None:
    """The runtime's line about its delegate is no news for a user."""
    model = open_model()
    model.detect(np.zeros((90, 160, 3), np.uint8))
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_what_else_the_runtime_says_comes_through(capfd: pytest.CaptureFixture[str]) -> None:
    with _without_chatter():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nWARNING: old\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "WARNING: old\nafter\n"


@pytest.mark.usefixtures("blazepose")
def test_a_file_that_is_no_network_is_refused() -> None:
    with pytest.raises(PoseUnavailable, match=r"other.tflite: not a network of LiteRT"):
        Network(b"no network at all", "other.tflite")


@pytest.mark.usefixtures("blazepose")
def test_the_lines_of_the_readme_run(lib, tmp_path, monkeypatch, capsys) -> None:
    readme = Path(__file__).parents[3] / "packages" / "ttflow" / "README.md"
    if not readme.is_file():
        pytest.skip("the README is not beside these tests")
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "open_model" in block]
    lib.write_video(tmp_path / "match.mp4", rendered(0, (180, 320), 3, 4))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(readme), "exec"), {})
    assert capsys.readouterr().out == "(3, 33, 2) (3, 33, 3) (3, 33)\n"
