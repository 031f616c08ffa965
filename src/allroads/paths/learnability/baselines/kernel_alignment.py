"""Baseline: alignment of the residual with the tangent kernel."""

from __future__ import annotations

from allroads.paths.learnability.simulate.residual_spectrum import ResidualSpectrum


def kernel_alignment(spectrum: ResidualSpectrum, frobenius_norm: float) -> float:
    """Kernel–target alignment ``yᵀKy / (‖K‖_F ‖y‖²)`` of the residual y at the start.

    Args:
        spectrum: Spectrum of the residual under the plain kernel.
        frobenius_norm: ``‖K‖_F``.

    References: [cortes2012]

    Example:
        An eigenvector of a kernel of rank 1:

        >>> import numpy as np
        >>> kernel_alignment(ResidualSpectrum(np.array([2.0]), np.array([4.0])), 2.0)
        1.0
    """
    return spectrum.alignment() / frobenius_norm
