"""Where the weights of BlazePose lie, and that they are the known ones."""

import hashlib
import os
from pathlib import Path

from ttflow.errors import PoseUnavailable

FOLDER_VARIABLE = "TTFLOW_POSE_DIR"
DETECTOR = "pose_detection.tflite"
LANDMARKS = "pose_landmark_full.tflite"
SHA256 = {
    DETECTOR: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    LANDMARKS: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}
"""By file name: the files of mediapipe 0.10.14, Apache-2.0."""


def pose_folder() -> Path:
    """Where this user's weights lie: $TTFLOW_POSE_DIR, else `ttflow/pose` of the user's cache."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "ttflow" / "pose"


def read_weights(folder: Path | None = None) -> dict[str, bytes]:
    """The content of both files by name.

    Args:
        folder: where they lie; None: `pose_folder()`.

    Raises:
        PoseUnavailable: if one is missing, cannot be read, or is not the known one.
    """
    where = pose_folder() if folder is None else folder
    return {name: _read(where / name) for name in SHA256}


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise PoseUnavailable(
            f"{path}: no such file, expected weights of BlazePose: run `ttflow fetch-pose`, or "
            f"name the folder that holds them in {FOLDER_VARIABLE}"
        ) from error
    except OSError as error:
        raise PoseUnavailable(f"{path}: cannot be read ({error.strerror or error})") from error
    check(content, path.name, path)
    return content


def check(content: bytes, name: str, origin: Path | str) -> None:
    """Check that a file's content is what is known under its name.

    Args:
        content: all of it.
        name: of the weights, a key of `SHA256`.
        origin: where it was read, for the message.

    Raises:
        PoseUnavailable: if its hash is another one.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise PoseUnavailable(
            f"{origin}: found SHA-256 {found}, expected {SHA256[name]}, the {name} of "
            "mediapipe 0.10.14; fetch it anew with `ttflow fetch-pose`"
        )
