"""Passwords, stored so that the file does not tell them: scrypt with a salt each.

Source: RFC 7914; N, r, p as OWASP's password storage cheat sheet lists them for 32 MiB.
"""

import base64
import hashlib
import hmac
import secrets
from unicodedata import normalize

from ttdata.errors import InputError

_N, _R, _P = 2**15, 8, 3
_SALT_BYTES = 16
LEAST_CHARACTERS = 10


def hash_password(password: str) -> str:
    """What is stored of a password; takes about 0.2 s and 32 MiB, so call it in a thread.

    Raises:
        InputError: if it is short.
    """
    if len(password) < LEAST_CHARACTERS:
        raise InputError(
            f"password: {len(password)} characters, expected {LEAST_CHARACTERS} or more"
        )
    salt = secrets.token_bytes(_SALT_BYTES)
    parts = (salt, _scrypt(password, salt, _N, _R, _P))
    texts = (base64.b64encode(part).decode() for part in parts)
    return "$".join(("scrypt", str(_N), str(_R), str(_P), *texts))


def is_password(password: str, stored: str | None) -> bool:
    """Whether it is the stored one; as slow where nothing is stored, so that time tells nothing."""
    name, n, r, p, salt, expected = (stored or _nobody()).split("$")
    found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(expected)) and name == "scrypt"


def _nobody() -> str:
    """A hash that no password has."""
    return f"scrypt${_N}${_R}${_P}$AAAAAAAAAAAAAAAAAAAAAA==$"


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    memory = 2 * 128 * n * r
    text = normalize("NFKC", password).encode()
    return hashlib.scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=32)
