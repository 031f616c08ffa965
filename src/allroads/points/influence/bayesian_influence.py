"""The Bayesian influence function: what giving an example more weight does to an observable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.points.influence.moments import covariance
from allroads.points.influence.samples import checked_examples, chosen_examples, draw_samples
from allroads.results import Measurement
from allroads.status import Status


@dataclass(frozen=True)
class Influence:
    """Bayesian influences.

    Attributes:
        value: ``−Cov(ℓ_i, φ_j)``, ``[examples, observables]``.
        error: Half of a 95 % interval from the differences between chains, same shape.
        examples: Indices of the examples, the rows.
        weight: ``nβ/n``: ``weight · value`` is the derivative of ``E[φ_j]`` with respect to the weight of example i.
        status: That of the chains.
        llc: The learning coefficient of the same chains, with their diagnostics.
    """

    value: np.ndarray
    error: np.ndarray
    examples: np.ndarray
    weight: float
    status: Status
    llc: Measurement

    @property
    def response(self) -> np.ndarray:
        """``∂E[φ_j]/∂β_i`` under ``exp(−(nβ/n) Σ_i β_i ℓ_i − γ/2 ‖w − w*‖²)`` at ``β_i = 1``."""
        return self.weight * self.value


def bayesian_influence(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    observable: Callable[[Params], Any] | None = None,
    queries: tuple[Any, Any] | None = None,
    examples: Any = None,
    nbeta: float | None = None,
    localisation: float | None = None,
    mask: Any = None,
    seed: int = 0,
    memory: int = 2**32,
    **sampling: Any,
) -> Influence:
    """Bayesian influence ``BIF(i, φ) = −Cov(ℓ_i, φ)`` under ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``, ``L = (1/n) Σ ℓ_i``.

    Negative where more weight on example i makes φ smaller. ``(nβ/n) BIF`` is the derivative of ``E[φ]`` by the weight
    of example i. At a regular minimum, ``nβ BIF`` goes to the classical influence ``−∇φ H⁻¹ ∇ℓ_i`` as nβ grows, and
    removing the example changes φ by about ``−(nβ/n) BIF``. No Hessian is inverted, so the minimum may be singular.

    Args:
        network: The network.
        params: The point w*.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[n, …]``.
        labels: ``[n, …]``.
        observable: ``φ(params) -> `` one number or an array of them, in JAX.
        queries: ``(inputs, labels)`` of other examples, whose losses are the φ. Default, without an ``observable``:
            the losses of the examples themselves.
        examples: Indices of the examples i that are asked about. Default: all.
        nbeta: nβ. Default ``n / ln n``.
        localisation: γ. Default: as for :func:`~allroads.llc`.
        mask: The free parameters, as for :func:`~allroads.llc`.
        seed: Decides everything random.
        memory: Bytes that the chains, and what they see, may each take. Default 4 GiB.
        **sampling: ``sampler``, ``chains``, ``draws``, ``burn_in``, ``max_draws``, ``step_size``, ``batch_size``,
            ``metric``, ``precision``, as for :func:`~allroads.llc`. The relative error of an influence is some
            ``√((1 + 1/ρ²)/ess)`` for losses and φ of correlation ρ.

    Raises:
        InputError: For an observable beside queries, examples that do not exist, and as :func:`~allroads.llc`.
        UnknownNameError: For a sampler or loss that does not exist.
        MemoryBudgetError: If the chains or what they see do not fit.

    When it fails: as the chains do, see ``status``; a weak influence drowns in noise, see ``error``.

    References: [kreer2025]

    Example:
        The mean of three numbers, under squared error: the outlier pulls w up, the others down.

        >>> from allroads.points.zoo import quadratic
        >>> linear = quadratic((2.0, 2.0)).network  # w · x
        >>> rows, labels = np.array([[1.0, 0.0]] * 3), np.array([0.0, 1.0, 5.0])
        >>> found = bayesian_influence(
        ...     linear, np.array([2.0, 0.0]), "mse", rows, labels, nbeta=100.0, localisation=0.1,
        ...     observable=lambda w: w[0])
        >>> np.round(found.response[:, 0] * 3)  # the mean changes by (y − mean)/n
        array([-2., -1.,  3.])
    """
    if observable is not None and queries is not None:
        raise InputError("bayesian_influence: give observable or queries, not both; an observable can hold the losses.")
    if queries is not None and (not isinstance(queries, tuple) or len(queries) != 2):
        raise InputError(f"queries: expected a pair (inputs, labels); got {type(queries).__name__}.")
    rows, watched = chosen_examples(inputs, labels, examples)
    watching = {"examples": watched}
    if queries is not None:
        watching["queries"] = checked_examples("queries", *queries)
    samples = draw_samples(
        network, params, loss, inputs, labels, watching, observable,
        nbeta=nbeta, localisation=localisation, mask=mask, seed=seed, memory=memory, sampling=sampling,
    )  # fmt: skip
    target = "observable" if observable is not None else "queries" if queries is not None else "examples"
    value, error = covariance(samples.seen["examples"], samples.seen[target])
    weight = samples.llc.stats["nbeta"] / len(np.asarray(inputs))
    return Influence(-value, error, rows, weight, samples.status, samples.llc)
