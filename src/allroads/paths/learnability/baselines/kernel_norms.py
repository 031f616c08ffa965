"""Trace and Frobenius norm of the tangent kernel from random products (Hutchinson's estimator)."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from allroads.compiled import quickly_compiled
from allroads.paths.learnability.simulate.residual_spectrum import (
    KRYLOV_STEPS,
    TARGET_BATCH,
    compiled_kernel_lanczos,
)
from allroads.pfmap.network import Network, Params

SIGN_DRAWS = 32
"""Random sign vectors, a multiple of the batch of targets; the trace is then accurate to a few per cent."""


def kernel_norms(network: Network, inputs: Any, starts: Params, seed: int) -> NDArray[np.float64]:
    """Mean diagonal ``tr K / (N·C)`` and Frobenius norm ‖K‖_F of ``K = J Jᵀ`` at each start, ``[seeds, 2]``.

    With random signs z, ``E zᵀKz = tr K`` and ``E ‖Kz‖² = ‖K‖_F²``. Both come from the first Lanczos step from z, by
    the program that the spectra of residuals have compiled.

    Args:
        network: The network.
        inputs: ``[N, …]``.
        starts: Points, leaves ``[seeds, …]``.
        seed: Decides the signs, which are the same at every start.

    Example:
        One weight and the inputs 3 and 0: K = diag(9, 0).

        >>> line = Network(lambda key: np.zeros(1), lambda w, x: x * w)
        >>> kernel_norms(line, np.array([[3.0], [0.0]]), np.zeros((1, 1)), 0).round(4).tolist()
        [[4.5, 9.0]]
    """
    starts, inputs = jax.tree.map(np.asarray, starts), jnp.asarray(inputs)
    one = jax.tree.map(lambda leaf: leaf[0], starts)
    values = jax.eval_shape(network.apply, one, inputs)
    signs = np.asarray(_drawn_signs()(jax.random.key(seed), values.shape, values.dtype.name))
    run = compiled_kernel_lanczos(network, min(KRYLOV_STEPS, values.size))
    ones = jax.tree.map(lambda leaf: np.ones(TARGET_BATCH, leaf.dtype), starts)

    def at(start: Params) -> tuple[float, float]:
        points = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (TARGET_BATCH, *leaf.shape)), start)
        found = [run(points, inputs, own, ones, 1) for own in signs.reshape(-1, TARGET_BATCH, *values.shape)]
        means, couplings = (np.concatenate(parts).astype(np.float64)[:, :1] for parts in zip(*found, strict=True))
        return float(means.mean()), float(np.sqrt(values.size * (means**2 + couplings**2).mean()))

    seeds = len(jax.tree.leaves(starts)[0])
    return np.array([at(jax.tree.map(lambda leaf, m=m: leaf[m], starts)) for m in range(seeds)])


@cache
def _drawn_signs() -> Any:
    """The compiled ``(key, shape, dtype) -> signs``, ``[SIGN_DRAWS, *shape]``."""

    def draw(key: Any, shape: tuple[int, ...], dtype: str) -> Any:
        return jax.vmap(lambda own: jax.random.rademacher(own, shape, dtype))(jax.random.split(key, SIGN_DRAWS))

    return jax.jit(draw, static_argnums=(1, 2), compiler_options=quickly_compiled())
