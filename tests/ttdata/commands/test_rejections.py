"""Annotations that curation rejects: what the person is told."""

from pathlib import Path

import polars as pl
import pytest

from ttdata.commands.curate import curate_source, run_curate
from ttdata.commands.rejections import check_any_accepted
from ttdata.errors import AnnotationError

HEADER = "video_id,annotator_id,start_frame,end_frame,label\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A crowd source whose labels are its own but one."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "videos.csv").write_text("video_id,fps,num_frames,width,height\nv,100,9000,64,36\n")
    return folder


def annotate(folder: Path, *labels: str) -> Path:
    rows = [f"v,ann,{200 * i},{200 * i + 100},{label}\n" for i, label in enumerate(labels, 1)]
    (folder / "annotations.csv").write_text(HEADER + "".join(rows))
    return folder


def test_labels_of_ones_own_are_shown_with_the_nearest_known(source: Path, tmp_path: Path) -> None:
    labels = [
        "Smash",
        "Offensive Forehand Loup",
        "Smash",
        "a",
        "b",
        "c",
        "d",
        "Serve Forehand Loop",
    ]
    notes = curate_source(annotate(source, *labels), tmp_path / "data").notes
    (line,) = (note for note in notes if note.startswith("labels outside"))
    assert line.startswith(
        "labels outside the taxonomy ttstroke21: 7 of 8 annotations: 'Smash' 2 (nearest: "
    )
    assert "'Offensive Forehand Loup' 1 (nearest: 'Offensive Forehand Loop')" in line
    assert "and 1 more; --taxonomy infer makes" in line
    assert "--taxonomy FILE" in line


def test_nothing_accepted_is_wrong_input(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    annotate(source, "Smash", "Lob")
    lines: list[str] = []
    with pytest.raises(AnnotationError, match=r"none of 2 .* accepted \(unknown_label 2\)") as e:
        lines.extend(run_curate(source, out))
    assert e.value.exit_code == 2
    assert lines[0].startswith("labels outside the taxonomy ttstroke21: 2 of 2")
    curated = curate_source(source, out, taxonomy="infer")
    strokes = curated.dataset.clips.filter(pl.col("kind") == "stroke")
    assert strokes["label"].to_list() == ["Smash", "Lob"]


def test_other_reasons_are_counted(source: Path, tmp_path: Path) -> None:
    (source / "annotations.csv").write_text(HEADER + "v,ann,0,100,Smash\nw,ann,5,3,\n")
    annotations = curate_source(source, tmp_path / "data").dataset.annotations
    with pytest.raises(AnnotationError) as caught:
        check_any_accepted(source, annotations)
    assert str(caught.value).startswith(
        f"{source}: none of 2 annotations is accepted (starts_at_first_frame 1, unlabelled 1, "
        "unknown_label 1, unknown_video 1, empty_interval 1)"
    )
