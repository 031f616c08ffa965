"""Ground truth: networks that compute known programs by construction, to try methods that claim to read networks."""

from allroads.programs.ground_truth.entry import Entry
from allroads.programs.ground_truth.write import write_model
from allroads.programs.ground_truth.zoo import Model, entries, zoo

__all__ = ["Entry", "Model", "entries", "write_model", "zoo"]
