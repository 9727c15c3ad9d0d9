"""Invitations that can still be shown: their secrets are in memory only, as links and QR codes."""

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

import segno

from ttdata.annotate.people.accounts import read_accounts
from ttdata.annotate.people.directory import People, Person
from ttdata.annotate.store.states import Role

BEGINNING = "person"
"""Of pseudonyms that are made up."""


@dataclass(frozen=True)
class Invitation:
    """Whom a link lets in, once."""

    person: Person
    token: str = field(repr=False)

    @property
    def path(self) -> str:
        """The link's, below the server's address."""
        return f"/join/{self.token}"


class Invitations:
    """Those made since the server began; the database holds their hashes alone."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._tokens: dict[str, str] = {}
        self._lock = Lock()

    def make(self, pseudonym: str) -> Invitation:
        """A new invitation for a person; an earlier one of his lets nobody in any more.

        Raises:
            Refused: if nobody has the pseudonym, or he is erased.
        """
        with self._lock:  # of two at once the one that counts is kept
            token = self._people.invite(pseudonym)
            self._tokens[pseudonym] = token
        person = self._people.find(pseudonym)
        assert person is not None  # nobody leaves the table
        return Invitation(person, token)

    def make_several(self, role: Role, names: Iterable[str | None]) -> tuple[Invitation, ...]:
        """New people under made-up pseudonyms, invited.

        Args:
            role: of all of them.
            names: a person's name each, which only teachers see; None where it is not to be known.
        """
        with self._lock:
            taken = {person.pseudonym for person in self._people.everyone()}
            added = []
            for name in names:
                pseudonym = free_pseudonym(taken)
                taken.add(pseudonym)
                self._people.add(pseudonym, role, name=name)
                added.append(pseudonym)
        return tuple(self.make(pseudonym) for pseudonym in added)

    def make_again(self) -> int:
        """An invitation for each annotator and reviewer who has none to use; says how many."""
        accounts = read_accounts(self._people)
        names = [
            account.person.pseudonym
            for account in accounts
            if account.person.role != "teacher" and account.erased_at is None
        ]
        wanted = [name for name in names if self.find(name) is None]
        for name in wanted:
            self.make(name)
        return len(wanted)

    def find(self, pseudonym: str) -> Invitation | None:
        """The invitation of a person that can still be used; None where there is none to show."""
        with self._lock:
            token = self._tokens.get(pseudonym)
        person = None if token is None else self._people.invited(token)
        if token is None or person is None:
            return None
        return Invitation(person, token)

    def unused(self) -> tuple[Invitation, ...]:
        """All that can still be used, by pseudonym."""
        with self._lock:
            names = sorted(self._tokens)
        return tuple(found for name in names if (found := self.find(name)) is not None)


def free_pseudonym(taken: Iterable[str]) -> str:
    """The first numbered pseudonym that nobody has.

    >>> free_pseudonym({"person-01", "ann"})
    'person-02'
    """
    names, number = set(taken), 1
    while (found := f"{BEGINNING}-{number:02}") in names:
        number += 1
    return found


def qr_svg(link: str) -> bytes:
    """A link as a QR code that a page can show as a picture (ISO/IEC 18004, correction level M)."""
    out = io.BytesIO()
    segno.make(link, error="m", micro=False).save(
        out, kind="svg", border=4, dark="#000", light="#fff", svgclass=None, lineclass=None,
        omitsize=True,
    )  # fmt: skip
    return out.getvalue()
