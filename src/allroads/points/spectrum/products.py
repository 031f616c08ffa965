"""Curvature as products: a matrix of a loss times a direction of parameter space, never the matrix.

Conventions: the loss is the mean over the examples, so every matrix here is. With outputs f and losses ℓ,

    Hessian         H = ∇² (1/n) Σ ℓ_i
    Gauss–Newton    G = (1/n) Σ J_iᵀ (∂²ℓ_i / ∂f²) J_i     the Hessian without the curvature of the network
    Fisher          F = (1/n) Σ ∇ℓ_i ∇ℓ_iᵀ                 the empirical one: gradients at the labels given

They are pure functions of pytrees and work under ``jax.jit`` and ``jax.vmap``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.flatten_util import ravel_pytree

from allroads.pfmap.network import Params


def hessian_product(loss_of_params: Callable[[Params], Any], params: Params, v: Params) -> Params:
    """H v, by forward over reverse differentiation: about four evaluations of the loss.

    Args:
        loss_of_params: ``params -> scalar``.
        params: The point.
        v: A pytree like ``params``.

    Returns:
        A pytree like ``params``, in units of the loss over squared parameter units, times those of v.

    References: [pearlmutter1994]

    Example:
        >>> import jax.numpy as jnp
        >>> hessian_product(lambda w: w[0] ** 2 + w[0] * w[1], jnp.zeros(2), jnp.array([1.0, 0.0]))
        Array([2., 1.], dtype=float32)
    """
    return jax.jvp(jax.grad(loss_of_params), (params,), (v,))[1]


def gauss_newton_product(
    outputs_of_params: Callable[[Params], Any], loss_of_outputs: Callable[[Any], Any], params: Params, v: Params
) -> Params:
    """G v: forward to the outputs, through the curvature of the loss there, and back.

    Positive semi-definite where the loss is convex in the outputs, as the named losses are.

    Args:
        outputs_of_params: ``params -> outputs``.
        loss_of_outputs: ``outputs -> scalar``.
        params: The point.
        v: A pytree like ``params``.

    Returns:
        A pytree like ``params``.

    References: [schraudolph2002]

    Example:
        >>> import jax.numpy as jnp
        >>> gauss_newton_product(lambda w: w**2, lambda f: (f**2).sum(), jnp.array([3.0]), jnp.array([1.0]))
        Array([72.], dtype=float32)
    """
    outputs, pull = jax.vjp(outputs_of_params, params)
    pushed = jax.jvp(outputs_of_params, (params,), (v,))[1]
    return pull(hessian_product(loss_of_outputs, outputs, pushed))[0]


def fisher_product(losses_of_params: Callable[[Params], Any], params: Params, v: Params, weights: Any = None) -> Params:
    """F v = Σ w_i ∇ℓ_i (∇ℓ_iᵀ v): one forward and one backward pass; no gradient of an example is kept.

    Args:
        losses_of_params: ``params -> per-example losses [n]``.
        params: The point.
        v: A pytree like ``params``.
        weights: ``[n]``; default 1/n each.

    Returns:
        A pytree like ``params``.

    Example:
        >>> import jax.numpy as jnp
        >>> float(fisher_product(lambda w: jnp.array([1.0, 3.0]) * w, jnp.array(0.0), jnp.array(1.0)))  # (1 + 9) / 2
        5.0
    """
    losses, pull = jax.vjp(losses_of_params, params)
    pushed = jax.jvp(losses_of_params, (params,), (v,))[1]
    return pull(pushed / losses.size if weights is None else weights * pushed)[0]


def flat_product(product: Callable[[Params], Params], params: Params) -> Callable[[Any], Any]:
    """A product of pytrees as one of flat vectors, in the order of ``jax.flatten_util.ravel_pytree``.

    Args:
        product: ``v -> A v``, both pytrees like ``params``.
        params: The point; only its structure is used.

    Returns:
        ``v [d] -> A v [d]``.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"a": jnp.ones(1), "b": jnp.ones(2)}
        >>> double = flat_product(lambda v: jax.tree.map(lambda leaf: 2 * leaf, v), params)
        >>> double(jnp.arange(3.0))
        Array([0., 2., 4.], dtype=float32)
    """
    unravel = ravel_pytree(params)[1]
    return lambda v: ravel_pytree(product(unravel(v)))[0]
