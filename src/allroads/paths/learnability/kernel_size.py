"""Trace and Frobenius norm of the kernel from random products: the scales that baselines are measured in."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from allroads.pfmap.network import Network, Params

DRAWS = 32
"""Random signs; the trace is then good to a few per cent."""


@lru_cache(maxsize=32)
def compiled_kernel_size(network: Network) -> Any:
    """The compiled ``(params, inputs, key) -> (tr K / (N·C), ‖K‖_F)`` of ``K = J Jᵀ``.

    With random signs z, ``E zᵀKz = tr K`` and ``E ‖Kz‖² = ‖K‖_F²``.
    """

    def size(params: Params, inputs: Any, key: Any) -> tuple[Any, Any]:
        def outputs(point: Params) -> Any:
            return network.apply(point, inputs)

        values, pull = jax.vjp(outputs, params)

        def one(key: Any) -> tuple[Any, Any]:
            signs = jax.random.rademacher(key, values.shape, values.dtype)
            product = jax.jvp(outputs, (params,), (pull(signs)[0],))[1]
            return jnp.vdot(signs, product), jnp.vdot(product, product)

        traces, squares = jax.lax.map(one, jax.random.split(key, DRAWS))
        return traces.mean() / values.size, jnp.sqrt(squares.mean())

    return jax.jit(size)
