"""Numbers of NumPy, and paths as texts, in the public functions of ttdata."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ttdata
from ttdata.errors import TTError


def test_sizes_of_splits() -> None:
    n: Any = np.int64(10)
    shares: Any = tuple(np.array([0.7, 0.2, 0.1]))
    assert ttdata.split_sizes(n, shares) == ttdata.split_sizes(10)


def test_rows() -> None:
    values = {"video_id": "v", "num_frames": 90, "width": 320, "height": 180, "path": None}
    plain = ttdata.Video(fps=25.0, **values)
    numbers = {name: np.int32(v) if isinstance(v, int) else v for name, v in values.items()}
    assert ttdata.Video(fps=np.float32(25), **numbers).model_dump_json() == plain.model_dump_json()


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("read", [ttdata.load_dataset, ttdata.read_annotations])
def test_paths_are_texts_or_paths(read: Any, kind: Any, tmp_path: Path) -> None:
    with pytest.raises(TTError, match=r"missing\.csv"):
        read(kind(tmp_path / "missing.csv"))
