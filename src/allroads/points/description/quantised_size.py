"""Quantised size: the fewest bits of rounded parameters that keep the loss."""

from __future__ import annotations

import math
from typing import Any

from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.description.grids import WIDTHS
from allroads.points.description.point import checked_point, not_finite
from allroads.points.description.rounding import find_roundings, spread
from allroads.results import Measurement, finish


def quantised_size(
    problem: Problem,
    params: Params,
    *,
    delta: float = 0.01,
    scales: str = "tensor",
    draws: int = 8,
    seed: int = 0,
    throw: bool = False,
) -> Measurement:
    """Quantised size: bits of the point rounded to the smallest uniform bit width whose loss is at most L + δ.

    Conventions: all tensors have one width b, tried exhaustively at 0 (all zero) and 2 … 16 bits. Grids are symmetric,
    ``u k / K`` with ``K = 2^{b−1} − 1`` and |k| ≤ K. So 3 bits are the seven levels −3 … 3 of a third of u. A number on
    a grid takes b bits. Each scale, and each number kept as it is, takes one number as stored (32 or 64 bits). The
    width itself is free. Where no width keeps the loss, or scales cost more than they save, it is the size
    as stored. A rise within 16 units of rounding of the loss counts as none.

    Scales, and what the size is invariant to on relu networks (multiply what enters a hidden unit, bias included, and
    divide what leaves it):

    - ``"tensor"``: u is the largest absolute value of a tensor. Invariant where all units of a layer are rescaled by
      one factor; *not* where each has its own.
    - ``"channel"``: one u for each index of the last axis, the outputs of the layers built in here; a vector has one.
      Invariant as ``"tensor"`` is, and no more: what leaves a unit is a row.
    - ``"row_column"``: u is a row's scale times a column's, after balancing; vectors are kept as they are. Invariant to
      both, up to rounding of ties, and the dearest in scales: for small networks these are most of the size.

    Args:
        problem: Network, loss and data; L is its mean loss.
        params: The point.
        delta: δ, allowed rise of the mean loss, in its unit; default 0.01. Set it to the differences that matter: it is
            not free of the scale of an ``"mse"``.
        scales: ``"tensor"``, ``"channel"`` or ``"row_column"``.
        draws: Stochastic roundings, each searched in the same way.
        seed: Of the draws.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.Measurement` in bits, rounded to nearest. ``error`` is the root mean square distance of the
        sizes under stochastic rounding from it: how much hangs on how numbers are rounded, not an uncertainty of
        measurement. ``stats``: ``width`` (``None`` as stored), ``loss``, ``rounded_loss``, ``losses`` by width,
        ``stochastic_widths``, ``stochastic_bits``, ``overhead`` (bits of scales and what is kept), ``parameters``,
        ``stored_bits``, ``delta``, ``scales``, ``convention``. Status ``diverged`` (and NaN) where L is not finite.

    Raises:
        InputError: If parameters are not floating-point or not finite, data are empty, labels do not match, or δ is
            negative.
        UnknownNameError: If there are no such scales.

    When it fails: it bounds the information in the point from above, for this one code; retraining or rounding that
    looks at the loss goes lower. The loss is taken on the data given, so a network may keep it and lose what it does
    elsewhere.

    References:
        [nagel2021, urdshals2025]

    Example:
        Three numbers on a grid of seven levels need 3 bits each and one scale of 32:

        >>> import jax.numpy as jnp
        >>> from allroads import Network, Problem
        >>> line = Network(lambda key: jnp.zeros(3), lambda w, x: x * w)
        >>> point = jnp.array([-3.0, 1.0, 2.0])
        >>> size = quantised_size(Problem(line, "mse", jnp.ones((1, 3)), point[None]), point, delta=0)
        >>> size.stats["width"], size.value
        (3, 41.0)
    """
    point = checked_point(problem, params, delta)
    stats: dict[str, Any] = {
        "delta": delta,
        "scales": scales,
        "parameters": point.count,
        "stored_bits": point.stored_bits * point.count,
        "convention": "bits of the point on the coarsest uniform grid with loss ≤ L + δ, scales included",
    }
    if not math.isfinite(point.loss):
        return finish(not_finite(point, stats), throw)
    search = find_roundings(point, delta, scales, draws, seed)
    nearest, *stochastic = search.roundings
    sizes = [float(rounding.bits) for rounding in search.roundings]
    stats |= {
        "width": nearest.width,
        "loss": point.loss,
        "rounded_loss": nearest.loss,
        "losses": dict(zip(WIDTHS, search.losses[0].tolist(), strict=True)),
        "overhead": nearest.overhead,
        "stochastic_widths": [rounding.width for rounding in stochastic],
        "stochastic_bits": sizes[1:],
    }
    return finish(Measurement(sizes[0], spread(sizes), stats=stats), throw)
