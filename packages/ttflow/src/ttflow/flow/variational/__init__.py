"""The variational flow of the paper, and a better one; see `BeyondPixels`."""

from ttflow.flow.variational.estimator import BeyondPixels as BeyondPixels
from ttflow.flow.variational.settings import RobustSettings as RobustSettings

__all__ = ["BeyondPixels", "RobustSettings"]
