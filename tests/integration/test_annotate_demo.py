"""The room of simulated annotators: what they do, and the demo as it is started."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest

sys.path.append(str(Path(__file__).parents[2] / "examples" / "annotate_demo"))
from annotators import SEEN_SECONDS, Stroke, crowd_strokes, paced_acts
from browser import Browser

from ttdata.annotate.store.spans import merged
from ttdata.synth.config import SynthConfig
from ttdata.synth.plan import plan_video

DEMO = Path(__file__).parents[2] / "examples" / "annotate_demo"
HIT, LOOP = "Offensive Forehand Hit", "Offensive Backhand Loop"
TINY = {
    "num_videos": 4,
    "num_players": 4,
    "seconds": 4,
    "fps": 30,
    "width": 160,
    "height": 90,
    "strokes": ["Serve Forehand Topspin", HIT, LOOP],
    "crowd": {"single_share": 0, "partial_share": 0},
}


def acts_of(*strokes: Stroke, num_frames: int = 1200, seed: int = 0) -> list:
    return list(paced_acts(strokes, num_frames, 120.0, np.random.default_rng(seed)))


def contents(acts: list) -> dict[int, dict[str, object]]:
    """What the marks hold after all acts, by number."""
    found: dict[int, dict[str, object]] = {}
    for act in acts:
        if act.mark is not None:
            mark = found.setdefault(act.mark, {})
            mark |= {"label": None} if act.kind == "undone" else act.body
    return found


@pytest.mark.parametrize("seed", range(8))
def test_acts_end_in_the_strokes_and_in_every_frame_seen(seed: int) -> None:
    strokes = (Stroke(100, 220, HIT), Stroke(200, 330, LOOP), Stroke(900, 1000, HIT))
    acts = acts_of(*strokes, seed=seed)
    found = [(m["start_frame"], m["end_frame"], m["label"]) for m in contents(acts).values()]
    assert found == [(s.start_frame, s.end_frame, s.label) for s in strokes]
    seen = [tuple(span) for act in acts if act.kind == "seen" for span in act.body["spans"]]
    assert merged(seen) == [(0, 1200)]
    assert [act.kind for act in acts].index("done") == len(acts) - 1


def test_nobody_is_faster_than_the_film() -> None:
    acts = acts_of(Stroke(100, 220, HIT))
    played = [act for act in acts if act.kind == "seen"]
    frames = sum(end - start for act in played for start, end in act.body["spans"])
    assert sum(act.wait_seconds for act in played) == pytest.approx(frames / 120)
    assert max(act.wait_seconds for act in acts) <= SEEN_SECONDS
    assert acts_of(Stroke(100, 220, HIT)) == acts


def test_a_crowd_marks_what_a_page_can_send() -> None:
    config = SynthConfig.model_validate(
        {
            "seconds": 20,
            "crowd": {
                "start_at_zero_rate": 0.15,
                "end_past_rate": 0.15,
                "missing_label_rate": 0.15,
                "spelling_share": 1,
                "single_share": 0,
            },
        }
    )
    plan = plan_video(config, 0)
    people = crowd_strokes(plan)
    assert len(people) == 3
    assert len({people}) == 1
    for strokes in people:
        assert all(0 < s.start_frame < s.end_frame <= plan.num_frames for s in strokes)
        assert {s.label for s in strokes} <= set(config.taxonomy.classes)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a demo that ran to its end, and what it printed."""
    folder = tmp_path_factory.mktemp("annotate_demo")
    config = folder / "synth.json"
    config.write_text(json.dumps(TINY))
    done = start(folder, "--pace", "1000", "--until-done")
    printed, errors = done.communicate(timeout=300)
    assert done.returncode == 0, printed + errors
    return folder, printed


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start the demo, as a terminal would."""
    command = [sys.executable, str(DEMO / "room.py"), str(folder / "demo"), "--port", "0"]
    return subprocess.Popen(
        [*command, "--config", str(folder / "synth.json"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_three_annotators_mark_everything(demo: tuple[Path, str], run) -> None:
    folder, printed = demo
    assert printed.count("nothing left to mark") == 3
    assert "/setup/" in printed
    project = folder / "demo" / "project"
    run("ttdata", "annotate", project, "export", folder / "export")
    rows = pl.read_csv(folder / "export" / "annotations.csv")
    assert set(rows["annotator_id"].unique()) <= {"ann", "ben", "cleo"}
    # Two people each for two videos; three who begin at once may be one too many.
    assert rows.n_unique(["video_id", "annotator_id"]) >= 4
    truth = pl.read_csv(folder / "demo" / "films" / "truth.csv")
    near = rows.join(truth, on=["video_id", "label"], suffix="_true").filter(
        (pl.col("start_frame") - pl.col("start_frame_true")).abs() <= 4,
        (pl.col("end_frame") - pl.col("end_frame_true")).abs() <= 4,
    )
    assert near.height >= rows.height / 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_later_call_goes_on_and_ends_with_control_c(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    again = start(folder)
    assert again.stdout is not None
    lines = []
    for line in again.stdout:
        lines.append(line)
        if "runs on until Ctrl-C" in line:
            again.send_signal(signal.SIGINT)
            break
    printed, errors = again.communicate(timeout=60)
    assert again.returncode == 0, "".join(lines) + printed + errors
    assert "videos added" not in "".join(lines)
    assert "ended; go on with: ttdata annotate" in printed
    assert "Traceback" not in errors


class Waits:
    """In place of the event that ends the demo: how long was waited for it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return False


def test_a_pause_that_the_server_wants_is_made() -> None:
    asked: list[str] = []
    waits = Waits()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if len(asked) < 3:
            return httpx.Response(429, headers={"Retry-After": "2"}, json={"error": "later"})
        return httpx.Response(200, json={"seq": 7})

    with closing(Browser("http://server", stop=waits)) as person:
        person.http = httpx.Client(base_url="http://server", transport=httpx.MockTransport(answer))
        assert person.post("/api/x", {}) == {"seq": 7}
        person.http.close()
    assert asked == ["/api/x"] * 3
    assert waits.seconds == [2.0, 2.0]
