"""Under which addresses other machines reach this one."""

import socket

_FAR_AWAY = ("192.0.2.1", 9)
"""An address that nobody has (RFC 5737): nothing is sent there."""


def lan_addresses() -> tuple[str, ...]:
    """IPv4 addresses of this machine in its networks, the most used first."""
    found = [_towards_others(), *_of_own_name()]
    return tuple(dict.fromkeys(a for a in found if a and not a.startswith("127.")))


def lan_names() -> tuple[str, ...]:
    """Addresses and names under which others may come; the most used address first."""
    name = socket.gethostname().lower()
    names = [name, f"{name}.local"] if "." not in name else [name]
    return (*lan_addresses(), *(name for name in names if name != "localhost"))


def _towards_others() -> str | None:
    """The address from which packets to elsewhere would leave."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_FAR_AWAY)
        except OSError:  # no network at all
            return None
        return str(probe.getsockname()[0])


def _of_own_name() -> list[str]:
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except OSError:
        return []
    return [str(place[0]) for *_, place in found]
