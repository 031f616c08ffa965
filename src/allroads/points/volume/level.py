"""The set whose volume is asked for, as a function of flat parameters that is below a level inside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from allroads.checks import check_choice
from allroads.errors import InputError
from allroads.pfmap.losses import bce, cross_entropy, resolve_loss
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.problem import Problem

Height = Callable[[Any, Any], Any]
"""``height(offsets [n, d], data) -> [n]``."""
Slope = Callable[[Any, Any], tuple[Any, Any]]
"""``slope(offsets [n, d], data) -> [n], [n, d]``: a height and its gradient."""
Unravel = Callable[[Any], Params]
"""Flat parameters to a pytree."""
LogPrior = Callable[[Params], Any]
"""Log of a factor of a density, of a pytree of parameters."""
KINDS = ("loss", "kl", "errors")
_BATCH = 2**21
"""Outputs computed side by side; more members than that make are computed in turn, to stay in the cache."""


@dataclass(frozen=True, eq=False)
class LevelFunction:
    """A function of parameters that is below a level inside a set around a point. Use :func:`level_function`.

    Args:
        point: w*, flat, ``[d]``, double precision.
        height: ``height(offsets [n, d], data) -> [n]``, compiled by its callers; the offsets are from w*. Where the
            network gives no finite number it is infinite.
        slope: ``slope(offsets [n, d], data) -> [n], [n, d]``: the height and its gradient.
        data: What ``height`` needs beside the offsets.
        unravel: Flat parameters to a pytree.
        resolution: Rounding error of the height near the point.
    """

    point: np.ndarray
    height: Height
    slope: Slope
    data: Any
    unravel: Unravel
    resolution: float


def level_function(problem: Problem, params: Params, kind: str) -> LevelFunction:
    """The level function of one of the kinds; call inside :func:`allroads.float64`.

    ``"loss"``: ``L(w) − L(w*)``. ``"kl"``: the mean over inputs of ``KL(p_{w*}(x) ‖ p_w(x))``. ``"errors"``: 0 where
    all answers are right, otherwise the share of wrong answers plus the share of the outputs that is on the wrong side.

    Raises:
        UnknownNameError: If there is no such kind.
        InputError: If the loss at the point is not finite, or outputs are not class scores where they have to be.
    """
    check_choice("kind", kind, KINDS)
    if kind != "loss" and resolve_loss(problem.loss) not in (cross_entropy, bce):
        raise InputError(
            f"kind {kind!r} needs outputs that are class scores, but loss {problem.loss!r} does not say so. "
            "Use 'cross_entropy' or 'bce', or kind='loss'."
        )
    leaves, structure = jax.tree.flatten(params)
    point = np.concatenate([np.asarray(leaf, dtype=np.float64).ravel() for leaf in leaves])
    height, slope, reference, unravel = _compiled(problem.objective, kind, structure, tuple(map(np.shape, leaves)))
    data = problem.data
    at_point, typical = reference(point, data)
    if not math.isfinite(typical):
        raise InputError(f"the loss at the point is {typical}; expected a finite one. Choose another point.")
    resolution = 16 * np.finfo(np.float64).eps * (float(typical) if kind == "loss" else 1.0)
    return LevelFunction(point, height, slope, (point, data, at_point), unravel, resolution)


@lru_cache(maxsize=64)
def _compiled(
    objective: Objective, kind: str, structure: Any, shapes: tuple[tuple[int, ...], ...]
) -> tuple[Height, Slope, Callable[[Any, Examples], tuple[Any, Any]], Unravel]:
    unravel = ravel_pytree(jax.tree.unflatten(structure, [np.zeros(shape) for shape in shapes]))[1]

    binary = resolve_loss(objective.loss) is bce

    def outputs(w: Any, inputs: Any) -> Any:
        return objective.network.apply(unravel(w), inputs)

    def reference(w: Any, data: Examples) -> tuple[Any, Any]:
        losses = objective.losses(unravel(w), data)
        return (losses if kind == "loss" else outputs(w, data.inputs)), jnp.abs(losses).mean()

    def one(offset: Any, data: Any) -> Any:
        point, examples, at_point = data
        if kind == "loss":
            height = (objective.losses(unravel(point + offset), examples) - at_point).mean()
        elif kind == "kl":
            height = _divergence(at_point, outputs(point + offset, examples.inputs), binary).mean()
        else:
            height = _wrongness(outputs(point + offset, examples.inputs), examples.labels, binary)
        return jnp.where(jnp.isfinite(height), height, jnp.inf)

    def in_turn(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
        def batched(offsets: Any, data: Any) -> Any:
            size = max(jax.eval_shape(outputs, data[0], data[1].inputs).size, 1)
            return jax.lax.map(partial(function, data=data), offsets, batch_size=max(1, _BATCH // size // 64))

        return batched

    return in_turn(one), in_turn(jax.value_and_grad(one)), jax.jit(reference), unravel


def _divergence(p: Any, q: Any, binary: bool) -> Any:
    """KL(p ‖ q) of class scores, one an example and position; of logits, one an output."""
    if binary:
        p, q = (jnp.stack([jnp.zeros_like(logit), logit], axis=-1) for logit in (p, q))
    log_p, log_q = jax.nn.log_softmax(p), jax.nn.log_softmax(q)
    return (jnp.exp(log_p) * (log_p - log_q)).sum(-1)


def _wrongness(values: Any, labels: Any, binary: bool) -> Any:
    if binary:
        sign = 2 * labels.reshape(values.shape) - 1
        right = (values > 0) == (sign > 0)
        shortfall, size = jax.nn.relu(-sign * values), jnp.abs(values)
    else:
        chosen = jnp.take_along_axis(values, labels[..., None].astype(int), axis=-1)[..., 0]
        right = jnp.argmax(values, axis=-1) == labels
        shortfall, size = values.max(-1) - chosen, values.max(-1) - values.min(-1)
    wrong = 1 - right.mean()
    return jnp.where(wrong > 0, wrong + shortfall.sum() / jnp.maximum(size.sum(), 1e-300), 0.0)
