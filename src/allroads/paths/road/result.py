"""What a road is, whether it was lifted or learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from allroads.paths.stages import Stages
from allroads.pfmap.network import Params
from allroads.results import Measurement, Result
from allroads.status import Status


@dataclass(frozen=True, repr=False)
class Road(Result):
    """A path through parameter space with what it costs to move the function along its image.

    Arrays and leaves have one entry a kept point, ``[R]``, the first at the start and the last at the end.

    Args:
        cost: ``∫ ‖θ̇‖ = ∫ √(żᵀ(K + r)⁻¹ż)``: length in parameter space of the motion that the image asks for, in the
            unit of the parameters; also ``value``. For a road, of the path as it was followed, its corners rounded;
            for a path that is given, of the horizontal part of its motion.
        error: What the cost is uncertain by: for a road, the rounding of its corners and the summed errors of its
            steps; for a path that is given, half the difference between its two one-sided sums.
        status: ``ok``; ``degenerate`` where the image does not move; ``rank loss`` where the map cannot follow any
            further; ``not converged`` where the steps were used up; ``diverged`` where values stopped being finite.
        reason: What happened, in a sentence; empty where all is well.
        reached: Share t of the segment covered; 1 for a path that is given.
        deviation: Largest distance of the image off the segment, over the segment's length.
        ts: For a road, share of the segment; for a path that is given, share of its image's length.
        lengths: Cost so far.
        gains: ``‖ż‖ / ‖θ̇‖``: motion of the function for one unit of motion of the parameters. It falls to 0 where
            the map cannot follow.
        outside: Share of the direction's square that the regularised kernel does not reach, in [0, 1].
        smallest: Smallest eigenvalue of the kernel, 0 where outputs outnumber parameters, ``None`` where no matrix is
            formed.
        path: The points, leaves ``[R, …]``.
        values: Outputs there, ``[R, N, …, C]``.
        parameter_length: Length of the polygon through all steps (of a road) or points (of a path that is given).
        directness: Of the image, chord over arc.
        stages: Its direct pieces.
        losses: ``train_loss``, ``train_accuracy``, and with held-out data ``held_out_loss``, ``held_out_accuracy``.
        chart: Where straight is judged and the cost is measured.
        regularisation: r over the kernel's largest eigenvalue at the start.
        stats: ``ridge`` (r itself), ``method`` (``dense``, ``normal equations`` or ``matrix-free``), ``chord`` (length
            of the segment), and ``distance``, ‖θ* − θ₀‖, where there are two points. Of a road also ``steps``,
            ``rejected``, ``examples``, the number of inputs that it holds to, and ``lifted``, the integral of the
            lift's speed: where units switch on the way it is less than the cost, see docs/roads.md.
    """

    cost: float
    error: float
    status: Status
    reason: str
    reached: float
    deviation: float
    ts: np.ndarray
    lengths: np.ndarray
    gains: np.ndarray
    outside: np.ndarray
    smallest: np.ndarray | None
    path: Params
    values: np.ndarray
    parameter_length: float
    directness: Measurement
    stages: Stages
    losses: Mapping[str, np.ndarray]
    chart: str
    regularisation: float
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def params(self) -> Params:
        """The point at the end."""
        return jax.tree.map(lambda leaf: leaf[-1], self.path)

    @property
    def value(self) -> float:
        """The cost."""
        return self.cost
