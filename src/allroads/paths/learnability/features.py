"""What decides how long a target takes to learn: the way that the map shows to it."""

from __future__ import annotations

import numpy as np

from allroads.paths.learnability.point import Sight

FEATURES = ("ahead",)
_SHORTEST, _LONGEST = 1e-2, 1e7


def features(sight: Sight) -> np.ndarray:
    """What a law takes to steps, in the order of ``FEATURES``.

    ``ahead`` is the log of the explorer's steps along the hops of the linearised map, within 10⁻² and 10⁷; NaN where
    the loss is not finite.
    """
    return np.log(np.clip([sight.steps_ahead], _SHORTEST, _LONGEST)) if np.isfinite(sight.loss) else np.array([np.nan])
