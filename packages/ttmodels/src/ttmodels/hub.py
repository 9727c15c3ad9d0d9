"""Model folders on the Hugging Face hub. Needs `huggingface_hub`, the extra `ttmodels[hub]`."""

import re
import tempfile
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from ttmodels.errors import ModelFileError

_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_FILES = ["config.json", "model.safetensors"]
PAGE = "README.md"
"""The page that the hub shows of a repository."""


def local_folder(name: str | PathLike[str], revision: str | None = None) -> Path:
    """Return the model folder of that name, downloaded if it is one of the hub.

    Args:
        name: a path, or `owner/model`. A folder that exists is never looked for on the hub.
        revision: branch, tag or commit on the hub.

    Raises:
        ModelFileError: if the name may be one of the hub and `huggingface_hub` is not installed,
            or the download failed.
    """
    folder = Path(name)
    if folder.exists() or not isinstance(name, str) or not _NAME.fullmatch(name):
        return folder
    hub = _client(name)
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=_FILES))
    except Exception as error:  # the client raises its own, its transport's and the system's
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelFileError(f"{name}: not a folder, and not on the hub ({reason})") from error


def push(
    repo_id: str, save: Callable[[Path], None], private: bool, page: str, *, replace_page: bool
) -> str:
    """Upload a model folder with its README.

    Args:
        repo_id: `owner/model`; made when missing.
        save: writes the folder it is given.
        private: whether a new repository is hidden from others.
        page: content of `README.md`.
        replace_page: whether a README that the repository has already is replaced.

    Returns:
        Address of the commit.

    Raises:
        ModelFileError: if `huggingface_hub` is not installed.
    """
    api = _client(repo_id).HfApi()
    with tempfile.TemporaryDirectory(prefix="ttmodels-") as folder:
        save(Path(folder))
        api.create_repo(repo_id, private=private, exist_ok=True)
        if replace_page or not api.file_exists(repo_id, PAGE):
            (Path(folder) / PAGE).write_text(page, encoding="utf-8")
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=folder, commit_message="Upload a ttmodels network"
        )
    return str(commit)


def _client(name: str) -> Any:
    try:
        import huggingface_hub  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise ModelFileError(
            f"{name}: no such folder, expected a model folder; for the Hugging Face hub "
            "run: pip install 'ttmodels[hub]'"
        ) from error
    return huggingface_hub
