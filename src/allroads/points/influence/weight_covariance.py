"""The covariance of the weights themselves: in which directions a point is free to move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.pfmap.precision import float64
from allroads.pfmap.problem import Problem
from allroads.points.influence.moments import half_width
from allroads.points.influence.samples import observe_losses
from allroads.points.llc import LearningCoefficient
from allroads.points.sampling.free_parameters import free_entries
from allroads.points.sampling.plan import SamplingOptions
from allroads.results import Result, finish
from allroads.status import LLCStatus


@dataclass(frozen=True, repr=False)
class WeightCovariance(Result):
    """The leading part of the covariance of the weights.

    Attributes:
        value: Largest eigenvalues, falling, ``[k]``.
        error: Half of a 95 % interval of each, from the differences between chains, ``[k]``.
        vectors: Unit eigenvectors: a pytree like a point with a leading axis ``[k]``, 0 outside of ``of``.
        mean: Mean of ``w − w*``, a pytree like a point, 0 outside of ``of``.
        trace: Sum of all variances.
        status: That of the chains.
        llc: The learning coefficient of the same chains, with their diagnostics.
    """

    value: np.ndarray
    error: np.ndarray
    vectors: Params
    mean: Params
    trace: float
    status: LLCStatus
    llc: LearningCoefficient

    @property
    def stats(self) -> dict[str, Any]:
        """Those of the chains."""
        return dict(self.llc.stats)


@dataclass(frozen=True)
class _Weights:
    """``params -> `` some of its entries ``[d]``; hashable, so that compiled code is used again."""

    entries: tuple[tuple[int, ...], ...]

    def __call__(self, params: Params) -> Any:
        pairs = zip(jax.tree.leaves(params), self.entries, strict=True)
        return jnp.concatenate([leaf.reshape(-1)[np.asarray(own, int)] for leaf, own in pairs])

    def placed(self, rows: np.ndarray, like: Params) -> Params:
        """Rows ``[k, d]`` as a pytree with leaves ``[k, …]``."""
        leaves, structure = jax.tree.flatten(like)
        parts, begin = [], 0
        for leaf, own in zip(leaves, self.entries, strict=True):
            part = np.zeros((len(rows), np.size(leaf)))
            part[:, list(own)] = rows[:, begin : begin + len(own)]
            parts.append(part.reshape(len(rows), *np.shape(leaf)))
            begin += len(own)
        return jax.tree.unflatten(structure, parts)


def weight_covariance(
    problem: Problem,
    params: Params,
    *,
    of: Any = None,
    count: int = 10,
    throw: bool = False,
    **sampling: Unpack[SamplingOptions],
) -> WeightCovariance:
    """Eigenvalues and eigenvectors of ``Cov(w)`` under ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``.

    At a regular minimum it is ``(nβ H + γ)⁻¹``. Where the loss is singular, the leading directions are those in which
    the weights move and the function hardly changes, as far as the valleys reach at this temperature.

    Args:
        problem: Network, loss, penalty and the n examples.
        params: The point w*.
        of: Weights whose covariance is asked for, in the ways of a mask; all free ones move. Default: all free ones.
        count: Eigenvalues, at most; default 10.
        throw: Whether an unsound status raises.
        **sampling: As for :func:`~allroads.bayesian_influence`.

    Raises:
        InputError: For weights that are not free, or none; a count below 1; and as :func:`~allroads.llc`.
        UnknownNameError: For a sampler that does not exist.
        MemoryBudgetError: If the chains or what they observe do not fit.
        MeasurementError: With ``throw``, if the status is not sound.

    When it fails: with fewer independent draws than directions of like variance, the largest eigenvalues come out too
    large and the smallest too small; ``llc.stats["ess"]`` says how many there are.

    Example:
        Curvatures 8 and 2 at nβ = 10 and γ = 20: variances 1/(80 + 20) and 1/(20 + 20):

        >>> from allroads.points.zoo import quadratic
        >>> truth = quadratic((8.0, 2.0), examples=10)
        >>> found = weight_covariance(truth.problem, truth.params, nbeta=10.0, localisation=20.0)
        >>> bool(abs(found.value[0] - 1 / 40) < 0.002), bool(abs(found.value[1] - 1 / 100) < 0.001)
        (True, True)
    """
    check_count("count", count)
    with float64():
        point = problem.point(params)
    free = free_entries(point, sampling.get("mask"))
    wanted = free if of is None else free_entries(point, of, "of")
    if any((asked & ~may).any() for asked, may in zip(wanted, free, strict=True)):
        raise InputError("of: it names weights that mask holds still; their variance is 0. Leave them out.")
    weights = _Weights(tuple(tuple(np.flatnonzero(part).tolist()) for part in wanted))
    with float64():
        here = np.asarray(weights(point), float)
    seen = observe_losses(problem, params, {}, weights, **sampling)
    values = seen.values["observable"]
    mean = values.mean(axis=(0, 1))
    centred = (values - mean).reshape(-1, values.shape[2])
    vectors, eigenvalues = _leading(centred, count)
    each = ((values - mean) @ vectors.T) ** 2
    found = WeightCovariance(
        value=eigenvalues,
        error=half_width(each.mean(axis=1)),
        vectors=weights.placed(vectors, point),
        mean=jax.tree.map(lambda leaf: leaf[0], weights.placed((mean - here)[None], point)),
        trace=float((centred**2).sum() / len(centred)),
        status=seen.status,
        llc=seen.llc,
    )
    return finish(found, throw)


def _leading(centred: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors ``[k, d]`` and eigenvalues ``[k]`` of the second moment of rows ``[S, d]``, from the largest."""
    rows, width = centred.shape
    if width <= rows:
        values, vectors = np.linalg.eigh(centred.T @ centred / rows)
        return vectors.T[::-1][:count], values[::-1][:count]
    _, roots, vectors = np.linalg.svd(centred, full_matrices=False)
    return vectors[:count], roots[:count] ** 2 / rows
