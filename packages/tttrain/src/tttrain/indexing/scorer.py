"""Score curves of many videos by one run's network; what was computed once is kept."""

import logging
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ttdata.console import track
from ttdata.errors import InputError
from ttdata.storage.atomic import atomic_path
from ttflow.flow.estimators import create
from ttflow.schema import FlowConfig
from ttflow.shards.layout import config_hash, digest, fingerprint
from ttmodels.base import BranchModel
from tttrain.evaluation.device import choose_device
from tttrain.evaluation.scoring import load_model
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.detector import weights_of
from tttrain.indexing.video_scores import STRIDE_FRAMES, score_curve
from tttrain.run import Run, available_threads

logger = logging.getLogger(__name__)


class VideoScorer:
    """A run's network over whole videos.

    Args:
        run: finished, of the SSTC family.
        negative: the rejection class among its labels.
        device: "auto", "cpu", "cuda" or "cuda:N".
        stride_frames: from one window to the next.

    Raises:
        InputError: if the run has no model, no record of its extraction, or another network.
    """

    def __init__(
        self, run: Run, negative: str, device: str = "auto", stride_frames: int = STRIDE_FRAMES
    ) -> None:
        info = run.info()
        if info.extraction is None:
            raise InputError(f"{run.info_path}: does not say how its shards were extracted")
        if negative not in info.classes:
            raise InputError(
                f"{run.folder}: its network knows no class {negative!r}; whole videos need one "
                "trained with negatives"
            )
        self.extraction: FlowConfig = info.extraction
        self.negative = negative
        self._stride_frames = stride_frames
        self._weights = weights_of(run)
        self.model = load_model(
            run.model_folder, choose_device(device, info.config.execution.device)
        )
        if not isinstance(self.model, BranchModel):
            raise InputError(
                f"{run.folder}: its network is a {type(self.model).__name__}, expected one of the "
                "SSTC family, whose convolutions windows can share"
            )
        # OpenCV's estimators use the CPU whatever is asked; the variational one takes the GPU.
        kind = next(self.model.parameters()).device.type
        self._estimator = create(self.extraction.estimator, kind)

    def key(self, location: str) -> str:
        """Hash of what a video's scores follow from: its bytes, the weights, the extraction.

        Raises:
            VideoError: if the video cannot be read.
        """
        parts = [*fingerprint(location), self._weights, config_hash(self.extraction)]
        return digest([*parts, self._stride_frames, self.negative])[:16]

    def curve(
        self, video_id: str, location: str, kept: Path, key: str, num_frames: int = 0
    ) -> ScoreCurve:
        """The scores of a video, read from `kept` where they are there, else computed and kept.

        Args:
            video_id: names the curve.
            location: path or URL.
            kept: the `.npz` file.
            key: of the video, from `key`.
            num_frames: expected, for the progress.

        Raises:
            VideoError: if the video cannot be decoded.
            InputError: if it is shorter than a window.
        """
        found = _read(kept, key)
        if found is None:
            ticks = _Ticks(f"scoring {video_id}", num_frames)
            computed = score_curve(
                location,
                self.model,
                self.extraction,
                self._estimator,
                video_id=video_id,
                negative=self.negative,
                stride_frames=self._stride_frames,
                num_threads=available_threads(),
                on_frame=ticks,
            )
            found = computed.log_probabilities, computed.num_frames
            with atomic_path(kept) as temporary, temporary.open("wb") as handle:
                np.savez(handle, key=np.array(key), scores=found[0], num_frames=np.array(found[1]))
        return ScoreCurve(
            video_id=video_id,
            log_probabilities=found[0],
            labels=tuple(self.model.card.labels),
            num_frames=found[1],
            stride_frames=self._stride_frames,
            first_frame=self.model.config.clip_shape[0] / 2,
            negative=self.negative,
        )

    def curves(self, videos: pl.DataFrame, folder: Path) -> list[ScoreCurve]:
        """The scores of a dataset's videos, kept in a folder.

        Args:
            videos: rows as Video, with paths.
            folder: gets a file per video, named by its content.
        """
        rows: Sequence[dict[str, object]] = videos.to_dicts()
        found = []
        for row in track(rows, "scoring videos"):
            if row["path"] is None:
                raise InputError(f"video {row['video_id']!r}: no file at hand, expected its path")
            location = str(row["path"])
            key = self.key(location)
            kept = folder / f"{key}.npz"
            found.append(self.curve(str(row["video_id"]), location, kept, key))
        return found


class _Ticks:
    """Shows every tenth part of a long video where there is no bar."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._shown = what, total, 0

    def __call__(self, done: int) -> None:
        if self._total and not sys.stderr.isatty() and done * 10 // self._total > self._shown:
            self._shown = done * 10 // self._total
            logger.info("%s: %d of %d frames", self._what, done, self._total)


def _read(kept: Path, key: str) -> tuple[np.ndarray, int] | None:
    """Scores and number of frames; None where they are not there, damaged or of something else."""
    try:
        with np.load(kept, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            return stored["scores"], int(stored["num_frames"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
