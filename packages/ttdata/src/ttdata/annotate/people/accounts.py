"""How people come in: passwords, invitations that were made or used, who is erased."""

from ttdata.annotate.people.directory import People, Person
from ttdata.annotate.store.database import reading
from ttdata.settings import FrozenModel


class Account(FrozenModel):
    """A person, and how he comes in; times are milliseconds since 1970, UTC, null for never."""

    person: Person
    has_password: bool
    invited_at: int | None
    """When the invitation that counts was made."""
    joined_at: int | None
    """When he used it."""
    erased_at: int | None


def read_accounts(people: People) -> tuple[Account, ...]:
    """All people with their ways in, by their pseudonyms."""
    with reading(people.path) as db:
        rows = db.execute(
            "SELECT pseudonym, role, name, password IS NOT NULL, invitation.created_at, used_at, "
            "erased_at FROM person LEFT JOIN invitation USING (pseudonym) ORDER BY pseudonym"
        ).fetchall()
    return tuple(
        Account(
            person=Person(pseudonym=row[0], role=row[1], name=row[2]),
            has_password=bool(row[3]),
            invited_at=row[4],
            joined_at=row[5],
            erased_at=row[6],
        )
        for row in rows
    )
