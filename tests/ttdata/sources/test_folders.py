"""Folders whose layout could be misread: nothing becomes a class, or is lost, without a word."""

import json
import os
from pathlib import Path

import pytest

from ttdata.errors import AnnotationError
from ttdata.sources.folder import files_below
from ttdata.sources.formats import read_source
from ttdata.sources.videos import find_videos


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_an_unknown_table_beside_videos_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "videos" / "m1.mp4", tmp_path / "marks.csv", tmp_path / ".DS_Store")
    with pytest.raises(AnnotationError, match=r"found marks.csv, videos/\); expected annotations"):
        read_source(tmp_path)
    # A person may insist.
    assert read_source(tmp_path, "class-folders").annotations["label"].to_list() == ["videos"]


def test_tables_that_the_format_does_not_read_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "serve" / "1.mp4", tmp_path / "marks.csv", tmp_path / "clips.json")
    notes = read_source(tmp_path).notes
    assert notes == ("not read: clips.json, marks.csv; the source is of the format class-folders",)


@pytest.mark.parametrize("names", [("Train", "Test"), ("TRAINING", "Valid", "testing")])
def test_split_folders_in_any_case(tmp_path: Path, names: tuple[str, ...]) -> None:
    touch(*(tmp_path / name / label / "1.mp4" for name in names for label in ("serve", "smash")))
    source = read_source(tmp_path)
    assert source.format == "mediaeval-folders"
    assert set(source.annotations["label"]) == {"serve", "smash"}
    assert set(source.files["given_split"]) >= {"train", "test"}


def test_test_lists_in_a_folder_in_capitals(tmp_path: Path) -> None:
    touch(tmp_path / "Train" / "serve" / "1.mp4", tmp_path / "Test" / "3.mp4")
    (tmp_path / "Test" / "test.xml").write_text(
        '<videos><video name="3.mp4" class="serve"/></videos>'
    )
    assert read_source(tmp_path).annotations["label"].to_list() == ["serve", "serve"]


def test_splits_among_classes_are_not_classes(tmp_path: Path) -> None:
    touch(*(tmp_path / name / "1.mp4" for name in ("Train", "Test", "serve")))
    with pytest.raises(AnnotationError, match="found Test/, Train/, serve/"):
        read_source(tmp_path)


def test_split_folders_of_xml_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "Train").mkdir()
    (tmp_path / "Train" / "m1.xml").write_text('<video><action begin="1" end="9"/></video>')
    touch(tmp_path / "videos" / "m1.mp4")
    source = read_source(tmp_path)
    assert source.annotations["video_id"].to_list() == ["m1"]
    assert source.files["given_split"].to_list() == ["train"]


def test_subsets_of_activitynet(tmp_path: Path) -> None:
    subsets = {"m1": "Training", "m2": "Test", "m3": "val", "m4": "holdout"}
    marks = [{"label": "Push", "segment": [0.5, 1.5]}]
    database = {name: {"subset": s, "annotations": marks} for name, s in subsets.items()}
    (tmp_path / "p.json").write_text(json.dumps({"database": database}))
    touch(*(tmp_path / "videos" / f"{name}.mp4" for name in subsets))
    source = read_source(tmp_path)
    assert source.files["given_split"].to_list() == ["train", "test", "validation", None]
    assert len(source.notes) == 1
    assert 'p.json: database.m4.subset: found "holdout", expected' in source.notes[0]


def test_a_class_of_files_with_unknown_extensions_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path / "serve" / "1.mp4", tmp_path / "smash" / "1.clip")
    with pytest.raises(AnnotationError, match=r"smash: the class would lose all its clips: 1.clip"):
        read_source(tmp_path)


def test_containers_of_many_kinds_are_videos(tmp_path: Path) -> None:
    touch(*(tmp_path / "smash" / f"{i}.{e}" for i, e in enumerate(("gif", "mxf", "3g2", "VOB"))))
    assert len(find_videos(tmp_path)) == 4


def test_what_is_passed_over_is_listed(tmp_path: Path) -> None:
    touch(
        tmp_path / "serve" / "1.mp4",
        tmp_path / "serve" / "2.clip",
        tmp_path / "docs" / "readme.txt",
        tmp_path / "__MACOSX" / "serve" / "._1.mp4",
        tmp_path / ".cache" / "x.clip",
    )
    (tmp_path / "smash").mkdir()
    assert read_source(tmp_path).notes == (
        "passed over: 2 files that are no videos (docs/readme.txt, serve/2.clip)",
        "passed over: folders without a file: smash",
    )


def test_a_split_that_loses_a_class_is_an_error(tmp_path: Path) -> None:
    touch(*(tmp_path / name / "serve" / "1.mp4" for name in ("train", "test")))
    touch(tmp_path / "test" / "smash" / "1.clip")
    with pytest.raises(AnnotationError, match=r"smash: the class would lose"):
        read_source(tmp_path)


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / "clips" / "serve" / "1.mp4", tmp_path / "elsewhere" / "1.mp4")
    (tmp_path / "clips" / "smash").symlink_to(tmp_path / "elsewhere")
    source = read_source(tmp_path / "clips")
    assert source.annotations["label"].to_list() == ["serve", "smash"]


def test_links_that_lead_nowhere_or_round_are_errors(tmp_path: Path) -> None:
    touch(tmp_path / "serve" / "1.mp4")
    link = tmp_path / "smash"
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(AnnotationError, match=r"smash: links to .*gone, which is missing"):
        files_below(tmp_path)
    link.unlink()
    link.symlink_to(tmp_path)
    with pytest.raises(AnnotationError, match=r"smash: links to a folder that it is in"):
        files_below(tmp_path)


def test_a_folder_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "serve" / "1.mp4", tmp_path / "smash" / "1.mp4")
    real = os.scandir

    def scandir(path: Path):  # the tests may run as root, who can read everything
        if Path(path).name == "smash":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(AnnotationError, match=r"smash: cannot be read \(Permission denied\)"):
        read_source(tmp_path)
