"""Which targets a map will learn, in what order, and how slowly."""

from allroads.paths.learnability.baselines.eigenlearning import Eigenlearning, eigenlearning
from allroads.paths.learnability.baselines.inal import inal
from allroads.paths.learnability.forecast import Forecast, Learnability
from allroads.paths.learnability.learnability import learnability
from allroads.paths.learnability.options import LearnabilityOptions

__all__ = [
    "Eigenlearning",
    "Forecast",
    "Learnability",
    "LearnabilityOptions",
    "eigenlearning",
    "inal",
    "learnability",
]
