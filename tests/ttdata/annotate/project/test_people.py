"""People: ways in, roles, and forgetting them."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ttdata.annotate.people import directory, passwords
from ttdata.annotate.people.accounts import read_accounts
from ttdata.annotate.people.attempts import Attempts
from ttdata.annotate.people.directory import People, Person
from ttdata.annotate.people.passwords import hash_password, is_password
from ttdata.annotate.people.tokens import new_token, token_hash
from ttdata.annotate.store.errors import Refused
from ttdata.errors import InputError

HOUR = 3600 * 1000


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(tmp_path: Path, clock: Clock, monkeypatch) -> Iterator[People]:
    monkeypatch.setattr(passwords, "_N", 2**4)  # as quick as may be
    made = People(tmp_path / "people.sqlite", clock)
    yield made
    made.close()


def test_a_password_costs_time_and_memory() -> None:
    assert hash_password("pässword 1").startswith("scrypt$32768$8$3$")


def test_passwords(monkeypatch) -> None:
    monkeypatch.setattr(passwords, "_N", 2**4)
    stored = hash_password("pässword 1")
    assert stored.startswith("scrypt$16$8$3$")
    assert is_password("pässword 1", stored)
    assert is_password("pa\u0308ssword 1", stored)  # typed on another system
    assert not is_password("password 1", stored)
    assert hash_password("pässword 1") != stored
    with pytest.raises(InputError, match="9 characters, expected 10 or more"):
        hash_password("123456789")


def test_tokens_are_128_bits_and_stored_hashed() -> None:
    token = new_token()
    assert len(token) == 22  # base 64 of 16 bytes
    assert token != new_token()
    assert token_hash(token) == hashlib.sha256(token.encode()).hexdigest()


def test_five_wrong_logins_a_minute(clock: Clock) -> None:
    attempts = Attempts(clock)
    for _ in range(5):
        assert attempts.begin("ann")
        clock.now += 1000
    assert not attempts.begin("ann")
    assert attempts.begin("bob")
    clock.now += 55_000 - 1
    assert not attempts.begin("ann")
    clock.now += 1  # the first is a minute old
    assert attempts.begin("ann")
    assert not attempts.begin("ann")
    attempts.right("ann")
    assert attempts.begin("ann")
    clock.now += 60_000
    assert attempts.begin("zoe")
    assert list(attempts._times) == ["zoe"]  # names that were made up do not fill the memory


def test_login(people: People, clock: Clock) -> None:
    people.add("teacher", "teacher", name="Ann Example", password="long enough")
    session = people.log_in("teacher", "long enough")
    expected = Person(pseudonym="teacher", role="teacher", name="Ann Example")
    assert people.whose(session) == expected
    assert people.whose(session + "x") is None
    clock.now += 12 * HOUR - 1
    assert people.whose(session) == expected
    clock.now += 1
    assert people.whose(session) is None
    for name, password in (("teacher", "something else"), ("nobody", "long enough")):
        with pytest.raises(Refused, match="login: name or password is wrong"):
            people.log_in(name, password)
    other = people.log_in("teacher", "long enough")
    people.log_out(other)
    assert people.whose(other) is None


def test_a_sixth_login_is_not_even_tried(people: People, clock: Clock) -> None:
    people.add("teacher", "teacher", password="long enough")
    for _ in range(5):
        with pytest.raises(Refused, match="is wrong"):
            people.log_in("teacher", "something else")
    with pytest.raises(Refused, match="five were wrong within a minute"):
        people.log_in("teacher", "long enough")
    clock.now += 60_000
    assert people.whose(people.log_in("teacher", "long enough")) is not None


def test_a_new_password_ends_sessions(people: People) -> None:
    people.add("teacher", "teacher", password="long enough")
    session = people.log_in("teacher", "long enough")
    people.set_password("teacher", "another one")
    assert people.whose(session) is None
    with pytest.raises(Refused, match="is wrong"):
        people.log_in("teacher", "long enough")
    assert people.whose(people.log_in("teacher", "another one")) is not None


def test_an_invitation_is_used_once(people: People) -> None:
    people.add("blue-fox", "annotator")
    first, second = people.invite("blue-fox"), people.invite("blue-fox")
    with pytest.raises(Refused, match="is unknown or used"):
        people.accept(first)  # a newer one took its place
    session = people.accept(second)
    assert people.whose(session) == Person(pseudonym="blue-fox", role="annotator")
    with pytest.raises(Refused, match="is unknown or used"):
        people.accept(second)
    with pytest.raises(Refused, match="login: name or password is wrong"):
        people.log_in("blue-fox", "")  # has no password
    with pytest.raises(Refused, match="nobody has it"):
        people.invite("red-fox")


def test_pseudonyms(people: People) -> None:
    people.add("blue-fox", "annotator")
    with pytest.raises(Refused, match="'blue-fox': is taken"):
        people.add("blue-fox", "reviewer")
    for name in ("", "=cmd", "a b", "x" * 41, "ä"):
        with pytest.raises(Refused, match="expected up to 40 letters"):
            people.add(name, "annotator")
    assert people.everyone() == (Person(pseudonym="blue-fox", role="annotator"),)


def test_no_secret_is_in_the_files(people: People, tmp_path: Path) -> None:
    people.add("teacher", "teacher", password="long enough")
    invitation = people.invite("teacher")
    session = people.accept(invitation)
    people.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"teacher" in stored
    for secret in ("long enough", invitation, session):
        assert secret.encode() not in stored


def test_erasing_leaves_the_pseudonym_only(people: People, tmp_path: Path) -> None:
    people.add("blue-fox", "annotator", name="Zacharias Quirrell", password="long enough")
    people.add("red-fox", "annotator", name="Somebody Else")
    session, invitation = people.log_in("blue-fox", "long enough"), people.invite("blue-fox")
    people.erase("blue-fox")
    assert people.find("blue-fox") == Person(pseudonym="blue-fox", role="annotator")
    assert people.whose(session) is None
    with pytest.raises(Refused, match="unknown or used"):
        people.accept(invitation)
    with pytest.raises(Refused, match="is wrong"):
        people.log_in("blue-fox", "long enough")
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Somebody Else" in stored
    assert b"Quirrell" not in stored
    with pytest.raises(Refused, match="nobody has it"):
        people.erase("green-fox")


def test_roles_change_and_one_teacher_stays(people: People) -> None:
    people.add("ann", "annotator")
    people.add("tea", "teacher", password="a long password")
    session = people.accept(people.invite("ann"))
    people.set_role("ann", "reviewer")
    assert people.whose(session) == Person(pseudonym="ann", role="reviewer")
    with pytest.raises(Refused, match="'tea': is the only teacher; make another one first"):
        people.set_role("tea", "annotator")
    people.set_role("ann", "teacher")
    people.set_role("tea", "annotator")
    with pytest.raises(Refused, match="'bob': nobody has it"):
        people.set_role("bob", "reviewer")


def test_who_is_erased_is_not_invited(people: People) -> None:
    people.add("ann", "annotator", name="Ann")
    people.erase("ann")
    with pytest.raises(Refused, match="'ann': is erased; invite the person under a new one"):
        people.invite("ann")
    with pytest.raises(Refused, match="is erased"):
        people.set_role("ann", "reviewer")


def test_accounts_tell_how_people_come_in(people: People, clock: Clock) -> None:
    people.add("ann", "annotator")
    people.add("tea", "teacher", password="a long password")
    assert read_accounts(people)[0].invited_at is None
    token = people.invite("ann")
    invited, clock.now = clock.now, clock.now + 5
    assert read_accounts(people)[0].invited_at == invited
    people.accept(token)
    ann, tea = read_accounts(people)
    assert (ann.invited_at, ann.joined_at, ann.has_password) == (invited, clock.now, False)
    assert (tea.joined_at, tea.has_password, tea.erased_at) == (None, True, None)
    people.erase("ann")
    assert read_accounts(people)[0].erased_at == clock.now


def test_wrong_logins_from_elsewhere_keep_nobody_out(people: People) -> None:
    people.add("teacher", "teacher", password="long enough")
    for _ in range(5):
        with pytest.raises(Refused, match="is wrong"):
            people.log_in("teacher", "something else", "192.0.2.7")
    with pytest.raises(Refused, match="five were wrong within a minute"):
        people.log_in("teacher", "long enough", "192.0.2.7")
    assert people.whose(people.log_in("teacher", "long enough", "192.0.2.8")) is not None


def test_a_clock_that_is_put_back_keeps_nobody_out(clock: Clock) -> None:
    attempts = Attempts(clock)
    assert [attempts.begin("ann") for _ in range(6)] == [True] * 5 + [False]
    clock.now -= HOUR
    assert attempts.begin("ann")


@pytest.mark.parametrize("what", ["erase", "set_password"])
def test_a_login_under_way_ends_with_the_password(people: People, monkeypatch, what: str) -> None:
    """Checking takes a while: meanwhile the person is erased, or gets another password."""
    people.add("teacher", "teacher", password="long enough")

    def slow(password: str, stored: str | None) -> bool:
        people.erase("teacher") if what == "erase" else people.set_password(
            "teacher", "another one"
        )
        return is_password(password, stored)

    monkeypatch.setattr(directory, "is_password", slow)
    with pytest.raises(Refused, match="login: name or password is wrong"):
        people.log_in("teacher", "long enough")


def test_who_is_erased_gets_no_password_and_no_session(people: People) -> None:
    people.add("teacher", "teacher", password="long enough")
    people.erase("teacher")
    with pytest.raises(Refused, match="'teacher': is erased"):
        people.set_password("teacher", "another one")
    with pytest.raises(Refused, match="'teacher': is erased"):
        people.come_in("teacher")


def test_a_teacher_who_cannot_come_in_supervises_nobody(people: People) -> None:
    people.add("tea", "teacher", password="a long password")
    people.add("ann", "teacher")  # invited at most: only a teacher could show the invitation again
    with pytest.raises(Refused, match="'tea': is the only teacher; make another one first"):
        people.set_role("tea", "annotator")
    people.accept(people.invite("ann"))
    people.set_role("tea", "annotator")


@pytest.mark.skipif(os.name != "posix", reason="rights of another kind")
def test_only_the_account_that_serves_reads_what_is_hashed(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "people.sqlite"

    def rights() -> dict[str, str]:
        return {f.name: oct(stat.S_IMODE(f.stat().st_mode)) for f in tmp_path.iterdir()}

    for name in ("ann", "bob"):
        people = People(path, clock)
        people.add(name, "annotator")
        found = rights()
        people.close()
        assert found == dict.fromkeys(
            ("people.sqlite", "people.sqlite-wal", "people.sqlite-shm"), "0o600"
        )
        path.chmod(0o644)  # as earlier releases made it
