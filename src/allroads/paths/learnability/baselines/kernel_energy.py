"""Baseline: energy of the residual in the inverse tangent kernel."""

from __future__ import annotations

from allroads.paths.learnability.simulate.residual_spectrum import ResidualSpectrum

REGULARISATION = 1e-3
"""ε of ``yᵀ(K + εI)⁻¹y``, as a share of the mean of K's diagonal."""


def kernel_energy(spectrum: ResidualSpectrum, mean_diagonal: float) -> float:
    """Inverse quadratic form ``yᵀ(K + εI)⁻¹y`` of the residual y at the start.

    Args:
        spectrum: Spectrum of the residual under the plain kernel.
        mean_diagonal: Mean of the kernel's diagonal, ``tr K / (N·C)``.

    References: [arora2019]

    Example:
        >>> import numpy as np
        >>> round(kernel_energy(ResidualSpectrum(np.array([2.0]), np.array([4.0])), 0.0), 6)
        2.0
    """
    return spectrum.energy(REGULARISATION * mean_diagonal)
