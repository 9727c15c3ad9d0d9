"""`tttrain fit-detector`: from a run's scores over whole validation videos to a decoder."""

import logging
from pathlib import Path

import polars as pl

from ttdata.errors import InputError
from ttdata.storage.dataset import Dataset, load_dataset
from ttdata.storage.job_folder import check_lasting
from tttrain.indexing.decoders.fitting import Measure, fit_decoder
from tttrain.indexing.detector import FOLDER, Detector, store, weights_of
from tttrain.indexing.scorer import VideoScorer
from tttrain.indexing.split_videos import videos_of_split
from tttrain.run import Run

logger = logging.getLogger(__name__)


def fit_detector(
    run_folder: str | Path,
    dataset_folder: str | Path,
    *,
    measure: Measure = "pxr",
    device: str = "auto",
) -> str:
    """Fit the decoder of a run to the whole validation videos of a dataset.

    Scores are kept in `RUN/detector/scores/`; the same call goes on after a stop.

    Args:
        run_folder: that `tttrain fit` wrote, of a network trained with negatives.
        dataset_folder: divided so that whole videos are in validation.
        measure: that chooses settings and decoder.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Returns:
        What was chosen, on how many videos and strokes.

    Raises:
        InputError: if the run or the dataset does not suit.
        VideoError: if a video cannot be decoded.
    """
    check_lasting(Path(run_folder), "RUN")
    run, dataset = Run(Path(run_folder).absolute()), load_dataset(dataset_folder)
    negative = rejection_class(dataset)
    found = videos_of_split(dataset, "validation")
    whole = _annotated_whole(dataset, found.videos)
    scorer = VideoScorer(run, negative, device)
    curves = scorer.curves(whole, run.folder / FOLDER / "scores")
    decoder = fit_decoder(curves, found.truths, measure=measure)
    path = store(run, Detector(weights_sha256=weights_of(run), negative=negative, decoder=decoder))
    values = ", ".join(f"{kind} {value:.3f}" for kind, value in decoder.values.items())
    return (
        f"decoder: {decoder.chosen.kind} ({measure} on videos it was not fitted to: {values}); "
        f"{decoder.num_videos} validation videos, {decoder.num_strokes} strokes: {path}"
    )


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
    if dataset.clips["x_min"].count():
        logger.warning(
            "%s: strokes have regions of players; whole videos are followed as one region yet",
            dataset.path,
        )
    return dataset.info.taxonomy.negative


def _annotated_whole(dataset: Dataset, videos: pl.DataFrame) -> pl.DataFrame:
    """The videos that people covered from end to end: only there is no stroke unknown."""
    whole = videos.join(dataset.covered, on="video_id", how="anti")
    if whole.height < videos.height:
        logger.warning(
            "%s: %d of %d validation videos are annotated in part and left out",
            dataset.path,
            videos.height - whole.height,
            videos.height,
        )
    if whole.is_empty():
        raise InputError(
            f"{dataset.path}: no validation video is annotated from end to end; a decoder needs "
            "at least one"
        )
    return whole
