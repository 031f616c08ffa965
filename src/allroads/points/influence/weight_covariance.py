"""The covariance of the weights themselves: in which directions a point is free to move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.points.influence.moments import half_width
from allroads.points.influence.samples import draw_samples
from allroads.points.llc.problem import free_entries
from allroads.results import Measurement
from allroads.status import Status


@dataclass(frozen=True)
class WeightCovariance:
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
    status: Status
    llc: Measurement


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
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    of: Any = None,
    count: int = 10,
    nbeta: float | None = None,
    localisation: float | None = None,
    mask: Any = None,
    seed: int = 0,
    memory: int = 2**32,
    **sampling: Any,
) -> WeightCovariance:
    """Eigenvalues and eigenvectors of ``Cov(w)`` under ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``.

    At a regular minimum it is ``(nβ H + γ)⁻¹``; where the loss is singular, the leading directions are those in which
    the weights move while the function hardly does, as far as the valleys reach at this temperature.

    Args:
        network: The network.
        params: The point w*.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[n, …]``.
        labels: ``[n, …]``.
        of: Weights whose covariance is asked for, in the ways of a mask; all free ones move. Default: all free ones.
        count: Eigenvalues, at most; default 10.
        nbeta: nβ. Default ``n / ln n``.
        localisation: γ. Default: as for :func:`~allroads.llc`.
        mask: The free parameters, as for :func:`~allroads.llc`.
        seed: Decides everything random.
        memory: Bytes that the chains, and what they see, may each take. Default 4 GiB.
        **sampling: As for :func:`~allroads.bayesian_influence`.

    Raises:
        InputError: For weights that are not free, or none; a count below 1; and as :func:`~allroads.llc`.
        UnknownNameError: For a sampler or loss that does not exist.
        MemoryBudgetError: If the chains or what they see do not fit.

    When it fails: with fewer independent draws than directions of like variance, the largest eigenvalues come out too
    large and the smallest too small; ``llc.stats["ess"]`` says how many there are.

    Example:
        Curvatures 8 and 2 at nβ = 10 and γ = 20: variances 1/(80 + 20) and 1/(20 + 20):

        >>> from allroads.points.zoo import quadratic
        >>> truth = quadratic((8.0, 2.0), examples=10)
        >>> found = weight_covariance(
        ...     truth.network, truth.params, truth.loss, truth.inputs, truth.labels, nbeta=10.0, localisation=20.0)
        >>> bool(abs(found.value[0] - 1 / 40) < 0.002), bool(abs(found.value[1] - 1 / 100) < 0.001)
        (True, True)
    """
    if not isinstance(count, int | np.integer) or count < 1:
        raise InputError(f"count: expected a whole number of 1 or more; got {count!r}.")
    free = free_entries(params, mask)
    wanted = free if of is None else free_entries(params, of, "of")
    if any((asked & ~may).any() for asked, may in zip(wanted, free, strict=True)):
        raise InputError("of: it names weights that mask holds still; their variance is 0. Leave them out.")
    weights = _Weights(tuple(tuple(np.flatnonzero(part).tolist()) for part in wanted))
    samples = draw_samples(
        network, params, loss, inputs, labels, {}, weights,
        nbeta=nbeta, localisation=localisation, mask=mask, seed=seed, memory=memory, sampling=sampling,
    )  # fmt: skip
    seen = samples.seen["observable"]
    mean = seen.mean(axis=(0, 1))
    apart = (seen - mean).reshape(-1, seen.shape[2])
    vectors, values = _leading(apart, count)
    each = ((seen - mean) @ vectors.T) ** 2
    here = np.asarray(weights(jax.tree.map(np.asarray, params)), float)
    return WeightCovariance(
        value=values,
        error=half_width(each.mean(axis=1)),
        vectors=weights.placed(vectors, params),
        mean=jax.tree.map(lambda leaf: leaf[0], weights.placed((mean - here)[None], params)),
        trace=float((apart**2).sum() / len(apart)),
        status=samples.status,
        llc=samples.llc,
    )


def _leading(apart: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors ``[k, d]`` and eigenvalues ``[k]`` of the second moment of rows ``[S, d]``, from the largest."""
    rows, width = apart.shape
    if width <= rows:
        values, vectors = np.linalg.eigh(apart.T @ apart / rows)
        return vectors.T[::-1][:count], values[::-1][:count]
    _, roots, vectors = np.linalg.svd(apart, full_matrices=False)
    return vectors[:count], roots[:count] ** 2 / rows
