"""Robustness of the function at one point: how often a small move of its parameters keeps what it answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_count, check_number
from allroads.distributions import clopper_pearson
from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.points.prior.robustness import gaussian_move
from allroads.points.prior.threefry import key_of
from allroads.results import Measurement, finish
from allroads.status import PriorStatus

AT_ONCE = 64
"""Moved points that are evaluated side by side."""


def point_robustness(
    network: Any,
    params: Params,
    inputs: Any,
    *,
    move: float = 0.1,
    moves: int = 512,
    loss: str = "bce",
    seed: int = 0,
    throw: bool = False,
) -> Measurement:
    """The share of small moves of a point's parameters that keep its answers on all inputs.

    Every floating-point number is moved by a normal of standard deviation ``move`` times the root mean square of its
    array at the point. An array of zeros is not moved.

    Args:
        network: The network.
        params: The point.
        inputs: ``[N, …]``; the function is what it answers on these.
        move: Size of the moves relative to each array; default 0.1.
        moves: How many are drawn; default 512.
        loss: How outputs answer: ``"cross_entropy"`` by the largest score, ``"bce"`` by the sign, else the nearest
            integer.
        seed: Decides the moves; below 2⁶³.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.Measurement`. ``stats`` holds ``kept``, ``moves`` and the 95 % Clopper–Pearson interval
        ``low`` to ``high``; ``error`` is its larger side. Status ``diverged`` where an output of the point is not
        finite; a moved point whose outputs are not finite does not keep the answers.

    Raises:
        InputError: If an option is out of range, or all parameters are zero.

    When it fails: the share depends on the size of the moves and on the number of inputs. Compare points under one
    size and the same inputs alone.

    References: [greenbury2016]

    Example:
        The sign of one weight 1 survives a move of its own size with probability Φ(1) = 0.841:

        >>> from allroads import Network
        >>> unit = Network(lambda key: jnp.ones((1,)), lambda w, x: x @ w)
        >>> found = point_robustness(unit, jnp.ones((1,)), np.array([[1.0], [2.0]]), move=1.0, moves=4096)
        >>> found.stats["low"] < 0.8413 < found.stats["high"]
        True
    """
    check_number("move", move, 0, open_low=True)
    check_count("moves", moves)
    check_count("seed", seed, 0)
    params = jax.tree.map(jnp.asarray, params)
    scale = relative_scale(params, move)
    own, finite = _answers(network.apply, loss)(params, inputs)
    if not bool(finite):
        return finish(Measurement(np.nan, None, PriorStatus.DIVERGED, {"kept": 0, "moves": moves}), throw)
    kept = int(_kept(network.apply, loss)(jax.random.split(key_of(seed), moves), params, scale, inputs, own))
    low, high = clopper_pearson(kept, moves)
    share = kept / moves
    stats = {"kept": kept, "moves": moves, "low": low, "high": high, "move": move}
    return finish(Measurement(share, max(share - low, high - share), PriorStatus.OK, stats), throw)


def relative_scale(params: Params, move: float) -> Params:
    """Standard deviations of moves of a point: ``move`` times the root mean square of each array.

    Raises:
        InputError: If all floating-point parameters are zero.

    Example:
        >>> round(float(relative_scale(jnp.array([3.0, 4.0]), 0.1)), 3)
        0.354
    """
    scale = jax.tree.map(lambda leaf: move * np.sqrt(np.mean(np.square(np.asarray(leaf)))), params)
    floating = [jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating) for leaf in jax.tree.leaves(params)]
    if all(size == 0 for size, moving in zip(jax.tree.leaves(scale), floating, strict=True) if moving):
        raise InputError("params: all are zero, so a move has no scale. Give a point that was drawn or trained.")
    return jax.tree.map(lambda leaf, size: np.asarray(size, leaf.dtype), params, scale)


def _said(outputs: Any, loss: str) -> Any:
    if loss == "cross_entropy":
        return outputs.argmax(-1)
    return outputs > 0 if loss == "bce" else jnp.rint(outputs)


@lru_cache(maxsize=32)
def _answers(apply: Callable[..., Any], loss: str) -> Callable[..., Any]:
    def at(params: Any, inputs: Any) -> Any:
        outputs = apply(params, inputs)
        return _said(outputs, loss), jnp.isfinite(outputs).all()

    return jax.jit(at)


@lru_cache(maxsize=32)
def _kept(apply: Callable[..., Any], loss: str) -> Callable[..., Any]:
    """How many of the moves keep the answers."""

    def count(keys: Any, params: Any, scale: Any, inputs: Any, own: Any) -> Any:
        def keeps(key: Any) -> Any:
            outputs = apply(gaussian_move(key, params, scale), inputs)
            return jnp.isfinite(outputs).all() & (_said(outputs, loss) == own).all()

        return jax.lax.map(keeps, keys, batch_size=AT_ONCE).sum()

    return jax.jit(count)
