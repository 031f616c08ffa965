"""Alignment of two points modulo the symmetries of the parameter–function map."""

from allroads.paths.align.align import Alignment, align

__all__ = ["Alignment", "align"]
