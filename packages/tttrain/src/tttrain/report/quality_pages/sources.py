"""Where the films and landmarks of measured strokes come from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ttdata.errors import DatasetError, TTError, VideoError
from ttdata.storage.dataset import load_dataset
from ttdata.urls import is_url, local
from ttdata.video.location import fingerprint
from ttflow import ClipPose, Shards, open_shards, read_poses
from ttflow.errors import ShardError
from ttflow.schema import SCHEMA_VERSION, DatasetFolder
from ttflow.shards.layout import dataset_folder_path, read_model
from tttrain.indexing.document import VideoIndex

PosesOf = Callable[[Sequence[str]], dict[str, ClipPose]]
"""The landmarks of the strokes of a video, by clip; those without any are left out."""


@dataclass(frozen=True)
class FilmSources:
    """What films are made of."""

    videos: Mapping[str, str]
    """Path or URL of each video that is at hand."""
    poses_of: PosesOf
    problem: str | None = None
    """Why no video, or not every one, is at hand."""


def film_sources(data: Path) -> FilmSources:
    """The videos and landmarks behind a shards folder or an index of whole videos.

    Nothing is refused: what is not at hand is left out, and `problem` says why.
    """
    if (data / "index.json").is_file():
        return FilmSources(_indexed_videos(data), lambda _: {})
    try:
        shards = open_shards(data)
        videos = _dataset_videos(data)
    except TTError as error:
        return FilmSources({}, lambda _: {}, " ".join(str(error).split()))
    found, problems = {}, []
    for video_id in shards.clips["video_id"].unique(maintain_order=True):
        if (problem := _problem(shards, video_id, videos.get(video_id))) is None:
            found[video_id] = str(videos[video_id])
        else:
            problems.append(problem)
    return FilmSources(found, lambda clips: _poses(shards, clips), _summary(problems))


def video_paths(data: Path) -> list[str]:
    """The videos behind a folder as far as it says them, for what must not be overwritten."""
    if (data / "index.json").is_file():
        return list(_indexed_videos(data).values())
    try:
        return [path for path in _dataset_videos(data).values() if path is not None]
    except TTError:
        return []


def _indexed_videos(index: Path) -> dict[str, str]:
    found = {}
    for path in sorted((index / "videos").rglob("strokes.json")):
        try:
            document = VideoIndex.model_validate_json(path.read_bytes())
        except (OSError, ValueError):  # half of an index is no reason to stop
            continue
        found[document.video_id] = document.video
    return {video_id: path for video_id, path in found.items() if _is_there(path)}


def _dataset_videos(shards: Path) -> dict[str, str | None]:
    """By video of the dataset: where it is."""
    path = dataset_folder_path(shards)
    if not path.is_file():
        raise ShardError(f"{shards}: does not say where its dataset lies")
    dataset = Path(read_model(path, DatasetFolder, SCHEMA_VERSION).path)
    if not dataset.is_dir():
        raise DatasetError(f"{dataset}: no such folder, where the dataset of {shards} lay")
    return dict(load_dataset(dataset).videos.select("video_id", "path").iter_rows())


def _problem(shards: Shards, video_id: str, path: str | None) -> str | None:
    """Why a video cannot be shown."""
    if path is None or not _is_there(path):
        return f"{path or video_id}: no such video"
    manifest = shards.manifests.get(video_id)
    if manifest is None or manifest.source_size_bytes == 0:  # by `write_clips`: knows no file
        return None
    try:
        same = fingerprint(path) == (manifest.source_size_bytes, manifest.source_sha256_ends)
    except VideoError as error:
        return str(error)
    return None if same else f"{path}: another file than the one that was extracted"


def _is_there(path: str) -> bool:
    plain = local(path)
    return is_url(plain) or Path(plain).is_file()


def _summary(problems: Sequence[str]) -> str | None:
    if not problems:
        return None
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return problems[0] + more


def _poses(shards: Shards, clip_ids: Sequence[str]) -> dict[str, ClipPose]:
    try:
        return read_poses(shards, clip_ids)
    except ShardError:  # of this video there are none
        return {}
