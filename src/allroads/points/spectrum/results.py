"""What a spectrum gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from allroads.pfmap.network import Params
from allroads.results import Measurement, Result
from allroads.status import Status


@dataclass(frozen=True, eq=False)
class Density:
    """A spectral density as points with masses: exact with the dense method, else Gauss rules of random vectors.

    Args:
        nodes: Where the mass sits, rising.
        weights: How much; they sum to 1.
    """

    nodes: Float[np.ndarray, " nodes"]
    weights: Float[np.ndarray, " nodes"]

    def below(self, x: Any) -> np.ndarray:
        """Share of the eigenvalues that are at most x.

        Example:
            >>> float(Density(np.array([0.0, 1.0]), np.array([0.75, 0.25])).below(0.5))
            0.75
        """
        mass = np.append(0.0, np.cumsum(self.weights))
        share: np.ndarray = mass[np.searchsorted(self.nodes, x, side="right")]
        return share


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum(Result):
    """The spectrum of a matrix of curvature at one point.

    Args:
        eigenvalues: The largest with sign, falling, ``[top]``.
        eigenvectors: Of unit length, each a point of parameter space; leaves lead with ``[top]``.
        residuals: ``‖A v − λ v‖``, ``[top]``: an eigenvalue lies no further from λ. Compare with ``norm``.
        smallest_eigenvalues: From the other end, rising, ``[bottom]``.
        smallest_eigenvectors: Beside them.
        smallest_residuals: Beside them.
        trace: ``Σ λ_i``.
        log_determinant: ``Σ log(λ_i + shift)``.
        effective_dimension: ``½ Σ λ_i / (λ_i + shift)``.
        density: Of all eigenvalues.
        norm: The largest ``|λ|``.
        loss: The mean loss at the point.
        shift: Localisation over nβ.
        matrix: ``"hessian"``, ``"gauss_newton"`` or ``"fisher"``.
        method: ``"dense"`` or ``"matrix_free"``.
        status: Of the eigenpairs: ``ok``, ``not converged``, ``flat`` or ``diverged``. The other quantities carry
            their own.
        ended: ``"complete"``, or why it ended before: ``"budget"`` or ``"interrupted"``.
    """

    eigenvalues: Float[np.ndarray, " top"]
    eigenvectors: Params
    residuals: Float[np.ndarray, " top"]
    smallest_eigenvalues: Float[np.ndarray, " bottom"]
    smallest_eigenvectors: Params
    smallest_residuals: Float[np.ndarray, " bottom"]
    trace: Measurement
    log_determinant: Measurement
    effective_dimension: Measurement
    density: Density
    norm: float
    loss: float
    shift: float
    matrix: str
    method: str
    status: Status
    ended: str = "complete"

    @property
    def value(self) -> np.ndarray:
        """The largest eigenvalues."""
        return self.eigenvalues

    @property
    def error(self) -> np.ndarray:
        """Their residuals."""
        return self.residuals

    @property
    def stats(self) -> dict[str, Any]:
        """``loss``, ``shift``, ``matrix``, ``method``, ``norm`` and ``ended``."""
        return {name: getattr(self, name) for name in ("loss", "shift", "matrix", "method", "norm", "ended")}


@dataclass(frozen=True, eq=False, repr=False)
class KernelSpectrum(Result):
    """The spectrum of the kernel ``K = J Jᵀ`` of the parameter–function map.

    Args:
        eigenvalues: The largest, falling, ``[top]``.
        eigenvectors: Directions of function space, of unit length, ``[top, N, C]``.
        residuals: ``‖K v − λ v‖``, ``[top]``.
        trace: ``Σ λ_i = ‖J‖²``.
        density: Of all eigenvalues.
        norm: The largest.
        method: ``"dense"`` or ``"matrix_free"``.
        status: As of :class:`Spectrum`.
    """

    eigenvalues: Float[np.ndarray, " top"]
    eigenvectors: Float[np.ndarray, "top examples *outputs"]
    residuals: Float[np.ndarray, " top"]
    trace: Measurement
    density: Density
    norm: float
    method: str
    status: Status

    @property
    def value(self) -> np.ndarray:
        """The largest eigenvalues."""
        return self.eigenvalues

    @property
    def error(self) -> np.ndarray:
        """Their residuals."""
        return self.residuals

    @property
    def stats(self) -> dict[str, Any]:
        """``norm`` and ``method``."""
        return {"norm": self.norm, "method": self.method}
