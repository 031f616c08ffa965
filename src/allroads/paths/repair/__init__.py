"""REPAIR: what interpolation does to the statistics of units, undone."""

from allroads.paths.repair.repair import Mender, Repaired, mender, repair

__all__ = ["Mender", "Repaired", "mender", "repair"]
