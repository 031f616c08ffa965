"""Symmetries of the parameter–function map, derived from a network's jaxpr."""

from allroads.pfmap.symmetries.group import Block, Element, Symmetries, Units
from allroads.pfmap.symmetries.symmetries import symmetries

__all__ = ["Block", "Element", "Symmetries", "Units", "symmetries"]
