"""allroads: map the parameter–function map of neural networks.

Public names are loaded when they are first used, so ``import allroads`` costs no JAX import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    # the parameter–function map
    "Cell": "allroads.pfmap.network",
    "Network": "allroads.pfmap.network",
    "ParameterFunctionMap": "allroads.pfmap.map",
    "float64": "allroads.pfmap.precision",
    # networks that come in from elsewhere
    "from_equinox": "allroads.networks.from_equinox",
    "from_torch": "allroads.networks.torch",
    "to_torch_state": "allroads.networks.torch",
    # what there is to learn
    "Target": "allroads.targets.target",
    # ways to move
    "explore": "allroads.explorers.explore",
    "Trajectory": "allroads.explorers.trajectory",
    # points
    "complexity": "allroads.points.complexity",
    # paths
    "agreement": "allroads.paths.agreement",
    "barrier": "allroads.paths.barrier",
    "directness": "allroads.paths.directness",
    "inpca": "allroads.paths.inpca",
    "turning": "allroads.paths.turning",
    # studies
    "run_study": "allroads.studies.run",
    # results and errors
    "Measurement": "allroads.measurement",
    "Status": "allroads.measurement",
    "AllroadsError": "allroads.errors",
    "InputError": "allroads.errors",
}

__all__ = ["__version__", *sorted(_HOME)]

if TYPE_CHECKING:
    from allroads.errors import AllroadsError, InputError
    from allroads.explorers.explore import explore
    from allroads.explorers.trajectory import Trajectory
    from allroads.measurement import Measurement, Status
    from allroads.networks.from_equinox import from_equinox
    from allroads.networks.torch import from_torch, to_torch_state
    from allroads.paths.agreement import agreement
    from allroads.paths.barrier import barrier
    from allroads.paths.directness import directness
    from allroads.paths.inpca import inpca
    from allroads.paths.turning import turning
    from allroads.pfmap.map import ParameterFunctionMap
    from allroads.pfmap.network import Cell, Network
    from allroads.pfmap.precision import float64
    from allroads.points.complexity import complexity
    from allroads.studies.run import run_study
    from allroads.targets.target import Target


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'allroads' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
