"""How many bits describe a network: several measures of its complexity, each with its own convention."""

from allroads.points.description.compressed_length import compressed_length
from allroads.points.description.factorised_size import factorised_size
from allroads.points.description.network_complexity import NETWORK_MEASURES, network_complexity
from allroads.points.description.prequential_length import prequential_length
from allroads.points.description.quantised_size import quantised_size

__all__ = [
    "NETWORK_MEASURES",
    "compressed_length",
    "factorised_size",
    "network_complexity",
    "prequential_length",
    "quantised_size",
]
