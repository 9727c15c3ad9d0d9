"""The strokes of a video that `tttrain predict` names: placed as curation places them."""

import json
import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ttdata.errors import InputError
from ttdata.storage.dataset import load_dataset
from ttflow.schema import FlowConfig
from tttrain.evaluation import video_input


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """15 frames a second for 4 s, then 30 for 4 s."""
    path = tmp_path / "m1.mp4"
    ticks = [*range(0, 120, 2), *range(120, 240)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 30)
        for tick in ticks:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), tick, np.uint8), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def intervals(video: Path, strokes: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    monkeypatch.setattr(video_input, "extract", lambda *_: None)
    with video_input.extracted(video, strokes, FlowConfig(), ("Push",)) as shards:
        clips = load_dataset(shards.parent / "dataset").clips
    return clips.select("start_frame", "end_frame").rows()


def test_seconds_go_through_presentation_times(tmp_path, video: Path, monkeypatch) -> None:
    strokes = tmp_path / "strokes.csv"
    strokes.write_text(
        "video_id,annotator_id,start_seconds,end_seconds,label\nother name,a,6,7,Push\n"
    )
    assert intervals(video, strokes, monkeypatch) == [(120, 150)]


@pytest.mark.parametrize("name", ["m1", "another"])
def test_frames_of_another_rate_are_placed_by_time(
    tmp_path, video: Path, monkeypatch, caplog, name: str
) -> None:
    """As curation does, with a line; the video is named otherwise than the file, or not."""
    strokes = tmp_path / "spot.json"
    event = {"frame": 65, "label": "Push"}
    strokes.write_text(json.dumps([{"video": name, "fps": 10, "events": [event]}]))
    with caplog.at_level(logging.WARNING):
        assert intervals(video, strokes, monkeypatch) == [(120, 150)]
    assert "spot.json: video 'm1': its annotations count 10 frames a second" in caplog.text


def test_the_clock_of_label_studio(tmp_path, video: Path, monkeypatch, caplog) -> None:
    region = {"ranges": [{"start": 145, "end": 168}], "timelinelabels": ["Push"]}
    task = {"data": {"video": "m1.mp4"}, "annotations": [{"result": [{"value": region}]}]}
    strokes = tmp_path / "studio.json"
    strokes.write_text(json.dumps([task]))
    with caplog.at_level(logging.WARNING):
        assert intervals(video, strokes, monkeypatch) == [(120, 150)]
    assert "counts 24 frames a second unless told otherwise" in caplog.text


def test_strokes_of_other_videos(tmp_path, video: Path, monkeypatch) -> None:
    strokes = tmp_path / "strokes.csv"
    strokes.write_text(
        "video_id,annotator_id,start_frame,end_frame,label\nb,a,6,7,Push\nc,a,6,7,Push\n"
    )
    with pytest.raises(InputError, match=r"has no stroke of 'm1'; it names b, c"):
        intervals(video, strokes, monkeypatch)
