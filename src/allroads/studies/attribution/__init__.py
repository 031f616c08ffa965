"""Attribution: shares of what varies among the runs of a factorial grid, and whether a factor is of second order."""

from allroads.studies.attribution.attribute import attribute
from allroads.studies.attribution.options import AttributionOptions
from allroads.studies.attribution.results import Attribution

__all__ = ["Attribution", "AttributionOptions", "attribute"]
