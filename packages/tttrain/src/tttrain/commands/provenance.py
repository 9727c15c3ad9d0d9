"""What code a run was trained by: versions of packages, the revision of the working folder."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("tttrain", "ttflow", "ttdata", "ttmodels", "torch", "ray", "numpy")


def versions() -> dict[str, str]:
    """The versions of Python, these packages and what they compute with, as installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def git_revision() -> str | None:
    """The revision of the working folder, or None where there is no git or no repository."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip() or None
