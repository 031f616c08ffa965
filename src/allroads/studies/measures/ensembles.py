"""The runs of one setting as one trajectory, as the measures of channels take it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.explorers.trajectory import Cost, Trajectory
from allroads.status import RunStatus

if TYPE_CHECKING:
    from allroads.studies.units import Run

REFUSED = "refused"
"""Status of a row that holds a ``reason`` and no number."""


def settings(runs: Sequence[Run]) -> Mapping[str, Mapping[str, list[Run]]]:
    """The runs of each explorer of each architecture."""
    found: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        found.setdefault(run.labels["architecture"], {}).setdefault(run.labels["explorer"], []).append(run)
    return found


def together(runs: Sequence[Run]) -> Trajectory | None:
    """Runs of one setting, with their outputs on the road probes, their curves and their cost, and no weights.

    ``None`` where they were recorded at different steps.

    Args:
        runs: Of one combination, with the results of ``values`` and ``curves``.
    """
    steps = runs[0].steps
    if any(not np.array_equal(run.steps, steps) for run in runs):
        return None
    curves = [run.need("curves").along for run in runs]
    return Trajectory(
        members=np.array([run.member for run in runs]),
        steps=steps,
        values=np.stack([run.need("values").arrays["values"] for run in runs]),
        checkpoint_steps=steps,
        params=None,
        curves={name: np.stack([own[name] for own in curves]) for name in ("train_loss", "train_accuracy")},
        statuses=tuple(RunStatus(run.status) for run in runs),
        last_step=np.array([run.last_step for run in runs]),
        cost=_cost(runs),
    )


def _cost(runs: Sequence[Run]) -> Cost | None:
    known = [cost for run in runs if (cost := run.cost) is not None]
    if len(known) < len(runs):
        return None
    names = ("gradients", "forwards", "gradient_examples", "forward_examples")
    return Cost(*(np.concatenate([getattr(cost, name) for cost in known]) for name in names))


def finite(value: Any) -> float | None:
    """A number for a table; ``None`` where there is none, or it is infinite.

    Example:
        >>> finite(1), finite(float("inf")), finite(None)
        (1.0, None, None)
    """
    return None if value is None or not math.isfinite(value) else float(value)
