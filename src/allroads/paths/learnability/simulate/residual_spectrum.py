"""The residual's spectral measure under the tangent kernel: which part of the residual decays at which rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from allroads.compiled import quickly_compiled
from allroads.pfmap.lanczos import LanczosDecomposition, breakdown_index, gauss_rule, lanczos
from allroads.pfmap.network import Network, Params

KRYLOV_STEPS = 32
"""Lanczos steps. With 24 the hitting time of 54 Boolean targets, random tables among them, is that of the full
eigendecomposition to 0.1 %; with 16 to 0.7 %."""

TARGET_BATCH = 8
"""Targets that are simulated side by side."""


class ResidualSpectrum(NamedTuple):
    """Spectral measure of a residual r: ``‖r‖²`` split over eigenvalues of ``J diag(ρ) Jᵀ``, as a Gauss rule.

    Attributes:
        nodes: Quadrature nodes, eigenvalues or means of groups of them, ``[k]``, ≥ 0.
        energies: The part of ``‖r‖²`` at each node, ``[k]``.
    """

    nodes: NDArray[Any]
    energies: NDArray[Any]

    def scaled(self, factor: float) -> ResidualSpectrum:
        """The measure with every node multiplied by a factor."""
        return self._replace(nodes=factor * self.nodes)

    def energy(self, shift: float) -> float:
        """Inverse quadratic form ``rᵀ (K + shift·I)⁻¹ r``."""
        return float((self.energies / (self.nodes + shift)).sum())

    def alignment(self) -> float:
        """Rayleigh quotient ``rᵀ K r / ‖r‖²``: the mean rate."""
        return float(self.energies @ self.nodes / self.energies.sum())


class KernelKrylov(NamedTuple):
    """The kernel ``A = J diag(ρ) Jᵀ`` in the Krylov space of a residual.

    Attributes:
        outputs: Outputs of the network at the point, ``[N, C]``.
        decomposition: Lanczos decomposition of A from the residual.
        pull_back: ``v -> ρ Jᵀ v``, from outputs ``[N·C]`` to parameters.
        product: ``v -> A v``, of outputs ``[N·C]``.
    """

    outputs: Any
    decomposition: LanczosDecomposition
    pull_back: Callable[[Any], Params]
    product: Callable[[Any], Any]


def kernel_krylov(
    network: Network,
    params: Params,
    inputs: Any,
    rates: Params,
    steps: int,
    residual_of: Callable[[Any], Any],
    taken: Any = None,
) -> KernelKrylov:
    """Lanczos decomposition of ``J diag(ρ) Jᵀ`` from the residual of the outputs at a point.

    Args:
        network: The network.
        params: The point.
        inputs: ``[N, …]``.
        rates: Learning rates ρ, one scalar per leaf or one per element.
        steps: Lanczos steps k, at most the number of outputs.
        residual_of: ``outputs -> residual``, of one shape.
        taken: Lanczos steps that are made; default k.
    """
    outputs, push = jax.linearize(lambda point: network.apply(point, inputs), params)
    pull = jax.linear_transpose(push, params)

    def pull_back(v: Any) -> Params:
        return jax.tree.map(lambda leaf, rate: rate * leaf, pull(v.reshape(outputs.shape))[0], rates)

    def product(v: Any) -> Any:
        return push(pull_back(v)).reshape(-1)

    found = lanczos(product, residual_of(outputs).reshape(-1), steps, taken)
    return KernelKrylov(outputs, found, pull_back, product)


@lru_cache(maxsize=32)
def compiled_kernel_lanczos(network: Network, steps: int) -> Any:
    """The compiled ``(points, inputs, residuals, rates, taken) -> (diagonals, off-diagonals)`` of ``J diag(ρ) Jᵀ``.

    Each tridiagonal matrix belongs to the Krylov space of one residual. All but the inputs and the Lanczos steps
    ``taken``, at most ``steps``, lead with the targets.
    """

    def one(params: Params, inputs: Any, residual: Any, rates: Params, taken: Any) -> tuple[Any, Any]:
        found = kernel_krylov(network, params, inputs, rates, steps, lambda _: residual, taken).decomposition
        return found.diagonal, found.off_diagonal

    def all_targets(points: Params, inputs: Any, residuals: Any, rates: Params, taken: Any) -> Any:
        rows = points, residuals, rates
        return jax.lax.map(lambda own: one(own[0], inputs, own[1], own[2], taken), rows, batch_size=TARGET_BATCH)

    return jax.jit(all_targets, compiler_options=quickly_compiled())


def gauss_spectrum(diagonal: NDArray[Any], off_diagonal: NDArray[Any], squared_norm: float) -> ResidualSpectrum:
    """Residual spectrum from the tridiagonal matrix of a Lanczos decomposition.

    The matrix counts up to the end of its Krylov space. A node below the precision of the largest node counts as 0.

    Args:
        diagonal: ``[k]``.
        off_diagonal: ``[k − 1]``.
        squared_norm: ``‖r‖²``.
    """
    eps = float(np.finfo(diagonal.dtype.type).eps)
    diagonal = np.nan_to_num(diagonal.astype(np.float64))
    off_diagonal = np.nan_to_num(off_diagonal.astype(np.float64))
    end = breakdown_index(diagonal, off_diagonal, eps)
    steps = len(diagonal) if end is None else end + 1
    nodes, weights = gauss_rule(diagonal[:steps], off_diagonal[: steps - 1])
    return ResidualSpectrum(np.where(nodes < eps * nodes.max(), 0.0, nodes), squared_norm * weights)
