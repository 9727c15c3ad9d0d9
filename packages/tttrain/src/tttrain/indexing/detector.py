"""`RUN/detector/detector.json`: how a run's network finds strokes in whole videos."""

import json
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field, ValidationError

from ttdata.errors import InputError
from ttdata.settings import FrozenModel, first_problem
from ttdata.storage.atomic import write_json
from ttdata.storage.tables import check_version
from ttmodels import DetectionHead
from tttrain.indexing.baselines import cell_energy, motion_curve
from tttrain.indexing.decoders.curves import ScoreCurve
from tttrain.indexing.decoders.fitting import Decoder, Measure
from tttrain.indexing.joint_head.config import HeadConfig
from tttrain.indexing.joint_head.decoding import head_strokes
from tttrain.indexing.joint_head.tracks import FeatureTrack
from tttrain.indexing.video_scores import VideoScores
from tttrain.run import Run

FOLDER, FILE, HEAD = "detector", "detector.json", "head"


class DetectorConfig(FrozenModel):
    """What `tttrain fit-detector` learns, and how."""

    measure: Measure = Field(default="pxr", description="chooses settings, decoder or head")
    use: Literal["auto", "decoder", "head"] = Field(
        default="auto",
        description="auto: of decoder and joint head the better one on validation videos",
    )
    skip_still: bool = Field(
        default=False,
        description="the decoder calls windows in which hardly anything moves the rejection class, "
        "unseen; how slow is measured on validation videos so that no stroke loses a window",
    )
    head: HeadConfig = Field(default=HeadConfig(), description="of the joint head")


class FittedHead(FrozenModel):
    """The joint head in `RUN/detector/head/`."""

    key: str = Field(description="hash of what its weights follow from")
    weights_sha256: str = Field(description="of its weights")
    config: HeadConfig = Field(description="how it was trained and is decoded")
    classes: tuple[str, ...] = Field(description="labels of its outputs")
    min_score: float = Field(gt=0, lt=1, description="what scores less is left out")
    value: float = Field(
        description="the measure on validation videos that `min_score` was not chosen on"
    )
    videos: tuple[str, ...] = Field(description="ids of the training videos")
    num_strokes: int = Field(ge=1, description="their strokes")


class Detector(FrozenModel):
    """What `tttrain fit-detector` found."""

    schema_version: Literal[1] = 1
    weights_sha256: str = Field(description="of the network that it was fitted to")
    negative: str = Field(description="the rejection class among the network's labels")
    videos: tuple[str, ...] = Field(description="ids of the validation videos it was fitted to")
    decoder: Decoder = Field(description="from scores over time to strokes")
    still_below_px: float = Field(
        default=0.0,
        ge=0,
        description="windows slower than this, px per frame, are not scored; 0: all are",
    )
    head: FittedHead | None = Field(
        default=None, description="from features over time to strokes; null: there is none"
    )
    motion: Decoder | None = Field(
        default=None, description="the same for motion alone, a baseline; null: there is none"
    )
    use: Literal["decoder", "head"] = Field(
        default="decoder", description="what `tttrain index` takes"
    )

    @property
    def known_videos(self) -> set[str]:
        """Ids of all videos that it learned from: nothing can be measured on them."""
        return {*self.videos, *(() if self.head is None else self.head.videos)}

    @property
    def kind(self) -> Literal["threshold", "tag", "template", "head"]:
        """What turns scores or features into strokes."""
        return "head" if self.use == "head" else self.decoder.chosen.kind


def weights_of(run: Run) -> str:
    """The checksum of a run's weights, from its model folder.

    Raises:
        InputError: if the run has no model yet.
    """
    return checksum(run.model_folder)


def checksum(model_folder: Path) -> str:
    """The checksum of the weights in a model folder.

    Raises:
        InputError: if there is no readable one.
    """
    path = model_folder / "config.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["weights_sha256"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: no readable model ({error}); run `tttrain fit` to its end first"
        ) from error


def check_whole_videos(run: Run) -> None:
    """Refuse a run whose network cannot be applied to whole videos.

    Raises:
        InputError: if it reads landmarks, which are stored of clips only.
    """
    network = run.info().resolved.network
    if network.reads_pose:
        raise InputError(
            f"{run.folder}: its network ({network.model}) reads poses, which are stored of clips, "
            "not of whole videos; fit-detector, evaluate-detector and index take one that reads "
            "pixels alone, such as that of --recipe siamese_pooled"
        )


def store(run: Run, detector: Detector) -> Path:
    """Write the detector of a run; returns the file."""
    path = run.folder / FOLDER / FILE
    write_json(path, detector.model_dump(mode="json"))
    return path


def stored(run: Run) -> Detector:
    """What `store` wrote for the weights that are there now.

    Raises:
        InputError: if there is none, a damaged one, or one of other weights.
        VersionError: if another release wrote it.
    """
    path = run.folder / FOLDER / FILE
    again = f"run `tttrain fit-detector {run.folder} --dataset DATASET`"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: not there; {again} first") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable JSON file ({error}); {again}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no JSON object; {again}")
    check_version(path, values.get("schema_version"), 1)
    try:
        detector = Detector.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}; {again}") from error
    if detector.weights_sha256 != weights_of(run):
        raise InputError(f"{path}: was fitted to other weights than {run.model_folder}; {again}")
    return detector


def stored_head(run: Run, detector: Detector) -> DetectionHead:
    """The joint head of a detector, in evaluation mode on the CPU.

    Raises:
        InputError: if the detector has none, or its folder holds another.
    """
    folder = run.folder / FOLDER / HEAD
    if detector.head is None or checksum(folder) != detector.head.weights_sha256:
        raise InputError(
            f"{folder}: not the joint head of {FILE}; run `tttrain fit-detector {run.folder} "
            "--dataset DATASET` again"
        )
    return DetectionHead.from_pretrained(folder).eval()


def head_rows(
    head: DetectionHead, fitted: FittedHead, scored: dict[str, VideoScores]
) -> pl.DataFrame:
    """The strokes that a joint head finds, with the ids of tracks for those of videos.

    Args:
        head: of the detector.
        fitted: its classes, settings and least score.
        scored: with features, by track.
    """
    return pl.concat(
        head_strokes(head, track, fitted.classes, fitted.config, fitted.min_score)
        for track in feature_tracks(scored)
    )


def motion_curves(
    scored: dict[str, VideoScores], stride_frames: int, label: str
) -> list[ScoreCurve]:
    """Motion alone as if it were a network's scores, by track: a baseline.

    Args:
        scored: by track.
        stride_frames: of a cell.
        label: that every stroke gets.
    """
    return [
        motion_curve(
            track_id,
            cell_energy(scores.energy, stride_frames),
            label=label,
            num_frames=scores.num_frames,
            stride_frames=stride_frames,
            first_frame=stride_frames / 2,
        )
        for track_id, scores in scored.items()
    ]


def feature_tracks(scored: dict[str, VideoScores]) -> list[FeatureTrack]:
    """The features of tracks as the joint head takes them."""
    return [
        FeatureTrack(track_id, scores.features, scores.num_frames)
        for track_id, scores in scored.items()
    ]
