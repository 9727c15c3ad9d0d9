"""One video after the other: from a file to its strokes, its page, and what they were made of."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import polars as pl

from ttdata.errors import InputError
from ttdata.storage.atomic import write_json
from ttdata.video.times import frame_times
from ttflow.roi import Region
from ttflow.shards.layout import digest
from tttrain.indexing.detector import check_whole_videos, head_rows, stored, stored_head
from tttrain.indexing.document import IndexedStroke, VideoIndex
from tttrain.indexing.jobs.items import OnFrame, VideoFunction, VideoItem
from tttrain.indexing.scorer import Scored, ScoreWork, VideoScorer
from tttrain.indexing.tracks import Track, by_video, tracks_of
from tttrain.report.film import film_of
from tttrain.report.video_page import write_video_page
from tttrain.run import Run

if TYPE_CHECKING:
    from ttflow.flow.raft import Weights


PASSES = 2
"""Over the frames of a video: for the scores, and for what its page shows."""
_FILE = re.compile(r'<(?:video|img)[^>]* src="([^"]+)"')
"""What a page shows."""
_VERSION = 2
"""Of an index and its page. Raise it with every change of the code (decoders, joint head, page)
that changes what is written from the same scores: finished pages are then written anew."""


class VideoIndexer:
    """A run's detector, ready for videos.

    Args:
        run_folder: with a detector (`tttrain fit-detector`).
        device: "auto", "cpu", "cuda" or "cuda:N".
        flow_weights: of the flow's network, where it has one; None: this machine's own file.

    Raises:
        InputError: if the run has no detector that fits its weights.
    """

    def __init__(
        self, run_folder: Path, device: str = "auto", flow_weights: "Weights | None" = None
    ) -> None:
        self.run = Run(run_folder.absolute())
        check_whole_videos(self.run)
        self.detector = stored(self.run)
        self._head = stored_head(self.run, self.detector) if self.detector.use == "head" else None
        self.scorer = VideoScorer(
            self.run,
            self.detector.negative,
            device,
            stride_frames=None if self._head else self.detector.decoder.stride_frames,
            features=self._head is not None,
            flow_weights=flow_weights,
            still_below_px=0.0 if self._head else self.detector.still_below_px,
        )

    @property
    def work(self) -> "IndexWork":
        """How a worker process makes such an indexer."""
        return IndexWork(self.scorer.work, digest(self.detector.model_dump(mode="json")))

    def ready(self) -> VideoFunction:
        """What indexes one video: its arguments are those of `index`.

        It counts the frames of all passes, so an item is expected to have `PASSES` times as many.

        Raises:
            InputError: if the device is not here.
        """
        self.scorer.ready()

        def function(item: VideoItem, on_frame: OnFrame) -> int:
            row, regions, page = item.arguments
            return PASSES * self.index(row, regions, page, on_frame).num_frames

        return function

    def key(self, row: dict[str, Any], regions: Sequence[Region | None]) -> str:
        """Hash of what a video's index follows from.

        Raises:
            VideoError: if the video cannot be read.
        """
        scores_key = self.scorer.key(str(row["path"]), tracks_of(row["video_id"], regions))
        return self._key(scores_key, row)

    def _key(self, scores_key: str, row: dict[str, Any]) -> str:
        # With the path, which the page plays: of a video that was moved it is written again.
        named = row["video_id"], str(row["path"])
        parts = _VERSION, scores_key, self.detector.model_dump(mode="json"), *named
        return digest(parts)[:16]

    def index(
        self,
        row: dict[str, Any],
        regions: Sequence[Region | None],
        page: Path,
        on_frame: OnFrame | None = None,
    ) -> VideoIndex:
        """The index of a video: as it stands, or computed and written, the JSON file last.

        Args:
            row: as Video, with a path.
            regions: of its players; None: the whole frame.
            page: the HTML file; `strokes.json` and `scores.npz` stand beside it.
            on_frame: called with the number of frames so far, those of all passes.

        Raises:
            VideoError: if the video cannot be decoded.
            InputError: if it is shorter than a window.
        """
        location, folder = str(row["path"]), page.parent
        tracks = tracks_of(row["video_id"], regions)
        scores_key = self.scorer.key(location, tracks)
        key = self._key(scores_key, row)
        if (found := finished(page, key)) is not None:
            return found
        scored = self.scorer.scores(location, tracks, folder / "scores.npz", scores_key, on_frame)
        made = self._document(row, tracks, scored, key)

        def on_shown(num_frames: int) -> None:
            if on_frame is not None:
                on_frame(made.num_frames + num_frames)

        write_video_page(page, made, film_of(made, frame_times(row), folder, on_shown))
        write_json(folder / "strokes.json", made.model_dump(mode="json"))
        return made

    def _strokes(self, scored: Scored) -> pl.DataFrame:
        if self._head is None or self.detector.head is None:
            return self.detector.decoder.decode(self.scorer.curves(scored))
        return head_rows(self._head, self.detector.head, scored)

    def _document(
        self, row: dict[str, Any], tracks: Sequence[Track], scored: Scored, key: str
    ) -> VideoIndex:
        times, negative = frame_times(row), self.detector.negative
        strokes = by_video(self._strokes(scored), tracks)
        num_frames = next(iter(scored.values())).num_frames
        labels = self.scorer.model.card.labels
        return VideoIndex(
            video_id=row["video_id"],
            video=str(row["path"]),
            fps=row["fps"],
            num_frames=num_frames,
            video_seconds=float(times.seconds_at(num_frames)),
            classes=tuple(label for label in labels if label != negative),
            model=f"{self.run.folder} {self.detector.weights_sha256[:12]}",
            decoder=self.detector.kind,
            key=key,
            regions={track.player or "": track.region for track in tracks},
            strokes=tuple(
                IndexedStroke(
                    start_frame=item["start_frame"],
                    end_frame=item["end_frame"],
                    start_seconds=float(times.seconds_at(item["start_frame"])),
                    end_seconds=float(times.seconds_at(item["end_frame"])),
                    label=item["label"],
                    score=min(max(item["score"], 0.0), 1.0),
                    player=item["player"],
                )
                for item in strokes.iter_rows(named=True)
            ),
        )


def finished(page: Path, key: str) -> VideoIndex | None:
    """The index that stands beside a page, if it was computed from the same and all is there."""
    try:
        found = VideoIndex.model_validate_json((page.parent / "strokes.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found if found.key == key and _is_whole(page) else None


def _is_whole(page: Path) -> bool:
    """Whether a page is there, and the film and stills that it names."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    # As a browser takes it: the two dots go before links are followed.
    names = (os.path.abspath(page.parent / unquote(name)) for name in _FILE.findall(text))
    return all(map(os.path.isfile, names))


@dataclass(frozen=True)
class IndexWork:
    """An indexer for a worker process, which reads the run where all machines see it."""

    scoring: ScoreWork
    detector: str
    """Hash of the detector that the command was started with."""

    def load(self, device: str) -> VideoFunction:
        """What indexes a video.

        Raises:
            InputError: if the run is not to be seen, or its detector is another one by now.
        """
        made = VideoIndexer(self.scoring.run_folder, device, self.scoring.flow_weights)
        if made.work != self:
            raise InputError(
                f"{self.scoring.run_folder}: its weights or detector changed since the command "
                "was started; run it again"
            )
        return made.ready()
