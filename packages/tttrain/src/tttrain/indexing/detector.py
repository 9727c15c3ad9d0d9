"""`RUN/detector/detector.json`: how a run's network finds strokes in whole videos."""

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from ttdata.errors import InputError
from ttdata.settings import FrozenModel, first_problem
from ttdata.storage.atomic import write_json
from ttdata.storage.tables import check_version
from tttrain.indexing.decoders.fitting import Decoder
from tttrain.run import Run

FOLDER, FILE = "detector", "detector.json"


class Detector(FrozenModel):
    """What `tttrain fit-detector` found."""

    schema_version: Literal[1] = 1
    weights_sha256: str = Field(description="of the network that it was fitted to")
    negative: str = Field(description="the rejection class among the network's labels")
    decoder: Decoder = Field(description="from scores over time to strokes")


def weights_of(run: Run) -> str:
    """The checksum of a run's weights, from its model folder.

    Raises:
        InputError: if the run has no model yet.
    """
    path = run.model_folder / "config.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["weights_sha256"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: no readable model ({error}); run `tttrain fit` to its end first"
        ) from error


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
