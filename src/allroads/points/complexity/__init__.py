"""How complex one Boolean function is, by several measures that disagree."""

from allroads.points.complexity.complexity import Complexity, complexity

__all__ = ["Complexity", "complexity"]
