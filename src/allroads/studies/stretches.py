"""What of a run's road is certified, and of which direct pieces it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl

    from allroads.studies.plan import Recipe
    from allroads.targets.target import Target

QUANTITIES: tuple[dict[str, str], ...] = (
    {
        "name": "certified stretches",
        "symbol": "",
        "definition": "Stretches between two records on which the loss on the road probes must fall: the stretch, "
        "continued straight to the target, turns less than arcsin(2√κ/(1+κ)). Certified share: their share of the "
        "road's length.",
        "conventions": "In the stated chart, κ from the loss and the answers at the stretch's own ends; what is not "
        "certified is not known to rise.",
        "source": "lucas2021",
    },
    {
        "name": "stages",
        "symbol": "",
        "definition": "The fewest pieces of the road that each have a directness of at least 0.95; joints lie between.",
        "conventions": "In the stated chart; joints at the nearest record by length. A road that bends evenly is cut "
        "all the same, and a step size that makes it zigzag gives many.",
        "source": "saxe2014",
    },
)
"""As the report states them."""


def measure_stretches(values: Any, target: Target, recipe: Recipe) -> tuple[dict[str, Any], dict[str, pl.Series]]:
    """Certified stretches and stages of one road.

    Args:
        values: Outputs on the road probes at every record, ``[T, N, …, C]``.
        target: For the answers on the road probes.
        recipe: For loss, chart and number of probes.

    Returns:
        The scalars ``certified_share``, ``certified_status`` and ``stages``; and the columns ``certified`` (whether the
        stretch that ends at a record is; null at the first, and everywhere where nothing can be said in this chart)
        and ``joint`` (whether a stage ends at a record and another begins), ``[T]``.
    """
    import polars as pl

    from allroads.paths.certify import certify
    from allroads.paths.stages import stages
    from allroads.status import PathStatus
    from allroads.studies.probes import road_probes

    found = certify(values, road_probes(target, recipe.probes).labels, recipe.loss, chart=recipe.chart)
    pieces = stages(values, chart=recipe.chart)
    # The whole may have no κ, and its stretches one.
    known = found.status == PathStatus.OK or (found.status == PathStatus.NOT_APPLICABLE and found.falls.any())
    joints = np.isin(np.arange(len(values)), [joint.record for joint in pieces.joints])
    falls = found.falls.tolist() if known else [None] * len(found.falls)
    scalars = {
        "certified_share": found.share if known else None,
        "certified_status": PathStatus.OK.value if known else found.status.value,
        "stages": pieces.count or None,
    }
    return scalars, {
        "certified": pl.Series([None, *falls], dtype=pl.Boolean),
        "joint": pl.Series(joints, dtype=pl.Boolean),
    }
