"""The weights of BlazePose into the user's cache: the work of `ttflow fetch-pose`."""

import hashlib
import logging
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ttdata.errors import InputError, TTError
from ttdata.storage.atomic import atomic_path
from ttflow.errors import PoseUnavailable
from ttflow.pose.weights import FOLDER_VARIABLE, SHA256, check, pose_folder, read_weights

WHEEL = "mediapipe==0.10.14"
"""The last release found to carry the weights; later ones download them at run time."""
_OTHER_PLATFORM = (
    *("--platform", "manylinux_2_17_x86_64", "--implementation", "cp"),
    *("--python-version", "3.11", "--abi", "cp311"),
)
"""A wheel that exists: on a platform without one, the weights of another are the same bytes."""
_UNREACHED = ("connection broken", "Could not fetch URL", "Connection to")
_AT_HAND = "or name a wheel or both files: ttflow fetch-pose --from FILE"

logger = logging.getLogger(__name__)


def fetch(sources: Sequence[Path] = (), folder: Path | None = None) -> str:
    """Put both files of weights into a folder, unless they are there.

    Args:
        sources: a wheel of mediapipe 0.10.14, or the two files; empty: downloaded with pip.
        folder: where they are kept; None: `pose_folder()`.

    Returns:
        A line that says what was done.

    Raises:
        InputError: if a source is missing or holds other weights, or there is no pip.
        TTError: if nothing can be downloaded, or the folder cannot be written.
    """
    where = (pose_folder() if folder is None else folder).absolute()
    if _complete(where):
        return f"{where}: has the weights of BlazePose already"
    if sources:
        found = _from_files(sources)
    else:
        with tempfile.TemporaryDirectory(prefix="fetch-pose-") as temporary:
            found = _from_wheel(_download(Path(temporary)))
    try:
        for name, content in found.items():
            with atomic_path(where / name) as path:
                path.write_bytes(content)
    except OSError as error:
        raise TTError(
            f"{where}: weights cannot be kept here ({error.strerror or error}); name another "
            "folder with --to"
        ) from error
    use = (
        "" if where == pose_folder().absolute() else f"; to use them, set {FOLDER_VARIABLE}={where}"
    )
    return f"{where}: {' and '.join(found)} of {WHEEL}{use}"


def _complete(folder: Path) -> bool:
    try:
        read_weights(folder)
    except PoseUnavailable:
        return False
    return True


def _from_files(sources: Sequence[Path]) -> dict[str, bytes]:
    """The weights in files at hand: wheels, or files known by their hash or name."""
    found: dict[str, bytes] = {}
    for path in sources:
        if not path.is_file():
            raise InputError(f"{path}: no such file, expected a wheel or weights of {WHEEL}")
        found |= _from_wheel(path) if zipfile.is_zipfile(path) else _from_file(path)
    if missing := [name for name in SHA256 if name not in found]:
        raise InputError(
            f"{sources[0]}: found no {missing[0]}, expected it among the files given with --from"
        )
    return {name: found[name] for name in SHA256}


def _from_file(path: Path) -> dict[str, bytes]:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    names = {known: name for name, known in SHA256.items()}
    name = names.get(digest, path.name)
    if name not in SHA256:
        raise InputError(
            f"{path}: found SHA-256 {digest}, expected a wheel of {WHEEL}, {' or '.join(SHA256)}"
        )
    check(content, name, path)
    return {name: content}


def _from_wheel(path: Path) -> dict[str, bytes]:
    """Both files out of a wheel, wherever in it they are."""
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as wheel:
            members = {Path(name).name: name for name in wheel.namelist()}
            for name in SHA256:
                if name not in members:
                    raise InputError(f"{path}: holds no {name}, expected a wheel of {WHEEL}")
                found[name] = wheel.read(members[name])
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable wheel ({error})") from error
    for name, content in found.items():
        check(content, name, f"{path}: {name}")
    return found


def _download(folder: Path) -> Path:
    """The wheel, downloaded by pip as it is configured, for this platform or for another one."""
    if find_spec("pip") is None:
        raise PoseUnavailable(
            "this environment has no pip to download with: pip install 'ttflow[pose]' (uv: "
            f"uv pip install pip), {_AT_HAND}"
        )
    logger.info("downloading %s, 34 MB, for its two networks", WHEEL)
    said = ""
    for platform in ((), _OTHER_PLATFORM):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--retries", "1", "--disable-pip-version-check", "--no-input", "--quiet"]
        done = subprocess.run(
            [*command, *platform, "--dest", str(folder), WHEEL],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        wheels = sorted(folder.glob("*.whl"))
        if done.returncode == 0 and wheels:
            return wheels[0]
        said = done.stderr
        if any(words in said for words in _UNREACHED):
            break
    raise TTError(f"{WHEEL} cannot be downloaded ({_reason(said)}): run again later, {_AT_HAND}")


def _reason(said: str) -> str:
    r"""What pip says, in a line.

    >>> _reason("WARNING: Retrying\nERROR: No matching distribution found for mediapipe")
    'pip: No matching distribution found for mediapipe'
    """
    if any(words in said for words in _UNREACHED):
        return "the package index cannot be reached"
    lines = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.strip()]
    return f"pip: {lines[-1]}" if lines else "pip gives no reason"
