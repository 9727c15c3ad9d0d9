"""Dense optical flow: `create` makes an estimator by its name.

The compiled kernels of `BeyondPixels` are loaded only when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from ttflow.flow.estimators import Estimator as Estimator
from ttflow.flow.estimators import create as create

if TYPE_CHECKING:
    from ttflow.flow.variational import BeyondPixels as BeyondPixels

__all__ = ["BeyondPixels", "Estimator", "create"]


def __getattr__(name: str) -> Any:
    if name != "BeyondPixels":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ttflow.flow.variational import BeyondPixels

    return BeyondPixels


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
