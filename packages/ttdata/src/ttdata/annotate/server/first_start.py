"""The first teacher, or one who forgot his password: a link that the terminal shows, once."""

import hmac
from threading import Lock

from ttdata.annotate.people.directory import People
from ttdata.annotate.people.tokens import new_token, token_hash
from ttdata.annotate.store.errors import Refused


class FirstStart:
    """The way in of the first teacher; closed once he has a password."""

    def __init__(self, people: People, another: bool = False) -> None:
        """Make the link.

        Args:
            people: of the project.
            another: also where a teacher can log in already.
        """
        self._people = people
        self._lock = Lock()
        self.token = new_token() if another or not people.has_teacher() else None
        """For the link; null where there is none. Never stored."""

    def is_open_for(self, token: str) -> bool:
        """Whether a link leads in."""
        known = self.token
        # Hashes of equal length: the time that comparing takes tells nothing.
        return known is not None and hmac.compare_digest(token_hash(known), token_hash(token))

    def finish(self, token: str, pseudonym: str, password: str) -> None:
        """Add the teacher; the link leads nowhere from then on. Slow, so call it in a thread.

        A teacher of this pseudonym who is there gets the new password.

        Raises:
            Refused: if the link is another one, or was used, or the pseudonym does not fit or is
                somebody else's.
            InputError: if the password is short.
        """
        with self._lock:
            if not self.is_open_for(token):
                raise Refused("link: is unknown or used; the terminal shows one while it is needed")
            known = self._people.find(pseudonym)
            if known is not None and known.role == "teacher":
                self._people.set_password(pseudonym, password)
            else:
                self._people.add(pseudonym, "teacher", password=password)
            self.token = None
