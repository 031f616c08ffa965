"""Log-determinant and effective dimension of a matrix plus a shift, where they have a meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.points.spectrum.quadrature import Function, Quadrature
from allroads.results import Measurement
from allroads.status import SpectrumStatus, Status


@dataclass(frozen=True)
class Extent:
    """How far the eigenvalues reach.

    Args:
        norm: The largest ``|λ|``.
        lowest: No eigenvalue is known to lie below this one.
        slack: How far below it one may lie nevertheless.
        resolution: Eigenvalues that differ by less are told apart by rounding alone.
    """

    norm: float
    lowest: float
    slack: float
    resolution: float


def trace(quadrature: Quadrature) -> Measurement:
    """``Σ λ_i``: known eigenvalues, and Hutchinson's estimate of the rest, for which any number of steps is exact.

    References: [meyer2021]

    Example:
        >>> trace(Quadrature(np.array([1.0, 2.0]), 0, [], []))
        3
    """
    value, sampling, _ = quadrature.trace(lambda x: x)
    return Measurement(value, sampling if quadrature.rest else None, stats={"precision": quadrature.precision})


def log_determinant(quadrature: Quadrature, shift: float, extent: Extent) -> Measurement:
    """``log det(A + s) = Σ log(λ_i + s)``.

    Example:
        >>> flat = Quadrature(np.zeros(2), 0, [], [])
        >>> log_determinant(flat, 1.0, Extent(0.0, 0.0, 0.0, 0.0)).value
        0.0
    """
    return _shifted(lambda x: np.log(x + shift), quadrature, shift, extent)


def effective_dimension(quadrature: Quadrature, shift: float, extent: Extent) -> Measurement:
    """``½ tr[A (A + s)⁻¹] = ½ Σ λ_i / (λ_i + s)``: half the number of directions that are stiffer than the shift.

    Example:
        >>> one_of_two = Quadrature(np.array([1.0, 0.0]), 0, [], [])
        >>> effective_dimension(one_of_two, 0.25, Extent(1.0, 0.0, 0.0, 1e-15)).value
        0.4
    """
    return _shifted(lambda x: 0.5 * x / (x + shift), quadrature, shift, extent)


def _shifted(function: Function, quadrature: Quadrature, shift: float, extent: Extent) -> Measurement:
    stats: dict[str, Any] = {"shift": shift, "lowest": extent.lowest, "precision": quadrature.precision}
    status = _status(shift, extent)
    if status not in (SpectrumStatus.OK, SpectrumStatus.FLAT):
        nodes, weights = quadrature.nodes()
        positive = nodes > extent.resolution
        part = quadrature.size * float(weights[positive] @ function(nodes[positive]))
        return Measurement(np.nan, status=status, stats=stats | {"positive_part": part})
    floor = extent.lowest - extent.slack - extent.resolution
    if floor + shift <= 0:
        floor = extent.lowest
    value, sampling, truncation = quadrature.trace(lambda x: function(np.maximum(x, floor)), floor)
    exact = quadrature.rest == 0
    stats |= {"standard_error": sampling, "truncation": truncation}
    return Measurement(value, None if exact else sampling + truncation, status, stats)


def _status(shift: float, extent: Extent) -> Status:
    if extent.norm == 0.0:
        return SpectrumStatus.FLAT if shift > 0 else SpectrumStatus.UNRESOLVED
    if extent.lowest + shift < -extent.resolution:
        return SpectrumStatus.INDEFINITE
    if extent.lowest - extent.slack + shift <= extent.resolution:
        return SpectrumStatus.UNRESOLVED
    return SpectrumStatus.OK
