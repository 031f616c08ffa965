"""Memory that a computation passes through."""

from __future__ import annotations

import math

from jax.extend import core

from allroads.pfmap.jaxpr.walk import shaped


def intermediate_bytes(jaxpr: core.Jaxpr) -> int:
    """Bytes of every array that a computation makes, once per step of a loop; what fusion saves is not known.

    Example:
        Ten numbers of four bytes doubled, then added up:

        >>> import jax, jax.numpy as jnp
        >>> intermediate_bytes(jax.make_jaxpr(lambda x: (2 * x).sum())(jnp.ones(10)).jaxpr)
        44
    """
    total = 0
    for equation in jaxpr.eqns:
        steps = equation.params.get("length", 1)
        for inner in core.jaxprs_in_params(equation.params):
            total += steps * intermediate_bytes(inner)
        total += sum(math.prod(shaped(v).shape) * shaped(v).dtype.itemsize for v in equation.outvars)
    return total
