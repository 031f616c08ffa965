"""On which inputs the road of a run is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from allroads.targets.probes import Probes
    from allroads.targets.target import Target


def road_probes(target: Target, count: int) -> Probes:
    """The probes of a target's roads: the whole domain where it is known, else held-out ones, else training.

    Where there are more than ``count``, a fixed random choice of them in their own order.

    Args:
        target: The target.
        count: How many, at most.

    Returns:
        Inputs with their labels.
    """
    whole = next(probes for probes in (target.full, target.held_out, target.train) if probes is not None)
    if len(whole.inputs) <= count:
        return whole
    chosen = np.sort(np.random.default_rng(0).choice(len(whole.inputs), count, replace=False))
    return type(whole)(whole.inputs[chosen], whole.labels[chosen])
