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
from allroads.paths.repair import repair_method
from allroads.pfmap.losses import PerExampleLoss, bce, correct, cross_entropy, resolve_loss
from allroads.pfmap.network import Network, Params


@dataclass(frozen=True)
class Barrier:
    """A barrier and the profile that it was read from.

    Args:
        height: ``max_t L(t) − [(1−t) L(0) + t L(1)]``, ≥ 0, in the unit of the loss.
        ts: Where the loss was evaluated, from 0 to 1.
        losses: The loss there; the mean over the examples.
        status: ``ok``; ``diverged`` where a loss on the segment is not finite (height is then infinite); ``not
            applicable`` where a repair was asked for and there is nothing to repair.
        errors: Share of wrong answers there, with ``"cross_entropy"`` and ``"bce"``; else ``None``.
    """

    height: float
    ts: np.ndarray
    losses: np.ndarray
    status: Status
    errors: np.ndarray | None = None

    @property
    def error_height(self) -> float | None:
        """The barrier of the error, ``max_t E(t) − [(1−t) E(0) + t E(1)]``, a share of the examples."""
        return None if self.errors is None else above_line(self.ts, self.errors)

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
    repair: str | None = None,
    calibration: Any | None = None,
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
        repair: ``None``, or a method of :func:`~allroads.paths.repair.repair`, applied between the ends: ``"units"``,
            or ``"statistics"`` for batch norms whose running statistics are parameters.
        calibration: Inputs on which the repair takes its statistics; default ``inputs``. On held-out data, give the
            training inputs.

    Returns:
        A :class:`Barrier`.

    Raises:
        InputError: If the points are not of one architecture; with ``align`` also if they are not finite.
        UnknownNameError: If there is no such method of alignment or repair.

    References:
        [ainsworth2023], [entezari2022], [jordan2023]

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
    (a, b), inputs, labels = jax.tree.map(jnp.asarray, (a, b)), as_arrays(inputs), jnp.asarray(labels)
    if repair is None:
        return read_barrier(ts, *compiled_readings(network, loss)(a, b, jnp.asarray(ts), inputs, labels))
    calibration = inputs if calibration is None else as_arrays(calibration)
    changed = repair_method(network, a, calibration, repair).changed
    readings = _repaired_readings(network, loss, repair)
    losses, errors = readings(a, b, jnp.asarray(ts), inputs, labels, calibration)
    return read_barrier(ts, losses, errors, Status.OK if changed else Status.NOT_APPLICABLE)


def as_arrays(inputs: Any) -> Any:
    """Inputs as an array, or as a tuple of arrays where the network takes several."""
    return tuple(map(jnp.asarray, inputs)) if isinstance(inputs, tuple) else jnp.asarray(inputs)


def above_line(ts: np.ndarray, values: np.ndarray) -> float:
    """Largest height of a profile over the line between its ends, ≥ 0; infinite where a value is not finite."""
    if not np.isfinite(values).all():
        return float("inf")
    return float((values - (1 - ts) * values[0] - ts * values[-1]).max())


def read_barrier(ts: np.ndarray, losses: Any, errors: Any | None, status: Status = Status.OK) -> Barrier:
    """A barrier from a profile."""
    losses = np.asarray(losses, np.float64)
    errors = None if errors is None else np.asarray(errors, np.float64)
    height = above_line(ts, losses)
    return Barrier(height, ts, losses, status if np.isfinite(height) else Status.DIVERGED, errors)


def reader(network: Network, loss: str | PerExampleLoss) -> Any:
    """``read(params, inputs, labels) -> (loss, error)``, means over the examples; no error without classes."""
    per_example = resolve_loss(loss)
    classes = per_example in (cross_entropy, bce)

    def read(params: Params, inputs: Any, labels: Any) -> tuple[Any, Any]:
        outputs = network.apply(params, inputs)
        error = 1 - correct(outputs, labels, loss).mean() if classes else None
        return per_example(outputs, labels).mean(), error

    return read


@lru_cache(maxsize=64)
def compiled_readings(network: Network, loss: str | PerExampleLoss) -> Any:
    """``readings(a, b, ts, inputs, labels) -> (losses, errors)``, one point after another to bound memory."""
    read = reader(network, loss)

    def readings(a: Params, b: Params, ts: Any, inputs: Any, labels: Any) -> Any:
        return jax.lax.map(lambda t: read(between(a, b, t), inputs, labels), ts)

    return jax.jit(readings)


@lru_cache(maxsize=64)
def _repaired_readings(network: Network, loss: str | PerExampleLoss, repair: str) -> Any:
    """As :func:`compiled_readings`, of the repaired points."""

    @jax.jit
    def readings(a: Params, b: Params, ts: Any, inputs: Any, labels: Any, calibration: Any) -> Any:
        how = repair_method(network, a, calibration, repair)
        read, statistics = reader(how.network, loss), how.statistics(a, b, calibration)

        def at(t: Any) -> Any:
            return read(how.fix(between(a, b, t), t, statistics, calibration), inputs, labels)

        return jax.lax.map(at, ts)

    return readings


def compiled_profile(network: Network, loss: str | PerExampleLoss) -> Any:
    """``profile(a, b, ts, inputs, labels) -> losses``."""
    readings = compiled_readings(network, loss)
    return lambda *given: readings(*given)[0]


def between(a: Params, b: Params, t: Any) -> Params:
    """``(1−t) a + t b``."""
    return jax.tree.map(lambda p, q: p + t.astype(p.dtype) * (q - p), a, b)
