"""A shards folder as training sees it: clips by split, classes, normalisation."""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ttdata.errors import InputError
from ttdata.schema import SPLITS, SplitInfo
from ttdata.taxonomy import Taxonomy
from ttflow.errors import ShardError
from ttflow.pose.config import PoseConfig
from ttflow.schema import FlowConfig
from ttflow.shards.poses import content_sha256, stored_info
from ttflow.shards.reader import Shards, open_shards
from ttflow.shards.stats import flow_scale
from tttrain.config import NetworkConfig, TrainConfig
from tttrain.data.decode import decode_request
from tttrain.data.division import Division, read_division
from tttrain.data.poses import StoredPose, stored_poses
from tttrain.data.sampling import (
    ClipInfo,
    Request,
    Stretch,
    Stretches,
    Window,
    resident_bytes,
    stretch_shares,
)
from tttrain.data.stretches import (
    Strokes,
    check_some,
    of_training_videos,
    strokes_of_videos,
    windows_of,
)
from tttrain.run import Run

logger = logging.getLogger(__name__)


class TrainingData:
    """The clips of a shards folder that have a split and pixels.

    Args:
        shards: the folder.
        division: splits that replace those stored.
    """

    def __init__(self, shards: Shards, division: Division | None = None) -> None:
        self._shards = shards if division is None else division.applied(shards)
        self.division = division
        self.path: Path = shards.path
        self.taxonomy: Taxonomy = shards.dataset.taxonomy
        self.classes: tuple[str, ...] = self.taxonomy.classes
        self.split: SplitInfo | None = shards.dataset.split
        if division is not None:
            self.split = division.info(self._shards.clips)
        self.extraction: FlowConfig = shards.info.config
        self._stretches: dict[tuple[int, tuple[str, ...]], Stretches] = {}
        self._poses: dict[str, StoredPose] = {}

    @property
    def clip_shape(self) -> tuple[int, int, int]:
        """T, H, W that the shards were extracted for."""
        config = self.extraction
        return config.window_frames, config.crop_height, config.crop_width

    @cached_property
    def clips(self) -> dict[str, list[ClipInfo]]:
        """Clips by split, sorted by clip_id.

        Raises:
            InputError: if a clip carries a label that is no class of the taxonomy.
        """
        found: dict[str, list[ClipInfo]] = {name: [] for name in SPLITS}
        for row in self._with_pixels(self._shards.clips.drop_nulls("split")):
            found[row["split"]].append(self._clip(row))
        return found

    def everything(self) -> list[tuple[str, ClipInfo]]:
        """The video and the facts of every clip with pixels, used or not, by clip_id."""
        clips = self._with_pixels(self._shards.without_stretches)
        return [(row["video_id"], self._clip(row)) for row in clips]

    @property
    def records(self) -> pl.DataFrame:
        """All rows, columns of ClipRecord, stretches too; splits are those that hold here."""
        return self._shards.clips

    def stretches(self, config: TrainConfig) -> Stretches:
        """What a configuration asks for: by kind, the stretches of training videos, by clip_id.

        Those that hold no window of the configuration (by default, of the shards) are left out.

        Raises:
            InputError: if it asks for a kind of which there is none.
        """
        num_frames = (config.network.clip_shape or self.clip_shape)[0]
        asked = num_frames, tuple(stretch_shares(config))
        if asked not in self._stretches:
            self._stretches[asked] = self._find_stretches(*asked)
        return self._stretches[asked]

    def _find_stretches(self, num_frames: int, kinds: tuple[str, ...]) -> Stretches:
        table = of_training_videos(self._shards.clips).filter(pl.col("kind").is_in(kinds))
        found: dict[str, list[Stretch]] = {kind: [] for kind in kinds}
        for row in self._with_pixels(table):
            strokes = self._strokes.get(row["video_id"], Strokes(()))
            low, high = windows_of(row, strokes, num_frames)
            if high - low >= num_frames:
                stretch = Stretch(**vars(self._clip(row)), windows=(low, high))
                found[row["kind"]].append(stretch)
        for kind in kinds:
            check_some(self.path, kind, found[kind], num_frames)
        return found

    @cached_property
    def _strokes(self) -> dict[str, Strokes]:
        """By video."""
        return strokes_of_videos(self._shards.clips)

    def timing(self, clip: ClipInfo) -> tuple[float, float]:
        """When a clip begins and how long it lasts, in seconds, by its video's own times."""
        row = self._shards.record(clip.clip_id)
        start, end = row["start_seconds"], row["end_seconds"]
        if start is not None and end is not None:
            return start, end - start
        return clip.start_frame / clip.fps, (clip.end_frame - clip.start_frame) / clip.fps

    def _with_pixels(self, clips: pl.DataFrame) -> list[dict[str, Any]]:
        """The rows that have pixels, by clip_id; says which have none."""
        rows = clips.sort("clip_id").to_dicts()
        found = [row for row in rows if self._has_pixels(row["clip_id"])]
        if missing := [row["clip_id"] for row in rows if not self._has_pixels(row["clip_id"])]:
            logger.warning(
                "%s: %d clips have no pixels (see failures.jsonl) and are left out: %s%s",
                *(self.path, len(missing), ", ".join(missing[:3])),
                ", ..." if len(missing) > 3 else "",
            )
        return found

    def _has_pixels(self, clip_id: str) -> bool:
        try:
            self._shards.location(clip_id)
        except ShardError:
            return False
        return True

    def _clip(self, row: dict[str, Any]) -> ClipInfo:
        if row["label"] not in self.classes:
            raise InputError(
                f"{self.path}: clip {row['clip_id']} has the label {row['label']!r}, expected a "
                f"class of the taxonomy {self.taxonomy.name!r}"
            )
        return ClipInfo(
            clip_id=row["clip_id"],
            start_frame=row["start_frame"],
            end_frame=row["end_frame"],
            total_frames=row["num_frames"],
            fps=row["fps"],
            class_index=self.classes.index(row["label"]),
        )

    @cached_property
    def hash(self) -> str:
        """Of what training and testing depend on: clips, labels, splits and pixels."""
        rows = [[name, *vars(clip).values()] for name in SPLITS for clip in self.clips[name]]
        used = {clip.clip_id for clips in self.clips.values() for clip in clips}
        stretches = of_training_videos(self._shards.clips).sort("clip_id")
        names = ("kind", "clip_id", "start_frame", "end_frame")
        rows += [list(row) for row in stretches.select(names).rows()]
        used |= set(stretches["clip_id"])
        pixels = sorted(
            part.sha256
            for manifest in self._shards.manifests.values()
            for part in manifest.parts
            if not used.isdisjoint(part.clip_ids)
        )
        text = json.dumps([self._shards.info.config_hash, self.classes, rows, pixels])
        return hashlib.sha256(text.encode()).hexdigest()

    def hash_for(self, network: NetworkConfig) -> str:
        """`hash`, and the landmarks where a network reads them.

        Raises:
            ShardError: as `poses`.
        """
        if not network.reads_pose:
            return self.hash
        clip_ids = sorted(clip.clip_id for clips in self.clips.values() for clip in clips)
        poses = content_sha256([stored.pose for stored in self.poses(clip_ids)])
        assert self.pose_estimation is not None
        made = self.pose_estimation.model_dump_json()
        return hashlib.sha256(f"{self.hash} {poses} {made}".encode()).hexdigest()

    def poses(self, clip_ids: Sequence[str]) -> list[StoredPose]:
        """The landmarks of these clips, in that order; once read they are kept. Reads no pixels.

        Raises:
            ShardError: if there are none of a clip, or they are damaged; says which, what to do.
        """
        missing = [clip_id for clip_id in clip_ids if clip_id not in self._poses]
        self._poses |= stored_poses(self._shards, missing) if missing else {}
        return [self._poses[clip_id] for clip_id in clip_ids]

    @property
    def pose_estimation(self) -> PoseConfig | None:
        """How the landmarks were estimated; None where there are none."""
        info = stored_info(self.path)
        return None if info is None else info.config

    def flow_scale(self) -> tuple[float, float]:
        """Flow that becomes 1, per axis, from the training clips; reads no pixels."""
        rows = self._shards.read_columns(
            [clip.clip_id for clip in self.clips["train"]], ("flow_max_px",)
        )
        maxima = [np.array(row["flow_max_px"]) for row in rows.values()]
        return flow_scale(np.concatenate(maxima).reshape(-1, 2))

    def read_in_training(self, stretches: Stretches) -> list[ClipInfo]:
        """The clips whose windows training reads: all but those of the test split."""
        further = [clip for found in stretches.values() for clip in found]
        return [*self.clips["train"], *self.clips["validation"], *further]

    def resident_gib(self, stretches: Stretches | None = None) -> float:
        """Memory that keeping all that training reads decoded takes, from above."""
        config, clips = self.extraction, self.read_in_training(stretches or {})
        side, window, margin = config.patch_side, config.window_frames, config.margin_frames
        return resident_bytes(clips, side, window, margin) / 2**30

    def check_shape(self, clip_shape: tuple[int, int, int]) -> None:
        """Refuse a clip shape that these shards cannot serve.

        Raises:
            InputError: if the window is longer than extracted, or the crop another one.
        """
        frames, *crop = self.clip_shape
        if clip_shape[0] > frames or list(clip_shape[1:]) != crop:
            raise InputError(
                f"{self.path}: clip_shape {list(clip_shape)}, expected at most {frames} frames of "
                f"{crop[0]} x {crop[1]}; --set network.clip_shape={json.dumps([frames, *crop])} "
                "fits"
            )

    def read(self, clip_id: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """A clip's row with its encoded pixels."""
        return self._shards.read(clip_id, columns)

    def backgrounds(self, clip_ids: Sequence[str]) -> np.ndarray:
        """(clips, 1728) uint8: the temporal median of the working frames of each, 32 x 18 RGB."""
        rows = self._shards.read_columns(clip_ids, ("background_rgb",))
        return np.array([np.frombuffer(row["background_rgb"], np.uint8) for row in rows.values()])


class ShardSource:
    """Windows decoded straight from the shards, in this process."""

    def __init__(self, data: TrainingData, num_frames: int) -> None:
        self._data, self._num_frames = data, num_frames

    def windows(self, requests: Sequence[Request]) -> Iterator[Window]:
        """The windows asked for, in that order."""
        for item in requests:
            row = self._data.read(item.clip_id)
            yield decode_request(row, item.start_frame, self._num_frames)


def open_data(path: str | Path, division: Division | None = None) -> TrainingData:
    """Open a shards folder, with splits that replace those stored if there is a division.

    Raises:
        ShardError: if the folder is missing or not finished.
    """
    return TrainingData(open_shards(path), division)


def open_data_of(run: Run, path: str | Path) -> TrainingData:
    """Open a shards folder as a run sees it: with its division, where it names clips of these.

    Raises:
        ShardError: if the folder is missing or not finished.
        InputError: if the run's division cannot be read.
    """
    shards, division = open_shards(path), read_division(run)
    if division is None or division.splits.keys().isdisjoint(shards.clips["clip_id"]):
        return TrainingData(shards)
    return TrainingData(shards, division)
