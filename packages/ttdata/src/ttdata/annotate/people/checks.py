"""What must hold of a person before something is changed."""

import sqlite3

from ttdata.annotate.store.errors import Refused


def check_known(db: sqlite3.Connection, pseudonym: str) -> None:
    """Raise Refused where nobody has a pseudonym."""
    query = "SELECT 1 FROM person WHERE pseudonym = ?"
    if db.execute(query, (pseudonym,)).fetchone() is None:
        raise Refused(f"pseudonym {pseudonym!r}: nobody has it")


def check_not_erased(db: sqlite3.Connection, pseudonym: str) -> None:
    """Raise Refused where nobody has a pseudonym, or he is erased."""
    check_known(db, pseudonym)
    query = "SELECT erased_at FROM person WHERE pseudonym = ?"
    if db.execute(query, (pseudonym,)).fetchone()[0] is not None:
        raise Refused(f"pseudonym {pseudonym!r}: is erased; invite the person under a new one")


def check_not_only_teacher(db: sqlite3.Connection, pseudonym: str, now: int) -> None:
    """Raise Refused where nobody else would be left who supervises.

    Only those count who can come in, by a password or logged in already: for an invitation one
    needs a teacher.

    Args:
        db: the database of people.
        pseudonym: who is to be no teacher any more.
        now: milliseconds since 1970, UTC.
    """
    others = db.execute(
        "SELECT 1 FROM person WHERE role = 'teacher' AND pseudonym <> ? AND (password IS NOT NULL "
        "OR pseudonym IN (SELECT pseudonym FROM session WHERE expires_at > ?))",
        (pseudonym, now),
    ).fetchone()
    query = "SELECT 1 FROM person WHERE role = 'teacher' AND pseudonym = ?"
    if others is None and db.execute(query, (pseudonym,)).fetchone() is not None:
        raise Refused(f"pseudonym {pseudonym!r}: is the only teacher; make another one first")


def stored_password(db: sqlite3.Connection, pseudonym: str) -> str | None:
    """What is stored of a password; None where nothing is."""
    row = db.execute("SELECT password FROM person WHERE pseudonym = ?", (pseudonym,)).fetchone()
    return row[0] if row else None
