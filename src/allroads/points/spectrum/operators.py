"""What other rooms take from here: the products, and the one number that sets a step size."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.points.spectrum.eigenpairs import extreme_eigenpairs, vectors_held
from allroads.points.spectrum.loss_matrix import loss_matrix, mean_loss, parameter_count
from allroads.points.spectrum.products import fisher_product, flat_product, gauss_newton_product, hessian_product
from allroads.results import Measurement
from allroads.status import SpectrumStatus

__all__ = ["fisher_product", "flat_product", "gauss_newton_product", "hessian_product", "top_eigenvalue"]


def top_eigenvalue(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    matrix: str = "hessian",
    tolerance: float = 1e-3,
    seed: int = 0,
    memory: int = 2**31,
) -> Measurement:
    """The largest eigenvalue h_max, with sign, of the Hessian of the mean loss: what bounds a stable step size.

    Args:
        network: The network.
        params: The point: a pytree of floating-point arrays, which also decide the precision.
        loss: Name or ``(outputs, labels) -> per-example losses``; its mean over the examples is differentiated.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
        matrix: ``"hessian"`` (default), ``"gauss_newton"`` or ``"fisher"``.
        tolerance: Largest residual over the largest ``|λ|``; default 1e-3, about a hundred products.
        seed: Decides the start vector.
        memory: Bytes it may take; default 2³¹ (2 GiB). Examples are taken in parts to fit.

    Returns:
        A :class:`~allroads.Measurement` whose ``error`` is the residual ``‖H v − λ v‖``: an eigenvalue lies that near.
        Status ``flat`` for a zero matrix (value 0), ``diverged`` (and NaN) where loss or curvature is not finite,
        ``not converged`` where the residual stayed large.

    Raises:
        UnknownNameError, InputError, MemoryBudgetError: As :func:`~allroads.points.spectrum.spectrum`.

    Example:
        The loss ``½ (4 w₀² + w₁²)`` has curvatures 4 and 1:

        >>> from allroads import float64
        >>> from allroads.points.zoo import quadratic
        >>> truth = quadratic((4.0, 1.0))
        >>> with float64():
        ...     round(top_eigenvalue(truth.network, truth.params, truth.loss, truth.inputs, truth.labels), 6)
        4.0
    """
    size = parameter_count(params)
    held = 8 * size * vectors_held(1, size)
    operator = loss_matrix(network, params, loss, inputs, labels, matrix, held=held, memory=memory)
    start = operator.product(np.random.default_rng(seed).standard_normal(size))
    if not (np.isfinite(mean_loss(network, loss, operator)) and np.isfinite(start).all()):
        return Measurement(np.nan, status=SpectrumStatus.DIVERGED)
    pairs = extreme_eigenpairs(operator.product, size, 1, tolerance=tolerance, seed=seed, check=False)
    value, residual = float(pairs.values[0]), float(pairs.residuals[0])
    status = SpectrumStatus.OK if residual <= 2 * tolerance * pairs.norm else SpectrumStatus.NOT_CONVERGED
    return Measurement(value, residual, SpectrumStatus.FLAT if pairs.norm == 0.0 else status, {"matrix": matrix})
