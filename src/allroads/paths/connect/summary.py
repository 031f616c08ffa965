"""What training left, measured and put together."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from allroads.paths.barrier import Barrier
from allroads.paths.connect.connection import Connection
from allroads.paths.connect.curves import POLYGON, arc_length, even_knots, joined
from allroads.paths.connect.measure import profile
from allroads.paths.connect.method import CurveObjective
from allroads.paths.connect.rounds import Curves
from allroads.pfmap.objective import Examples
from allroads.status import PathStatus, Status

FALLING = 0.1
"""Training has not converged where its last quarter brought more than this share of the whole fall of the top …"""
FALL = 1e-5
"""… and more than this share of the top at the start."""


def summarised(
    method: str, objective: CurveObjective, pairs: np.ndarray, trained: Curves, points: int, data: list[Examples]
) -> list[Connection]:
    """The result of every curve: its profile beside that of the straight segment, its length, its status.

    Args:
        method: Name.
        objective: What was asked of the network.
        pairs: Ends ``[M, 2, P]``.
        trained: Free points of as many curves, or one centre for all.
        points: Evaluations of a profile.
        data: Training data, and held-out data where there are any.
    """
    found = []
    for m, ends in enumerate(pairs):
        row = m if len(trained.free) > 1 else 0
        control = joined(ends, trained.free[row])
        own = profile(objective, objective.kind, control, trained.knots, points, data)
        direct = profile(objective, POLYGON, ends, even_knots(2), points, data)
        distance = float(np.linalg.norm(ends[1].astype(np.float64) - ends[0].astype(np.float64)))
        found.append(
            Connection(
                method=method,
                kind=objective.kind,
                control=jax.tree.map(jnp.asarray, objective.layout.unflatten(control)),
                knots=trained.knots,
                barrier=own[0],
                held_out=own[1] if len(data) > 1 else None,
                straight=direct[0],
                straight_held_out=direct[1] if len(data) > 1 else None,
                length=arc_length(objective.kind, control, trained.knots),
                distance=distance,
                peaks=trained.peaks[row],
                steps=trained.steps,
                gradients=trained.gradients,
                ended=trained.ended,
                status=_status(distance, trained, row, own),
            )
        )
    return found


def _status(distance: float, trained: Curves, row: int, measured: list[Barrier]) -> Status:
    if distance == 0.0:
        return PathStatus.DEGENERATE
    if trained.broken[row] or any(barrier.status == PathStatus.DIVERGED for barrier in measured):
        return PathStatus.DIVERGED
    peaks = trained.peaks[row]
    late = peaks[-1 - len(peaks) // 4] - peaks[-1]
    still_falling = late > FALLING * (peaks[0] - peaks[-1]) and late > FALL * abs(peaks[0])
    return PathStatus.NOT_CONVERGED if still_falling or trained.ended else PathStatus.OK
