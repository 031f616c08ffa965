"""Matrices: inverses, linear systems, exponentials, factorisations whose result is unique."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import expm

from allroads.networks.torch.rules.registry import RULES, rule

RULES.update(
    linalg_inv=jnp.linalg.inv,
    inverse=jnp.linalg.inv,
    linalg_det=jnp.linalg.det,
    det=jnp.linalg.det,
    linalg_slogdet=lambda A: tuple(jnp.linalg.slogdet(A)),
    slogdet=lambda self: tuple(jnp.linalg.slogdet(self)),
    linalg_matrix_power=jnp.linalg.matrix_power,
    matrix_power=jnp.linalg.matrix_power,
)


@rule("linalg_inv_ex")
def _inv_ex(A: Any, check_errors: bool = False) -> tuple[Any, Any]:
    return jnp.linalg.inv(A), jnp.zeros(A.shape[:-2], jnp.int32)


@rule("linalg_solve")
def _solve(A: Any, B: Any, left: bool = True) -> Any:
    """X of A X = B, or of X A = B; B holds vectors where it has the shape of A without its last axis."""
    vector = B.ndim == 1 or B.shape == A.shape[:-1]
    if vector:
        return jnp.linalg.solve(A, B[..., None])[..., 0]
    if left:
        return jnp.linalg.solve(A, B)
    return jnp.swapaxes(jnp.linalg.solve(jnp.swapaxes(A, -1, -2), jnp.swapaxes(B, -1, -2)), -1, -2)


@rule("linalg_solve_ex")
def _solve_ex(A: Any, B: Any, left: bool = True, check_errors: bool = False) -> tuple[Any, Any]:
    return _solve(A, B, left), jnp.zeros(A.shape[:-2], jnp.int32)


@rule("linalg_solve_triangular")
def _solve_triangular(self: Any, B: Any, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
    lead = jnp.broadcast_shapes(self.shape[:-2], B.shape[:-2])
    return jax.lax.linalg.triangular_solve(
        jnp.broadcast_to(self, lead + self.shape[-2:]),
        jnp.broadcast_to(B, lead + B.shape[-2:]),
        left_side=left,
        lower=not upper,
        unit_diagonal=unitriangular,
    )


@rule("matrix_exp", "linalg_matrix_exp")
def _matrix_exp(self: Any) -> Any:
    return expm(self)


@rule("linalg_cholesky", "cholesky")
def _cholesky(self: Any, upper: bool = False) -> Any:
    return jnp.linalg.cholesky(self, upper=upper)


@rule("linalg_householder_product")
def _householder_product(input: Any, tau: Any) -> Any:
    """The first columns of H₁ ⋯ H_k, H_i = I − τ_i v_i v_iᵀ; v_i is column i below its diagonal, and 1 on it."""
    rows, columns = input.shape[-2:]
    product = jnp.broadcast_to(jnp.eye(rows, columns, dtype=input.dtype), input.shape)
    for k in reversed(range(tau.shape[-1])):
        v = jnp.where(jnp.arange(rows) > k, input[..., k], 0).at[..., k].set(1)
        product = (
            product - tau[..., k, None, None] * v[..., None] * jnp.einsum("...i,...ij->...j", v, product)[..., None, :]
        )
    return product


@rule("trace")
def _trace(self: Any) -> Any:
    return jnp.trace(self)
