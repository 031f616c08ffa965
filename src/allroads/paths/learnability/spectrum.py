"""The residual's spectrum: how what is still to be learned spreads over the rates of the map's kernel."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matfree import decomp
from scipy.linalg import eigh_tridiagonal

from allroads.pfmap.network import Network, Params

KRYLOV = 32
"""Lanczos steps. With 24 the hitting time of 54 Boolean targets, random tables among them, is that of the full
eigendecomposition to 0.1 %; with 16 to 0.7 %."""

RIDGE = 1e-2
"""ε of the linear solution, as a share of the largest eigenvalue."""
LONGEST_STEP = 0.3
"""Longest step to the linear solution, as a share of the parameters' length."""

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


class Krylov(NamedTuple):
    """What Lanczos shows of every target: ``[T, k]``, ``[T, k−1]``, and a point a target, leaves ``[T, …]``."""

    diagonals: Any
    off_diagonals: Any
    points: Params


@lru_cache(maxsize=32)
def compiled_krylov(network: Network, steps: int) -> Any:
    """The compiled ``(params, inputs, residuals, rates, curvatures) -> Krylov``; all but inputs lead with the targets.

    Lanczos on ``A = J diag(ρ) Jᵀ`` from each residual ``[N, …]``, with full reorthogonalisation. ``points`` is what the
    linearised map takes for the solution, ``θ + ρ Jᵀ (A + εI)⁻¹ r / h`` with ε a hundredth of A's largest eigenvalue; a
    step longer than 0.3 ‖θ‖ is cut to that.
    """

    def one(params: Params, inputs: Any, residual: Any, rates: Params, curvature: Any) -> Krylov:
        outputs, pull = jax.vjp(lambda point: network.apply(point, inputs), params)

        def pulled(v: Any) -> Params:
            return jax.tree.map(lambda leaf, rate: rate * leaf, pull(v.reshape(outputs.shape))[0], rates)

        def product(v: Any) -> Any:
            return jax.jvp(lambda point: network.apply(point, inputs), (params,), (pulled(v),))[1].reshape(-1)

        decompose = decomp.tridiag_sym(steps, materialize=False, reortho="full", custom_vjp=False)
        found = decompose(product, residual.reshape(-1))
        diagonal, off_diagonal = found.J_small
        weights = _solved(diagonal, off_diagonal) * jnp.linalg.norm(residual)
        basis = jnp.where(weights[:, None] == 0, 0.0, found.Q_tall)
        step = pulled(weights @ basis / curvature)
        length, size = (jnp.sqrt(sum(jnp.vdot(a, a) for a in jax.tree.leaves(tree))) for tree in (step, params))
        share = jnp.minimum(1.0, LONGEST_STEP * size / jnp.maximum(length, 1e-30))
        return Krylov(diagonal, off_diagonal, jax.tree.map(lambda p, s: p + share * s, params, step))

    def all_targets(params: Params, inputs: Any, *rest: Any) -> Krylov:
        return jax.lax.map(lambda own: one(own[0], inputs, *own[1:]), (params, *rest), batch_size=BATCH)

    return jax.jit(all_targets)


def _solved(diagonal: Any, off_diagonal: Any) -> Any:
    """``(T + εI)⁻¹ e₁`` up to where the Krylov space ends, 0 past it, where nothing stands but rounding."""
    going = jnp.cumprod(off_diagonal > 32 * jnp.finfo(diagonal.dtype).eps * jnp.abs(diagonal).max())
    kept = jnp.concatenate([jnp.ones(1, bool), going > 0])
    coupling = jnp.where(going > 0, off_diagonal, 0.0)
    small = jnp.diag(jnp.where(kept, diagonal, 0.0)) + jnp.diag(coupling, 1) + jnp.diag(coupling, -1)
    shift = RIDGE * jnp.linalg.eigvalsh(small)[-1]
    first = jnp.zeros_like(diagonal).at[0].set(1.0)
    return jnp.where(kept, jnp.linalg.solve(small + shift * jnp.eye(len(small), dtype=small.dtype), first), 0.0)


def gauss_rule(diagonal: np.ndarray, off_diagonal: np.ndarray, squared_norm: float) -> ResidualSpectrum:
    """Nodes and energies of a tridiagonal matrix, up to where the Krylov space ends: there its coupling is rounding."""
    eps = np.finfo(diagonal.dtype).eps
    diagonal, off_diagonal = np.nan_to_num(np.float64(diagonal)), np.nan_to_num(np.float64(off_diagonal))
    scale = np.abs(diagonal).max() + np.abs(off_diagonal).max(initial=0.0)
    end = np.flatnonzero(~(off_diagonal > 32 * eps * scale))
    steps = end[0] + 1 if end.size else len(diagonal)
    nodes, vectors = eigh_tridiagonal(diagonal[:steps], off_diagonal[: steps - 1])
    return ResidualSpectrum(np.maximum(nodes, 0.0), squared_norm * vectors[0] ** 2)
