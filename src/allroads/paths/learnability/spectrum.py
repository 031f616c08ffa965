"""The residual's spectrum: how what is still to be learned spreads over the rates of the map's kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import eigh_tridiagonal

from allroads.pfmap.network import Network, Params

KRYLOV = 32
"""Lanczos steps. With 24 the hitting time of 54 Boolean targets, random tables among them, is that of the full
eigendecomposition to 0.1 %; with 16 to 0.7 %."""

BATCH = 8
"""Targets that run side by side."""


class ResidualSpectrum(NamedTuple):
    """``‖r‖²`` split over eigenvalues of ``J diag(ρ) Jᵀ``, as a Gauss rule.

    Attributes:
        nodes: Eigenvalues or the means of groups of them, ``[k]``, ≥ 0.
        energies: The part of ``‖r‖²`` at each, ``[k]``.
    """

    nodes: np.ndarray
    energies: np.ndarray

    def scaled(self, factor: float) -> ResidualSpectrum:
        """With eigenvalues in another unit."""
        return self._replace(nodes=factor * self.nodes)

    def energy(self, shift: float) -> float:
        """``rᵀ (K + shift·I)⁻¹ r``."""
        return float((self.energies / (self.nodes + shift)).sum())

    def alignment(self) -> float:
        """``rᵀ K r / ‖r‖²``: the mean rate."""
        return float(self.energies @ self.nodes / self.energies.sum())


class Decomposition(NamedTuple):
    """``A = J diag(ρ) Jᵀ`` in the Krylov space of the residual; all 0 past where that ends.

    Attributes:
        diagonal: Of the tridiagonal matrix, ``[k]``.
        off_diagonal: ``[k − 1]``.
        basis: Outputs, orthonormal, one a row, ``[k, N·C]``.
        length: ``‖r‖``; the residual is the first row of the basis times this.
    """

    diagonal: Any
    off_diagonal: Any
    basis: Any
    length: Any

    def eigen(self) -> tuple[Any, Any]:
        """Eigenvalues and eigenvectors, columns, of the tridiagonal matrix."""
        return jnp.linalg.eigh(
            jnp.diag(self.diagonal) + jnp.diag(self.off_diagonal, 1) + jnp.diag(self.off_diagonal, -1)
        )


def lanczos(product: Callable, start: Any, steps: int) -> Decomposition:
    """Lanczos with full reorthogonalisation of a symmetric ``product`` from a vector, done where its space ends.

    Example:
        From an eigenvector there is one step:

        >>> found = lanczos(lambda v: jnp.array([3.0, 5.0]) * v, jnp.array([0.0, 2.0]), 2)
        >>> found.diagonal.tolist(), found.off_diagonal.tolist(), float(found.length)
        ([5.0, 0.0], [0.0], 2.0)
    """

    def step(index: Any, carry: tuple) -> tuple:
        basis, vector, diagonal, couplings = carry
        basis = basis.at[index].set(vector)
        image = product(vector)
        diagonal = diagonal.at[index].set(vector @ image)
        for _ in range(2):
            image = image - (basis @ image) @ basis
        coupling = jnp.linalg.norm(image)
        goes_on = coupling > 32 * jnp.finfo(image.dtype).eps * jnp.abs(diagonal).max()
        vector = jnp.where(goes_on, image / jnp.where(goes_on, coupling, 1.0), 0.0)
        return basis, vector, diagonal, couplings.at[index].set(jnp.where(goes_on, coupling, 0.0))

    length, zeros = jnp.linalg.norm(start), jnp.zeros(steps, start.dtype)
    first = start / jnp.maximum(length, jnp.finfo(start.dtype).tiny)
    carry = jnp.zeros((steps, start.size), start.dtype), first, zeros, zeros
    basis, _, diagonal, couplings = jax.lax.fori_loop(0, steps, step, carry)
    return Decomposition(diagonal, couplings[:-1], basis, length)


def decomposed(
    network: Network, params: Params, inputs: Any, rates: Params, steps: int, residual_of: Callable
) -> tuple[Any, Decomposition, Callable]:
    """Outputs, A in the Krylov space of the residual that belongs to them, and ``v -> ρ Jᵀ v``.

    Args:
        network: The network.
        params: The point.
        inputs: ``[N, …]``.
        rates: ρ, a scalar a leaf, or one an element.
        steps: k, at most as many as there are outputs.
        residual_of: Of outputs.
    """
    outputs, pull = jax.vjp(lambda point: network.apply(point, inputs), params)

    def pulled(v: Any) -> Params:
        return jax.tree.map(lambda leaf, rate: rate * leaf, pull(v.reshape(outputs.shape))[0], rates)

    def product(v: Any) -> Any:
        return jax.jvp(lambda point: network.apply(point, inputs), (params,), (pulled(v),))[1].reshape(-1)

    return outputs, lanczos(product, residual_of(outputs).reshape(-1), steps), pulled


@lru_cache(maxsize=32)
def compiled_krylov(network: Network, steps: int) -> Any:
    """The compiled ``(points, inputs, residuals, rates) -> (diagonals, off-diagonals)`` of ``J diag(ρ) Jᵀ``.

    In the Krylov space of each residual; all but inputs lead with the targets.
    """

    def one(params: Params, inputs: Any, residual: Any, rates: Params) -> tuple[Any, Any]:
        _, found, _ = decomposed(network, params, inputs, rates, steps, lambda _: residual)
        return found.diagonal, found.off_diagonal

    def all_targets(points: Params, inputs: Any, residuals: Any, rates: Params) -> tuple[Any, Any]:
        rows = points, residuals, rates
        return jax.lax.map(lambda own: one(own[0], inputs, *own[1:]), rows, batch_size=BATCH)

    return jax.jit(all_targets)


def gauss_rule(diagonal: np.ndarray, off_diagonal: np.ndarray, squared_norm: float) -> ResidualSpectrum:
    """Nodes and energies of a tridiagonal matrix, up to where the Krylov space ends: there its coupling is rounding.

    So is a node below the precision of the largest, which counts as 0.
    """
    eps = np.finfo(diagonal.dtype).eps
    diagonal, off_diagonal = np.nan_to_num(np.float64(diagonal)), np.nan_to_num(np.float64(off_diagonal))
    scale = np.abs(diagonal).max() + np.abs(off_diagonal).max(initial=0.0)
    end = np.flatnonzero(~(off_diagonal > 32 * eps * scale))
    steps = end[0] + 1 if end.size else len(diagonal)
    nodes, vectors = eigh_tridiagonal(diagonal[:steps], off_diagonal[: steps - 1])
    return ResidualSpectrum(np.where(nodes < eps * nodes.max(), 0.0, nodes), squared_norm * vectors[0] ** 2)
