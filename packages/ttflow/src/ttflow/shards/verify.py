"""Checks a shards folder: every file and its hash, every count, and with `deep` every pixel."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ttdata.errors import TTError
from ttdata.storage.job_folder import check_lasting
from ttflow.schema import FlowConfig, Manifest, PartInfo
from ttflow.shards.layout import all_manifests, part_schema, parts_folder, read_failures
from ttflow.shards.reader import Shards, open_shards
from ttflow.shards.verify_poses import remove_poses, verify_poses
from ttflow.shards.versions import check_parquet_version
from ttflow.shards.windows import decode_window
from ttflow.shards.writer import row_problem


@dataclass(frozen=True)
class Report:
    """The result of a verification: counts, and every problem found, a line each."""

    videos: int
    clips: int
    """Stretches among them."""
    parts: int
    num_bytes: int
    failed_videos: int
    missing_clips: int
    problems: tuple[str, ...]
    damaged_videos: tuple[str, ...] = ()
    """Videos whose parts have problems: `repair` gives them up for the next extraction."""
    stretches: int = 0
    """Of the clips."""
    pose_clips: int = 0
    """Clips with poses, which are optional."""
    pose_failed_videos: int = 0
    unusable_poses: tuple[str, ...] = ()
    """Files in `pose/` that `repair` removes for the next `ttflow pose`."""

    @property
    def text(self) -> str:
        """The report for a person."""
        stretches = f" ({self.stretches} of them stretches)" if self.stretches else ""
        sizes = f"{self.videos} videos, {self.clips} clips{stretches}, {self.parts} parts"
        total = f"{sizes}, {self.num_bytes / 1e6:.1f} MB"
        if self.pose_clips or self.pose_failed_videos:
            total = f"{total}, poses of {self.pose_clips} clips"
        if self.pose_failed_videos:
            total = f"{total} ({self.pose_failed_videos} videos failed, see pose/failures.jsonl)"
        if self.failed_videos:
            lost = f"{self.failed_videos} videos failed and {self.missing_clips} clips are missing"
            total = f"{total}; {lost}, see failures.jsonl"
        lines = [*self.problems, f"{total}: {len(self.problems)} problems"]
        if self.damaged_videos:
            lines.append(
                f"damaged videos: {len(self.damaged_videos)}; `ttflow verify --repair` removes "
                "what is stored of them, then `ttflow extract` computes them again"
            )
        if self.unusable_poses:
            lines.append(
                f"unusable files of poses: {len(self.unusable_poses)}; `ttflow verify --repair` "
                "removes them, then `ttflow pose` estimates their videos again"
            )
        return "\n".join(lines)

    def to_json(self) -> str:
        """The report for a program."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def verify(path: Path, deep: bool = False) -> Report:
    """Check that every part is readable and whole, and that every clip is there once.

    Clips of videos that failed are counted; clips that lack without a reason are a problem.

    Args:
        path: the shards folder.
        deep: also decode every frame.

    Raises:
        ShardError: if the folder cannot be opened at all.
    """
    shards = open_shards(path)
    parts = [part for manifest in shards.manifests.values() for part in manifest.parts]
    failures = read_failures(shards.path)
    missing = sum(failure.num_clips for failure in failures)
    problems = [*_lost(shards, missing), *_count_problems(shards)]
    damaged = []
    for video_id, manifest in shards.manifests.items():
        found = [p for part in manifest.parts for p in _part_problems(shards, manifest, part, deep)]
        problems += found
        damaged += [video_id] if found else []
    poses = verify_poses(shards)
    return Report(
        videos=shards.clips["video_id"].n_unique(),
        clips=shards.clips.height,
        parts=len(parts),
        num_bytes=sum(part.num_bytes for part in parts),
        failed_videos=len(failures),
        missing_clips=missing,
        problems=(*problems, *poses.problems),
        damaged_videos=tuple(damaged),
        stretches=shards.clips.height - shards.without_stretches.height,
        pose_clips=poses.clips,
        pose_failed_videos=poses.failed_videos,
        unusable_poses=poses.unusable_files,
    )


def repair(path: Path, report: Report) -> int:
    """Remove what is stored of the damaged videos, so that the next extraction computes them.

    Also files of poses that cannot be used.

    Args:
        path: the shards folder.
        report: of `verify`, on this folder.

    Returns:
        how many videos were given up.

    Raises:
        InputError: in a Ray job for a relative path, which is a copy.
    """
    check_lasting(path)
    damaged = set(report.damaged_videos)
    for manifest_file, manifest in all_manifests(path):
        if manifest.video_id in damaged:
            manifest_file.unlink(missing_ok=True)  # first: without it no part is in force
            for part in manifest.parts:
                (parts_folder(path) / part.file).unlink(missing_ok=True)
    remove_poses(path, report.unusable_poses)
    return len(damaged)


def repaired_line(num_videos: int, num_poses: int) -> str:
    """What `repair` removed, and what to run now, in words."""
    videos = f"{num_videos} damaged videos; run `ttflow extract` again" if num_videos else ""
    poses = f"{num_poses} files of poses; run `ttflow pose` again" if num_poses else ""
    return "removed: " + "; removed: ".join(filter(None, (videos, poses)))


def _lost(shards: Shards, missing: int) -> Iterator[str]:
    counts = shards.dataset.counts
    if {"clips_stroke", "clips_negative"} <= counts.keys():
        names = ("clips_stroke", "clips_negative", "stretches_straddling", "stretches_rest")
        expected = sum(counts.get(name, 0) for name in names)
        found = shards.clips.height + missing
        if found != expected:
            yield f"{shards.path}: {found} clips with those that failed, the dataset has {expected}"


def _count_problems(shards: Shards) -> Iterator[str]:
    stored = Counter(
        clip_id
        for manifest in shards.manifests.values()
        for part in manifest.parts
        for clip_id in part.clip_ids
    )
    listed = Counter(shards.clips["clip_id"])
    for name, counter in (("stored", stored), ("listed in clips.parquet", listed)):
        for clip_id, count in sorted(counter.items()):
            if count > 1:
                yield f"clip {clip_id}: {name} {count} times, expected once"
    for clip_id in sorted(set(listed) - set(stored)):
        yield f"clip {clip_id}: listed in clips.parquet but not stored"
    videos = set(shards.clips["video_id"])
    for video_id, manifest in sorted(shards.manifests.items()):
        extra = {c for part in manifest.parts for c in part.clip_ids} - set(listed)
        # Videos that left the dataset may keep their pixels; clips of a video may not.
        if video_id in videos and extra:
            yield f"clip {min(extra)}: stored but not listed in clips.parquet"
    committed = {part.file for m in shards.manifests.values() for part in m.parts}
    for found in sorted(parts_folder(shards.path).glob("*.parquet")):
        if found.name not in committed:
            yield f"{found}: no manifest in force commits this part; run extract again"


def _part_problems(shards: Shards, manifest: Manifest, part: PartInfo, deep: bool) -> Iterator[str]:
    path = parts_folder(shards.path) / part.file
    try:
        size = path.stat().st_size
        if size != part.num_bytes:
            yield f"{path}: {size} bytes, expected {part.num_bytes}"
            return
        if (found := _sha256(path)) != part.sha256:
            yield f"{path}: SHA-256 {found[:12]}, expected {part.sha256[:12]}"
        yield from _row_problems(shards.info.config, manifest, part, path, deep)
    except (OSError, pa.ArrowException, TTError, ValueError) as error:
        yield f"{path}: cannot be read ({' '.join(str(error).split())})"


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _row_problems(
    config: FlowConfig, manifest: Manifest, part: PartInfo, path: Path, deep: bool
) -> Iterator[str]:
    with pq.ParquetFile(path) as table:
        check_parquet_version(path, table.metadata)
        if table.schema_arrow.remove_metadata() != part_schema().remove_metadata():
            yield f"{path}: columns {table.schema_arrow.names}, expected {part_schema().names}"
            return
        if table.num_row_groups != len(part.clip_ids):
            yield f"{path}: {table.num_row_groups} clips, expected {len(part.clip_ids)}"
            return
        for number, clip_id in enumerate(part.clip_ids):
            row = table.read_row_group(number).to_pylist()[0]
            if row["clip_id"] != clip_id:
                yield f"{path}: row {number} is clip {row['clip_id']}, expected {clip_id}"
            for problem in _values_of(row, config, manifest.num_frames, deep):
                yield f"{path}: {problem}"


def _values_of(
    row: dict[str, Any], config: FlowConfig, num_frames: int, deep: bool
) -> Iterator[str]:
    clip = f"clip {row['clip_id']}"
    first, last = row["stored_start_frame"], row["stored_end_frame"]
    if not 0 <= first < last <= num_frames:
        yield f"{clip}: stored frames [{first}, {last}) in a video of {num_frames}"
        return
    if problem := row_problem(row):
        yield problem
        return
    half_x, half_y = config.crop_width / 2, config.crop_height / 2
    limits = {
        "x": (row["roi_xy"][0::2], half_x, config.frame_width - half_x),
        "y": (row["roi_xy"][1::2], half_y, config.frame_height - half_y),
    }
    for axis, (values, low, high) in limits.items():
        for step, value in enumerate(values):
            if not low - 1e-6 <= value <= high + 1e-6:
                yield f"{clip}, frame {first + step}: roi {axis} {value}, expected {low} to {high}"
                break
    if deep:
        rgb, _ = decode_window(row | {"num_frames": num_frames}, first, last - first)
        if rgb.shape[1:3] != (config.patch_side, config.patch_side):
            yield f"{clip}: patches of {rgb.shape[1:3]}, expected side {config.patch_side}"
