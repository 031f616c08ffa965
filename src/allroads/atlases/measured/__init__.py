"""What a study measured between the programs at which its runs end, as edges of its atlas."""

from allroads.atlases.measured.join import joined

__all__ = ["joined"]
