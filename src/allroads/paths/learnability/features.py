"""Four numbers that decide how long a target takes to learn."""

from __future__ import annotations

import numpy as np

from allroads.paths.learnability.hitting_time import hitting_time
from allroads.paths.learnability.point import Sight
from allroads.paths.learnability.spectrum import ResidualSpectrum

FEATURES = ("steps", "tail", "ahead tail", "ahead head")
_FARTHER = 0.3
_SHORTEST, _LONGEST = 1e-2, 1e7


def features(sight: Sight, taken: int = 0) -> np.ndarray:
    """What the map shows of one target at one point, as logarithms, in the order of ``FEATURES``.

    - ``steps``: hitting time by the kernel where the linearised map sees the solution, at the explorer's own speed,
      with the ``taken`` steps of a probe; at most 10⁷ steps;
    - ``tail``: hitting time of three tenths of the goal over that of the goal, by the kernel here: how slow the rest
      is;
    - ``ahead tail``: the same by the kernel ahead;
    - ``ahead head``: time to half of the way (in the logarithm of the loss) over the whole, by the kernel ahead.

    The last three are ratios of times at a speed proportional to the gradient, so that they mean the same for every
    explorer. All are NaN where the loss is not finite.
    """
    if not np.isfinite(sight.loss):
        return np.full(len(FEATURES), np.nan)
    here, ahead, level = sight.spectrum, sight.ahead, sight.level
    whole = _steps(ahead, level)
    return np.log(
        [
            _steps(ahead, level, sight.degree) + taken,
            _steps(here, _FARTHER * level) / _steps(here, level),
            _steps(ahead, _FARTHER * level) / whole,
            _steps(ahead, np.sqrt(level)) / whole,
        ]
    )


def _steps(spectrum: ResidualSpectrum, level: float, degree: float = 1.0) -> float:
    return float(np.clip(hitting_time(spectrum, level, degree), _SHORTEST, _LONGEST))
