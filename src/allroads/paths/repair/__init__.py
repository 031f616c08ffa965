"""REPAIR: what interpolation does to the statistics of units, undone."""

from allroads.paths.repair.repair import Repaired, RepairMethod, repair, repair_method

__all__ = ["RepairMethod", "Repaired", "repair", "repair_method"]
