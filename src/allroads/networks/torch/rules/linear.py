"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from allroads.networks.torch.rules.registry import RULES, rule

RULES.update(mm=jnp.matmul, bmm=jnp.matmul, mv=jnp.matmul, matmul=jnp.matmul, linalg_matmul=jnp.matmul, dot=jnp.dot)


@rule("linear")
def _linear(input: Any, weight: Any, bias: Any = None) -> Any:
    product = jnp.matmul(input, weight.T)
    return product if bias is None else product + bias


@rule("bilinear")
def _bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    product = jnp.einsum("...i,oij,...j->...o", input1, weight, input2)
    return product if bias is None else product + bias


@rule("addmm", "baddbmm", "addmv")
def _addmm(self: Any, mat1: Any, mat2: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    product = jnp.matmul(mat1, mat2)
    product = product if alpha == 1 else alpha * product
    return product if beta == 0 else product + (self if beta == 1 else beta * self)


@rule("einsum")
def _einsum(equation: str, tensors: Sequence[Any], path: Any = None) -> Any:
    return jnp.einsum(equation, *tensors)


@rule("outer", "ger")
def _outer(self: Any, vec2: Any) -> Any:
    return jnp.outer(self, vec2)


@rule("tensordot")
def _tensordot(self: Any, other: Any, dims_self: Sequence[int], dims_other: Sequence[int]) -> Any:
    return jnp.tensordot(self, other, (tuple(dims_self), tuple(dims_other)))


@rule("cosine_similarity")
def _cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    def unit(x: Any) -> Any:
        return x / jnp.maximum(RULES["norm"](x, 2, dim, keepdim=True), eps)

    return jnp.sum(unit(x1) * unit(x2), axis=dim)
