"""The spectrum of curvature at one point."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.points.spectrum.eigenpairs import Eigenpairs, dense_eigenpairs, extreme_eigenpairs
from allroads.points.spectrum.functionals import Extent, effective_dimension, log_determinant, trace
from allroads.points.spectrum.loss_matrix import loss_matrix, mean_loss, never_negative, parameter_count
from allroads.points.spectrum.matrix import Matrix, unflatten
from allroads.points.spectrum.options import (
    check_sampling,
    choose_method,
    default_tolerance,
    dense_bytes,
    matrix_free_bytes,
    number_of_pairs,
    shift_of,
)
from allroads.points.spectrum.quadrature import Quadrature, lanczos_quadrature
from allroads.points.spectrum.results import Density, Spectrum
from allroads.results import Measurement
from allroads.status import SpectrumStatus, Status


def spectrum(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    matrix: str = "hessian",
    top: int | None = None,
    bottom: int = 0,
    nbeta: float | None = None,
    localisation: float = 1.0,
    method: str | None = None,
    probes: int = 16,
    steps: int = 80,
    tolerance: float | None = None,
    seed: int = 0,
    memory: int = 2**31,
) -> Spectrum:
    """Eigenvalues λ_i, eigenvectors, trace, log-determinant, density and effective dimension of curvature at a point.

    All are of the *mean* loss over the examples, and of the matrix A that is asked for. With the shift s = γ/nβ, A + s
    is 1/nβ times the precision of the Gaussian that the density ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)`` is near a minimum w*.
    The log-determinant ``Σ log(λ_i + s)`` belongs to that Gaussian, and so does the effective dimension
    ``½ Σ λ_i/(λ_i + s)``, the local learning coefficient of a quadratic. They have no meaning where an eigenvalue lies
    below −s: the status is then ``indefinite``, the value NaN, and ``stats["positive_part"]`` the sum over the positive
    eigenvalues alone.

    Args:
        network: The network.
        params: The point: a pytree of floating-point arrays. They decide the precision; inside
            :func:`allroads.float64` it is double.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
        matrix: ``"hessian"`` (default); ``"gauss_newton"``, the Hessian without the network's own curvature; or
            ``"fisher"``, the empirical one: the mean of ``∇ℓ_i ∇ℓ_iᵀ`` at the labels given.
        top: Number of eigenpairs from the top, with sign; default 10, or all where there are fewer.
        bottom: Number from the other end; default 0.
        nbeta: nβ; default ``n / ln n`` with n the number of examples [watanabe2009].
        localisation: γ; default 1.
        method: ``"dense"`` makes the matrix whole and is exact; ``"matrix_free"`` uses products alone. Default: dense
            up to 1,500 parameters where it fits in half the memory.
        probes: Random vectors of the matrix-free estimates; default 16. Their error falls as its root.
        steps: Lanczos steps from each; default 80.
        tolerance: Largest residual over the largest ``|λ|`` of a converged eigenpair; default 1e-8, in single
            precision 1e-5.
        seed: Decides start vectors and probes.
        memory: Bytes to use beside the arguments; default 2³¹ (2 GiB). Examples are taken in parts to fit.

    Returns:
        A :class:`~allroads.points.spectrum.Spectrum`. Errors of the matrix-free estimates are one standard error over
        the probes, plus for log-determinant and effective dimension half the gap between two Lanczos rules that
        bracket the truth; of dense results there are none.

    Raises:
        UnknownNameError: If there is no such matrix, method or loss.
        InputError: If parameters, data or options cannot be used.
        MemoryBudgetError: If it does not fit the memory even with one example at a time; says how much it needs.

    When it fails: a matrix-free search for eigenvalues can in principle miss a copy of a repeated one, though it looks
    again; sixteen probes know their own standard error to about a fifth only; in single precision eigenvalues below
    1e-6 of the largest are noise.

    References: [pearlmutter1994], [meyer2021], [ubaru2017], [golub2010]

    Example:
        The loss ``½ (4 w₀² + w₁²)``, at nβ = 1: ½ (4/5 + 1/2) effective directions.

        >>> from allroads import float64
        >>> from allroads.points.zoo import quadratic
        >>> truth = quadratic((4.0, 1.0))
        >>> with float64():
        ...     found = spectrum(truth.network, truth.params, truth.loss, truth.inputs, truth.labels, nbeta=1.0)
        >>> found.eigenvalues.round(6), found.trace, found.effective_dimension
        (array([4., 1.]), 5, 0.65)
    """
    size = parameter_count(params)
    top, bottom = (number_of_pairs(name, n, size, "parameters") for name, n in (("top", top), ("bottom", bottom)))
    itemsize = np.dtype(jnp.result_type(*jax.tree.leaves(params), jnp.float32)).itemsize
    tolerance = default_tolerance(itemsize) if tolerance is None else tolerance
    check_sampling(probes, steps, tolerance)
    method = choose_method(method, size, memory)
    held = dense_bytes(size) if method == "dense" else matrix_free_bytes(size, itemsize, top + bottom, steps)
    operator = loss_matrix(network, params, loss, inputs, labels, matrix, held=held, memory=memory)
    shift = shift_of(nbeta, localisation, np.shape(inputs)[0])

    value = mean_loss(network, loss, operator)
    usual = {"loss": value, "shift": shift, "matrix": matrix, "method": method}
    finite = np.isfinite(operator.product(np.random.default_rng(seed).standard_normal(size))).all()
    if not (np.isfinite(value) and finite):
        return _diverged(params, usual)
    if method == "dense":
        every = dense_eigenpairs(operator.dense())
        pairs, ends = _parted(every, top), _reversed(every, bottom)
        quadrature = Quadrature(every.values, 0, [], [])
    else:
        find = dict(tolerance=tolerance, seed=seed)
        pairs = extreme_eigenpairs(operator.product, size, max(1, top), **find)
        ends = extreme_eigenpairs(operator.product, size, bottom, end="bottom", **find) if bottom else _parted(pairs, 0)
        sure = pairs.residuals <= 2 * tolerance * pairs.norm
        quadrature = lanczos_quadrature(
            operator, pairs.vectors[sure], pairs.values[sure], probes=probes, steps=steps, seed=seed
        )
        pairs = _parted(pairs, top)
    extent = _extent(operator, quadrature, ends, never_negative(matrix, loss), pairs.norm, shift, tolerance, seed)
    return Spectrum(
        eigenvalues=pairs.values,
        eigenvectors=unflatten(params, pairs.vectors),
        residuals=pairs.residuals,
        smallest_eigenvalues=ends.values,
        smallest_eigenvectors=unflatten(params, ends.vectors),
        smallest_residuals=ends.residuals,
        trace=trace(quadrature),
        log_determinant=log_determinant(quadrature, shift, extent),
        effective_dimension=effective_dimension(quadrature, shift, extent),
        density=Density(*quadrature.nodes()),
        norm=pairs.norm,
        status=pairs_status((pairs, ends), tolerance, method),
        **usual,
    )


def pairs_status(ends: tuple[Eigenpairs, ...], tolerance: float, method: str) -> Status:
    """Whether the eigenpairs of both ends are what they should be."""
    if ends[0].norm == 0.0:
        return SpectrumStatus.FLAT
    small = all((end.residuals <= 2 * tolerance * end.norm).all() and end.complete for end in ends)
    return SpectrumStatus.OK if small or method == "dense" else SpectrumStatus.NOT_CONVERGED


def _extent(
    operator: Matrix,
    quadrature: Quadrature,
    ends: Eigenpairs,
    never_below_zero: bool,
    norm: float,
    shift: float,
    tolerance: float,
    seed: int,
) -> Extent:
    """How low the eigenvalues reach: known, bounded by construction, or searched for as finely as the shift asks."""
    resolution = 16 * float(np.finfo(operator.dtype).eps) * norm
    if norm == 0.0 or not quadrature.rest:
        return Extent(norm, float(quadrature.known.min()), 0.0, resolution)
    lowest = float(quadrature.nodes()[0][0])
    if never_below_zero:
        return Extent(norm, max(lowest, 0.0), max(lowest, 0.0), resolution)
    if not len(ends.values):
        finely = float(np.clip(0.05 * shift / norm, tolerance, 1e-2))
        ends = extreme_eigenpairs(
            operator.product, operator.size, 1, end="bottom", tolerance=finely, seed=seed, check=False
        )
    return Extent(norm, min(lowest, float(ends.values[0])), float(ends.residuals[0]), resolution)


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
