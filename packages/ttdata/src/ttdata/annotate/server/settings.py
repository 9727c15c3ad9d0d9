"""How a project is served: where, under which names, with which certificate."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from ttdata.settings import FrozenModel

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"
_LOCAL_NAMES = (LOOPBACK, "localhost")

HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,253}$")]
"""Without scheme and port."""


class ServeSettings(FrozenModel):
    """What `ttdata annotate PROJECT serve` was told."""

    port: int = Field(default=8000, ge=1, le=65535)
    lan: bool = Field(default=False, description="for other machines, too; else for this one only")
    names: tuple[HostName, ...] = Field(
        default=(), description="names and addresses of this machine that others may use"
    )
    teacher_link: bool = Field(default=False, description="one more, for a forgotten password")
    certificate: Path | None = None
    key: Path | None = None
    backup_minutes: float = Field(default=10, gt=0)

    @model_validator(mode="after")
    def _check_pair(self) -> "ServeSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("--cert and --key: expected both or none")
        return self

    @property
    def host(self) -> str:
        """The address to listen on."""
        return EVERYWHERE if self.lan else LOOPBACK

    @property
    def is_tls(self) -> bool:
        """Whether browsers come by https."""
        return self.certificate is not None

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The names under which the server answers; any other may be a page of somebody else."""
        return frozenset(name.lower() for name in (*_LOCAL_NAMES, *self.names))

    @property
    def origin(self) -> str:
        """Where other people reach the server, as `http://192.168.1.5:8000`."""
        return self.origin_of(self.names[0] if self.names else LOOPBACK)

    def origin_of(self, name: str) -> str:
        """The server's address under one of its names."""
        return f"{'https' if self.is_tls else 'http'}://{name}:{self.port}"

    @property
    def cookie(self) -> str:
        """The session's cookie; ports share cookies, so that two projects need two names."""
        return f"ttdata-{self.port}"
