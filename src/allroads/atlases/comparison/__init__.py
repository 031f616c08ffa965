"""Two points compared."""

from allroads.atlases.comparison.compare import compare_points
from allroads.atlases.comparison.result import Comparison

__all__ = ["Comparison", "compare_points"]
