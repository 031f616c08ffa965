"""Reach: which functions descent comes to from which, at what cost, and through which others."""

from allroads.atlases.reach.reach import reach
from allroads.atlases.reach.result import Reach
from allroads.atlases.reach.starts import Starts
from allroads.atlases.reach.walks import Walks

__all__ = ["Reach", "Starts", "Walks", "reach"]
