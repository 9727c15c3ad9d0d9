"""The file of a video's scores: what was computed once is kept."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ttdata.storage.atomic import atomic_path
from tttrain.indexing.video_scores import VideoScores


def write_scores(kept: Path, key: str, found: Sequence[VideoScores]) -> None:
    """Write the scores of a video's tracks atomically, under the key of what they follow from."""
    arrays: dict[str, np.ndarray] = {
        "key": np.array(key),
        "num_frames": np.array(found[0].num_frames),
    }
    for number, scores in enumerate(found):
        arrays[f"scores_{number}"] = scores.log_probabilities
        arrays[f"features_{number}"] = scores.features
        arrays[f"energy_{number}"] = scores.energy
    with atomic_path(kept) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]


def read_scores(kept: Path, key: str, num_tracks: int) -> list[VideoScores] | None:
    """What was kept; None where it is not there, damaged or of something else."""
    try:
        with np.load(kept, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            return [
                VideoScores(
                    int(stored["num_frames"]),
                    stored[f"scores_{number}"],
                    stored[f"features_{number}"],
                    stored[f"energy_{number}"],
                )
                for number in range(num_tracks)
            ]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
