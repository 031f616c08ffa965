"""Trace and Frobenius norm of the tangent kernel from random products (Hutchinson's estimator)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from allroads.pfmap.network import Network, Params

SIGN_DRAWS = 32
"""Random sign vectors; the trace is then accurate to a few per cent."""


def kernel_norms(network: Network, inputs: Any, starts: Params, seed: int) -> NDArray[np.float64]:
    """Mean diagonal and Frobenius norm of K at each start, ``[seeds, 2]``."""
    run = compiled_kernel_norms(network)
    count = len(jax.tree.leaves(starts)[0])
    key = jax.random.key(seed)
    norms = [run(jax.tree.map(lambda leaf, m=m: leaf[m], starts), jnp.asarray(inputs), key) for m in range(count)]
    return np.asarray(norms, np.float64)


@lru_cache(maxsize=32)
def compiled_kernel_norms(network: Network) -> Any:
    """The compiled ``(params, inputs, key) -> (tr K / (N·C), ‖K‖_F)`` of ``K = J Jᵀ``.

    With random signs z, ``E zᵀKz = tr K`` and ``E ‖Kz‖² = ‖K‖_F²``.
    """

    def norms(params: Params, inputs: Any, key: Any) -> tuple[Any, Any]:
        def outputs(point: Params) -> Any:
            return network.apply(point, inputs)

        values, pull = jax.vjp(outputs, params)

        def one(key: Any) -> tuple[Any, Any]:
            signs = jax.random.rademacher(key, values.shape, values.dtype)
            product = jax.jvp(outputs, (params,), (pull(signs)[0],))[1]
            return jnp.vdot(signs, product), jnp.vdot(product, product)

        traces, squares = jax.lax.map(one, jax.random.split(key, SIGN_DRAWS))
        return traces.mean() / values.size, jnp.sqrt(squares.mean())

    return jax.jit(norms)
