"""What must not be written: inputs, however they are spelt, and folders of another kind."""

import os
from pathlib import Path

import pytest

from ttdata.commands.curate import curate_source, run_curate
from ttdata.commands.review import run_review
from ttdata.commands.split import split_dataset
from ttdata.errors import InputError
from ttdata.schema import CurationConfig
from ttdata.sources.conversion import convert_source
from ttdata.storage.outputs import (
    check_output,
    check_output_file,
    check_output_folder,
    source_inputs,
)

CONFIG = CurationConfig(window_frames=16)
MARKS = "video_id,annotator_id,start_frame,end_frame,label\nm1,a,10,40,Loop\nm1,a,50,80,Push\n"


@pytest.fixture
def source(tmp_path: Path, write_video) -> Path:
    """A source of people: two strokes of one video."""
    write_video(tmp_path / "src" / "videos" / "m1.mp4", 100)
    (tmp_path / "src" / "annotations.csv").write_text(MARKS)
    return tmp_path / "src"


@pytest.fixture
def dataset(source: Path, tmp_path: Path) -> Path:
    return curate_source(source, tmp_path / "ds", CONFIG, taxonomy="infer").dataset.path


def test_spellings_of_an_input(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "marks.csv").write_text("")
    (tmp_path / "link").symlink_to("a/b")
    (tmp_path / "file").symlink_to("a/b/marks.csv")
    os.link(tmp_path / "a" / "b" / "marks.csv", tmp_path / "hard")
    monkeypatch.chdir(tmp_path)
    marks = Path("a/b/marks.csv")
    same = (marks, marks.absolute(), "a/../a/b/marks.csv", "link/marks.csv", "file", "hard")
    for out in map(Path, same):
        with pytest.raises(InputError, match="is what is read; expected another"):
            check_output(out, [marks])
        with pytest.raises(InputError, match="is what is read; expected another"):
            check_output(marks, [out])
    for out in map(Path, ("a", "a/b", "link", ".", "..", "/", "a/b/..")):
        with pytest.raises(InputError, match=r"holds a/b/marks\.csv, which is read"):
            check_output(out, [marks])
        check_output(out, [marks], may_hold_inputs=True)
    for out in map(Path, ("a/b/new", "a/b/new/er.csv", "link/new", "a/c/../b/new")):
        with pytest.raises(InputError, match="lies in a/b, which is read"):
            check_output(out, [Path("a/b")])
        check_output(out, [marks, None, "s3://bucket/a/b", "missing"])


def test_a_link_counts_where_it_is(tmp_path: Path) -> None:
    """Replacing a file puts the new one where the link was."""
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere.csv").write_text("")
    (tmp_path / "in" / "marks.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(InputError, match="lies in"):
        check_output(tmp_path / "in" / "marks.csv", [tmp_path / "in"])
    with pytest.raises(InputError, match="holds"):
        check_output(tmp_path / "in", [tmp_path / "in" / "marks.csv"])
    with pytest.raises(InputError, match="is what is read"):
        check_output(tmp_path / "elsewhere.csv", source_inputs(tmp_path / "in"))
    (tmp_path / "circle").symlink_to("circle")
    check_output(tmp_path / "circle", [tmp_path / "in", tmp_path / "circle"])
    with pytest.raises(InputError, match="is what is read"):
        check_output(tmp_path / "elsewhere.csv", [f"file://{tmp_path}/elsewhere.csv"])


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["dataset.json"], "a dataset"),
        (["shards.json", "dataset.json"], "shards"),
        (["run.json"], "a run"),
        (["synth.json", "annotations.csv"], "a synthetic source"),
        (["table.json", "table.md"], "a comparison"),
        (["folds.json", "predictions.parquet"], "a cross-validation"),
        (["annotations.csv"], "a source"),
        (["annotations.parquet"], "a source"),
    ],
)
def test_folders_of_another_kind(tmp_path: Path, files: list[str], kind) -> None:
    for name in files:
        (tmp_path / name).write_text("")
    check_output_folder(tmp_path, kind, [])
    other = "a run" if kind != "a run" else "a dataset"
    with pytest.raises(InputError, match=f"holds {kind}, expected {other} or a new folder"):
        check_output_folder(tmp_path, other, [])
    if kind != "a source":
        with pytest.raises(InputError, match=f"belongs to {kind}"):
            check_output_file(tmp_path / files[0].upper(), [])
    check_output_file(tmp_path / "strokes.csv", [])


def test_settings_may_lie_in_the_folder_they_are_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    names = {"settings": [tmp_path / "config.json"], "writes": ["run.json"]}
    check_output_folder(tmp_path, "a run", [], **names)
    (tmp_path / "config.json").rename(tmp_path / "run.json")
    with pytest.raises(InputError, match="is what is read"):
        check_output_folder(
            tmp_path, "a run", [], settings=[tmp_path / "run.json"], writes=["run.json"]
        )


def test_curation_into_its_source_is_refused(source: Path) -> None:
    before = sorted(source.rglob("*"))
    for read in (source, source / "annotations.csv"):
        for out in (source, source / "ds", source.parent):
            if read == source or out == source:
                with pytest.raises(InputError, match="read; expected another"):
                    list(run_curate(read, out, taxonomy="infer"))
    assert sorted(source.rglob("*")) == before
    assert (source / "annotations.csv").read_text() == MARKS


def test_curation_over_videos_that_a_table_names(source: Path, tmp_path: Path) -> None:
    (source / "videos").rename(tmp_path / "store")
    (source / "videos.csv").write_text(f"video_id,path\nm1,{tmp_path}/store/m1.mp4\n")
    with pytest.raises(InputError, match=r"store: holds .*m1\.mp4, which is read"):
        curate_source(source, tmp_path / "store", CONFIG, taxonomy="infer")
    assert len(list((tmp_path / "store").iterdir())) == 1


def test_curation_again_and_after_a_stop(source: Path, dataset: Path) -> None:
    curate_source(source, dataset, CONFIG, taxonomy="infer")
    (dataset / "dataset.json").unlink()
    curate_source(source, dataset, CONFIG, taxonomy="infer")
    (dataset / "run.json").write_text("{}")
    with pytest.raises(InputError, match="holds a run, expected a dataset"):
        curate_source(source, dataset, CONFIG, taxonomy="infer")


def test_conversion_over_what_it_reads(source: Path, tmp_path: Path) -> None:
    convert_source(source, tmp_path / "elan", "eaf")
    marks = tmp_path / "elan" / "m1.eaf"
    before = marks.read_bytes()
    for out in (tmp_path / "elan", marks, tmp_path):
        with pytest.raises(InputError, match="read; expected another"):
            convert_source(marks, out, "eaf")
    for out in (source / "annotations.csv", source / "videos" / "m1.mp4", source / "new.csv"):
        with pytest.raises(InputError, match="lies in"):
            convert_source(source, out, "crowd")
    with pytest.raises(InputError, match="lies in"):
        convert_source(source / "annotations.csv", source / "videos" / "new.csv", "crowd")
    assert marks.read_bytes() == before
    assert (source / "annotations.csv").read_text() == MARKS


def test_conversion_over_a_table_of_a_dataset(source: Path, dataset: Path) -> None:
    with pytest.raises(InputError, match="belongs to a dataset"):
        convert_source(source, dataset / "annotations.parquet", "crowd")


def test_review_keeps_decisions(dataset: Path, tmp_path: Path) -> None:
    reviews = dataset / "reviews.csv"
    with reviews.open("a") as handle:
        handle.write("m1,10,40,relabel,Loop,,,me\n")
    before = reviews.read_text()
    with pytest.raises(InputError, match="lies in"):
        list(run_review(dataset, out=reviews))
    with pytest.raises(InputError, match="is what is read"):
        list(run_review(dataset, decisions=reviews))
    assert reviews.read_text() == before


def test_review_over_a_list(dataset: Path, tmp_path: Path) -> None:
    todo = tmp_path / "todo.csv"
    list(run_review(dataset, out=todo))
    written = todo.read_text()
    list(run_review(dataset, out=todo))  # nobody wrote in it
    assert todo.read_text() == written
    filled = written + "m1,10,40,,,,,me,action,0.33,,\n"
    todo.write_text(filled)
    with pytest.raises(InputError, match="1 rows are filled in; take them with --decisions"):
        list(run_review(dataset, out=todo))
    with pytest.raises(InputError, match="is what is read"):
        list(run_review(dataset, out=todo, decisions=todo))
    assert todo.read_text() == filled
    todo.write_text(MARKS)
    with pytest.raises(InputError, match="is no list that review wrote; name a new file"):
        list(run_review(dataset, out=todo))
    assert todo.read_text() == MARKS


def test_a_division_by_its_own_table(dataset: Path) -> None:
    before = (dataset / "clips.parquet").read_bytes()
    with pytest.raises(InputError, match="is what is read"):
        split_dataset(dataset, "file", assign=dataset / "clips.parquet")
    assert (dataset / "clips.parquet").read_bytes() == before
