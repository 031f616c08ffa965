"""What decides how long a target takes to learn: how the map at the start sees it, and its degree where it has one."""

from __future__ import annotations

import numpy as np

from allroads.paths.learnability.point import Sight

FEATURES = ("ahead", "ahead squared")
OF_CUBES = (*FEATURES, "degree")
"""Where inputs are all corners of a cube."""
_SHORTEST, _LONGEST = 1e-2, 1e7


def features(sight: Sight) -> np.ndarray:
    """What the map shows of one target at the start, in the order of ``FEATURES``.

    - ``ahead``: log of the explorer's steps by the kernel where the linearised map sees the solution, within 10⁻² and
      10⁷;
    - ``ahead squared``: its square, as what takes longest is sped up most by a kernel that moves.

    Both are NaN where the loss is not finite. The third of ``OF_CUBES`` belongs to the target alone: its largest
    Fourier degree. In the table of ``benchmarks/learnability``, of two targets with the same steps ahead the one of
    higher degree takes longer, as if a kernel that moves turned to low degrees first.
    """
    if not np.isfinite(sight.loss):
        return np.full(len(FEATURES), np.nan)
    ahead = np.log(np.clip(sight.steps_ahead, _SHORTEST, _LONGEST))
    return np.array([ahead, ahead**2])
