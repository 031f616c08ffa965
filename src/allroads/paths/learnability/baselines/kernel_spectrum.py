"""Residual spectrum of every target under the plain tangent kernel at a start."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.paths.learnability.simulate.residual_spectrum import (
    KRYLOV_STEPS,
    ResidualSpectrum,
    compiled_kernel_lanczos,
    gauss_spectrum,
)
from allroads.paths.learnability.simulate.target_simulation import compiled_residuals, fill_batches, squared_norms
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params


def kernel_spectra(
    network: Network, loss: str | PerExampleLoss, points: Params, inputs: Any, labels: Any, krylov: int = KRYLOV_STEPS
) -> list[ResidualSpectrum]:
    """Spectrum of every target's residual under ``K = J Jᵀ``, in units of the outputs.

    Args:
        network: The network.
        loss: Name or callable.
        points: One point per target, leaves ``[T, …]``.
        inputs: ``[N, …]``.
        labels: ``[T, N, …]``.
        krylov: Lanczos steps.
    """
    count = len(labels)
    points, labels = fill_batches((points, np.asarray(labels)))
    inputs, labels = jnp.asarray(inputs), jnp.asarray(labels)
    goals = jnp.asarray(np.full(len(labels), np.inf))  # no flow is followed
    residuals = compiled_residuals(network, loss)(points, inputs, labels, goals)[0]
    ones = jax.tree.map(lambda leaf: jnp.ones(len(labels), leaf.dtype), points)
    krylov = min(krylov, residuals[0].size)
    found = compiled_kernel_lanczos(network, krylov)(points, inputs, residuals, ones, krylov)
    parts = (np.asarray(part)[:count] for part in found)
    return [gauss_spectrum(*row) for row in zip(*parts, squared_norms(residuals)[:count], strict=True)]
