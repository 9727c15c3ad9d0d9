"""Where strokes to measure come from: shards with their poses, or an index of whole videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from ttdata.errors import InputError
from ttdata.settings import first_problem
from ttdata.sources.annotations import read_text_table
from ttdata.sources.formats.beside import path_below
from ttdata.storage.spreadsheet import unescape_formula
from ttflow import ClipPose, Shards, open_shards
from tttrain.indexing.document import VideoIndex
from tttrain.quality.sources.found_poses import found_poses
from tttrain.quality.strokes import stroke_poses, stroke_rows, with_sessions
from tttrain.quality.teacher.marks import Marks, same_stroke
from tttrain.quality.teacher.players import Players

Row = dict[str, Any]
Poses = tuple[dict[str, ClipPose], dict[str, str]]
"""Landmarks by clip; and by clip without any, why."""


class StrokeSource(Protocol):
    """Strokes, and their landmarks when they are asked for."""

    @property
    def rows(self) -> dict[str, Row]:
        """The strokes by clip: as in `clips.parquet`, `video_path`; of an index `score`, `side`."""

    @property
    def clips(self) -> Mapping[str, Row]:
        """All that a person might name as a reference, to tell him what it is."""

    def poses(self, clip_ids: Sequence[str]) -> Poses:
        """Landmarks of some strokes."""


class ShardsSource:
    """The strokes of a shards folder."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards

    @cached_property
    def rows(self) -> dict[str, Row]:
        """See `StrokeSource`.

        Raises:
            InputError: if there is no stroke.
        """
        return stroke_rows(self.shards)

    @property
    def clips(self) -> Mapping[str, Row]:
        """See `StrokeSource`: negatives, too."""
        rest = self.shards.clips.to_dicts()
        return {row["clip_id"]: row for row in rest} | self.rows

    def poses(self, clip_ids: Sequence[str]) -> Poses:
        """See `StrokeSource`: what `ttflow pose` stored.

        Raises:
            InputError: if the folder has no poses at all.
        """
        return stroke_poses(self.shards, clip_ids)


class IndexSource:
    """The strokes that `tttrain index` found."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def rows(self) -> dict[str, Row]:
        """See `StrokeSource`; players and sessions are unknown.

        Raises:
            InputError: if there is no stroke, or the index is damaged or not finished.
        """
        found = dict(item for index in _documents(self._folder) for item in _rows(index))
        if not found:
            raise InputError(f"{self._folder}: no stroke was found in its videos")
        return found

    @property
    def clips(self) -> Mapping[str, Row]:
        """See `StrokeSource`."""
        return self.rows

    def poses(self, clip_ids: Sequence[str]) -> Poses:
        """See `StrokeSource`: estimated where they are not kept.

        Raises: see `found_poses`.
        """
        # Of all strokes, as the files are of whole videos.
        poses, missing = found_poses(self._folder, self.rows)
        wanted = set(clip_ids)
        return (
            {name: pose for name, pose in poses.items() if name in wanted},
            {name: why for name, why in missing.items() if name in wanted},
        )


@dataclass(frozen=True)
class Sources:
    """The strokes to measure, and other shards whose marked strokes are references, too."""

    own: StrokeSource
    others: StrokeSource | None = None

    @classmethod
    def open(cls, data: Path, reference_shards: Path | None = None) -> "Sources":
        """Open the folders.

        Raises:
            InputError: if `data` is neither shards nor an index, or the other no shards.
        """
        others = None if reference_shards is None else ShardsSource(open_shards(reference_shards))
        if (data / "index.json").is_file():
            return cls(IndexSource(data), others)
        return cls(ShardsSource(open_shards(data)), others)

    def shards_with_motion(self) -> Shards:
        """The shards whose stored flow is measured where there are no poses.

        Raises:
            InputError: if that is not all there is.
        """
        if not isinstance(self.own, ShardsSource) or self.others is not None:
            raise InputError(
                "--coarse: needs the stored flow of one shards folder, so neither an index nor "
                "--reference-shards; leave it out to measure by poses"
            )
        return self.own.shards

    @cached_property
    def clips(self) -> dict[str, Row]:
        """All that a reference may be, those of the reference shards first."""
        others = {} if self.others is None else dict(self.others.clips)
        return others | {k: row for k, row in self.own.clips.items() if k not in others}

    def rows(self, marks: Mapping[str, Marks], players: Players) -> dict[str, Row]:
        """The strokes to measure, by clip: marked ones of the reference shards, then all others.

        One that is such a reference itself, found again, is left out: it would be compared with
        itself.
        """
        told = {} if self.others is None else _told(self.others.rows, players)
        marked = {clip_id: row for clip_id, row in told.items() if clip_id in marks}
        return marked | {
            clip_id: row
            for clip_id, row in _told(self.own.rows, players).items()
            if not any(same_stroke(row, other) for other in marked.values())
        }

    def poses(self, rows: Mapping[str, Row], marks: Mapping[str, Marks]) -> Poses:
        """The landmarks of `rows`, and why some have none.

        Raises: see `StrokeSource`.
        """
        if self.others is None:
            return self.own.poses(list(rows))
        there = [clip_id for clip_id in rows if clip_id in marks and clip_id in self.others.rows]
        poses, missing = self.others.poses(there)
        more, lacking = self.own.poses([clip_id for clip_id in rows if clip_id not in there])
        return poses | more, missing | lacking


def _told(rows: Mapping[str, Row], players: Players) -> dict[str, Row]:
    return with_sessions({clip_id: players.told(row) for clip_id, row in rows.items()})


def _documents(folder: Path) -> list[VideoIndex]:
    """Of the videos with strokes that the last run of `tttrain index` listed."""
    again = "run `tttrain index` again, to its end"
    listed = folder / "strokes.csv"
    if not listed.is_file():
        raise InputError(f"{folder}: no strokes.csv; {again}")
    table = unescape_formula(read_text_table(listed), ["video_id"])
    found = []
    for video_id in table["video_id"].unique(maintain_order=True):
        path = path_below(folder / "videos", f"{video_id}/strokes", ".json")
        try:
            found.append(VideoIndex.model_validate_json(path.read_bytes()))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); {again}") from error
        except ValidationError as error:
            raise InputError(f"{path}: {first_problem(error)}; {again}") from error
    return found


def _rows(index: VideoIndex) -> list[tuple[str, Row]]:
    """The strokes of a video; what is of the class that is no stroke is none."""
    found = []
    for stroke in index.strokes:
        if stroke.label not in index.classes:
            continue
        side = "" if stroke.player is None else f" {stroke.player}"
        clip_id = f"{index.video_id}@{stroke.start_frame}-{stroke.end_frame}{side}"
        row = {
            "clip_id": clip_id, "video_id": index.video_id, "kind": "stroke",
            "label": stroke.label, "start_frame": stroke.start_frame,
            "end_frame": stroke.end_frame, "player_id": None, "session_id": None,
            "fps": index.fps, "num_frames": index.num_frames, "video_path": index.video,
            "score": stroke.score, "side": stroke.player, "regions": index.regions,
        }  # fmt: skip
        found.append((clip_id, row))
    return found
