"""Whole videos from end to end: a network that sees bright stretches, real files, real pages."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from ttdata.errors import InputError, TTError
from ttdata.storage.dataset import write_dataset
from ttdata.video.probe import probe
from ttflow.extraction.stream import PatchChunk
from ttmodels import StrokeModel
from tttrain.cli import app
from tttrain.commands import video_indexer
from tttrain.commands.evaluate_detector import evaluate_detector
from tttrain.commands.fit_detector import fit_detector
from tttrain.commands.index import index
from tttrain.data.sampling import Window
from tttrain.evaluation.scoring import network_inputs
from tttrain.indexing import moving_windows, scorer, video_scores
from tttrain.indexing.detector import DetectorConfig
from tttrain.indexing.jobs.items import VideoItem
from tttrain.indexing.joint_head.config import HeadConfig
from tttrain.indexing.still import still_scores, window_speeds
from tttrain.run import Run, lock_folder

sys.path.append(str(Path(__file__).parent))  # tests are imported one by one, without their folder
from bright_videos import (
    BRIGHT,
    CLASSES,
    FPS,
    FRAMES,
    contents,
    write_dataset_of,
    write_run,
    write_video,
    write_videos,
)


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in this process: no Ray is started for one core."""
    monkeypatch.setattr("tttrain.indexing.jobs.run.available_cores", lambda: 1)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def dataset(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two validation videos, one of test; the truth is where they are bright."""
    return write_dataset_of(videos, tmp_path_factory.mktemp("data") / "dataset", {"t0": "test"})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


@pytest.fixture(scope="module")
def fitted_once(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tttrain.indexing.jobs.run.available_cores", lambda: 1)
        folder = write_run(tmp_path_factory.mktemp("fitted") / "run")
        fit_detector(folder, dataset)
    return folder


@pytest.fixture
def fitted(fitted_once: Path, tmp_path: Path) -> Path:
    """A run with a detector, fitted on the dataset."""
    return shutil.copytree(fitted_once, tmp_path / "run")


def test_bright_stretches_are_found(run: Path, dataset: Path, videos: Path, tmp_path: Path) -> None:
    said = fit_detector(run, dataset)
    assert "index takes: threshold" in said  # fewer than 30 strokes
    assert "2 validation videos, 5 strokes" in said
    result = evaluate_detector(run, dataset)
    measured = result["rows"]["decoder (threshold)"]
    assert measured["f1"] == 1
    assert measured["num_videos"] == 1
    assert measured["boundary_error_frames"] <= 8
    assert result["rows"]["boxes of 150 frames"]["f1"] < 1
    assert json.loads((run / "detector" / "test.json").read_text()) == result
    out = tmp_path / "index"
    assert "8 strokes of 3 videos" in index(run, videos, out)
    found = json.loads((out / "videos" / "t0" / "strokes.json").read_text())
    assert [stroke["label"] for stroke in found["strokes"]] == ["Push"] * 3
    assert found["regions"] == {"": None}  # nobody said where the player is
    for stroke, (start, end) in zip(found["strokes"], BRIGHT["t0"], strict=True):
        assert abs(stroke["start_frame"] - start) <= 8
        assert abs(stroke["end_frame"] - end) <= 8
        assert stroke["start_seconds"] == pytest.approx(stroke["start_frame"] / FPS)
    assert "3 strokes in 0:10.0" in (out / "videos" / "t0" / "index.html").read_text()
    assert '<a href="videos/t0/index.html">t0</a>' in (out / "index.html").read_text()
    assert pl.read_csv(out / "strokes.csv").height == 8
    stills = [still.stem for still in sorted((out / "videos" / "t0" / "stills").iterdir())]
    frames = [(stroke["start_frame"], stroke["end_frame"]) for stroke in found["strokes"]]
    assert stills == [f"{start:06d}-{end:06d}" for start, end in frames]
    assert not (out / "videos" / "t0" / "film.mp4").exists()  # browsers play the video itself


def test_a_joint_head_learns_from_training_videos(run: Path, videos: Path, tmp_path: Path) -> None:
    dataset = write_dataset_of(videos, tmp_path / "dataset", {"v0": "train", "t0": "test"})
    config = DetectorConfig(use="head", head=HeadConfig(epochs=60, ema_decay=0.9))
    said = fit_detector(run, dataset, config=config)
    assert "joint head: 3 strokes of 1 training videos; index takes: head" in said
    measured = evaluate_detector(run, dataset)["rows"]
    assert measured["joint head"]["f1"] == 1
    assert measured["one annotator"]["pxr"] == 1  # nobody else annotated
    assert measured["motion alone"]["f1"] < 1
    assert (measured["joint head, shuffled"]["pxr"] or 0) < 0.2  # null: nothing is found
    index(run, videos / "t0.mp4", tmp_path / "index")
    folder = tmp_path / "index" / "videos" / "t0"
    found = json.loads((folder / "strokes.json").read_text())
    assert found["decoder"] == "head"
    assert [stroke["label"] for stroke in found["strokes"]] == ["Push"] * 3
    with np.load(folder / "scores.npz") as kept:
        assert kept["scores_0"].shape == (0, 2)  # the head needs no windows
        assert kept["features_0"].shape == (FRAMES // 8, 720)
    before = (run / "detector" / "detector.json").read_bytes()
    fit_detector(run, dataset, config=config)
    assert (run / "detector" / "detector.json").read_bytes() == before


def test_still_windows_are_left_out_on_request(
    run: Path, dataset: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brightness stands for motion here: of dark windows the network sees nothing."""
    shown = []

    def brightness(chunk: PatchChunk) -> np.ndarray:
        return chunk.rgb.mean(axis=(1, 2, 3)).astype(np.float32)

    def counted(model: StrokeModel, window: Window) -> list[torch.Tensor]:
        shown.append(len(window.rgb))
        return network_inputs(model, window)

    monkeypatch.setattr(video_scores, "frame_energy", brightness)
    monkeypatch.setattr(moving_windows, "network_inputs", counted)
    fit_detector(run, dataset, config=DetectorConfig(use="decoder", skip_still=True))
    limit = json.loads((run / "detector" / "detector.json").read_text())["still_below_px"]
    assert 45 < limit < 95  # half of a window with half or more of its frames bright
    assert shown == []  # limits are measured on windows that are all scored
    assert evaluate_detector(run, dataset)["rows"]["decoder (threshold)"]["f1"] == 1
    assert 3 * 50 <= sum(shown) < FRAMES - 100
    index(run, videos / "t0.mp4", tmp_path / "index")
    folder = tmp_path / "index" / "videos" / "t0"
    assert len(json.loads((folder / "strokes.json").read_text())["strokes"]) == 3
    with np.load(folder / "scores.npz") as kept:
        still = (kept["scores_0"] == still_scores(CLASSES, "Negative")).all(axis=1)
        speeds = window_speeds(kept["energy_0"], 16, 8)
    assert np.array_equal(still, speeds < limit)
    assert 10 < still.sum() < len(still) - 15


def test_what_is_finished_is_kept_and_a_stop_changes_nothing(
    fitted: Path, dataset: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(fitted, videos, tmp_path / "whole")
    real, scored = scorer.video_scores, []

    def stops_at_the_second(location, *arguments, **options):
        scored.append(location)
        if len(scored) == 2:
            raise KeyboardInterrupt
        return real(location, *arguments, **options)

    monkeypatch.setattr(scorer, "video_scores", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        index(fitted, videos, tmp_path / "index")
    index(fitted, videos, tmp_path / "index")
    assert len(scored) == 4  # the first is not scored again
    assert contents(tmp_path / "index") == contents(tmp_path / "whole")
    index(fitted, videos, tmp_path / "index")
    assert len(scored) == 4


def test_a_video_that_browsers_cannot_play_gets_a_copy(
    fitted: Path, dataset: Path, tmp_path: Path
) -> None:
    write_video(tmp_path / "old.avi", BRIGHT["t0"])
    index(fitted, tmp_path / "old.avi", tmp_path / "index")
    folder = tmp_path / "index" / "videos" / "old"
    assert probe(folder / "film.mp4") == probe(tmp_path / "old.avi")
    assert '<video id="film" src="film.mp4"' in (folder / "index.html").read_text()
    whole = contents(tmp_path / "index")
    (folder / "strokes.json").unlink()  # as after a stop
    index(fitted, tmp_path / "old.avi", tmp_path / "index")
    assert contents(tmp_path / "index") == whole


def test_what_a_page_lacks_is_made_again(fitted: Path, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "a & b").mkdir()
    write_video(tmp_path / "a & b" / "old.avi", BRIGHT["t0"])
    index(fitted, tmp_path / "a & b", tmp_path / "index")
    folder, whole = tmp_path / "index" / "videos" / "old", contents(tmp_path / "index")
    for lost in (folder / "film.mp4", next((folder / "stills").iterdir()), folder / "index.html"):
        lost.unlink()
        index(fitted, tmp_path / "a & b", tmp_path / "index")
        assert contents(tmp_path / "index") == whole


def test_the_page_of_a_moved_video_is_written_again(
    fitted: Path, dataset: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there & then"):
        (tmp_path / name).mkdir()
        shutil.copy(videos / "t0.mp4", tmp_path / name / "t0.mp4")
        index(fitted, tmp_path / name / "t0.mp4", tmp_path / "index")
        monkeypatch.setattr(scorer, "video_scores", None)  # scores are kept
    page = tmp_path / "index" / "videos" / "t0" / "index.html"
    assert 'src="../../../there%20%26%20then/t0.mp4"' in page.read_text()
    (tmp_path / "link").symlink_to(tmp_path / "index", target_is_directory=True)
    index(fitted, tmp_path / "there & then" / "t0.mp4", tmp_path / "link")


@pytest.mark.parametrize("module", [scorer, video_indexer])
def test_another_version_of_the_code_computes_anew(
    module: ModuleType, fitted: Path, dataset: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = video_indexer.VideoIndexer(fitted, "cpu")
    row = {"video_id": "t0", "path": str(videos / "t0.mp4")}
    before = made.key(row, [None])
    assert made.key(row, [None]) == before
    monkeypatch.setattr(module, "_VERSION", 0)
    assert made.key(row, [None]) != before


def test_progress_counts_the_frames_of_scores_and_of_film(
    fitted: Path, dataset: Path, tmp_path: Path
) -> None:
    write_video(tmp_path / "old.avi", BRIGHT["t0"])
    told, page = list[int](), tmp_path / "index" / "videos" / "old" / "index.html"
    row = {"video_id": "old", "path": str(tmp_path / "old.avi"), "fps": FPS, "frame_seconds": None}
    item = VideoItem("old", row["path"], 2 * FRAMES, (row, [None], page))
    made = video_indexer.VideoIndexer(fitted, "cpu")
    assert made.ready()(item, told.append) == 2 * FRAMES
    assert told == sorted(told)
    assert told[-FRAMES:] == list(range(FRAMES + 1, 2 * FRAMES + 1))


@pytest.mark.parametrize("cores", [1, 2])
def test_a_device_that_there_is_not_is_one_line(
    cores: int,
    fitted: Path,
    dataset: Path,
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tttrain.indexing.jobs.run.available_cores", lambda: cores)
    for call in (
        lambda: index(fitted, videos, tmp_path / "index", device="gpu"),
        lambda: fit_detector(fitted, dataset, device="gpu"),
        lambda: evaluate_detector(fitted, dataset, device="gpu"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value) == "--device gpu: expected auto, cpu, cuda or cuda:N"
    with pytest.raises(InputError, match="--videos-per-gpu 0: expected 1 to 100"):
        index(fitted, videos, tmp_path / "index", videos_per_gpu=0)
    assert not (tmp_path / "index").exists()


def test_a_damaged_video_does_not_cost_the_others(
    fitted: Path, dataset: Path, videos: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    (source / "day").mkdir(parents=True)
    (source / "day" / "good.mp4").write_bytes((videos / "t0.mp4").read_bytes())
    (source / "bad.mp4").write_bytes(b"no video")
    write_video(source / "short.mp4", [], num_frames=9)
    with pytest.raises(TTError, match=r"3 strokes of 1 videos.*2 videos failed") as caught:
        index(fitted, source, tmp_path / "index")
    assert "bad" in str(caught.value)
    assert "has 9 frames, expected at least the 16 of a window" in str(caught.value)
    assert (tmp_path / "index" / "videos" / "day" / "good" / "index.html").is_file()


def test_a_damaged_validation_video_is_named_once_the_others_are_scored(
    run: Path, dataset: Path, videos: Path, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    shutil.copytree(videos, copies)
    damaged = write_dataset_of(copies, tmp_path / "damaged", {"t0": "test"})
    (copies / "v0.mp4").write_bytes(b"no video")
    with pytest.raises(TTError, match=r"1 of 2 videos cannot be scored.*v0\.mp4.*curate") as caught:
        fit_detector(run, damaged)
    assert caught.value.exit_code == 1
    assert "v1" not in str(caught.value)
    assert len(list((run / "detector" / "scores").iterdir())) == 1
    assert not (run / "detector" / "detector.json").exists()


def test_what_a_killed_command_left_is_removed(
    run: Path, dataset: Path, videos: Path, tmp_path: Path
) -> None:
    left = [
        run / "detector" / "scores" / ".a.npz.0123.tmp",
        tmp_path / "index" / "videos" / "t0" / ".strokes.json.0123.tmp",
    ]
    for path in left:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
    fit_detector(run, dataset)
    index(run, videos / "t0.mp4", tmp_path / "index")
    assert not any(path.exists() for path in left)


def test_one_command_at_a_time(fitted: Path, dataset: Path, videos: Path, tmp_path: Path) -> None:
    with (
        lock_folder(tmp_path / "index", "index"),
        pytest.raises(InputError, match="another `tttrain index` works on this folder"),
    ):
        index(fitted, videos / "t0.mp4", tmp_path / "index")
    with (
        Run(fitted).lock("detector"),
        pytest.raises(InputError, match="another `tttrain fit-detector` or `evaluate-detector`"),
    ):
        fit_detector(fitted, dataset)


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


def test_nothing_is_measured_on_what_was_learned_from(
    run: Path, dataset: Path, videos: Path, tmp_path: Path
) -> None:
    fit_detector(run, dataset, config=DetectorConfig(use="decoder"))
    other = write_dataset_of(videos, tmp_path / "other", {"v1": "test"})
    with pytest.raises(InputError, match="learned from 1 of the 1 videos, such as 'v1'"):
        evaluate_detector(run, other)


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
    with pytest.raises(InputError, match=r"3 have strokes of it beside others.*--group video"):
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
