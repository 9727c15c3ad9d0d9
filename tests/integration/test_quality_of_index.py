"""From a real video and what an index says of it to a measurement, with the real networks."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ttdata.synth.config import GradesConfig, SynthConfig
from ttdata.synth.encode import encode
from ttdata.synth.graded.truth import QualityTruth, quality_rows
from ttdata.synth.plan import plan_video
from ttdata.synth.render import render
from ttflow.errors import PoseUnavailable
from ttflow.pose.runtime import check_runtime
from ttflow.pose.weights import read_weights
from tttrain.cli import app
from tttrain.indexing.document import IndexedStroke, VideoIndex
from tttrain.indexing.exports import write_exports
from tttrain.quality.document import Quality

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LABEL = "Offensive Forehand Hit"
FPS = 30.0


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of four strokes, an index of it whose bounds are not exact, and three marks."""
    try:
        check_runtime()
        read_weights()
    except PoseUnavailable as error:
        pytest.skip(str(error))
    at = tmp_path_factory.mktemp("quality")
    config = SynthConfig(
        num_videos=1, num_players=1, seed=3, fps=FPS, width=320, height=180, graded=True,
        strokes=(LABEL,), grades=GradesConfig(
            references=3, unchanged=0, amplitude=(0.5,), backswing_time=(), forward_time=(),
            follow_time=(), turn=(), height=(),
        ),
    )  # fmt: skip
    plan = plan_video(config, 0)
    encode(at / "film.mp4", (frame.rgb for frame in render(plan, with_truth=False)), config)
    rows = quality_rows(plan)
    write_index(at, rows, plan.num_frames)
    lines = [
        f"film,{row.ready_frame},{row.end_frame},{LABEL},{row.ready_frame},{row.contact_frame},"
        f"{row.end_frame - 1}"
        for row in rows
        if row.reference
    ]
    head = "video_id,start_frame,end_frame,label,ready,contact,end"
    (at / "references.csv").write_text("\n".join([head, *lines]))
    return at


def write_index(at: Path, rows: list[QualityTruth], num_frames: int) -> None:
    """As `tttrain index` writes it, each stroke a few frames too early or too late."""
    strokes = []
    for place, row in enumerate(rows):
        start, end = row.ready_frame + (-1) ** place, row.end_frame - 2 * (-1) ** place
        strokes.append(
            IndexedStroke(
                start_frame=start, end_frame=end, start_seconds=start / FPS,
                end_seconds=end / FPS, label=LABEL, score=0.4,
            )
        )  # fmt: skip
    found = VideoIndex(
        video_id="film", video=str(at / "film.mp4"), fps=FPS, num_frames=num_frames, model="m",
        classes=(LABEL,), decoder="head", strokes=tuple(strokes),
    )  # fmt: skip
    (at / "index" / "videos" / "film").mkdir(parents=True)
    (at / "index" / "videos" / "film" / "strokes.json").write_text(found.model_dump_json())
    (at / "index" / "index.json").write_text("{}")
    write_exports(at / "index", [found])


def test_one_command_measures_the_strokes_of_an_index(at: Path) -> None:
    marks, out = str(at / "references.csv"), at / "quality"
    command = ["quality", str(at / "index"), "--references", marks, "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "4 of 4 strokes compared" in done.output
    assert "all references are of one session" in done.output
    found = Quality.model_validate_json((out / "quality.json").read_text())
    (small,) = [item for item in found.strokes if not item.is_reference]
    whole = next(item for item in small.phases if item.name == "stroke")
    gain = next(item for item in whole.measures if item.name == "gain")
    assert gain.value is not None
    assert 0.3 < gain.value < 0.8  # half as large
    assert any("a certainty of 0.40 only" in text for text in small.notes)
    files = {path: path.stat().st_mtime_ns for path in (at / "index" / "pose").iterdir()}
    written = (out / "quality.json").read_bytes()
    assert CliRunner().invoke(app, command).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in (at / "index" / "pose").iterdir()} == files
    assert (out / "quality.json").read_bytes() == written
