"""`ttdata annotate PROJECT ...` as people type it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ttdata.annotate.project import Project
from ttdata.annotate.work.videos import list_videos
from ttdata.cli import app
from ttdata.errors import InputError

HIT = "Offensive Forehand Hit"


def annotate(*arguments: object) -> str:
    """What the command prints; its errors are raised."""
    result = CliRunner().invoke(app, ["annotate", *map(str, arguments)], catch_exceptions=False)
    return result.output


@pytest.fixture
def source(write_video, tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    write_video(folder / "videos" / "m1.mp4", 300)
    (folder / "annotations.csv").write_text(
        "video_id,annotator_id,start_frame,end_frame,label\n"
        f"m1,ann,100,130,{HIT}\nm1,bob,102,130,{HIT}\nm1,bob,0,30,{HIT}\n"
    )
    return folder


def test_from_a_source_to_a_dataset(source: Path, tmp_path: Path) -> None:
    project, out = tmp_path / "project", tmp_path / "out"
    assert "a project of 20 kinds of strokes" in annotate(project, "init")
    printed = annotate(project, "add", source, "--annotations")
    assert "1 video added" in printed
    assert f"{source}: 2 annotations as finished marks" in printed
    assert "left out: 1 annotation (starts_at_first_frame)" in printed
    assert "0 videos added, 1 was there" in annotate(project, "add", source)
    assert f"2 marks of 1 video: {out}" in annotate(project, "export", out)
    backup = Path(annotate(project, "backup").removeprefix("backup: ").strip())
    assert backup.parent == project / "backups"
    assert f"as of {backup.name}; what was there is in" in annotate(project, "restore", backup.name)
    curated = CliRunner().invoke(app, ["curate", str(project), "--out", str(tmp_path / "data")])
    assert curated.exit_code == 0
    assert "1  clips: strokes" in curated.output


def test_golden_clips_and_proposals(source: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    annotate(project, "init", "--annotators-per-video", 3, "--golden-share", 0.2)
    (source / "truth.csv").write_text(f"video_id,start_frame,end_frame,label\nm1,100,130,{HIT}\n")
    assert "1 stroke of golden clips" in annotate(project, "add", source, "--golden")
    printed = annotate(project, "add", source / "annotations.csv", "--proposals")
    assert "3 proposals" in printed


def test_only_videos_that_are_added_with_it_become_golden(
    write_video, source: Path, tmp_path: Path
) -> None:
    project, known = tmp_path / "project", tmp_path / "known"
    annotate(project, "init")
    annotate(project, "add", source)
    write_video(known / "videos" / "m2.mp4", 200)
    rows = f"m1,100,130,{HIT}\nm2,100,130,{HIT}\n"
    (known / "truth.csv").write_text(f"video_id,start_frame,end_frame,label\n{rows}")
    printed = annotate(project, "add", known, "--golden")
    assert "left out: 1 stroke of videos that are not added here" in printed
    assert f"{known}: 1 stroke of golden clips" in printed
    with Project(project) as opened, opened.marks.reading() as db:
        assert [video.golden for video in list_videos(db)] == [False, True]


def test_golden_clips_of_which_nothing_is_known_are_not_added_as_ordinary_ones(
    source: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    annotate(project, "init")
    with pytest.raises(InputError, match=r"2 annotators, expected truth\.csv"):
        annotate(project, "add", source, "--golden")
    assert list((project / "proxies").iterdir()) == []
    assert "1 video added" in annotate(project, "add", source)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--golden", "--proposals"), "expected one of them"),
        (("--annotator", "ann"), "expected with --annotations only"),
    ],
)
def test_options_that_do_not_fit(source: Path, tmp_path: Path, options, words) -> None:
    with pytest.raises(InputError, match=words):
        annotate(tmp_path / "project", "add", source, *options)


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    for command in (("backup",), ("export", tmp_path / "out"), ("add", tmp_path)):
        with pytest.raises(InputError, match=r"no annotate\.json; `ttdata annotate .* init`"):
            annotate(tmp_path, *command)
    with pytest.raises(InputError, match="no backup"):
        annotate(tmp_path, "restore", "x")
