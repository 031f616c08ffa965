"""Barrier: how far the loss rises on the straight segment between two points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.measurement import Status
from allroads.paths.align import align as moved_near
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params


@dataclass(frozen=True)
class Barrier:
    """A barrier and the profile that it was read from.

    Args:
        height: ``max_t L(t) − [(1−t) L(0) + t L(1)]``, ≥ 0, in the unit of the loss.
        ts: Where the loss was evaluated, from 0 to 1.
        losses: The loss there; the mean over the examples.
        status: ``ok``, or ``diverged`` where a loss on the segment is not finite (height is then infinite).
    """

    height: float
    ts: np.ndarray
    losses: np.ndarray
    status: Status

    def __float__(self) -> float:
        return self.height


def barrier(
    network: Network,
    a: Params,
    b: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    points: int = 25,
    align: str | None = None,
) -> Barrier:
    """Loss barrier ``max_t L((1−t)a + t b) − [(1−t)L(a) + t L(b)]`` on the straight segment between two points.

    With ``align`` the segment leads to ``b`` moved by a symmetry of the map so as to lie near ``a``: the same function,
    most often with a far lower barrier.

    Args:
        network: The network of both.
        a: One point.
        b: The other, with the same names and shapes.
        loss: Name or ``(outputs, labels) -> per-example losses``; its mean over the examples is used.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
        points: Evaluations of the loss, evenly in t, both ends included; default 25, as is usual. The maximum between
            them is missed; doubling them shows by how much.
        align: ``None``, or a method of :func:`~allroads.align`: ``"weights"``, ``"activations"`` or ``"search"``. The
            last two look at ``inputs``: to measure on held-out data, call ``align`` with the training data and give
            its ``params`` as ``b``.

    Returns:
        A :class:`Barrier`.

    Raises:
        InputError: If the points are not of one architecture; with ``align`` also if they are not finite.
        UnknownNameError: If there is no such method of alignment.

    References:
        [ainsworth2023], [entezari2022]

    Example:
        The double well ``(w² − 1)²`` has a barrier of 1 between its minima:

        >>> import jax.numpy as jnp
        >>> from allroads import Network
        >>> well = Network(lambda key: jnp.ones(1), lambda w, x: x * (w**2 - 1))
        >>> barrier(well, -jnp.ones(1), jnp.ones(1), "mse", jnp.ones((1, 1)), jnp.zeros((1, 1))).height
        1.0
    """
    shapes = [jax.tree.map(jnp.shape, point) for point in (a, b)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"barrier: the two points are not of one architecture: {shapes[0]} against {shapes[1]}. "
            "Compare ends of the same network."
        )
    if points < 2:
        raise InputError(f"barrier: points must be at least 2, the two ends; got {points}.")
    if align is not None:
        b = moved_near(network, a, b, inputs, method=align, loss=loss).params
    ts = np.linspace(0.0, 1.0, points)
    profile = compiled_profile(network, loss)
    losses = np.asarray(profile(a, b, jnp.asarray(ts), jnp.asarray(inputs), jnp.asarray(labels)), dtype=np.float64)
    return _read(ts, losses)


def _read(ts: np.ndarray, losses: np.ndarray) -> Barrier:
    if not np.isfinite(losses).all():
        return Barrier(float("inf"), ts, losses, Status.DIVERGED)
    height = float((losses - (1 - ts) * losses[0] - ts * losses[-1]).max())
    return Barrier(height, ts, losses, Status.OK)


@lru_cache(maxsize=64)
def compiled_profile(network: Network, loss: str | PerExampleLoss) -> Any:
    """``profile(a, b, ts, inputs, labels) -> losses``, one point of the segment after another to bound memory."""
    per_example = resolve_loss(loss)

    def profile(a: Params, b: Params, ts: Any, inputs: Any, labels: Any) -> Any:
        def at(t: Any) -> Any:
            between = jax.tree.map(lambda p, q: p + t.astype(p.dtype) * (q - p), a, b)
            return per_example(network.apply(between, inputs), labels).mean()

        return jax.lax.map(at, ts)

    return jax.jit(profile)
