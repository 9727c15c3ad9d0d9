"""BlazePose as `ttflow fetch-pose` leaves it, or the reason why its tests are skipped."""

import pytest

from ttflow.errors import PoseUnavailable
from ttflow.pose.blazepose import BlazePose, open_model
from ttflow.pose.weights import read_weights


@pytest.fixture(scope="session")
def true_weights() -> dict[str, bytes]:
    try:
        return read_weights()
    except PoseUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def blazepose() -> BlazePose:
    try:
        return open_model()
    except PoseUnavailable as error:
        pytest.skip(str(error))
