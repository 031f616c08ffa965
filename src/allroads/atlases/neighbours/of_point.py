"""What lies next to one point: the functions that small moves of its parameters lead to, and how often."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from allroads.checks import check_count, check_number
from allroads.paths.agreement import answers
from allroads.pfmap.network import Network, Params
from allroads.points.prior.point_robustness import relative_scale
from allroads.points.prior.robustness import gaussian_move
from allroads.points.prior.threefry import key_of

NUMBERS = 2**22
"""Outputs that are held at once."""
AT_ONCE = 256
"""Moves, at most, that are made side by side."""


def functions_around(
    network: Network,
    params: Params,
    inputs: Any,
    *,
    loss: str = "bce",
    move: float = 0.1,
    moves: int = 256,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The functions after small moves of one point, each with the number of moves that lead to it.

    Moves are those of :func:`~allroads.point_robustness`: every floating-point number is moved by a normal of standard
    deviation ``move`` times the root mean square of its array at the point.

    Args:
        network: The network.
        params: The point.
        inputs: ``[N, …]``; a function is what the network answers on these.
        loss: How outputs answer, see :func:`~allroads.paths.agreement.answers`.
        move: Size of the moves relative to each array.
        moves: How many are made.
        seed: Decides the moves; below 2⁶³.

    Returns:
        Answers ``[K, N, …]``, the commonest first, and counts ``[K]``. Moves to outputs that are not finite are in no
        count.

    Raises:
        InputError: If an option is out of range, or all parameters are zero.

    Example:
        The sign of one weight 1 changes under a move of its own size with probability Φ(−1) = 0.159:

        >>> import jax.numpy as jnp
        >>> unit = Network(lambda key: jnp.ones((1,)), lambda w, x: x @ w)
        >>> found, counts = functions_around(unit, jnp.ones(1), np.array([[1.0], [2.0]]), move=1.0, moves=4096)
        >>> found.tolist(), bool(abs(counts[1] / 4096 - 0.159) < 0.02)
        ([[1, 1], [0, 0]], True)
    """
    check_number("move", move, 0, open_low=True)
    check_count("moves", moves)
    check_count("seed", seed, 0)
    params = jax.tree.map(jax.numpy.asarray, params)
    scale = relative_scale(params, move)
    size = jax.eval_shape(network.apply, params, inputs).size
    block = int(max(1, min(AT_ONCE, NUMBERS // size, moves)))
    keys = jax.random.split(key_of(seed), -(-moves // block) * block)
    said = []
    for first in range(0, moves, block):
        outputs = np.asarray(_moved(network)(keys[first : first + block], params, scale, inputs))[: moves - first]
        finite = np.isfinite(outputs).reshape(len(outputs), -1).all(1)
        said.append(answers(outputs[finite], loss))
    found, counts = np.unique(np.concatenate(said), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return found[order], counts[order]


@lru_cache(maxsize=32)
def _moved(network: Network) -> Callable[..., Any]:
    """Outputs after moves ``[B, N, …]``."""

    def one(key: Any, params: Params, scale: Params, inputs: Any) -> Any:
        return network.apply(gaussian_move(key, params, scale), inputs)

    return jax.jit(jax.vmap(one, (0, None, None, None)))
