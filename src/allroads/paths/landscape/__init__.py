"""The loss on planes of parameter space: through three points, through random directions, along a run."""

from allroads.paths.landscape.filters import filters, normalised_direction
from allroads.paths.landscape.loss_plane import loss_plane
from allroads.paths.landscape.path_plane import PathPlane, path_plane
from allroads.paths.landscape.plane import LossPlane
from allroads.paths.landscape.random_plane import random_plane
from allroads.paths.landscape.random_walk import walk_shares

__all__ = [
    "LossPlane",
    "PathPlane",
    "filters",
    "loss_plane",
    "normalised_direction",
    "path_plane",
    "random_plane",
    "walk_shares",
]
