"""Numbers of the robust mode, shared by its PyTorch and its numba path."""

from dataclasses import dataclass

from ttflow.variational.solvers import BLOCK_OMEGA


@dataclass(frozen=True, kw_only=True)
class RobustSettings:
    """Iterations and gain compensation; level 0 is the finest."""

    outer_iterations: int = 4
    """Linearisations per level."""
    sweeps: int = 12
    """Solver sweeps per linearisation at level 0."""
    sweeps_per_level: int = 4
    """Further sweeps for each coarser level."""
    omega: float = BLOCK_OMEGA
    """Over-relaxation."""
    gain_level: int = 5
    """Pyramid level whose first flow aligns the pair before its gain is measured (0.24 of size)."""
    gain_blocks: tuple[int, int] = (5, 8)
    """Rows and columns of blocks, each with one gain."""
    gain_limit: float = 1.25
    """A gain beyond this, or below its inverse, is occlusion and not flicker: it is clipped."""
    warm_level: int = 1
    """Coarsest level of a warm start."""
    warm_outer_iterations: int = 2
    """Linearisations per level of a warm start."""

    def sweeps_at(self, level: int) -> int:
        """Sweeps per linearisation at a level."""
        return self.sweeps + self.sweeps_per_level * level


GAIN_OFFSET = 1e-2
"""Added to both intensities before their ratio, so that black pixels do not decide."""
