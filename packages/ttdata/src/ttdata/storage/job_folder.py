"""In a Ray job the working folder is a copy that is thrown away: relative paths are refused."""

import os
from pathlib import Path

from ttdata.errors import InputError


def in_ray_job() -> bool:
    """Whether this process is the command of a job that was submitted to a Ray cluster."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def check_lasting(path: str | Path, option: str = "") -> None:
    """Refuse a path in the throw-away copy: what is written there is lost, no other machine has it.

    Args:
        path: that is written, or read later or elsewhere.
        option: of the command line that named it.

    Raises:
        InputError: if this is a Ray job and the path is relative.
    """
    if in_ray_job() and not Path(path).is_absolute():
        raise InputError(
            f"{option} {path}".lstrip() + ": expected an absolute path; the working folder of a "
            "Ray job is a copy that is thrown away"
        )
