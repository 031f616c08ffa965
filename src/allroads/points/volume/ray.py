"""Volume by random rays from a point: fast, and a lower bound wherever the basin is long in few directions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.special import gammaln, logsumexp

from allroads.budget import Budget
from allroads.checks import check_count
from allroads.errors import InputError, UnknownNameError
from allroads.points.volume.level import Height, LevelFunction
from allroads.points.volume.measures import Measure

GROWTH = 2**0.25
"""Ratio of the radii at which a ray is looked at on its way out; a wall thinner than that may be missed."""
_BISECTIONS = 45
_REACH = 40.0
"""Radial integrals reach so many of their widths below their end: the rest is e⁻⁴⁰ of them."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)
_LARGEST = 4096
"""Parameters up to which a dense Hessian is made."""
ROUNDS = 8
"""Rounds in which rays are cast; the clock is read between them."""
_UNASKED = 1000
"""Parameters up to which it is made without being asked for."""


@dataclass(frozen=True)
class RayCasting:
    """Rays from the point in random directions.

    Args:
        rays: Their number; default 1000.

    Raises:
        InputError: If there are fewer than two.
    """

    rays: int = 1000

    def __post_init__(self) -> None:
        check_count("rays", self.rays, 2)


@dataclass(frozen=True, eq=False)
class Rays:
    """What the rays found.

    Args:
        log_mass: Log of the mean over the rays.
        error: Half-width of its 95 % interval as the spread of the weights has it.
        effective: ``(Σ w)² / Σ w²`` of the weights: how many rays the mean rests on.
        radii: ``[n]``, first exit of each, in units of the preconditioned direction.
        evaluations: Of the height.
        ended: ``"budget"`` or ``"interrupted"`` where one of these came before all rays were cast, else ``None``.
    """

    log_mass: float
    error: float
    effective: float
    radii: np.ndarray
    evaluations: int
    ended: str | None


def cast_rays(
    function: LevelFunction,
    measure: Measure,
    offset: np.ndarray,
    cutoff: float,
    matrix: np.ndarray | None,
    rays: int,
    seed: int,
    budget: Budget,
) -> Rays:
    """``|det A| S_{d−1} E_u ∫₀^{r(u)} π(w* + r A u) r^{d−1} dr`` with u uniform on the sphere and r(u) the first exit.

    Args:
        function: The height.
        measure: π.
        offset: The point minus the measure's centre, ``[d]``.
        cutoff: The height at which a ray ends.
        matrix: A: ``None`` for the identity, ``[d]`` for a diagonal, or ``[d, d]``.
        rays: Their number n.
        seed: Decides the directions.
        budget: Seconds; rays are cast in rounds while it lasts, two at least.
    """
    dimension = offset.size
    normal = np.random.default_rng([seed, 2]).standard_normal((rays, dimension))
    directions = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    if matrix is None:
        log_determinant = 0.0
    elif matrix.ndim == 1:
        directions, log_determinant = directions * matrix, float(np.log(np.abs(matrix)).sum())
    else:
        directions, log_determinant = directions @ matrix.T, float(np.linalg.slogdet(matrix)[1])
    centre, precision, end = measure.along(offset, directions)
    with np.errstate(divide="ignore", invalid="ignore"):
        typical = 0.5 * (centre + np.sqrt(centre**2 + 4 * (dimension - 1) / precision))
        farthest = np.where(np.isfinite(end), end, typical + 12 / np.sqrt(precision))
    radii, evaluations, ended = _in_rounds(function, directions, farthest, cutoff, budget)
    rays = len(radii)
    centre, precision = centre[:rays], precision[:rays]
    sphere = math.log(2) + 0.5 * dimension * math.log(math.pi) - gammaln(dimension / 2)
    start = float(measure.log_shape(jnp.asarray(offset), measure.scale)) + measure.log_height(dimension)
    logs = start + _radial(radii, centre, precision, dimension) + log_determinant + sphere
    log_mass = float(np.asarray(logsumexp(logs))) - math.log(rays)
    weights = np.exp(logs - logs.max())
    return Rays(
        log_mass=log_mass,
        error=float(1.96 * weights.std(ddof=1) / weights.mean() / math.sqrt(rays)),
        effective=float(weights.sum() ** 2 / (weights**2).sum()),
        radii=radii,
        evaluations=evaluations,
        ended=ended,
    )


def _in_rounds(
    function: LevelFunction, directions: np.ndarray, farthest: np.ndarray, cutoff: float, budget: Budget
) -> tuple[np.ndarray, int, str | None]:
    """First exits of the rays that there was time for, evaluations, and what came before the others."""
    rays, size = len(directions), max(2, -(-len(directions) // ROUNDS))
    found: list[np.ndarray] = []
    evaluations, run = 0, _compiled(function.height)
    for begin in range(0, rays, size):
        if begin and budget.ended:
            break
        budget.say(f"ray {begin} of {rays}")
        rows = np.minimum(np.arange(begin, begin + size), rays - 1)  # one shape for all rounds
        with budget.interruptible():
            radii, count = run(jnp.asarray(directions[rows]), farthest[rows], cutoff, function.data)
            found.append(np.asarray(radii)[: rays - begin])
            evaluations += int(count)
        if budget.interrupted and not found:
            raise KeyboardInterrupt
    cast = np.concatenate(found)
    return cast, evaluations, None if len(cast) == rays else budget.ended


def preconditioning_matrix(function: LevelFunction, measure: Measure, cutoff: float, given: Any) -> np.ndarray | None:
    """The matrix A that makes directions: ``None``, a diagonal ``[d]`` or ``[d, d]``.

    ``"hessian"`` gives ``A = (H/2ε + 1/s²)^{−1/2}`` of the height's Hessian H at the point, negative curvatures counted
    as none, and the measure's scale s: the shape of the set if the height were quadratic.

    Raises:
        UnknownNameError: If it is another name.
        InputError: If there are too many parameters for a dense Hessian, or an array of wrong shape or singular.
    """
    if given is None:
        return None
    dimension = function.point.size
    if isinstance(given, str):
        if given != "hessian":
            raise UnknownNameError("preconditioner", given, ["hessian"])
        if dimension > _LARGEST:
            raise InputError(
                f"preconditioner 'hessian' needs a dense {dimension}×{dimension} matrix; it is made for at most "
                f"{_LARGEST} parameters. Pass a diagonal, or use method=Splitting()."
            )
        curvatures, vectors = np.linalg.eigh(np.asarray(_hessian(function.height)(function.data)))
        shape: np.ndarray = vectors * (np.maximum(curvatures, 0) / (2 * cutoff) + measure.scale**-2) ** -0.5
        return shape
    matrix = np.asarray(given, dtype=np.float64) if isinstance(given, np.ndarray | jax.Array) else None
    if matrix is None or matrix.shape != (dimension, dimension):
        matrix = np.asarray(ravel_pytree(given)[0], dtype=np.float64)
    usable = matrix.shape in ((dimension,), (dimension, dimension)) and np.isfinite(matrix).all()
    if not usable or not (matrix.all() if matrix.ndim == 1 else np.linalg.slogdet(matrix)[0] != 0):
        raise InputError(
            f"preconditioner: expected None, 'hessian', one positive length for each of the {dimension} parameters, or "
            f"a regular {dimension}×{dimension} matrix; got shape {np.shape(matrix)}."
        )
    return matrix


def starting_axes(function: LevelFunction, measure: Measure, cutoff: float, given: Any) -> np.ndarray:
    """The shape of the small population that splitting starts from in a basin: as ``given``, else by the Hessian.

    Where there are too many parameters for that, or the Hessian is not finite, it is round.
    """
    if given is None and function.point.size <= _UNASKED:
        matrix = preconditioning_matrix(function, measure, cutoff, "hessian")
        if matrix is not None and np.isfinite(matrix).all():
            return matrix
    matrix = preconditioning_matrix(function, measure, cutoff, given)
    return np.full(function.point.size, measure.scale) if matrix is None else matrix


def _radial(radii: np.ndarray, centre: np.ndarray, precision: np.ndarray, dimension: int) -> np.ndarray:
    """``log ∫₀^R r^{d−1} exp(−½ c ((r − a)² − a²)) dr`` of each ray by Gauss–Legendre below the integrand's peak."""
    power = dimension - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        peak = np.where(precision > 0, 0.5 * (centre + np.sqrt(centre**2 + 4 * power / precision)), np.inf)
        top = np.minimum(radii, peak)
        slope = power / top - precision * (top - centre)
        width = 1 / np.maximum(np.sqrt(precision + power / top**2), slope)
    low, high = np.maximum(0.0, top - _REACH * width), np.minimum(radii, top + _REACH * width)
    total = np.full(radii.shape, -np.inf)
    for start, stop in ((low, top), (top, high)):
        r = start[:, None] + 0.5 * (stop - start)[:, None] * (1 + _NODES)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = power * np.log(r) - 0.5 * precision[:, None] * r * (r - 2 * centre[:, None])
            part = logsumexp(logs, axis=1, b=_WEIGHTS) + np.log(0.5 * (stop - start))
        total = np.logaddexp(total, np.where(stop > start, part, -np.inf))
    return total


@lru_cache(maxsize=64)
def _compiled(height: Height) -> Callable[[Any, Any, Any, Any], tuple[Any, Any]]:
    def first_exit(directions: Any, farthest: Any, cutoff: Any, data: Any) -> tuple[Any, Any]:
        def outside(radii: Any) -> Any:
            return height(radii[:, None] * directions, data) > cutoff

        def shrink(carry: Any) -> Any:
            radii, _, count = carry
            return radii / 2, outside(radii / 2).any(), count + 1

        radii, _, shrinks = jax.lax.while_loop(lambda c: c[1] & (c[2] < 1000), shrink, (farthest, True, 0))

        def grow(carry: Any) -> Any:
            low, high, ended, count = carry
            further = jnp.minimum(low * GROWTH, farthest)
            out = outside(further) & ~ended
            high = jnp.where(out, further, high)
            low = jnp.where(out | ended, low, further)
            return low, high, ended | out | (low >= farthest), count + 1

        start = (radii, farthest, jnp.zeros(radii.shape, bool), 0)
        low, high, _, growths = jax.lax.while_loop(lambda c: ~c[2].all(), grow, start)

        def bisect(_: int, bracket: Any) -> Any:
            low, high = bracket
            middle = (low + high) / 2
            out = outside(middle)
            return jnp.where(out, low, middle), jnp.where(out, middle, high)

        low, high = jax.lax.fori_loop(0, _BISECTIONS, bisect, (low, high))
        return (low + high) / 2, (shrinks + growths + _BISECTIONS) * radii.size

    return jax.jit(first_exit)


@lru_cache(maxsize=64)
def _hessian(height: Height) -> Callable[[Any], Any]:
    def at_point(data: Any) -> Any:
        return jax.hessian(lambda offset: height(offset[None], data)[0])(jnp.zeros_like(data[0]))

    return jax.jit(at_point)
