"""The variational flow of the paper, and a better one; see `BeyondPixels`."""

from ttflow.variational.estimator import BeyondPixels as BeyondPixels
from ttflow.variational.settings import RobustSettings as RobustSettings

__all__ = ["BeyondPixels", "RobustSettings"]
