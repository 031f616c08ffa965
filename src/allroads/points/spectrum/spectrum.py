"""The spectrum of curvature at one point."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.budget import Budget, budgeted
from allroads.checks import check_count, check_number, check_options
from allroads.memory import memory_left, stated
from allroads.pfmap.network import Params
from allroads.pfmap.precision import exact_products
from allroads.pfmap.problem import Problem
from allroads.points.masks import Mask, free_index
from allroads.points.spectrum.eigenpairs import Eigenpairs, dense_eigenpairs, extreme_eigenpairs
from allroads.points.spectrum.functionals import Extent, effective_dimension, log_determinant, trace
from allroads.points.spectrum.loss_matrix import loss_matrix, mean_loss, never_negative, parameter_count
from allroads.points.spectrum.matrix import Matrix, unflatten
from allroads.points.spectrum.options import (
    SpectrumOptions,
    dense_bytes,
    number_of_pairs,
    usual_shift,
    vectors_for,
)
from allroads.points.spectrum.quadrature import Quadrature, lanczos_quadrature
from allroads.points.spectrum.recurrence import extreme_nodes, recurrence_quadrature
from allroads.points.spectrum.results import Density, Spectrum
from allroads.results import Measurement, finish
from allroads.status import SpectrumStatus

_CLEAR = 100
"""Rounding errors of the largest eigenvalue that a shift must exceed for single precision."""


def spectrum(
    problem: Problem,
    params: Params,
    *,
    matrix: str = "hessian",
    top: int | None = None,
    bottom: int = 0,
    shift: float | None = None,
    mask: Mask = None,
    options: SpectrumOptions = SpectrumOptions(),  # noqa: B008 - frozen
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Spectrum:
    """Eigenvalues λ_i, eigenvectors, trace, log-determinant, density and effective dimension of curvature at a point.

    All are of the *mean* loss over the examples, and of the matrix A that is asked for. With the shift s = γ/nβ, A + s
    is 1/nβ times the precision of the Gaussian that the density ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)`` is near a minimum w*.
    The log-determinant ``Σ log(λ_i + s)`` belongs to that Gaussian, and so does the effective dimension
    ``½ Σ λ_i/(λ_i + s)``, the local learning coefficient of a quadratic. They have no meaning where an eigenvalue lies
    below −s: the status is then ``indefinite``, the value NaN, and ``stats["positive_part"]`` the sum over the positive
    eigenvalues alone.

    Args:
        problem: Network, loss and data; its penalty counts in every matrix.
        params: The point. Inside :func:`allroads.float64` all is computed in double precision.
        matrix: ``"hessian"`` (default); ``"gauss_newton"``, the Hessian without the network's own curvature; or
            ``"fisher"``, the empirical one: the mean of ``∇ℓ_i ∇ℓ_iᵀ`` at the labels given.
        top: Number of eigenpairs from the top, with sign; default 10, or all where there are fewer.
        bottom: Number from the other end; default 0.
        shift: s = γ/nβ; default ``ln n / n`` with n the number of examples: γ = 1, nβ = n / ln n [watanabe2009].
        mask: The free parameters, all others held, such as one layer: a pytree of booleans like ``params``, or a
            function of an array's path. A is then its block on them, and eigenvectors are 0 elsewhere.
        options: Method, probes, steps, tolerance and memory.
        seed: Decides start vectors and probes.
        budget: Seconds that it may take, compilation included; default no end. Where the time is short, the search for
            eigenpairs ends with larger residuals, and fewer random vectors and Lanczos steps are taken; errors say
            what that costs, and ``ended`` is ``"budget"``. An interrupt from the keyboard ends it likewise.
        progress: Whether to tell on the standard error what is being done, after two seconds.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.points.spectrum.Spectrum`. Errors of the matrix-free estimates are one standard error over
        the probes, plus for log-determinant and effective dimension half the gap between two Lanczos rules that
        bracket the truth; of dense results there are none. In double precision too, the random vectors are followed
        in single precision where rounding adds less than a third to none of these errors; ``stats["precision"]`` of
        the estimates says so. Eigenpairs are in the precision of the point.

    Raises:
        UnknownNameError: If there is no such matrix.
        InputError: If parameters, mask or options cannot be used.
        MemoryBudgetError: If it does not fit the memory even with one example at a time; says how much it needs.

    When it fails: a matrix-free search for eigenvalues can in principle miss a copy of a repeated one, though it looks
    again; sixteen probes know their own standard error to about a fifth only; in single precision eigenvalues below
    1e-6 of the largest are noise.

    References: [pearlmutter1994], [meyer2021], [ubaru2017], [golub2010]

    Example:
        The loss ``½ (4 w₀² + w₁²)``, with a shift of 1: ½ (4/5 + 1/2) effective directions.

        >>> from allroads import Problem, float64
        >>> from allroads.points.zoo import quadratic
        >>> truth = quadratic((4.0, 1.0))
        >>> problem = Problem(truth.network, truth.loss, truth.inputs, truth.labels)
        >>> with float64():
        ...     found = spectrum(problem, truth.params, shift=1.0)
        >>> found.eigenvalues.round(6), found.trace, found.effective_dimension
        (array([4., 1.]), 5, 0.65)
    """
    with budgeted("spectrum", budget, progress) as until, exact_products():
        found = spectrum_until(
            until, problem, params, matrix=matrix, top=top, bottom=bottom, shift=shift, mask=mask, options=options,
            seed=seed,
        )  # fmt: skip
    return finish(found, throw)


def spectrum_until(
    budget: Budget,
    problem: Problem,
    params: Params,
    *,
    matrix: str = "hessian",
    top: int | None = None,
    bottom: int = 0,
    shift: float | None = None,
    mask: Mask = None,
    options: SpectrumOptions = SpectrumOptions(),  # noqa: B008 - frozen
    seed: int = 0,
) -> Spectrum:
    """:func:`spectrum` within a budget that others share."""
    check_count("seed", seed, 0)
    check_options("options", options, SpectrumOptions)
    params = problem.point(params)
    free = free_index(params, mask)
    size = parameter_count(params) if free is None else len(free)
    top, bottom = (number_of_pairs(name, n, size, "parameters") for name, n in (("top", top), ("bottom", bottom)))
    check_number("shift", shift, 0, absent=True)
    shift = usual_shift(len(problem)) if shift is None else float(shift)
    itemsize = np.dtype(jnp.zeros(0).dtype).itemsize
    tolerance, probes, steps = options.tolerance_for(itemsize), options.probes, options.steps
    method, left = options.method_for(size), memory_left(jax.devices()[0])
    held, memory, lean, krylov = dense_bytes(size), options.budget, False, None
    if method != "dense":
        vectors = vectors_for(size, itemsize, top + bottom, options, left)
        held, memory, lean, krylov = vectors.held, vectors.memory, vectors.lean, vectors.krylov
    budget.say(f"compilation; vectors take {stated(held, left)}")
    began = time.monotonic()
    operator = loss_matrix(problem, params, matrix, mask, held=held, memory=memory)
    compilation = time.monotonic() - began

    value = mean_loss(problem, operator)
    direction = np.random.default_rng(seed).standard_normal(size, operator.dtype.type if lean else np.float64)
    finite = np.isfinite(operator.own_product(direction)).all()
    if not (np.isfinite(value) and finite):
        return _diverged(params, {"loss": value, "shift": shift, "matrix": matrix, "method": method})
    began = time.monotonic()
    operator.own_product(direction)
    cost = time.monotonic() - began  # seconds of one product
    if options.method is None and size * cost > budget.left:
        method = "matrix_free"
    if method == "dense":
        budget.say(f"matrix of {size} rows")
        every = dense_eigenpairs(operator.dense())
        pairs, ends, asked = _parted(every, top), _reversed(every, bottom), steps
        estimates = _estimates(Quadrature(every.values, 0, [], []), pairs.norm, 0.0, 0.0, shift, operator.dtype)
    elif lean:
        budget.say("largest eigenvalues")
        search = Budget(budget.left / 2 if budget.limited else None, budget.say)
        find = partial(
            extreme_eigenpairs, operator.own_product, size, seed=seed, budget=search, krylov=krylov,
            dtype=operator.dtype, tolerance=tolerance,
        )  # fmt: skip
        none = Eigenpairs(np.zeros(0), np.zeros((0, size), operator.dtype), np.zeros(0), 0.0, True)
        pairs, ends = find(top) if top else none, find(bottom, end="bottom") if bottom else none
        if search.interrupted:
            budget.interrupt()
        asked = steps
        quadrature = recurrence_quadrature(operator, probes=probes, steps=steps, seed=seed, budget=budget)
        steps = min(map(len, quadrature.diagonals)) if budget.ended else steps
        seen = extreme_nodes(quadrature)
        pairs = replace(pairs, norm=max(pairs.norm, ends.norm, abs(seen.top), abs(seen.bottom)))
        never = pairs.norm == 0.0 or never_negative(matrix, problem)
        lowest, slack = (None, 0.0) if never else (seen.bottom, seen.bottom_residual)
        estimates = _estimates(quadrature, pairs.norm, lowest, slack, shift, operator.dtype)
    else:
        budget.say("largest eigenvalues")
        free_time = max(budget.left - compilation, budget.left / 4)  # the random vectors are compiled on their own
        search = Budget(free_time / 2 if 0 < free_time < np.inf else None, budget.say)
        if budget.ended:
            search.interrupt()
        find = partial(extreme_eigenpairs, operator.product, size, seed=seed, budget=search)
        pairs = find(max(1, top), tolerance=tolerance)
        ends = find(bottom, end="bottom", tolerance=tolerance) if bottom else _parted(pairs, 0)
        lowest, slack = _lowest(find, ends, never_negative(matrix, problem), pairs.norm, shift, tolerance)
        if search.interrupted and not budget.ended:
            budget.interrupt()
        asked = steps
        if budget.limited:
            steps = int(np.clip((budget.left - compilation) / (2 * cost), min(8, steps), steps))
        known = pairs.residuals <= 2 * tolerance * pairs.norm
        sampled = partial(
            lanczos_quadrature, vectors=pairs.vectors[known], values=pairs.values[known], probes=probes,
            steps=steps, seed=seed, budget=budget,
        )  # fmt: skip
        estimates = _sampled(sampled, operator, pairs.norm, lowest, slack, shift)
        pairs = _parted(pairs, top)
    drawn = len(estimates.quadrature.diagonals)
    cut = budget.ended and (steps < asked or 0 < drawn < probes or not (pairs.complete and ends.complete))
    return Spectrum(
        eigenvalues=pairs.values,
        eigenvectors=unflatten(params, pairs.vectors, free),
        residuals=pairs.residuals,
        smallest_eigenvalues=ends.values,
        smallest_eigenvectors=unflatten(params, ends.vectors, free),
        smallest_residuals=ends.residuals,
        trace=estimates.trace,
        log_determinant=estimates.log_determinant,
        effective_dimension=estimates.effective_dimension,
        density=Density(*estimates.quadrature.nodes()),
        norm=pairs.norm,
        loss=value,
        shift=shift,
        matrix=matrix,
        method=method,
        status=pairs_status((pairs, ends), tolerance, method),
        ended=(budget.ended or "complete") if cut else "complete",
    )


def pairs_status(ends: tuple[Eigenpairs, ...], tolerance: float, method: str) -> SpectrumStatus:
    """Whether the eigenpairs of both ends are what they should be."""
    if ends[0].norm == 0.0:
        return SpectrumStatus.FLAT
    small = all((end.residuals <= 2 * tolerance * end.norm).all() and end.complete for end in ends)
    return SpectrumStatus.OK if small or method == "dense" else SpectrumStatus.NOT_CONVERGED


class Estimates(NamedTuple):
    """What is read from a quadrature."""

    quadrature: Quadrature
    trace: Measurement
    log_determinant: Measurement
    effective_dimension: Measurement


def _sampled(
    sampled: Callable[[Matrix], Quadrature],
    operator: Matrix,
    norm: float,
    lowest: float | None,
    slack: float,
    shift: float,
) -> Estimates:
    """Estimates from random vectors, in single precision where rounding is small beside their errors."""
    rounding = float(np.finfo(np.float32).eps) * norm
    if operator.dtype.itemsize == 8 and norm > 0 and shift > _CLEAR * rounding and (single := operator.single()):
        found = _estimates(sampled(single), norm, lowest, slack, shift, single.dtype)
        errors = (  # what a perturbation of the products by their rounding moves each estimate, at the most
            (found.trace, 1.0),
            (found.log_determinant, 1 / shift),
            (found.effective_dimension, 1 / (2 * shift)),
        )
        if all(m.error is None or m.error > 3 * operator.size * rounding * slope for m, slope in errors):
            return found
    return _estimates(sampled(operator), norm, lowest, slack, shift, operator.dtype)


def _estimates(
    quadrature: Quadrature, norm: float, lowest: float | None, slack: float, shift: float, dtype: np.dtype
) -> Estimates:
    """Trace, log-determinant and effective dimension; eigenvalues reach down to ``lowest``, or ``slack`` below it.

    Without a ``lowest`` none is negative.
    """
    resolution = 16 * float(np.finfo(dtype).eps) * norm
    if norm == 0.0 or not quadrature.rest:
        extent = Extent(norm, float(quadrature.known.min()), 0.0, resolution)
    else:
        node = float(quadrature.nodes()[0][0])
        extent = (
            Extent(norm, max(node, 0.0), max(node, 0.0), resolution)
            if lowest is None
            else Extent(norm, min(node, lowest), slack, resolution)
        )
    return Estimates(
        quadrature,
        trace(quadrature),
        log_determinant(quadrature, shift, extent),
        effective_dimension(quadrature, shift, extent),
    )


def _lowest(
    find: Callable[..., Eigenpairs], ends: Eigenpairs, psd: bool, norm: float, shift: float, tolerance: float
) -> tuple[float | None, float]:
    """The lowest eigenvalue, as finely as the shift asks, and how far below one may lie; ``None``: none below 0."""
    if norm == 0.0 or psd:
        return None, 0.0
    if not len(ends.values):
        finely = float(np.clip(0.05 * shift / norm, tolerance, 1e-2))
        ends = find(1, end="bottom", tolerance=finely, check=False)
    return (float(ends.values[0]), float(ends.residuals[0])) if len(ends.values) else (np.inf, norm)


def _parted(pairs: Eigenpairs, count: int) -> Eigenpairs:
    return Eigenpairs(pairs.values[:count], pairs.vectors[:count], pairs.residuals[:count], pairs.norm, pairs.complete)


def _reversed(pairs: Eigenpairs, count: int) -> Eigenpairs:
    """The last pairs first."""
    last = (pairs.values[::-1], pairs.vectors[::-1], pairs.residuals[::-1])
    return _parted(Eigenpairs(*last, pairs.norm, pairs.complete), count)


def _diverged(params: Params, usual: dict[str, Any]) -> Spectrum:
    """No curvature: the loss or its derivatives are not finite."""
    none = np.zeros(0)
    unknown = Measurement(np.nan, status=SpectrumStatus.DIVERGED)
    vectors = unflatten(params, np.zeros((0, parameter_count(params))))
    return Spectrum(
        none, vectors, none, none, vectors, none, unknown, unknown, unknown, Density(none, none), np.nan,
        status=SpectrumStatus.DIVERGED, **usual,
    )  # fmt: skip
