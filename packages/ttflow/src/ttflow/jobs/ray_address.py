"""Whether anything answers at the address of a Ray cluster: Ray itself waits for minutes."""

import os
import re
import socket

from ttdata.errors import InputError

WAIT_VARIABLE = "TTFLOW_RAY_WAIT_SECONDS"
_WAIT_SECONDS = 60.0
_PROBE_SECONDS = 10.0
_HOST_PORT = re.compile(r"(?:ray://)?(?P<host>\[[^\]]+\]|[^:/\[\]]+):(?P<port>\d{1,5})/?")
_ADVICE = "start that cluster, correct RAY_ADDRESS, or unset it for a Ray of our own"


def wait_seconds() -> float:
    """How long an answer of Ray is waited for.

    Raises:
        InputError: if the environment's variable is no positive number.
    """
    text = os.environ.get(WAIT_VARIABLE) or str(_WAIT_SECONDS)
    try:
        if 0 < (found := float(text)) <= 1e6:
            return found
    except ValueError:
        pass
    raise InputError(f"{WAIT_VARIABLE}={text}: expected a positive number of seconds")


def check_address(address: str) -> None:
    """Refuse an address at which no process listens; one that is no `host:port` is left to Ray.

    Raises:
        InputError: if nothing answers in time; names RAY_ADDRESS.
    """
    found = _HOST_PORT.fullmatch(address)
    if found is None:
        return
    place = found["host"].strip("[]"), int(found["port"])
    try:
        socket.create_connection(place, timeout=min(_PROBE_SECONDS, wait_seconds())).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise no_cluster(address, reason) from error


def no_cluster(address: str, reason: str) -> InputError:
    """The error for an address that is no Ray cluster."""
    return InputError(f"RAY_ADDRESS={address}: no Ray cluster answers there ({reason}); {_ADVICE}")
