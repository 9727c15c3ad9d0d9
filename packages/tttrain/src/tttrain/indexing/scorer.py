"""A run's network over many whole videos; what was computed once is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import torch

from ttdata.errors import InputError, TTError, VideoError
from ttdata.video.location import fingerprint
from ttflow.flow.estimators import Estimator, create
from ttflow.jobs.worker import weights_of as flow_weights_of
from ttflow.schema import FlowConfig
from ttflow.shards.layout import config_hash, digest
from ttmodels.base import BranchModel
from tttrain.evaluation.device import check_device, choose_device
from tttrain.evaluation.scoring import load_model
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.detector import weights_of
from tttrain.indexing.jobs.items import OnFrame, Parallel, VideoFunction, VideoItem
from tttrain.indexing.jobs.kept_scores import read_scores, write_scores
from tttrain.indexing.jobs.run import run_videos
from tttrain.indexing.still import SkipStill
from tttrain.indexing.tracks import Track
from tttrain.indexing.video_scores import STRIDE_FRAMES, VideoScores, video_scores
from tttrain.run import Run
from tttrain.training.torch_state import preserved

if TYPE_CHECKING:
    from ttflow.flow.raft import Weights

Scored = dict[str, VideoScores]
"""What was computed, by the id of the track."""
_VERSION = 1
"""Of how scores are computed. Raise it with every change of the code (flow, patches, network over
whole videos) that changes them: scores that are kept are then computed anew."""


def lengths(scored: Scored) -> dict[str, int]:
    """The frames that were decoded, by track."""
    return {track_id: scores.num_frames for track_id, scores in scored.items()}


class VideoScorer:
    """A run's network over whole videos, each in one thread.

    Sums depend on the number of threads; so scores depend neither on the machine's cores nor on
    how many videos are scored at once.

    Args:
        run: finished, of the SSTC family.
        negative: the rejection class among its labels.
        device: "auto", "cpu", "cuda" or "cuda:N".
        stride_frames: from one window to the next; None: no windows.
        features: whether features per cell are wanted.
        flow_weights: of the flow's network, where it has one; None: this machine's own file.
        still_below_px: windows slower than this are not scored (specification 6.3); 0: none.

    Raises:
        InputError: if the run has no model, no record of its extraction, or another network, or
            the device is another word.
    """

    def __init__(
        self,
        run: Run,
        negative: str,
        device: str = "auto",
        *,
        stride_frames: int | None = STRIDE_FRAMES,
        features: bool = False,
        flow_weights: "Weights | None" = None,
        still_below_px: float = 0.0,
    ) -> None:
        check_device(device)
        self._run, info = run, run.info()
        if info.extraction is None:
            raise InputError(f"{run.info_path}: does not say how its shards were extracted")
        if negative not in info.classes:
            raise InputError(
                f"{run.folder}: its network knows no class {negative!r}; whole videos need one "
                "trained with negatives"
            )
        self.extraction: FlowConfig = info.extraction
        self.negative = negative
        self._stride_frames, self._features = stride_frames, features
        self._skip_still = SkipStill(still_below_px, negative) if still_below_px > 0 else None
        self._weights = weights_of(run)
        self._devices = device, info.config.execution.device
        self._flow_weights = flow_weights or flow_weights_of(self.extraction)
        # The command only asks it for labels and shape where workers compute.
        self.model = load_model(run.model_folder, torch.device("cpu"))
        if not isinstance(self.model, BranchModel):
            raise InputError(
                f"{run.folder}: its network is a {type(self.model).__name__}, expected one of the "
                "SSTC family, whose convolutions windows can share"
            )

    @cached_property
    def _estimator(self) -> Estimator:
        """Of the flow; from then on the network is on the device, too."""
        device = choose_device(*self._devices)
        self.model.to(device)
        # OpenCV's estimators use the CPU whatever is asked; the variational one takes the GPU.
        return create(self.extraction.estimator, device.type, weights=self._flow_weights)

    @property
    def device(self) -> str:
        """Where videos are scored: "cpu", "cuda", "cuda:N", or "auto" for a GPU if there is one."""
        asked, configured = self._devices
        return "cpu" if (asked, configured) == ("auto", "cpu") else asked

    @property
    def work(self) -> "ScoreWork":
        """How a worker process makes such a scorer."""
        return ScoreWork(
            self._run.folder,
            self.negative,
            self._stride_frames,
            self._features,
            0.0 if self._skip_still is None else self._skip_still.below_px,
            self._weights,
            self._flow_weights,
        )

    def ready(self) -> VideoFunction:
        """What scores one video: its arguments are those of `scores` after the location.

        Raises:
            InputError: if the device is not here.
        """
        _ = self._estimator

        def function(item: VideoItem, on_frame: OnFrame) -> int:
            tracks, kept, key = item.arguments
            scored = self.scores(item.path, tracks, kept, key, on_frame)
            return next(iter(scored.values())).num_frames

        return function

    def key(self, location: str, tracks: Sequence[Track]) -> str:
        """Hash of what a video's scores follow from: its bytes, the weights, the extraction.

        Not the kind of device, of which only rounding depends: of "auto" the cluster decides, once
        keys are compared.

        Raises:
            VideoError: if the video cannot be read.
        """
        parts: list[object] = [_VERSION, *fingerprint(location), self._weights]
        regions = [track.region for track in tracks]
        parts += [config_hash(self.extraction), self._stride_frames, self._features, regions]
        return digest([*parts, *([self._skip_still.below_px] if self._skip_still else [])])[:16]

    def keys(self, videos: pl.DataFrame, tracks: Sequence[Track]) -> list[str]:
        """`key` of each of a dataset's videos."""
        return [
            self.key(row["path"], [t for t in tracks if t.video_id == row["video_id"]])
            for row in videos.select("video_id", "path").to_dicts()
        ]

    def scores(
        self,
        location: str,
        tracks: Sequence[Track],
        kept: Path,
        key: str,
        on_frame: OnFrame | None = None,
    ) -> Scored:
        """The scores of a video, read from `kept` where they are there, else computed and kept.

        Args:
            location: path or URL.
            tracks: of this video, at least one.
            kept: the `.npz` file.
            key: of the video, from `key`.
            on_frame: called with the number of frames so far.

        Raises:
            VideoError: if the video cannot be decoded.
            InputError: if it is shorter than a window.
        """
        found = read_scores(kept, key, len(tracks))
        if found is None:
            with preserved():
                torch.set_num_threads(1)  # for the flow; OpenCV's does not depend on it
                found = video_scores(
                    location,
                    self.model,
                    self.extraction,
                    self._estimator,
                    regions=[track.region for track in tracks],
                    stride_frames=self._stride_frames,
                    features=self._features,
                    num_threads=1,
                    skip_still=self._skip_still,
                    on_frame=on_frame,
                )
            write_scores(kept, key, found)
        return {track.track_id: scores for track, scores in zip(tracks, found, strict=True)}

    def of_videos(
        self,
        videos: pl.DataFrame,
        tracks: Sequence[Track],
        folder: Path,
        parallel: Parallel | None = None,
    ) -> Scored:
        """The scores of a dataset's videos, kept in a folder.

        Args:
            videos: rows as Video, with paths.
            tracks: of these videos.
            folder: gets a file per video, named by its content.
            parallel: how many videos at once.

        Raises:
            TTError: if videos cannot be scored, after all others were.
        """
        items, errors = self._items(videos, tracks, folder)
        found = {item.video_id: _kept(item) for item in items}
        pending = [item for item in items if not found[item.video_id]]
        errors |= run_videos(
            pending, self.work, self.ready, folder, parallel=parallel, device=self.device
        )
        for item in pending:
            if item.video_id not in errors:
                found[item.video_id] = _kept(item)
                if not found[item.video_id]:
                    errors[item.video_id] = f"{item.path}: its scores are gone from {folder}"
        if errors:
            raise TTError(
                f"{len(errors)} of {videos.height} videos cannot be scored, the scores of the "
                f"others are kept: {'; '.join(errors.values())}; mend them, or curate again "
                "without them, then run the same command"
            )
        return {track_id: scores for own in found.values() for track_id, scores in own.items()}

    def _items(
        self, videos: pl.DataFrame, tracks: Sequence[Track], folder: Path
    ) -> tuple[list[VideoItem], dict[str, str]]:
        """A dataset's videos to score, and why any cannot be read."""
        items, errors = [], {}
        for row in videos.iter_rows(named=True):
            own = [track for track in tracks if track.video_id == row["video_id"]]
            location = str(row["path"])
            try:
                key = self.key(location, own)
            except VideoError as error:
                errors[row["video_id"]] = str(error)
                continue
            arguments = own, folder / f"{key}.npz", key
            items.append(VideoItem(row["video_id"], location, row["num_frames"], arguments))
        return items, errors

    def curves(self, scored: Scored) -> list[ScoreCurve]:
        """Class scores as the decoders take them, with the ids of tracks for those of videos."""
        assert self._stride_frames is not None
        return [
            ScoreCurve(
                video_id=track_id,
                log_probabilities=scores.log_probabilities,
                labels=tuple(self.model.card.labels),
                num_frames=scores.num_frames,
                stride_frames=self._stride_frames,
                first_frame=self.model.config.clip_shape[0] / 2,
                negative=self.negative,
            )
            for track_id, scores in scored.items()
        ]


def _kept(item: VideoItem) -> Scored:
    """A video's scores that are there; empty where there are none."""
    tracks, kept, key = item.arguments
    scores = read_scores(kept, key, len(tracks)) or []
    return {track.track_id: own for track, own in zip(tracks, scores, strict=bool(scores))}


@dataclass(frozen=True)
class ScoreWork:
    """A scorer for a worker process, which reads the run where all machines see it."""

    run_folder: Path
    negative: str
    stride_frames: int | None
    features: bool
    still_below_px: float
    weights_sha256: str
    flow_weights: "Weights | None"

    def scorer(self, device: str) -> VideoScorer:
        """The scorer.

        Raises:
            InputError: if the run is not to be seen, or has other weights by now.
        """
        made = VideoScorer(
            Run(self.run_folder),
            self.negative,
            device,
            stride_frames=self.stride_frames,
            features=self.features,
            still_below_px=self.still_below_px,
            flow_weights=self.flow_weights,
        )
        if made.work != self:
            raise InputError(
                f"{self.run_folder}: its weights changed since the command was started; run it "
                "again"
            )
        return made

    def load(self, device: str) -> VideoFunction:
        """What scores a video."""
        return self.scorer(device).ready()
