"""Convergence of independent runs: functions, representations, programs and points modulo symmetry."""

from allroads.paths.convergence.cka import cka
from allroads.paths.convergence.convergence import Convergence, convergence
from allroads.paths.convergence.disagreement import Disagreement, disagreement
from allroads.paths.convergence.holm import holm
from allroads.paths.convergence.labels import collision_probability, effective_number, entropy
from allroads.paths.convergence.layers import hidden_layers
from allroads.paths.convergence.neighbours import mutual_neighbours
from allroads.paths.convergence.points import PointPairs
from allroads.paths.convergence.procrustes import procrustes
from allroads.paths.convergence.reached import Reached, reached
from allroads.paths.convergence.resemblance import Resemblance, compare_representations
from allroads.paths.convergence.rsa import rsa
from allroads.paths.convergence.stitching import stitching
from allroads.paths.convergence.tables import PairTable

__all__ = [
    "Convergence",
    "Disagreement",
    "PairTable",
    "PointPairs",
    "Reached",
    "Resemblance",
    "cka",
    "collision_probability",
    "compare_representations",
    "convergence",
    "disagreement",
    "effective_number",
    "entropy",
    "hidden_layers",
    "holm",
    "mutual_neighbours",
    "procrustes",
    "reached",
    "rsa",
    "stitching",
]
