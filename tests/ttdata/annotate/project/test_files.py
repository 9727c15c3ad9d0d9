"""Databases on the disk: one process, one writer, migrations, damage."""

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from contextlib import closing
from pathlib import Path

import pytest

from ttdata.annotate.project import Project, create_project
from ttdata.annotate.store.database import connect
from ttdata.annotate.store.errors import DiskFull, ProjectError
from ttdata.annotate.store.lock import ProjectLock
from ttdata.annotate.store.migration import migrate, scripts_of, version_of
from ttdata.annotate.store.projection import projection_bytes
from ttdata.annotate.store.writer import Writer
from ttdata.errors import TTError, VersionError
from ttdata.sources.formats.annotation_project import MARKS_VERSION
from ttdata.taxonomy import TTSTROKE21


def test_settings_of_a_connection(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "x.sqlite")) as db:
        found = {
            name: db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_every_table_is_strict(log) -> None:
    rows = log.db.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'")
    tables = {name: strict for name, strict in rows if not name.startswith("sqlite_")}
    views = {"exported_mark", "exported_reference", "exported_video", "left_out"}
    assert {name for name, strict in tables.items() if not strict} == views
    assert log.db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_migrations_run_once_and_wholly(tmp_path: Path) -> None:
    for number, text in enumerate(("CREATE TABLE a (x);", "ALTER TABLE a ADD COLUMN y;"), 1):
        (tmp_path / f"{number:04}_step.sql").write_text(text)
    first, second = scripts = sorted(tmp_path.glob("*.sql"))
    path = tmp_path / "x.sqlite"
    with closing(connect(path)) as db:
        migrate(db, path, [first])
        db.execute("INSERT INTO a VALUES (1)")
        migrate(db, path, scripts)
        migrate(db, path, scripts)
        assert db.execute("SELECT * FROM a").fetchall() == [(1, None)]
        assert version_of(db) == 2
        broken = tmp_path / "0003_broken.sql"
        broken.write_text("CREATE TABLE b (x); CREATE TABLE a (x);")
        with pytest.raises(ProjectError, match=r"0003_broken\.sql cannot be run \(table a already"):
            migrate(db, path, [*scripts, broken])
        assert version_of(db) == 2
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
        with pytest.raises(VersionError, match="schema version 2, this release reads 1"):
            migrate(db, path, [first])
        with pytest.raises(ValueError, match="expected scripts 0001 to 0001"):
            migrate(db, path, [second])


def test_readers_know_the_last_script() -> None:
    assert len(scripts_of("marks")) == MARKS_VERSION
    assert len(scripts_of("people")) == 1


def test_jobs_of_many_threads_are_kept_apart(tmp_path: Path) -> None:
    db = connect(tmp_path / "x.sqlite")
    db.execute("CREATE TABLE a (x INTEGER UNIQUE) STRICT")
    writer = Writer(db)

    def twice(value: int) -> None:
        """Writes, then fails for odd numbers: nothing of it may stay."""

        def job(connection: sqlite3.Connection) -> int:
            connection.execute("INSERT INTO a VALUES (?)", (value,))
            if value % 2:
                raise KeyError(value)
            return value

        future = writer.submit(job)
        if value % 2:
            with pytest.raises(KeyError):
                future.result()
        else:
            assert future.result() == value

    threads = [threading.Thread(target=twice, args=(value,)) for value in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waiting = writer.submit(lambda c: c.execute("SELECT count(*) FROM a").fetchone()[0])
    writer.close()
    assert waiting.result() == 20
    with pytest.raises(TTError, match="the project is closed"):
        writer.submit(lambda c: None)


def test_a_commit_that_fails_fails_all_its_jobs(tmp_path: Path) -> None:
    db = connect(tmp_path / "x.sqlite")
    db.execute("CREATE TABLE a (x INTEGER PRIMARY KEY)")
    deferred = "REFERENCES a DEFERRABLE INITIALLY DEFERRED"
    db.execute(f"CREATE TABLE b (x INTEGER {deferred})")
    writer = Writer(db)
    with pytest.raises(sqlite3.IntegrityError):
        writer.submit(lambda c: c.execute("INSERT INTO b VALUES (7)")).result()
    assert writer.submit(lambda c: c.execute("SELECT * FROM b").fetchall()).result() == []
    gate = threading.Event()
    writer.submit(lambda c: gate.wait(5))
    cancelled = writer.submit(lambda c: c.execute("INSERT INTO a VALUES (1)"))
    assert cancelled.cancel()
    gate.set()
    assert writer.submit(lambda c: c.execute("SELECT * FROM a").fetchall()).result() == []
    with pytest.raises(CancelledError):
        cancelled.result()
    writer.close()


def test_a_full_disk_is_told_and_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    db = connect(tmp_path / "x.sqlite")
    db.execute("CREATE TABLE a (x TEXT) STRICT")
    db.execute("PRAGMA max_page_count = 12")
    writer = Writer(db)

    def add(text: str) -> int:
        job = writer.submit(lambda c: c.execute("INSERT INTO a VALUES (?)", (text,)).rowcount)
        return job.result()

    add("small")
    with pytest.raises(DiskFull, match=r"nothing was stored, .* disk is full"):
        add("x" * 100_000)
    add("small")
    held = writer.submit(lambda c: c.execute("SELECT count(*) FROM a").fetchone()).result()
    writer.close()
    assert held == (2,)


def test_a_lock_that_cannot_be_taken(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be locked"):
        ProjectLock(tmp_path / "nothing" / "project.lock")


def test_a_second_process_is_refused_in_one_line(project: Project) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ttdata", "annotate", project.folder, "export", "out"],
        capture_output=True,
        text=True,
        check=False,
        cwd=project.folder.parent,
    )
    assert result.returncode == 2
    assert result.stderr == (
        f"error: {project.folder}: is open for writing elsewhere (database is locked); "
        "end the other `ttdata annotate` first\n"
    )
    with pytest.raises(ProjectError, match="is open for writing elsewhere"):
        Project(project.folder)  # in this process neither


def test_a_closed_project_opens_again(project: Project, finish) -> None:
    finish("a", "ann", 900, (10, 120, "Offensive Forehand Hit"))
    with project.marks.reading() as db:
        before = projection_bytes(db)
    project.close()
    with Project(project.folder) as again:
        again.marks.rebuild()
        with again.marks.reading() as db:
            assert projection_bytes(db) == before


@pytest.mark.parametrize("name", ["marks.sqlite", "people.sqlite"])
@pytest.mark.parametrize("how", ["not a database", "torn page"])
def test_a_damaged_database_is_told_in_one_line(project: Project, name: str, how: str) -> None:
    project.close()
    path = project.folder / name
    content = bytearray(path.read_bytes())
    if how == "torn page":
        content[4096 : 2 * 4096] = b"\xff" * 4096
        content[2 * 4096 : 3 * 4096] = b"\xff" * 4096
    else:
        content[:4096] = b"x" * 4096
    path.write_bytes(content)
    with pytest.raises(ProjectError) as raised:
        Project(project.folder)
    text = str(raised.value)
    assert text.startswith(f"{path}: cannot be used as a project's database (")
    assert ("restore BACKUP" in text) == (name == "marks.sqlite")
    assert "\n" not in text
    with pytest.raises(ProjectError):
        Project(project.folder)  # and not that it is open elsewhere
    assert "elsewhere" not in text


def test_folders_that_are_no_projects(tmp_path: Path, project: Project) -> None:
    with pytest.raises(ProjectError, match=r"no annotate\.json; `ttdata annotate"):
        Project(tmp_path)
    with pytest.raises(ProjectError, match="is there already; expected a new or empty folder"):
        create_project(project.folder, TTSTROKE21)
    project.close()
    info = project.folder / "annotate.json"
    good = info.read_text()
    info.write_text(good.replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(VersionError, match="schema version 2, this release reads 1"):
        Project(project.folder)
    info.write_text(good.replace('"annotators_per_video": 2', '"annotators_per_video": 0'))
    with pytest.raises(ProjectError, match=r"annotate\.json: annotators_per_video: "):
        Project(project.folder)
    info.write_text("[1]")
    with pytest.raises(ProjectError, match="expected an object"):
        Project(project.folder)
    info.write_text(good)
    (project.folder / "marks.sqlite").unlink()
    with pytest.raises(ProjectError, match=r"no marks\.sqlite; `ttdata annotate .* restore"):
        Project(project.folder)


def test_a_disk_that_fails_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(
        ProjectError, match=r"unable to open database file.*check that it is"
    ) as told:
        connect(tmp_path / "missing" / "marks.sqlite")
    assert "restore" not in str(told.value)
