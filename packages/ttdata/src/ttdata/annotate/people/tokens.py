"""Secrets of invitations and sessions: 128 random bits, of which only a hash is stored."""

import hashlib
import secrets

_BYTES = 16


def new_token() -> str:
    """128 random bits as text for links and cookies."""
    return secrets.token_urlsafe(_BYTES)


def token_hash(token: str) -> str:
    """What is stored of a token. It is random, so a fast hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()
