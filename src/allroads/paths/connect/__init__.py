"""Curves of low loss between points."""

from allroads.paths.connect.connect import connect
from allroads.paths.connect.connection import Connection
from allroads.paths.connect.methods import Bezier, Geodesic, NudgedElasticBand, Polygon, ShortPolygon, Star
from allroads.paths.connect.rounds import CurveOptions

__all__ = [
    "Bezier",
    "Connection",
    "CurveOptions",
    "Geodesic",
    "NudgedElasticBand",
    "Polygon",
    "ShortPolygon",
    "Star",
    "connect",
]
