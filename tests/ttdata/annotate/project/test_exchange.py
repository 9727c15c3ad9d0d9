"""What goes in comes out: sources, exports, backups."""

import csv
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from ttdata.annotate.exchange.adding import add_paths
from ttdata.annotate.exchange.backup import back_up, list_backups, moment_of, restore
from ttdata.annotate.exchange.export import export_here, export_project, list_exports
from ttdata.annotate.exchange.importing import import_marks, import_proposals, import_truth
from ttdata.annotate.project import Project, create_project
from ttdata.annotate.store.errors import ProjectError, Refused
from ttdata.annotate.store.projection import projection_bytes
from ttdata.annotate.work.golden import Truth, set_truth, truth_of
from ttdata.annotate.work.proposals import proposals_of
from ttdata.annotate.work.videos import add_video, list_videos
from ttdata.commands.curate import curate_source
from ttdata.errors import AnnotationError, InputError, VersionError
from ttdata.sources.formats import annotation_project, read_source
from ttdata.taxonomy import TTSTROKE21

HIT, LOOP = "Offensive Forehand Hit", "Offensive Forehand Loop"


def done(project: Project, finish) -> None:
    """Work of every kind: two people finished `a`, one not, `b` is golden, hints of a model."""
    project.marks.write(
        lambda db: set_truth(db, "b", [Truth(start_frame=5, end_frame=95, label=HIT)])
    )
    finish("a", "ann", 900, (100, 220, HIT), (400, 520, LOOP))
    finish("a", "bob", 910, (104, 218, HIT))
    finish("b", "ann", 920, (5, 95, HIT))


def test_an_export_is_a_crowd_source(project: Project, finish, tmp_path: Path) -> None:
    done(project, finish)
    found = export_project(project, tmp_path / "out", "tea")
    assert (found.marks, found.videos) == (3, 1)
    assert found.notes == ("left out: 1 marks of golden clips",)
    rows = list(csv.reader((tmp_path / "out" / "annotations.csv").read_text().splitlines()))
    assert rows[0] == [
        *("annotation_id", "video_id", "annotator_id", "start_frame", "end_frame", "label")
    ]
    assert [row[1:] for row in rows[1:]] == [
        ["a", "ann", "100", "220", HIT],
        ["a", "bob", "104", "218", HIT],
        ["a", "ann", "400", "520", LOOP],
    ]
    assert rows[1][0] == "00000000-0000-0000-0000-000000000385"  # the mark's id: 901
    names = ("annotations.csv", "videos.csv", "taxonomy.json")
    first = [(tmp_path / "out" / name).read_bytes() for name in names]
    export_project(project, tmp_path / "out", "tea")
    assert [(tmp_path / "out" / name).read_bytes() for name in names] == first
    with project.marks.reading() as db:
        kinds = db.execute("SELECT count(*) FROM event WHERE kind = 'exported'").fetchone()
    assert kinds == (2,)


def test_curating_the_project_and_its_export_is_the_same(
    project: Project, finish, tmp_path: Path
) -> None:
    done(project, finish)
    export_project(project, tmp_path / "out", "tea")
    read = read_source(project.folder)  # while it is open for writing
    assert (read.format, read.trimmed) == ("annotation-project", False)
    direct = curate_source(project.folder, tmp_path / "direct")
    by_export = curate_source(tmp_path / "out", tmp_path / "by_export")
    assert direct.dataset.actions.equals(by_export.dataset.actions)
    assert direct.dataset.annotations.equals(by_export.dataset.annotations)
    assert direct.dataset.videos.drop("path").equals(by_export.dataset.videos.drop("path"))
    assert direct.dataset.actions["start_frame"].to_list() == [102, 400]
    assert direct.dataset.info.taxonomy == TTSTROKE21
    assert "left out: 1 marks of golden clips" in direct.notes


def test_exports_within_a_project_have_a_place_of_their_own(project: Project, finish) -> None:
    with pytest.raises(AnnotationError, match="no mark of a video that is done"):
        export_here(project, "tea")
    assert list_exports(project) == []
    done(project, finish)
    out, found = export_here(project, "tea")
    assert (found.marks, list_exports(project)) == (3, [out])
    assert out == project.folder / "exports" / "20261127T101500.250Z"
    assert moment_of(out) == project.marks.clock()
    assert read_source(out).annotations.height == 3
    for elsewhere in (project.folder, project.folder / "exports" / "a" / "b"):
        with pytest.raises(InputError, match=r"which is read|is what is read"):
            export_project(project, elsewhere, "tea")


def test_drafts_stay_in_the_project(project: Project, finish, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no mark of a video that is done \(it holds none"):
        read_source(project.folder)
    finish("a", "ann", 900, (100, 220, HIT))
    project.marks.write(
        lambda db: db.execute("UPDATE assignment SET state = 'open', done_seq = NULL")
    )
    with pytest.raises(AnnotationError, match="left out: 1 marks of videos not yet done"):
        export_project(project, tmp_path / "out", "tea")
    assert not (tmp_path / "out").exists()


def test_no_command_writes_into_a_project(project: Project, finish, tmp_path: Path) -> None:
    done(project, finish)
    with pytest.raises(InputError, match="lies in"):
        export_project(project, project.folder / "out", "tea")
    with pytest.raises(InputError, match=r"is what is read"):
        curate_source(project.folder, project.folder)
    other = create_project(tmp_path / "other", TTSTROKE21)
    other.close()
    with pytest.raises(InputError, match="holds an annotation project, expected a dataset"):
        curate_source(project.folder, tmp_path / "other")


def test_adding_videos(write_video, tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_video(source / "videos" / "m1.mp4", 30)
    write_video(source / "videos" / "m2.mp4", 40)
    (source / "videos" / "broken.mp4").write_bytes(b"no video")
    (source / "videos.csv").write_text("video_id,player_id\nm1,p1\nabsent,p2\n")
    with create_project(tmp_path / "project", TTSTROKE21) as project:
        added = add_paths(project, [source])
        assert added.num_new == 2
        assert [note.split(":")[:2] for note in added.notes] == [
            ["video left out", " absent"],
            ["video left out", f" {source / 'videos' / 'broken.mp4'}"],
        ]
        with project.marks.reading() as db:
            first, second = list_videos(db)
        assert (first.video_id, first.num_frames, first.player_id) == ("m1", 30, "p1")
        assert (second.fps, second.width, second.height) == (30, 48, 32)
        again = add_paths(project, [source / "videos" / "m1.mp4"])
        assert (again.num_new, len(again.videos)) == (0, 1)
        copy = write_video(tmp_path / "m3.mp4", 30)
        with pytest.raises(Refused, match="is in the project already, as 'm1'"):
            add_paths(project, [copy])
        with pytest.raises(InputError, match="no such file or folder"):
            add_paths(project, [tmp_path / "nothing"])
        with pytest.raises(InputError, match="two videos with one id 'm1'"):
            add_paths(project, [source, source / "videos" / "m1.mp4"])


CROWD = f"""annotation_id,video_id,annotator_id,start_frame,end_frame,label
1,a,ann,100,220,Off. forehand hit
2,a,ann,0,90,{HIT}
3,a,bob,100,,{HIT}
4,a,bob,300,420,{LOOP}
5,z,bob,300,420,{LOOP}
6,c,ann,300,1001,{LOOP}
"""


def test_annotations_from_elsewhere_become_finished_marks(
    project: Project, finish, tmp_path: Path
) -> None:
    (tmp_path / "crowd.csv").write_text(CROWD)
    done = import_marks(project, tmp_path / "crowd.csv")
    assert done.count == 2
    assert done.notes == (
        "left out: 1 annotation (empty_interval)",
        "left out: 1 annotation (ends_after_video)",
        "left out: 1 annotation (starts_at_first_frame)",
        "left out: 1 annotation (unknown_video)",
    )
    found = read_source(project.folder).annotations
    assert found.select("annotator_id", "start_frame", "end_frame", "label").rows() == [
        ("ann", 100, 220, HIT),
        ("bob", 300, 420, LOOP),
    ]
    with project.marks.reading() as db:
        before = projection_bytes(db)
    import_marks(project, tmp_path / "crowd.csv")  # the same again
    with project.marks.reading() as db:
        assert projection_bytes(db) == before
    finish("a", "eve", 900)
    (tmp_path / "crowd.csv").write_text(CROWD.replace("100,220", "101,220"))
    with pytest.raises(Refused, match="uuid is taken by another event"):
        import_marks(project, tmp_path / "crowd.csv")
    with pytest.raises(Refused, match="eve has it already"):
        import_marks(project, tmp_path / "crowd.csv", annotator="eve")


def test_half_annotated_videos_are_left_out(project: Project, tmp_path: Path) -> None:
    (tmp_path / "annotations.csv").write_text(CROWD)
    (tmp_path / "covered.csv").write_text("video_id,start_frame,end_frame\na,0,500\n")
    done = import_marks(project, tmp_path / "annotations.csv")
    assert done.count == 0
    assert "left out: 2 annotations of half-annotated videos" in done.notes


def test_truth_makes_golden_clips(project: Project, tmp_path: Path) -> None:
    rows = f"video_id,start_frame,end_frame,label,player_id\nb,100,220,{HIT},p1\nz,1,90,{HIT},p1\n"
    (tmp_path / "truth.csv").write_text(rows)
    done = import_truth(project, tmp_path)
    assert (done.count, done.notes) == (1, ("left out: 1 annotation (unknown_video)",))
    with project.marks.reading() as db:
        assert truth_of(db, "b") == (
            Truth(start_frame=100, end_frame=220, label=HIT, player_id="p1"),
        )
        assert [video.golden for video in list_videos(db)] == [False, True, False]
    (tmp_path / "truth.csv").unlink()
    (tmp_path / "annotations.csv").write_text(CROWD)
    with pytest.raises(InputError, match="2 annotators, expected truth"):
        import_truth(project, tmp_path)


def test_detections_become_hints(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "found.csv"
    file.write_text(CROWD)
    assert import_proposals(project, file).count == 3  # also what starts at frame 0
    assert import_proposals(project, file).count == 0
    with project.marks.reading() as db:
        found = [made.start_frame for _, made in proposals_of(db, "a")]
    assert found == [0, 100, 300]
    with pytest.raises(InputError, match="expected a file of detections"):
        import_proposals(project, tmp_path)


def test_backups_hold_marks_and_no_names(project: Project, finish) -> None:
    project.people.add("blue-fox", "annotator", name="Zacharias Quirrell")
    finish("a", "ann", 900, (100, 220, HIT))
    made = back_up(project.folder, clock=lambda: 1_795_774_500_250)
    assert made.name == "20261127T101500.250Z"
    assert sorted(path.name for path in made.iterdir()) == [
        *("annotate.json", "marks.sqlite", "taxonomy.json")
    ]
    assert b"Quirrell" not in b"".join(path.read_bytes() for path in made.iterdir())
    assert read_source(made).annotations.height == 1  # a backup is a source, too


def test_the_twenty_newest_backups_are_kept(project: Project) -> None:
    keep = project.folder / "backups" / "replaced-20200101T000000.000Z"
    keep.mkdir()
    for second in range(23):
        back_up(project.folder, clock=lambda s=second: 1_795_774_500_000 + 1000 * s)
    names = [path.name for path in list_backups(project.folder)]
    assert len(names) == 20
    assert names[0] == "20261127T101522.000Z"
    assert names[-1] == "20261127T101503.000Z"
    assert keep.is_dir()
    assert not list((project.folder / "backups").glob(".*"))


def test_restoring_keeps_what_it_replaces(project: Project, finish) -> None:
    folder = project.folder
    finish("a", "ann", 900, (100, 220, HIT))
    made = back_up(folder)
    finish("a", "bob", 910, (100, 220, HIT))
    with pytest.raises(ProjectError, match="is open for writing elsewhere"):
        restore(folder, made.name)
    project.close()
    kept = restore(folder, made.name)
    assert kept.name.startswith("replaced-")
    assert read_source(folder).annotations["annotator_id"].to_list() == ["ann"]
    assert read_source(kept).annotations.height == 2
    # Back again, by a path.
    restore(folder, str(kept), clock=lambda: 1_795_774_500_250)
    with Project(folder) as again, again.marks.reading() as db:
        assert db.execute("SELECT count(*) FROM mark").fetchone() == (2,)


def test_a_project_without_its_database_can_be_restored(project: Project, finish) -> None:
    finish("a", "ann", 900, (100, 220, HIT))
    made = back_up(project.folder)
    project.close()
    for name in ("annotate.json", "marks.sqlite", "taxonomy.json"):
        (project.folder / name).unlink(missing_ok=True)
    restore(project.folder, made.name)
    with Project(project.folder) as again:
        assert again.info.annotators_per_video == 2


def test_backups_that_are_none(project: Project) -> None:
    with pytest.raises(ProjectError, match=r"nothing: no backup; the newest of .*: none"):
        restore(project.folder, "nothing")
    made = back_up(project.folder)
    with pytest.raises(ProjectError, match=rf"the newest of .*: {made.name}"):
        restore(project.folder, "nothing")
    (made / "marks.sqlite").write_bytes(b"x" * 5000)
    project.close()
    before = (project.folder / "marks.sqlite").read_bytes()
    with pytest.raises(ProjectError, match="cannot be used as a project's database"):
        restore(project.folder, made.name)
    assert (project.folder / "marks.sqlite").read_bytes() == before
    assert not [name for name in os.listdir(project.folder / "backups") if "replaced" in name]


def test_a_backup_of_a_newer_release_is_not_restored(project: Project) -> None:
    made = back_up(project.folder)
    project.close()
    with closing(sqlite3.connect(made / "marks.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(VersionError, match="schema version 99, this release reads 2"):
        restore(project.folder, made.name)
    with pytest.raises(VersionError, match="schema version 99"):
        read_source(made)


def test_formats_agree_through_a_project(project: Project, finish, tmp_path: Path) -> None:
    """Exported, imported into another project and exported again: the same strokes."""
    done(project, finish)
    export_project(project, tmp_path / "out", "tea")
    with create_project(tmp_path / "second", TTSTROKE21) as second:
        with project.marks.reading() as db:
            videos = list_videos(db)
        second.marks.write(lambda db: [add_video(db, video) for video in videos])
        assert import_marks(second, tmp_path / "out").count == 3
        export_project(second, tmp_path / "again", "tea")
    columns = ("video_id", "annotator_id", "start_frame", "end_frame", "label")
    first, again = (
        pl.read_csv(tmp_path / name / "annotations.csv").select(columns)
        for name in ("out", "again")
    )
    assert first.equals(again)


def test_a_crowd_through_a_project_gives_the_actions_of_its_table(
    project: Project, tmp_path: Path
) -> None:
    """Also with the errors of annotation tools in it, which a project does not take."""
    lines = ["annotation_id,video_id,annotator_id,start_frame,end_frame,label"]
    for number in range(5):
        start = 10 + 190 * number
        lines += [
            f"{number}x,a,ann,{start},{start + 110},{HIT}",
            f"{number}y,a,bob,{start + 3},{start + 112},{LOOP if number == 2 else HIT}",
            f"{number}z,a,eve,{0 if number % 2 else start},{start + 150},{HIT}",
            f"{number}w,b,eve,{start},{start + 400},{HIT}",
        ]
    source = tmp_path / "source"
    source.mkdir()
    (source / "annotations.csv").write_text("\n".join(lines))
    (source / "videos.csv").write_text(
        "video_id,fps,num_frames,width,height\na,120,1000,640,360\nb,120,1000,640,360\n"
    )
    import_marks(project, source)
    columns = [*("action_id", "label", "status", "num_annotators", "start_spread_frames")]
    direct = curate_source(source, tmp_path / "direct").dataset.actions.select(columns)
    through = curate_source(project.folder, tmp_path / "through").dataset.actions.select(columns)
    assert direct.height == 5
    assert through.equals(direct)


@pytest.mark.parametrize("column", ["annotator_id", "player_id"])
def test_names_that_are_too_long_are_told_in_one_line(
    project: Project, tmp_path: Path, column: str
) -> None:
    row = {"annotation_id": "1", "video_id": "a", "annotator_id": "bob", "start_frame": "10"}
    row |= {"end_frame": "100", "label": HIT, "player_id": "p"} | {column: "x" * 201}
    table = tmp_path / "annotations.csv"
    table.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    with pytest.raises(
        InputError, match=r"annotations\.csv: video 'a': .*200 characters"
    ) as raised:
        import_marks(project, table)
    assert "\n" not in str(raised.value)
    with project.marks.reading() as db:
        assert db.execute("SELECT count(*) FROM event").fetchone() == (0,)


def test_a_project_is_read_where_nothing_can_be_written(
    project: Project, finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights do not bind root, so they are only said to be missing."""
    finish("a", "ann", 900, (100, 220, HIT))
    monkeypatch.setattr("os.access", lambda *_: False)
    path = project.folder / "marks.sqlite"
    assert annotation_project.read_only_uri(path).endswith("?mode=ro")  # somebody writes
    project.close()
    assert annotation_project.read_only_uri(path).endswith("?mode=ro&immutable=1")
    before = sorted(project.folder.iterdir())
    assert read_source(project.folder).annotations.height == 1
    assert sorted(project.folder.iterdir()) == before


def test_a_backup_is_kept_after_the_clock_was_put_back(project: Project) -> None:
    for second in range(20):
        back_up(project.folder, clock=lambda s=second: 1_795_774_500_000 + 1000 * s)
    made = [back_up(project.folder, clock=lambda: 1_700_000_000_000) for _ in range(2)]
    assert [path.name for path in made] == ["20261127T101519.001Z", "20261127T101519.002Z"]
    assert list_backups(project.folder)[:2] == made[::-1]


def test_names_of_videos_are_no_formulas(
    project: Project, finish, make_video, tmp_path: Path
) -> None:
    facts = {"fingerprint": "1-x", "player_id": "+1", "session_id": "@home"}
    project.marks.write(lambda db: add_video(db, make_video("=1+1", **facts)))
    finish("=1+1", "ann", 900, (100, 220, HIT))
    export_project(project, tmp_path / "out", "tea")
    (row,) = csv.DictReader((tmp_path / "out" / "videos.csv").read_text().splitlines())
    assert (row["video_id"], row["player_id"], row["session_id"]) == ("'=1+1", "'+1", "'@home")
    files = read_source(tmp_path / "out").files
    assert files.select("video_id", "player_id", "session_id").row(0) == ("=1+1", "+1", "@home")
