"""A network's answers as labels of points: of rows of numbers, and of populations."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.points.prior.answers import Answers
from allroads.points.prior.draws import source_of
from allroads.points.prior.threefry import key_of


def number_of_parameters(network: Network) -> int:
    """Numbers of one point, without compiling anything."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(network.init, key_of(0))))


def params_of(network: Network, points: Any) -> Params:
    """Rows of numbers ``[B, D]`` as a population, array after array.

    Example:
        >>> net = Network(lambda key: {"b": jnp.zeros(1), "w": jnp.zeros((2, 1))}, lambda p, x: x @ p["w"] + p["b"])
        >>> {name: part.tolist() for name, part in params_of(net, np.array([[1.0, 2.0, 3.0]])).items()}
        {'b': [[1.0]], 'w': [[[2.0], [3.0]]]}
    """
    leaves, structure = jax.tree.flatten(jax.eval_shape(network.init, key_of(0)))
    ends = np.cumsum([math.prod(leaf.shape) for leaf in leaves])
    parts = jnp.split(jnp.asarray(points), ends[:-1], axis=-1)
    shaped = [p.reshape(-1, *leaf.shape).astype(leaf.dtype) for p, leaf in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(structure, shaped)


def answers_at(network: Network, inputs: Any, answers: str | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """A function of points ``[B, D]`` that gives what the network answers there on the inputs ``[B, N, …]``.

    Above 1,024 bits of answers, a digest of 128 bits stands for them.

    Raises:
        InputError: If inputs or outputs cannot be used, as in :func:`~allroads.function_prior`.
    """
    source = source_of(network, inputs, answers, 0)
    packed = packed_answers(network, source.answers)

    def said(points: np.ndarray) -> np.ndarray:
        words, finite = packed(params_of(network, points), source.inputs)
        if not bool(finite.all()):
            at = points[int(np.argmin(np.asarray(finite)))]
            raise InputError(f"function: outputs at the point {at.tolist()} are not finite. Take other values.")
        codes = source.answers.codes(np.asarray(words))
        return source.answers.read_all(codes) if source.answers.exact else codes

    return said


@lru_cache(maxsize=32)
def packed_answers(network: Network, answers: Answers) -> Callable[[Params, Any], tuple[Any, Any]]:
    """``packed(population, inputs) -> words [B, W] of 32 bits, whether outputs are finite [B]``, compiled."""

    def one(params: Params, inputs: Any) -> tuple[Any, Any]:
        outputs = network.apply(params, inputs)
        return answers.pack(outputs), jnp.isfinite(outputs).all()

    return jax.jit(jax.vmap(one, (0, None)))
