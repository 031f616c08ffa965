"""Architectures as people have them: ``TABLE`` by name and ``FAMILIES`` by kind, for the tests of ``from_torch``."""

from __future__ import annotations

from torch_modules_graphs import GRAPHS
from torch_modules_others import OTHERS
from torch_modules_sequences import SEQUENCES
from torch_modules_transformers import TRANSFORMERS
from torch_modules_vision import VISION

FAMILIES = {
    "models of `transformers`": TRANSFORMERS,
    "vision": VISION,
    "sequences": SEQUENCES,
    "graphs and sets": GRAPHS,
    "other modules": OTHERS,
}

TABLE = TRANSFORMERS | VISION | SEQUENCES | GRAPHS | OTHERS
