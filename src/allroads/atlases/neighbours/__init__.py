"""What lies next to a program: exactly on maps that can be enumerated, by draws on all others."""

from allroads.atlases.neighbours.balance import detailed_balance
from allroads.atlases.neighbours.by_moves import neighbour_share
from allroads.atlases.neighbours.enumerated import EnumeratedMap, enumerate_map
from allroads.atlases.neighbours.enumerated_atlas import enumerated_atlas, neighbours_atlas
from allroads.atlases.neighbours.exact import exact_neighbour_share
from allroads.atlases.neighbours.neighbours import Neighbours
from allroads.atlases.neighbours.neutral import Components, neutral_components

__all__ = [
    "Components",
    "EnumeratedMap",
    "Neighbours",
    "detailed_balance",
    "enumerate_map",
    "enumerated_atlas",
    "exact_neighbour_share",
    "neighbour_share",
    "neighbours_atlas",
    "neutral_components",
]
