"""People of a project: roles, names, passwords, invitations, sessions; all of it erasable.

Marks know pseudonyms only. This database is in no backup, so that what is erased is gone.
"""

import re
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

from ttdata.annotate.people.attempts import Attempts
from ttdata.annotate.people.checks import (
    check_known,
    check_not_erased,
    check_not_only_teacher,
    stored_password,
)
from ttdata.annotate.people.passwords import hash_password, is_password
from ttdata.annotate.people.tokens import new_token, token_hash
from ttdata.annotate.store.database import connect, keep_private, reading
from ttdata.annotate.store.errors import Refused, TooMany
from ttdata.annotate.store.migration import migrate, scripts_of
from ttdata.annotate.store.states import Role
from ttdata.annotate.store.writer import Writer
from ttdata.settings import FrozenModel

SESSION_MS = 12 * 3600 * 1000
_WRONG = "login: name or password is wrong"
_PSEUDONYM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class Person(FrozenModel):
    """Who somebody is; the name is null where it was never given, or is erased."""

    pseudonym: str
    role: Role
    name: str | None = None


class People:
    """The database of people of an opened project."""

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        """Open the database, which is made where it lacks.

        Raises:
            ProjectError: if the file is damaged.
            VersionError: if a newer release has written it.
        """
        self.path = path
        self._clock = clock
        self.attempts = Attempts(clock)
        keep_private(path)
        connection = connect(path)
        try:
            migrate(connection, path, scripts_of("people"))
        except BaseException:
            connection.close()
            raise
        self._writer = Writer(connection)

    def add(
        self, pseudonym: str, role: Role, *, name: str | None = None, password: str | None = None
    ) -> Person:
        """Add a person.

        Args:
            pseudonym: letters, digits, `.`, `_`, `-`; what marks and exports show.
            role: what he may do.
            name: if it is to be known.
            password: for those who come in by one.

        Raises:
            Refused: if the pseudonym does not fit or is taken.
            InputError: if the password is short.
        """
        if not _PSEUDONYM.fullmatch(pseudonym):
            raise Refused(
                f"pseudonym {pseudonym!r}: expected up to 40 letters, digits, '.', '_', '-', "
                "the first a letter or digit"
            )
        hashed = None if password is None else hash_password(password)
        values = (pseudonym, role, name, hashed, self._clock())

        def job(db: sqlite3.Connection) -> None:
            if _person(db, pseudonym):
                raise Refused(f"pseudonym {pseudonym!r}: is taken")
            db.execute("INSERT INTO person VALUES (?, ?, ?, ?, ?, NULL)", values)

        self._writer.submit(job).result()
        return Person(pseudonym=pseudonym, role=role, name=name)

    def find(self, pseudonym: str) -> Person | None:
        """A person; None where nobody has the pseudonym."""
        with self._reading() as db:
            return _person(db, pseudonym)

    def everyone(self) -> tuple[Person, ...]:
        """All people, by their pseudonyms."""
        with self._reading() as db:
            rows = db.execute("SELECT pseudonym, role, name FROM person ORDER BY pseudonym")
            return tuple(Person(pseudonym=p, role=role, name=name) for p, role, name in rows)

    def set_role(self, pseudonym: str, role: Role) -> None:
        """Let a person do what a role may; who is in stays in, and has it at once.

        Raises:
            Refused: if nobody has the pseudonym, he is erased, or he is the only teacher who
                can come in.
        """

        def job(db: sqlite3.Connection) -> None:
            check_not_erased(db, pseudonym)
            if role != "teacher":
                check_not_only_teacher(db, pseudonym, self._clock())
            db.execute("UPDATE person SET role = ? WHERE pseudonym = ?", (role, pseudonym))

        self._writer.submit(job).result()

    def has_teacher(self) -> bool:
        """Whether a teacher can log in."""
        query = "SELECT 1 FROM person WHERE role = 'teacher' AND password IS NOT NULL"
        with self._reading() as db:
            return db.execute(query).fetchone() is not None

    def invite(self, pseudonym: str) -> str:
        """A token of 128 bits that lets a person in once; earlier ones of his no longer do.

        Raises:
            Refused: if nobody has the pseudonym, or he is erased.
        """
        token = new_token()

        def job(db: sqlite3.Connection) -> None:
            check_not_erased(db, pseudonym)
            db.execute("DELETE FROM invitation WHERE pseudonym = ?", (pseudonym,))
            values = (token_hash(token), pseudonym, self._clock())
            db.execute("INSERT INTO invitation VALUES (?, ?, ?, NULL)", values)

        self._writer.submit(job).result()
        return token

    def invited(self, invitation: str) -> Person | None:
        """Whom an invitation lets in, which is not used by asking; None where it does not."""
        with self._reading() as db:
            row = db.execute(
                "SELECT pseudonym FROM invitation WHERE token_hash = ? AND used_at IS NULL",
                (token_hash(invitation),),
            ).fetchone()
            return _person(db, row[0]) if row else None

    def accept(self, invitation: str) -> str:
        """The token of a new session for an invitation, which is used up by it.

        Raises:
            Refused: if it is none, or was used; the words are the same.
        """

        def job(db: sqlite3.Connection) -> str:
            now = self._clock()
            row = db.execute(
                "UPDATE invitation SET used_at = ? WHERE token_hash = ? AND used_at IS NULL "
                "RETURNING pseudonym",
                (now, token_hash(invitation)),
            ).fetchone()
            if row is None:
                raise Refused("invitation: is unknown or used; ask the teacher for a new one")
            return self._open_session(db, row[0])

        return self._writer.submit(job).result()

    def log_in(self, pseudonym: str, password: str, address: str = "") -> str:
        """The token of a new session; slow on purpose, so call it in a thread.

        Args:
            pseudonym: whose session.
            password: his.
            address: where the request comes from. Wrong logins count by name and address: else
                anybody could keep a teacher out by trying wrong passwords under his name.

        Raises:
            TooMany: if five were wrong within a minute.
            Refused: if name or password is wrong.
        """
        key = f"{pseudonym}\n{address}"
        if not self.attempts.begin(key):
            raise TooMany("login: five were wrong within a minute; wait a minute")
        with self._reading() as db:
            stored = stored_password(db, pseudonym)
        if not is_password(password, stored):
            raise Refused(_WRONG)

        def job(db: sqlite3.Connection) -> str:
            # Checking took a while: he may be erased by now, or the password be another one.
            if stored_password(db, pseudonym) != stored:
                raise Refused(_WRONG)
            return self._open_session(db, pseudonym)

        session = self._writer.submit(job).result()
        self.attempts.right(key)
        return session

    def come_in(self, pseudonym: str) -> str:
        """The token of a new session of somebody who needs to show nothing more.

        Raises:
            Refused: if nobody has the pseudonym, or he is erased.
        """

        def job(db: sqlite3.Connection) -> str:
            check_not_erased(db, pseudonym)
            return self._open_session(db, pseudonym)

        return self._writer.submit(job).result()

    def set_password(self, pseudonym: str, password: str) -> None:
        """Give a person a new password, and end his sessions.

        Raises:
            Refused: if nobody has the pseudonym, or he is erased.
            InputError: if the password is short.
        """
        hashed = hash_password(password)

        def job(db: sqlite3.Connection) -> None:
            check_not_erased(db, pseudonym)
            db.execute("UPDATE person SET password = ? WHERE pseudonym = ?", (hashed, pseudonym))
            db.execute("DELETE FROM session WHERE pseudonym = ?", (pseudonym,))

        self._writer.submit(job).result()

    def whose(self, session: str) -> Person | None:
        """Who has a session; None where it is none or its 12 hours are over."""
        with self._reading() as db:
            row = db.execute(
                "SELECT pseudonym FROM session WHERE token_hash = ? AND expires_at > ?",
                (token_hash(session), self._clock()),
            ).fetchone()
            return _person(db, row[0]) if row else None

    def log_out(self, session: str) -> None:
        """End a session."""
        query = "DELETE FROM session WHERE token_hash = ?"
        self._writer.submit(lambda db: db.execute(query, (token_hash(session),))).result()

    def erase(self, pseudonym: str) -> None:
        """Forget a person's name and all ways in; the pseudonym and the marks stay.

        The name is overwritten in the file, too.

        Raises:
            Refused: if nobody has the pseudonym.
        """

        def job(db: sqlite3.Connection) -> None:
            check_known(db, pseudonym)
            db.execute(
                "UPDATE person SET name = NULL, password = NULL, erased_at = ? WHERE pseudonym = ?",
                (self._clock(), pseudonym),
            )
            for table in ("invitation", "session"):
                db.execute(f"DELETE FROM {table} WHERE pseudonym = ?", (pseudonym,))

        self._writer.submit(job).result()
        # What was written before lies in the log of writes until that is emptied.
        with closing(connect(self.path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Finish what was handed in."""
        self._writer.close()

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return reading(self.path)

    def _open_session(self, db: sqlite3.Connection, pseudonym: str) -> str:
        token, now = new_token(), self._clock()
        db.execute("DELETE FROM session WHERE expires_at <= ?", (now,))
        values = (token_hash(token), pseudonym, now + SESSION_MS)
        db.execute("INSERT INTO session VALUES (?, ?, ?)", values)
        return token


def _person(db: sqlite3.Connection, pseudonym: str) -> Person | None:
    query = "SELECT pseudonym, role, name FROM person WHERE pseudonym = ?"
    row = db.execute(query, (pseudonym,)).fetchone()
    return Person(pseudonym=row[0], role=row[1], name=row[2]) if row else None
