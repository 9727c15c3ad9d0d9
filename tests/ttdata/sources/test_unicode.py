"""One identity of text: composed and decomposed letters are the same id, label, folder, class."""

from pathlib import Path
from unicodedata import normalize

import polars as pl

from ttdata.commands.curate import curate_source
from ttdata.sources.formats import read_source
from ttdata.splits.assignments import read_assignments
from ttdata.taxonomy import Taxonomy

COMPOSED, DECOMPOSED = (normalize(form, "Süd_1") for form in ("NFC", "NFD"))
HEADER = "video_id,annotator_id,start_frame,end_frame,label\n"


def test_a_video_is_found_in_either_form(tmp_path: Path, write_video) -> None:
    for place, (in_table, on_disk) in enumerate([(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)]):
        source = tmp_path / str(place)
        write_video(source / "videos" / f"{on_disk}.mp4", 60)
        (source / "annotations.csv").write_text(f"{HEADER}{in_table},ann,10,40,Push\n")
        (source / "videos.csv").write_text(f"video_id,player_id\n{in_table},p\n")
        curated = curate_source(source, tmp_path / f"out{place}", taxonomy="infer")
        assert curated.dataset.annotations["accepted"].to_list() == [True]
        assert curated.dataset.videos.select("video_id", "player_id").rows() == [(COMPOSED, "p")]


def test_a_listed_path_is_found_in_either_form(tmp_path: Path) -> None:
    (tmp_path / f"{DECOMPOSED}.mp4").write_bytes(b"")
    (tmp_path / "videos.csv").write_text(f"video_id,path\nm,{COMPOSED}.mp4\n")
    (tmp_path / "annotations.csv").write_text(f"{HEADER}m,ann,10,40,Push\n")
    assert read_source(tmp_path).files["path"].to_list() == [str(tmp_path / f"{DECOMPOSED}.mp4")]


def test_labels_and_folders_in_either_form_are_one(tmp_path: Path) -> None:
    first, second = normalize("NFC", "Rückhand"), normalize("NFD", "Rückhand")
    for name, number in ((first, 1), (second, 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{number}.mp4").write_bytes(b"")
    (tmp_path / "clips.csv").write_text(f"path,player_id\n{first}/2.mp4,p\n")
    annotations = read_source(tmp_path).annotations
    assert annotations.select("video_id", "label", "player_id").rows() == [
        (f"{first}/1", first, None),
        (f"{first}/2", first, "p"),
    ]


def test_taxonomies_know_either_form() -> None:
    first, second = normalize("NFC", "Rückhand"), normalize("NFD", "Rückhand")
    for spelt in (first, second):
        taxonomy = Taxonomy.model_validate({"name": "x", "strokes": [{"label": spelt}]})
        assert taxonomy.canonical(first) == taxonomy.canonical(second) == first
    assert Taxonomy.infer([first, second]).classes == (first,)


def test_assignments_in_either_form(tmp_path: Path) -> None:
    table = tmp_path / "assign.csv"
    table.write_text(f"video_id,split\n{DECOMPOSED},train\n")
    assert read_assignments(table)["video_id"].to_list() == [COMPOSED]
    assert pl.Series([COMPOSED]).is_in([DECOMPOSED]).to_list() == [False]
