"""Backups while people work and at the end; copies that lack."""

import time

from ttdata.annotate.exchange.backup import list_backups
from ttdata.annotate.server import upkeep


def wait_until(condition, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_backups_are_written_while_something_happens_and_at_the_end(serve_with, hand) -> None:
    with serve_with(backup_minutes=0.05 / 60) as served:
        folder = served.project.folder
        time.sleep(0.4)
        assert list_backups(folder) == []  # nothing has happened
        with served.client("ann") as browser:
            hand(browser).open()
        wait_until(lambda: len(list_backups(folder)) == 1)
        time.sleep(0.4)
        assert len(list_backups(folder)) == 1
    assert len(list_backups(folder)) == 2


def test_a_backup_that_fails_is_logged_and_stops_nothing(
    serve_with, hand, monkeypatch, caplog
) -> None:
    def fails(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(upkeep, "back_up", fails)
    with serve_with(backup_minutes=0.02 / 60) as served, served.client("ann") as browser:
        hand(browser).open()
        wait_until(lambda: "the disk is full" in caplog.text)
        assert browser.get("/annotate").status_code == 303
    assert "no backup could be written" in caplog.text


def test_copies_that_lack_are_made(project, run_server) -> None:
    copies = sorted(project.proxies.glob("*.mp4"))
    copies[0].unlink()
    with run_server(project) as served:
        wait_until(copies[0].is_file)
        assert served.app.state.context.films.missing() == []


def test_a_copy_that_cannot_be_made_is_said(project, run_server, caplog) -> None:
    for copy in project.proxies.glob("*.mp4"):
        copy.unlink()
    with project.marks.reading() as db:
        sources = [row[0] for row in db.execute("SELECT path FROM video")]
    project.marks.write(lambda db: db.execute("UPDATE video SET path = path || '.gone'"))
    with run_server(project) as served:
        missing = served.app.state.context.films.missing()
        assert [str(path) for _, path in missing] == [f"{source}.gone" for source in sources]
    assert caplog.text == ""
