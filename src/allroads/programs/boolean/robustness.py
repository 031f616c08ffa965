"""Robustness of a network that computes a formula against noise on its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.pfmap.network import Network
from allroads.programs.boolean.encoding import cube
from allroads.programs.boolean.formula import Formula


def robustness(
    network: Network, params: Any, formula: Formula, noise: Sequence[float], *, draws: int = 32, seed: int = 0
) -> np.ndarray:
    """Share of rows that a network still answers as a formula does, for each size of the noise.

    Independent normal noise of standard deviation σ is added to every parameter. The answer is read from the sign of
    the one output, or the larger of two.

    Args:
        network: The network, with one logit or two scores.
        params: The point.
        formula: The formula that it computes.
        noise: The values of σ, in units of the weights.
        draws: Draws of the noise for each σ.
        seed: Decides the draws.

    Returns:
        Shares ``[len(noise)]`` over all rows and draws.

    Raises:
        InputError: If the network has neither one output nor two, or an option is out of range.

    Example:
        >>> from allroads.programs.boolean.compile import compile_formula
        >>> formula = Formula.parse("x0 & x1", 2)
        >>> [round(float(share), 1) for share in robustness(*compile_formula(formula), formula, [0.0, 0.01])]
        [1.0, 1.0]
    """
    check_count("draws", draws)
    for sigma in noise:
        check_number("noise", sigma, 0)
    inputs = np.array(cube(formula.reading.values, formula.inputs), dtype=np.float32)
    truth = formula.table.astype(bool)
    leaves, structure = jax.tree.flatten(jax.tree.map(jnp.asarray, params))

    def share(key: Any, sigma: Any) -> Any:
        keys = jax.random.split(key, len(leaves))
        moved = [leaf + sigma * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
        outputs = network.apply(jax.tree.unflatten(structure, moved), inputs)
        if outputs.shape not in ((len(inputs), 1), (len(inputs), 2)):
            raise InputError(f"robustness: expected one logit or two scores per example; got {outputs.shape[1:]}.")
        return jnp.mean(((outputs[:, -1] - (outputs[:, 0] if outputs.shape[1] == 2 else 0.0)) > 0) == truth)

    keys = jax.random.split(jax.random.key(seed), draws)
    each = jax.jit(jax.vmap(share, in_axes=(0, None)))
    return np.array([float(each(keys, sigma).mean()) for sigma in noise])
