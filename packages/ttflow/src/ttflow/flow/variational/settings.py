"""Numbers of the robust mode, shared by its PyTorch and its numba path."""

from dataclasses import dataclass, replace

from ttflow.flow.variational.equations import Energy
from ttflow.flow.variational.solvers import BLOCK_OMEGA

ROBUST_ENERGY = Energy(
    alpha=0.01, epsilon=1e-7, gray_weight=1.5, smoothing=(0.01, 0.04, 0.9, 0.04, 0.01)
)

GAIN_ENERGY = Energy(alpha=0.02, smoothing=ROBUST_ENERGY.smoothing)


@dataclass(frozen=True, kw_only=True)
class RobustSettings:
    """Energy, iterations and gain compensation; level 0 is the finest."""

    energy: Energy = ROBUST_ENERGY
    """Nearer to total variation and sharper than the reference's; gray has half the noise of the
    colour differences and counts more."""
    outer_iterations: int = 5
    """Linearisations per level."""
    sweeps: int = 8
    """Solver sweeps per linearisation at level 0."""
    sweeps_per_level: int = 4
    """Further sweeps for each coarser level."""
    omega: float = BLOCK_OMEGA
    """Over-relaxation."""
    median: int = 3
    """Side of the median after each linearisation, px."""
    last_median: int = 5
    """Side of the median after the last linearisation of a level, px."""
    gain_energy: Energy = GAIN_ENERGY
    """Of the flows along which the gain is measured: stiffer, since a flow that explains flicker as
    motion hides it. Stiffer still, it misses motion that is large and piecewise."""
    gain_levels: tuple[int, ...] = (5, 4)
    """Levels down to which a first flow is computed, one after the other, each to align the pair
    for a better measurement of its gain (0.24 and 0.32 of the size)."""
    gain_outer_iterations: int = 3
    """Linearisations per level of these flows."""
    gain_measurements: int = 2
    """Measurements along each of these flows. A block that is not evenly bright sees the slope of
    the gain as an offset; the second measurement finds the slope nearly undone."""
    gain_blocks: tuple[int, int] = (5, 8)
    """Rows and columns of blocks, each with one gain."""
    gain_limit: float = 1.25
    """A gain beyond this, or below its inverse, is occlusion and not flicker: it is clipped."""
    gain_threshold: float = 0.004
    """Below this median deviation of the blocks' gains from the whole image's, the image has one
    gain: that has less noise."""
    warm_level: int = 1
    """Coarsest level of a warm start."""
    warm_outer_iterations: int = 3
    """Linearisations per level of a warm start."""

    def while_aligning(self) -> "RobustSettings":
        """The settings of the flows along which the gain is measured."""
        return replace(self, energy=self.gain_energy, outer_iterations=self.gain_outer_iterations)

    def sweeps_at(self, level: int) -> int:
        """Sweeps per linearisation at a level."""
        return self.sweeps + self.sweeps_per_level * level

    def median_after(self, iteration: int, outer_iterations: int) -> int:
        """Side of the median after a linearisation, counted from 0."""
        return self.last_median if iteration == outer_iterations - 1 else self.median
