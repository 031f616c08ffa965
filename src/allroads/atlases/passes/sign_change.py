"""A lower bound of a pass from continuity: what changes its sign between two points is zero somewhere between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Params


@dataclass(frozen=True)
class SignChange:
    """The bound ``B(a, b) ≥ inf {L(θ) : c(θ) = 0}`` for two points at which a continuous ``c`` has opposite signs.

    Every path from one to the other meets a point with c = 0, by the intermediate value theorem.

    Args:
        quantities: ``c(params)``: one continuous quantity, or several ``[K]``.
        least: The least loss where the quantity is 0; one number, or ``[K]``.
        name: How results call the bound.

    When it fails: where paths are taken modulo symmetries, a symmetry may change the sign of c, and the bound then does
    not hold. A permutation of the hidden units does so to det W₁ in the example.

    Example:
        With ``L = ½ ‖W₂W₁ − M‖²`` and square factors, ``L ≥ ½ σ_min(M)²`` where det W₁ = 0:

        >>> M = np.diag([2.0, 1.0])
        >>> bound = SignChange(lambda p: np.linalg.det(p["first"]), 0.5 * np.linalg.svd(M)[1].min() ** 2, "rank")
        >>> bound({"first": M}, {"first": M[::-1]}), bound({"first": M}, {"first": 2 * M})
        (0.5, None)
    """

    quantities: Callable[[Params], Any]
    least: Any
    name: str = "sign change"

    def __call__(self, a: Params, b: Params) -> float | None:
        """The bound between two points; ``None`` where no sign changes."""
        here, there = (np.atleast_1d(np.asarray(self.quantities(point), np.float64)) for point in (a, b))
        least = np.asarray(self.least, np.float64)
        if here.ndim != 1 or here.shape != there.shape or least.shape not in ((), here.shape):
            raise InputError(
                f"SignChange: quantities have shapes {here.shape} and {there.shape}, least {least.shape}; expected "
                "[K] for both points, and one number or [K]."
            )
        changed = here * there < 0
        return float(np.broadcast_to(least, here.shape)[changed].max()) if changed.any() else None
