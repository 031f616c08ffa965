"""Features of a target: what the law takes to steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from allroads.paths.learnability.simulate.target_simulation import TargetSimulation

FEATURES = ("simulated steps",)
_SHORTEST, _LONGEST = 1e-2, 1e7


def features(simulation: TargetSimulation) -> NDArray[Any]:
    """Features of one target at one start, in the order of ``FEATURES``.

    ``simulated steps`` is the natural logarithm of the explorer's steps along the linearised path, between 10⁻² and
    10⁷. It is NaN where the loss is not finite.
    """
    if not np.isfinite(simulation.loss):
        return np.array([np.nan])
    logs: NDArray[Any] = np.log(np.clip([simulation.path_steps], _SHORTEST, _LONGEST))
    return logs
