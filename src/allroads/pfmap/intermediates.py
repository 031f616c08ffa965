"""The memory that a computation passes through."""

from __future__ import annotations

import math
from typing import Any

from jax.extend.core import jaxprs_in_params


def intermediate_bytes(jaxpr: Any) -> int:
    """Bytes of every array that a computation makes, loops counted once a turn; what fusion saves is not known here.

    Example:
        Ten numbers of four bytes doubled, then added up:

        >>> import jax, jax.numpy as jnp
        >>> intermediate_bytes(jax.make_jaxpr(lambda x: (2 * x).sum())(jnp.ones(10)).jaxpr)
        44
    """
    total = 0
    for equation in jaxpr.eqns:
        turns = equation.params.get("length", 1)
        for inner in jaxprs_in_params(equation.params):
            total += turns * intermediate_bytes(inner)
        total += sum(math.prod(v.aval.shape) * v.aval.dtype.itemsize for v in equation.outvars)
    return total
