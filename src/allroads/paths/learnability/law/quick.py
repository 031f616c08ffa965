"""The quick law: from the hitting time at the start to steps, for targets whose path is not simulated."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allroads.paths.learnability.law.calibration import Calibration

HITTING = ("hitting time",)
_SHORTEST, _LONGEST = 1e-2, 1e9


def hitting_features(times: NDArray[Any]) -> NDArray[np.float64]:
    """The feature of the quick law ``[…, 1]``: natural logarithm of the hitting time, between 10⁻² and 10⁹."""
    logs: NDArray[np.float64] = np.log(np.clip(times, _SHORTEST, _LONGEST))[..., None]
    return logs


@cache
def hitting_calibration() -> Calibration:
    """The quick law that comes with the package.

    Example:
        It holds less than the law of simulated steps does:

        >>> from allroads.paths.learnability.law.calibration import default_calibration
        >>> hitting_calibration().noise > default_calibration().noise
        True
    """
    path = resources.files("allroads.paths.learnability.law") / "hitting_law.json"
    return Calibration.from_json(path.read_text(encoding="utf-8"))


def on_simulations(law: Calibration, full: Calibration, x: NDArray[Any], simulated: NDArray[Any]) -> Calibration:
    """The quick law conditioned on simulated targets, as if the steps that the full law gives them were runs.

    How far the full law is to be trusted for this map and explorer is then an uncertainty of the quick law too.

    Args:
        law: The quick law.
        full: The law of simulated steps.
        x: Features of the simulated targets for the quick law, ``[S, 1]``.
        simulated: Their features for the full law, ``[S, F]``.
    """
    known = np.isfinite(x).all(axis=1) & np.isfinite(simulated).all(axis=1)
    if not known.any():
        return law
    logs, doubts = full.log_steps(simulated[known])
    found = law.conditioned_on(x[known], np.exp(logs), np.ones(int(known.sum()), bool))
    covariance = np.array(found.covariance)
    covariance[0, 0] += np.mean(doubts**2)
    return replace(found, covariance=tuple(tuple(map(float, row)) for row in covariance))
