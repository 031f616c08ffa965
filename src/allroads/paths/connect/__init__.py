"""Curves of low loss between points."""

from allroads.paths.connect.connect import connect
from allroads.paths.connect.connection import Connection

__all__ = ["Connection", "connect"]
