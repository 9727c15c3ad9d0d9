"""`tttrain fit-detector`: from whole videos of a dataset to a decoder and a joint head."""

import logging
from pathlib import Path

import numpy as np

from ttdata.errors import InputError, TTError
from ttdata.storage.dataset import Dataset, load_dataset
from ttdata.storage.job_folder import check_lasting
from ttflow.shards.layout import digest
from tttrain.evaluation.device import choose_device
from tttrain.indexing.decoders.curves import ScoreCurve, strokes_of
from tttrain.indexing.decoders.fitting import Decoder, fit_decoder
from tttrain.indexing.detector import (
    FOLDER,
    Detector,
    DetectorConfig,
    FittedHead,
    check_whole_videos,
    motion_curves,
    store,
    stored,
    weights_of,
)
from tttrain.indexing.head_fitting import CHECKPOINT, KnownVideos, fit_head
from tttrain.indexing.jobs.items import Parallel
from tttrain.indexing.scorer import Scored, VideoScorer, lengths
from tttrain.indexing.split_videos import SplitVideos, most_frequent, videos_of_split
from tttrain.indexing.still import SkipStill, still_limit, window_speeds
from tttrain.indexing.video_scores import STRIDE_FRAMES, without_still
from tttrain.run import Run, clean_folder

logger = logging.getLogger(__name__)

SCORES = "scores"


def fit_detector(
    run_folder: str | Path,
    dataset_folder: str | Path,
    *,
    config: DetectorConfig | None = None,
    device: str = "auto",
    workers: int | None = None,
    videos_per_gpu: int = Parallel.videos_per_gpu,
) -> str:
    """Learn from whole videos of a dataset how strokes are found.

    The decoder is fitted to the scores of validation videos. The joint head is trained on the
    features of training videos, and its least score chosen on validation videos. Scores and
    features are kept in `RUN/detector/scores/`; the same call goes on after a stop.

    Args:
        run_folder: that `tttrain fit` wrote, of a network trained with negatives.
        dataset_folder: divided so that whole videos are in training and validation.
        config: by default `DetectorConfig()`.
        device: "auto", "cpu", "cuda" or "cuda:N".
        workers: videos at once; None: one per core. The result does not depend on it.
        videos_per_gpu: that share a GPU.

    Returns:
        What was chosen, on how many videos and strokes.

    Raises:
        InputError: if the run or the dataset does not suit.
        TTError: if videos cannot be scored, after all others were.
        TrainingError: if the joint head's loss is not finite.
    """
    check_lasting(run_folder, "RUN")
    config = config or DetectorConfig()
    run, dataset = Run(Path(run_folder).absolute()), load_dataset(dataset_folder)
    check_whole_videos(run)
    with run.lock("detector"), clean_folder(run.folder / FOLDER):
        detector = _fitted(run, dataset, config, device, Parallel(workers, videos_per_gpu))
        path = store(run, detector)
        (run.folder / FOLDER / CHECKPOINT).unlink(missing_ok=True)
        return _told(detector, path)


def _fitted(
    run: Run, dataset: Dataset, config: DetectorConfig, device: str, parallel: Parallel
) -> Detector:
    negative = rejection_class(dataset)
    known = videos_of_split(dataset, "validation", covered_whole=True)
    scorer = VideoScorer(run, negative, device, features=config.use != "decoder")
    scored = scorer.of_videos(known.videos, known.tracks, run.folder / FOLDER / SCORES, parallel)
    known = known.within(lengths(scored))
    limit = _still_limit(scorer, scored, known) if config.skip_still else 0.0
    decoder = fit_decoder(
        _curves(scorer, scored, limit),
        known.track_truths,
        annotated=known.track_annotated,
        measure=config.measure,
    )
    head = None
    if config.use != "decoder":
        head = _head(run, dataset, negative, config, KnownVideos(known, scored), device, parallel)
    take_head = head is not None and (config.use == "head" or head.value > decoder.value)
    return Detector(
        weights_sha256=weights_of(run),
        negative=negative,
        videos=tuple(known.videos["video_id"]),
        decoder=decoder,
        still_below_px=limit,
        head=head,
        motion=_motion(known, scored, decoder),
        use="head" if take_head else "decoder",
    )


def _still_limit(scorer: VideoScorer, scored: Scored, known: SplitVideos) -> float:
    """The limit of speed that leaves every validation stroke its windows."""
    length = scorer.model.config.clip_shape[0]
    speeds = [window_speeds(found.energy, length, STRIDE_FRAMES) for found in scored.values()]
    strokes = [strokes_of(curve, known.track_truths) for curve in scorer.curves(scored)]
    limit = still_limit(speeds, strokes)
    share = np.mean(np.concatenate(speeds) < limit)
    logger.info("still windows: below %.4f px per frame, %.1f %% of all", limit, 100 * share)
    return limit


def _curves(scorer: VideoScorer, scored: Scored, limit: float) -> list[ScoreCurve]:
    if limit == 0:
        return scorer.curves(scored)
    skip = SkipStill(limit, scorer.negative)
    return scorer.curves(
        {
            track: without_still(found, scorer.model, skip, STRIDE_FRAMES)
            for track, found in scored.items()
        }
    )


def _motion(known: SplitVideos, scored: Scored, decoder: Decoder) -> Decoder:
    """A threshold on motion alone."""
    label = most_frequent(known.truths)
    curves = motion_curves(scored, decoder.stride_frames, label)
    return fit_decoder(
        curves,
        known.track_truths,
        annotated=known.track_annotated,
        measure=decoder.measure,
        kinds=("threshold",),
    )


def _head(
    run: Run,
    dataset: Dataset,
    negative: str,
    config: DetectorConfig,
    validation: KnownVideos,
    device: str,
    parallel: Parallel,
) -> FittedHead | None:
    """A joint head, or None where training videos do not suit and none was insisted on."""
    folder = run.folder / FOLDER
    try:
        known = videos_of_split(dataset, "train")
        scorer = VideoScorer(run, negative, device, stride_frames=None, features=True)
        scored = scorer.of_videos(known.videos, known.tracks, folder / SCORES, parallel)
        return fit_head(
            folder,
            KnownVideos(known.within(lengths(scored)), scored),
            validation,
            [label for label in scorer.model.card.labels if label != negative],
            config,
            data_key=digest([weights_of(run), scorer.keys(known.videos, known.tracks)]),
            device=str(choose_device(device, run.info().config.execution.device)),
            before=_head_before(run),
        )
    except InputError as error:
        if config.use == "head":
            raise
        logger.warning("no joint head: %s", error)
        return None


def _head_before(run: Run) -> FittedHead | None:
    """The joint head of an earlier call, if it stands there whole."""
    try:
        return stored(run).head
    except TTError:
        return None


def rejection_class(dataset: Dataset) -> str:
    """The name of a dataset's rejection class.

    Raises:
        InputError: if it has none.
    """
    if dataset.info.taxonomy.negative is None:
        raise InputError(
            f"{dataset.path}: its taxonomy has no rejection class; whole videos hold more than "
            "strokes, so a network needs to have seen negatives"
        )
    return dataset.info.taxonomy.negative


def _told(detector: Detector, path: Path) -> str:
    decoder, head = detector.decoder, detector.head
    values: dict[str, float] = {kind: value for kind, value in decoder.values.items()}
    if head is not None:
        values["joint head"] = head.value
    shown = ", ".join(f"{kind} {value:.3f}" for kind, value in values.items())
    trained = (
        ""
        if head is None
        else f"; joint head: {head.num_strokes} strokes of {len(head.videos)} training videos"
    )
    return (
        f"{decoder.measure} on validation videos it was not fitted to: {shown}; "
        f"{decoder.num_videos} validation videos, {decoder.num_strokes} strokes{trained}; "
        f"index takes: {detector.kind}: {path}"
    )
