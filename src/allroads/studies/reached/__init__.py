"""What explorers reach: distributions over functions at matched moments, and distances between them.

``reached_functions`` runs one explorer many times and counts the functions that its runs compute, at the first fit, at
a given loss and at given ages. ``distribution_distance`` says how far two such distributions are from each other. It
also takes a prior, and a :func:`~allroads.function_posterior` by rejection: what guessing and checking reaches.
"""

from allroads.studies.reached.distance import DistributionDistance, distribution_distance
from allroads.studies.reached.reached_functions import reached_functions
from allroads.studies.reached.results import FunctionsReached, ReachedFunctions

__all__ = [
    "DistributionDistance",
    "FunctionsReached",
    "ReachedFunctions",
    "distribution_distance",
    "reached_functions",
]
