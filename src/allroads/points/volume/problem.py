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

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss, bce, cross_entropy, resolve_loss
from allroads.pfmap.network import Network, Params

KINDS = ("loss", "kl", "errors")
_BATCH = 2**21
"""Outputs computed side by side; more members than that make are computed in turn, to stay in the cache."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A level function around a point. Use :func:`make_problem`.

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
    height: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any], tuple[Any, Any]]
    data: Any
    unravel: Callable[[Any], Params]
    resolution: float


def make_problem(
    network: Network, params: Params, loss: str | PerExampleLoss, inputs: Any, labels: Any, kind: str
) -> Problem:
    """The level function of one of the kinds; call inside :func:`allroads.float64`.

    ``"loss"``: ``L(w) − L(w*)``. ``"kl"``: the mean over inputs of ``KL(p_{w*}(x) ‖ p_w(x))``. ``"errors"``: 0 where
    all answers are right, otherwise the share of wrong answers plus the share of the outputs that is on the wrong side.

    Raises:
        InputError: If the kind is unknown, a parameter is not a finite floating-point number, there is none, the loss
            at the point is not finite, or outputs are not class scores where they have to be.
    """
    if kind not in KINDS:
        raise InputError(f"kind: expected 'loss' or 'kl', got {kind!r}.")
    per_example = resolve_loss(loss)
    if kind != "loss" and per_example not in (cross_entropy, bce):
        raise InputError(
            f"kind {kind!r} needs outputs that are class scores, but loss {loss!r} does not say so. "
            "Use 'cross_entropy' or 'bce', or kind='loss'."
        )
    leaves, structure = jax.tree.flatten(params)
    for leaf in leaves:
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating) or not np.isfinite(np.asarray(leaf)).all():
            raise InputError("params: expected finite floating-point arrays. Close over whatever does not move.")
    if not sum(np.size(leaf) for leaf in leaves):
        raise InputError("params: there is no parameter to move.")
    point = np.concatenate([np.asarray(leaf, dtype=np.float64).ravel() for leaf in leaves])
    height, slope, reference, unravel = _compiled(network, per_example, kind, structure, tuple(map(np.shape, leaves)))
    inputs, labels = _double(inputs), _double(labels)
    at_point, typical = reference(point, inputs, labels)
    if not math.isfinite(typical):
        raise InputError(f"the loss at the point is {typical}; expected a finite one. Choose another point.")
    resolution = 16 * np.finfo(np.float64).eps * (float(typical) if kind == "loss" else 1.0)
    return Problem(point, height, slope, (point, inputs, labels, at_point), unravel, resolution)


def _double(array: Any) -> Any:
    array = jnp.asarray(array)
    return array.astype(jnp.float64) if jnp.issubdtype(array.dtype, jnp.floating) else array


@lru_cache(maxsize=64)
def _compiled(
    network: Network, per_example: PerExampleLoss, kind: str, structure: Any, shapes: tuple[tuple[int, ...], ...]
) -> tuple[Callable, Callable, Callable, Callable]:
    unravel = ravel_pytree(jax.tree.unflatten(structure, [np.zeros(shape) for shape in shapes]))[1]

    def outputs(w: Any, inputs: Any) -> Any:
        return network.apply(unravel(w), inputs)

    def reference(w: Any, inputs: Any, labels: Any) -> tuple[Any, Any]:
        values = outputs(w, inputs)
        losses = per_example(values, labels)
        return (losses if kind == "loss" else values), jnp.abs(losses).mean()

    def one(offset: Any, data: Any) -> Any:
        point, inputs, labels, at_point = data
        values = outputs(point + offset, inputs)
        if kind == "loss":
            height = (per_example(values, labels) - at_point).mean()
        elif kind == "kl":
            height = _divergence(at_point, values, binary=per_example is bce).mean()
        else:
            height = _wrongness(values, labels, binary=per_example is bce)
        return jnp.where(jnp.isfinite(height), height, jnp.inf)

    def in_turn(function: Callable) -> Callable:
        def batched(offsets: Any, data: Any) -> Any:
            size = max(jax.eval_shape(outputs, data[0], data[1]).size, 1)
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
