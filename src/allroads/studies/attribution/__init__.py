"""Attribution: shares of what varies among the runs of a factorial grid, and whether a factor is of second order."""

from allroads.studies.attribution.attribute import attribute
from allroads.studies.attribution.options import AttributionOptions
from allroads.studies.attribution.results import Attribution
from allroads.studies.attribution.second_order import Judgement, SecondOrder

__all__ = ["Attribution", "AttributionOptions", "Judgement", "SecondOrder", "attribute"]
