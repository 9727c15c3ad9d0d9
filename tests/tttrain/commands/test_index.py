"""Whole videos from end to end: a network that sees bright stretches, real files, real pages."""

import json
import re
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from ttdata.errors import InputError, TTError
from ttdata.schema import Action, Annotation, Clip, CurationConfig, DatasetInfo, Video
from ttdata.sources.videos import files_table, probe_videos
from ttdata.storage.dataset import write_dataset
from ttdata.storage.tables import conform, empty
from ttdata.taxonomy import Taxonomy
from ttflow.schema import FlowConfig
from ttmodels import ModelCard, RGBNet
from tttrain.cli import app
from tttrain.commands.evaluate_detector import evaluate_detector
from tttrain.commands.fit_detector import fit_detector
from tttrain.commands.index import index
from tttrain.config import TrainConfig
from tttrain.indexing import scorer
from tttrain.run import Run, RunInfo

FPS, FRAMES = 40, 400
EXTRACTION = FlowConfig(
    estimator="dis-ultrafast",
    frame_width=64,
    frame_height=48,
    crop_width=24,
    crop_height=24,
    window_frames=16,
    patch_side=40,
)
CLASSES = ("Push", "Negative")
BRIGHT = {
    "v0": [(40, 90), (150, 200), (260, 320)],
    "v1": [(60, 100), (180, 240)],
    "t0": [(30, 80), (140, 190), (300, 350)],
}


def write_video(path: Path, bright: list[tuple[int, int]], num_frames: int = FRAMES) -> None:
    noise = np.random.default_rng(0).integers(0, 25, (48, 64, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(num_frames):
            level = 180 if any(start <= number < end for start, end in bright) else 40
            frame = av.VideoFrame.from_ndarray(noise + np.uint8(level), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for video_id, bright in BRIGHT.items():
        write_video(folder / f"{video_id}.mp4", bright)
    return folder


@pytest.fixture(scope="module")
def dataset(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two validation videos, one of test; the truth is where they are bright."""
    folder = tmp_path_factory.mktemp("data") / "dataset"
    probed, _ = probe_videos(files_table(videos, sorted(videos.glob("*.mp4"))))
    rows = [
        {
            "clip_id": f"{video_id}@{start}-{end}",
            "video_id": video_id,
            "start_frame": start,
            "end_frame": end,
            "label": "Push",
            "kind": "stroke",
            "split": "test" if video_id == "t0" else "validation",
        }
        for video_id, bright in BRIGHT.items()
        for start, end in bright
    ]
    info = DatasetInfo(
        source="bright", taxonomy=Taxonomy.infer(list(CLASSES)), config=CurationConfig(), counts={}
    )
    write_dataset(
        folder,
        info,
        videos=conform(probed, Video),
        annotations=empty(Annotation),
        actions=empty(Action),
        clips=conform(pl.DataFrame(rows), Clip),
    )
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run whose network's first class is the brightness of the window."""
    model = RGBNet(2, (16, 24, 24))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for conv in model.branch.convolutions():
            conv.weight[0, 0, 1, 1, 1] = 1  # the first channel goes through
        cells = model.branch.fc.weight.shape[1] // 80
        model.branch.fc.weight[0, :cells] = 1 / cells
        model.head.weight[0, 0], model.head.bias[0] = 20, -9
    model.card = ModelCard(labels=CLASSES)
    made = Run(tmp_path / "run")
    model.save_pretrained(made.model_folder)
    made.write_info(
        RunInfo(
            state="finished",
            config=TrainConfig(),
            resolved=TrainConfig(),
            data="/gone",
            dataset_hash="0",
            classes=CLASSES,
            flow_scale_xy_px=(1.0, 1.0),
            num_clips={"train": 1, "validation": 1, "test": 1},
            extraction=EXTRACTION,
            seed=0,
            versions={},
        )
    )
    return made.folder


def test_bright_stretches_are_found(run: Path, dataset: Path, videos: Path, tmp_path: Path) -> None:
    said = fit_detector(run, dataset)
    assert "decoder: threshold" in said  # fewer than 30 strokes
    assert "2 validation videos, 5 strokes" in said
    result = evaluate_detector(run, dataset)
    measured = result["rows"]["detector (threshold)"]
    assert measured["f1"] == 1
    assert measured["num_videos"] == 1
    assert measured["boundary_error_frames"] <= 8
    assert result["rows"]["boxes of 150 frames"]["f1"] < 1
    assert json.loads((run / "detector" / "test.json").read_text()) == result
    out = tmp_path / "index"
    assert "8 strokes of 3 videos" in index(run, videos, out)
    found = json.loads((out / "videos" / "t0" / "strokes.json").read_text())
    assert [stroke["label"] for stroke in found["strokes"]] == ["Push"] * 3
    for stroke, (start, end) in zip(found["strokes"], BRIGHT["t0"], strict=True):
        assert abs(stroke["start_frame"] - start) <= 8
        assert abs(stroke["end_frame"] - end) <= 8
        assert stroke["start_seconds"] == pytest.approx(stroke["start_frame"] / FPS)
    assert "3 strokes in 0:10.0" in (out / "videos" / "t0" / "index.html").read_text()
    assert '<a href="videos/t0/index.html">t0</a>' in (out / "index.html").read_text()
    assert pl.read_csv(out / "strokes.csv").height == 8


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".npz"
    }


def test_what_is_finished_is_kept_and_a_stop_changes_nothing(
    run: Path, dataset: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_detector(run, dataset)
    index(run, videos, tmp_path / "whole")
    real, scored = scorer.score_curve, []

    def stops_at_the_second(location, *arguments, **options):
        scored.append(location)
        if len(scored) == 2:
            raise KeyboardInterrupt
        return real(location, *arguments, **options)

    monkeypatch.setattr(scorer, "score_curve", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        index(run, videos, tmp_path / "index")
    index(run, videos, tmp_path / "index")
    assert len(scored) == 4  # the first is not scored again
    assert contents(tmp_path / "index") == contents(tmp_path / "whole")
    index(run, videos, tmp_path / "index")
    assert len(scored) == 4


def test_a_damaged_video_does_not_cost_the_others(
    run: Path, dataset: Path, videos: Path, tmp_path: Path
) -> None:
    fit_detector(run, dataset)
    source = tmp_path / "source"
    (source / "day").mkdir(parents=True)
    (source / "day" / "good.mp4").write_bytes((videos / "t0.mp4").read_bytes())
    (source / "bad.mp4").write_bytes(b"no video")
    write_video(source / "short.mp4", [], num_frames=9)
    with pytest.raises(TTError, match=r"3 strokes of 1 videos.*2 videos failed") as caught:
        index(run, source, tmp_path / "index")
    assert "bad" in str(caught.value)
    assert "has 9 frames, expected at least the 16 of a window" in str(caught.value)
    assert (tmp_path / "index" / "videos" / "day" / "good" / "index.html").is_file()


def test_one_line_where_something_is_missing(
    run: Path, dataset: Path, videos: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"detector\.json: not there; run `tttrain fit-detector"):
        index(run, videos, tmp_path / "index")
    with pytest.raises(InputError, match="no such video, folder or dataset"):
        index(run, tmp_path / "nowhere.mp4", tmp_path / "index")
    fit_detector(run, dataset)
    with pytest.raises(InputError, match="lies in"):
        index(run, videos, videos / "index")
    with pytest.raises(InputError, match="holds a dataset, expected an index"):
        index(run, videos, dataset)
    values = json.loads((run / "detector" / "detector.json").read_text())
    other = values | {"weights_sha256": "0"}
    (run / "detector" / "detector.json").write_text(json.dumps(other))
    result = CliRunner().invoke(
        app, ["index", str(run), str(videos), "--out", str(tmp_path / "index")]
    )
    assert isinstance(result.exception, InputError)
    assert "fitted to other weights" in str(result.exception)
    assert not (tmp_path / "index").exists()


def test_strokes_split_one_by_one_leave_no_whole_video(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    from ttdata.storage.dataset import load_dataset

    held = load_dataset(dataset)
    mixed = held.clips.with_columns(
        split=pl.when(pl.int_range(pl.len()) % 2 == 0)
        .then(pl.lit("train"))
        .otherwise(pl.lit("validation"))
    )
    write_dataset(
        tmp_path / "mixed",
        held.info,
        videos=held.videos,
        annotations=held.annotations,
        actions=held.actions,
        clips=mixed,
    )
    with pytest.raises(InputError, match=r"3 have strokes of it beside others.*--strategy grouped"):
        fit_detector(run, tmp_path / "mixed")


PAGE = Path(__file__).parents[3] / "docs" / "indexing_videos.md"


@pytest.mark.skipif(not PAGE.is_file(), reason="the docs are not beside these tests")
def test_the_commands_of_the_page(
    run: Path, dataset: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(dataset, tmp_path / "dataset")
    shutil.copytree(videos, tmp_path / "recordings")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    said = []
    for line in block.splitlines():
        program, *arguments = line.split()
        assert program == "tttrain"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        said.append(result.output)
    assert "f1              1.000" in said[1]
    assert "3 strokes of 1 whole videos of the split test" in said[1]
    for name in re.findall(r"`index/([^`]+)`", PAGE.read_text()):
        assert (tmp_path / "index" / name).exists()
