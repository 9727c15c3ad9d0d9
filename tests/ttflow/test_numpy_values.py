"""Numbers of NumPy in ttflow's configuration, paths as texts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ttdata.errors import TTError
from ttflow import FlowConfig, decode, open_shards


def test_the_configuration() -> None:
    values: dict[str, Any] = {"window_frames": np.int64(8), "roi_alpha": np.float32(0.5)}
    plain = FlowConfig(window_frames=8, roi_alpha=0.5)
    assert FlowConfig(**values).model_dump_json() == plain.model_dump_json()


@pytest.mark.parametrize("kind", [str, Path])
def test_paths_are_texts_or_paths(kind: Any, tmp_path: Path) -> None:
    missing = kind(tmp_path / "missing")
    with pytest.raises(TTError, match="missing"):
        open_shards(missing)
    with pytest.raises(TTError, match="missing"):
        next(decode.frames(missing))
