"""Which targets a map will learn, in what order, and how slowly."""

from allroads.paths.learnability.eigenlearning import Eigenlearning, eigenlearning
from allroads.paths.learnability.forecast import Forecast, Learnability
from allroads.paths.learnability.inal import inal
from allroads.paths.learnability.learnability import learnability

__all__ = ["Eigenlearning", "Forecast", "Learnability", "eigenlearning", "inal", "learnability"]
