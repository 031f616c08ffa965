"""A curve between two points, and what was measured on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.paths.barrier import Barrier
from allroads.paths.connect.curves import weights
from allroads.pfmap.network import Params
from allroads.results import Result
from allroads.status import Status


@dataclass(frozen=True, eq=False, repr=False)
class Connection(Result):
    """A curve between two points of parameter space, with its loss profile and the straight segment's beside it.

    Args:
        method: How it was found.
        kind: ``"bezier"`` or ``"polygon"``.
        control: Control points, a point of the network with a leading axis ``[K]``; the first and last are the ends.
        knots: Where a polygon is at its corners, ``[K]``, from 0 to 1.
        barrier: Profile and height on the training data: ``ts``, ``losses``, ``errors``, ``height``, ``error_height``.
        held_out: The same on the held-out data, or ``None``.
        straight: The same of the straight segment on the training data.
        straight_held_out: The same of the straight segment on the held-out data, or ``None``.
        length: Length of the curve in parameter space, ≥ ``distance``.
        distance: ``‖b − a‖``.
        peaks: Highest loss on the curve at the start of training, and after each eighth of it.
        steps: Steps of training.
        gradients: Gradients of the loss of a batch that they took, those of all samples or images counted.
        ended: ``"budget"`` or ``"interrupted"`` where one of these cut the steps short, else ``None``.
        status: ``ok``; ``degenerate`` where the ends are the same point; ``diverged`` where a step or a loss was not
            finite; ``not converged`` where the highest loss was still falling when the steps ended, or they were cut
            short. The height is then that of the curve so far: a connection, if not the lowest.
    """

    method: str
    kind: str
    control: Params
    knots: np.ndarray
    barrier: Barrier
    held_out: Barrier | None
    straight: Barrier
    straight_held_out: Barrier | None
    length: float
    distance: float
    peaks: np.ndarray
    steps: int
    gradients: int
    ended: str | None
    status: Status

    @property
    def height(self) -> float:
        """The curve's own barrier on the training data, ``max_t L(γ(t)) − [(1−t) L(a) + t L(b)]``, ≥ 0."""
        return self.barrier.height

    @property
    def held_out_height(self) -> float | None:
        """The same on the held-out data."""
        return None if self.held_out is None else self.held_out.height

    @property
    def error_height(self) -> float | None:
        """The barrier of the share of wrong answers on the training data, where labels are classes."""
        return self.barrier.error_height

    @property
    def ts(self) -> np.ndarray:
        """Where the loss was evaluated, from 0 to 1."""
        return self.barrier.ts

    @property
    def losses(self) -> np.ndarray:
        """Training loss there."""
        return self.barrier.losses

    @property
    def held_out_losses(self) -> np.ndarray | None:
        """Held-out loss there."""
        return None if self.held_out is None else self.held_out.losses

    @property
    def value(self) -> float:
        """The height."""
        return self.height

    @property
    def error(self) -> None:
        """``None``: the height is exact on the grid of ``ts``."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """``length``, ``distance``, ``steps``, ``gradients`` and ``ended``."""
        return {name: getattr(self, name) for name in ("length", "distance", "steps", "gradients", "ended")}

    def params_at(self, t: Any) -> Params:
        """The point γ(t).

        Args:
            t: From 0 to 1, or several ``[T]`` for a path with a leading axis.

        Raises:
            InputError: If t lies elsewhere.
        """
        given = np.asarray(t, np.float64)
        if given.ndim > 1 or not ((given >= 0) & (given <= 1)).all():
            raise InputError(f"params_at: expected t between 0 and 1, or several in a list; got {t!r}.")
        shares = weights(self.kind, given.reshape(-1), self.knots)

        def combined(points: Any) -> Any:
            found = np.tensordot(shares, np.asarray(points), axes=1).astype(points.dtype)
            return jnp.asarray(found if given.ndim else found[0])

        return jax.tree.map(combined, self.control)
