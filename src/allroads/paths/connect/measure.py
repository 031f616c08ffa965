"""Loss profiles of curves, refined round their tops."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import numpy as np

from allroads.compiled import quickly_compiled
from allroads.paths.barrier import Barrier, read_barrier, reader
from allroads.paths.connect.curves import weights
from allroads.paths.connect.layout import Layout
from allroads.paths.connect.method import CurveObjective
from allroads.pfmap.objective import Examples, Objective

CHUNK = 16
"""Points that are made and handed over at once."""
REFINED = 15
"""Further evaluations between the neighbours of the highest place, for each data set."""

Readings = tuple[np.ndarray, np.ndarray | None]
"""Losses and errors, ``[T]``."""


def profile(
    objective: CurveObjective, kind: str, control: np.ndarray, knots: np.ndarray, points: int, data: list[Examples]
) -> list[Barrier]:
    """The barrier of one curve on every data set.

    The loss is taken at even steps of t and at the knots, then once more round the highest place on each data set, so
    that a smooth top between two evaluations is missed by little.

    Args:
        objective: What is asked of the network.
        kind: Of the curve.
        control: ``[K, P]``.
        knots: ``[K]``.
        points: Even steps of t.
        data: Sets of examples.
    """

    def read(ts: np.ndarray) -> list[Readings]:
        shares = np.split(weights(kind, ts, knots).astype(control.dtype), range(CHUNK, len(ts), CHUNK))
        parts = [[readings(objective, share @ control, one) for one in data] for share in shares]
        joined: list[Readings] = jax.tree.map(lambda *found: np.concatenate(found), *parts)
        return joined

    coarse = np.unique(np.concatenate([np.linspace(0.0, 1.0, points), knots]))
    first = read(coarse)
    fine = np.concatenate([_round_the_top(coarse, losses) for losses, _ in first])
    ts, order = np.unique(np.concatenate([coarse, fine]), return_index=True)
    both = jax.tree.map(lambda before, after: np.concatenate([before, after])[order], first, read(fine))
    return [read_barrier(ts, *pair) for pair in both]


def readings(objective: CurveObjective, places: np.ndarray, data: Examples) -> Readings:
    """Mean loss and error at many points ``[T, P]``."""
    read = _compiled(objective.objective, objective.layout)
    padded = np.concatenate([places, np.broadcast_to(places[-1:], (-len(places) % CHUNK, places.shape[1]))])
    parts = [read(chunk, data) for chunk in padded.reshape(-1, CHUNK, places.shape[1])]
    joined: Readings = jax.tree.map(lambda *found: np.concatenate(found).astype(np.float64)[: len(places)], *parts)
    return joined


def _round_the_top(ts: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Places between the neighbours of the highest one, ``[REFINED]``."""
    above = losses - (1 - ts) * losses[0] - ts * losses[-1]
    top = int(np.nan_to_num(above, nan=-np.inf).argmax())
    return np.linspace(ts[max(top - 1, 0)], ts[min(top + 1, len(ts) - 1)], REFINED + 2)[1:-1]


@lru_cache(maxsize=64)
def _compiled(objective: Objective, layout: Layout) -> Any:
    """``read(points, data) -> (losses, errors)``, one point after another."""
    read = reader(objective)

    def all_of(points: Any, data: Examples) -> Any:
        return jax.lax.map(lambda point: read(layout.unflatten(point), data), points)

    return jax.jit(all_of, compiler_options=quickly_compiled())
