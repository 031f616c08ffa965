"""Roads: the straight segment to a target, lifted through the map, and its cost beside that of learning."""

from allroads.paths.road.options import RoadOptions
from allroads.paths.road.path_cost import path_cost
from allroads.paths.road.result import Road
from allroads.paths.road.road import road

__all__ = ["Road", "RoadOptions", "path_cost", "road"]
