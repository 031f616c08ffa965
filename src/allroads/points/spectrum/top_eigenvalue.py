"""The largest eigenvalue of a matrix of curvature: the number that bounds a step size."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_count, check_number
from allroads.memory import check_left, memory_left
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.masks import Mask
from allroads.points.spectrum.eigenpairs import extreme_eigenpairs, vectors_held
from allroads.points.spectrum.loss_matrix import loss_matrix, mean_loss, parameter_count
from allroads.points.spectrum.options import MEMORY, PRODUCT_VECTORS
from allroads.points.spectrum.recurrence import VECTORS, ends_by_recurrence
from allroads.results import Measurement, finish
from allroads.status import SpectrumStatus


def top_eigenvalue(
    problem: Problem,
    params: Params,
    *,
    matrix: str = "hessian",
    mask: Mask = None,
    tolerance: float = 1e-3,
    seed: int = 0,
    memory: int | None = None,
    throw: bool = False,
) -> Measurement:
    """The largest eigenvalue h_max, with sign, of the Hessian of the mean loss: what bounds a stable step size.

    Args:
        problem: Network, loss and data.
        params: The point.
        matrix: ``"hessian"`` (default), ``"gauss_newton"`` or ``"fisher"``.
        mask: The free parameters, as for :func:`~allroads.spectrum`.
        tolerance: Largest residual over the largest ``|λ|``; default 1e-3, about a hundred products.
        seed: Decides the start vector.
        memory: Bytes it may take; default 2³¹ (2 GiB), or more where the parameters alone ask for it. Examples are
            taken in parts to fit. Where no Krylov space fits, a recurrence of three vectors is followed.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.Measurement` whose ``error`` is the residual ``‖H v − λ v‖``: an eigenvalue lies that near.
        Status ``flat`` for a zero matrix (value 0), ``diverged`` (and NaN) where loss or curvature is not finite,
        ``not converged`` where the residual stayed large.

    Raises:
        UnknownNameError, InputError, MemoryBudgetError: As :func:`~allroads.points.spectrum.spectrum`.

    Example:
        The loss ``½ (4 w₀² + w₁²)`` has curvatures 4 and 1:

        >>> from allroads import Problem, float64
        >>> from allroads.points.zoo import quadratic
        >>> truth = quadratic((4.0, 1.0))
        >>> problem = Problem(truth.network, truth.loss, truth.inputs, truth.labels)
        >>> with float64():
        ...     round(top_eigenvalue(problem, truth.params), 6)
        4.0
    """
    params = problem.point(params)
    check_number("tolerance", tolerance, 0, open_low=True)
    check_count("memory", memory, absent=True)
    check_count("seed", seed, 0)
    size = parameter_count(params)
    itemsize = np.dtype(jnp.zeros(0).dtype).itemsize
    held, least = 8 * size * vectors_held(1, size), itemsize * size * VECTORS
    product = PRODUCT_VECTORS * itemsize * size
    lean = held + product > (memory or MEMORY)
    if lean:
        held = least
        memory = memory or max(MEMORY, least + product + MEMORY)
        left, what = memory_left(jax.devices()[0]), f"the largest eigenvalue of {size:,} parameters"
        check_left(what, held + product, left, "Restrict the parameters with mask.")
    memory = memory or MEMORY
    operator = loss_matrix(problem, params, matrix, mask, held=held, memory=memory)
    drawn = np.random.default_rng(seed).standard_normal(operator.size, operator.dtype.type if lean else np.float64)
    start = operator.own_product(drawn)
    if not (np.isfinite(mean_loss(problem, operator)) and np.isfinite(start).all()):
        return finish(Measurement(np.nan, status=SpectrumStatus.DIVERGED), throw)
    if lean:
        ends = ends_by_recurrence(operator, tolerance=tolerance, seed=seed)
        value, residual, norm = ends.top, ends.top_residual, max(abs(ends.top), abs(ends.bottom))
    else:
        pairs = extreme_eigenpairs(operator.product, operator.size, 1, tolerance=tolerance, seed=seed, check=False)
        value, residual, norm = float(pairs.values[0]), float(pairs.residuals[0]), pairs.norm
    status = SpectrumStatus.OK if residual <= 2 * tolerance * norm else SpectrumStatus.NOT_CONVERGED
    status = SpectrumStatus.FLAT if norm == 0.0 else status
    return finish(Measurement(value, residual, status, {"matrix": matrix}), throw)
