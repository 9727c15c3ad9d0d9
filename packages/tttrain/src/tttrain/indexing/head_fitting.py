"""A run's joint head: trained on training videos, its least score chosen on validation videos."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ttflow.shards.layout import digest
from ttmodels import DetectionHead
from tttrain.indexing.decoders.fitting import Fit, folds_of, lengths_of, measured, strokes_in
from tttrain.indexing.detector import HEAD, DetectorConfig, FittedHead, checksum, feature_tracks
from tttrain.indexing.joint_head.choice import choose_min_score
from tttrain.indexing.joint_head.decoding import head_strokes
from tttrain.indexing.joint_head.tracks import FeatureTrack
from tttrain.indexing.joint_head.training import train_head
from tttrain.indexing.scorer import Scored
from tttrain.indexing.split_videos import SplitVideos

logger = logging.getLogger(__name__)

CHECKPOINT = "head_training.pt"


@dataclass(frozen=True)
class KnownVideos:
    """Videos of one split, and what was computed of them."""

    known: SplitVideos
    scored: Scored

    @property
    def tracks(self) -> list[FeatureTrack]:
        """Their features."""
        return feature_tracks(self.scored)


def fit_head(
    folder: Path,
    training: KnownVideos,
    validation: KnownVideos,
    classes: Sequence[str],
    config: DetectorConfig,
    *,
    data_key: str,
    device: str,
    before: FittedHead | None = None,
) -> FittedHead:
    """Train a joint head and choose its least score; goes on where a stop left it.

    Args:
        folder: gets the head in `head/`, and `CHECKPOINT`, of no use once the result is stored.
        training: with features.
        validation: with features.
        classes: strokes of the network, without the rejection class.
        config: of the head, and the measure.
        data_key: hash of what the features of the training videos follow from.
        device: "cpu", "cuda" or "cuda:N".
        before: what stands in `head/`; trained on the same, it is taken as it is.

    Raises:
        InputError: if no stroke lies in annotated spans of the training videos.
        TrainingError: on a loss that is not finite.
    """
    known = training.known
    rows = [table.rows() for table in (known.track_truths, known.track_annotated)]
    key = digest([data_key, rows, config.head.training_values(), list(classes)])
    if (
        before is not None
        and before.key == key
        and checksum(folder / HEAD) == before.weights_sha256
    ):
        head = DetectionHead.from_pretrained(folder / HEAD).eval()
    else:
        head = _trained(folder, training, classes, config, key, device)
    return FittedHead(
        key=key,
        weights_sha256=checksum(folder / HEAD),
        config=config.head,
        classes=tuple(classes),
        min_score=_least(head, validation, validation.tracks, config),
        value=_held_out(head, validation, config),
        videos=tuple(known.videos["video_id"]),
        num_strokes=known.truths.height,
    )


def _trained(
    folder: Path,
    training: KnownVideos,
    classes: Sequence[str],
    config: DetectorConfig,
    key: str,
    device: str,
) -> DetectionHead:
    def told(epoch: int, loss: float) -> None:
        logger.info("joint head: epoch %d of %d, loss %.4f", epoch, config.head.epochs, loss)

    head = train_head(
        training.tracks,
        training.known.track_truths,
        training.known.track_annotated,
        classes,
        config.head,
        checkpoint=folder / CHECKPOINT,
        key=key,
        device=device,
        on_epoch=told,
    )
    head.save_pretrained(folder / HEAD)
    return head


def _held_out(head: DetectionHead, videos: KnownVideos, config: DetectorConfig) -> float:
    """The measure where each half of the videos has the least score chosen on the other.

    Where a half has no stroke, it is chosen and measured on all.
    """
    truths, tracks = videos.known.track_truths, videos.tracks
    folds = [
        [tracks[place] for place in places]
        for places in folds_of([track.video_id for track in tracks])
    ]
    if any(strokes_in(truths, fold).is_empty() for fold in folds):
        folds = [tracks]
    found = []
    for measured_on, chosen_on in zip(folds, folds[::-1], strict=True):
        least = _least(head, videos, chosen_on, config)
        classes = head.card.labels
        found += [head_strokes(head, track, classes, config.head, least) for track in measured_on]
    how = Fit(measure=config.measure, annotated=videos.known.track_annotated)
    return measured(pl.concat(found), tracks, truths, how)


def _least(
    head: DetectionHead,
    videos: KnownVideos,
    tracks: Sequence[FeatureTrack],
    config: DetectorConfig,
) -> float:
    return choose_min_score(
        head,
        tracks,
        videos.known.track_truths,
        lengths_of(tracks),
        videos.known.track_annotated,
        head.card.labels,
        config.head,
        config.measure,
    )
