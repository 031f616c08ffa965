"""Trace and Frobenius norm of the tangent kernel from random products (Hutchinson's estimator)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

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
    keys = jax.random.split(jax.random.key(seed), SIGN_DRAWS)
    signs = np.stack([jax.random.rademacher(key, values.shape, values.dtype) for key in keys])
    run = compiled_kernel_lanczos(network, min(KRYLOV_STEPS, values.size))
    ones = jax.tree.map(lambda leaf: np.ones(TARGET_BATCH, leaf.dtype), starts)

    def at(start: Params) -> tuple[float, float]:
        points = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (TARGET_BATCH, *leaf.shape)), start)
        found = [run(points, inputs, own, ones, 1) for own in signs.reshape(-1, TARGET_BATCH, *values.shape)]
        means, couplings = (np.concatenate(parts).astype(np.float64)[:, :1] for parts in zip(*found, strict=True))
        return float(means.mean()), float(np.sqrt(values.size * (means**2 + couplings**2).mean()))

    seeds = len(jax.tree.leaves(starts)[0])
    return np.array([at(jax.tree.map(lambda leaf, m=m: leaf[m], starts)) for m in range(seeds)])
