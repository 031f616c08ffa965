"""The Bayesian influence function: what giving an example more weight does to an observable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.influence.moments import covariance
from allroads.points.influence.samples import chosen_examples, observe_losses, other_examples
from allroads.points.llc import LearningCoefficient
from allroads.points.sampling.plan import SamplingOptions
from allroads.results import Result, finish
from allroads.status import LLCStatus


@dataclass(frozen=True, repr=False)
class Influence(Result):
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
    status: LLCStatus
    llc: LearningCoefficient

    @property
    def response(self) -> np.ndarray:
        """``∂E[φ_j]/∂β_i`` under ``exp(−(nβ/n) Σ_i β_i ℓ_i − γ/2 ‖w − w*‖²)`` at ``β_i = 1``."""
        return self.weight * self.value

    @property
    def stats(self) -> dict[str, Any]:
        """Those of the chains."""
        return dict(self.llc.stats)


def bayesian_influence(
    problem: Problem,
    params: Params,
    *,
    observable: Callable[[Params], Any] | None = None,
    queries: tuple[Any, Any] | None = None,
    examples: Any = None,
    throw: bool = False,
    **sampling: Unpack[SamplingOptions],
) -> Influence:
    """Bayesian influence ``BIF(i, φ) = −Cov(ℓ_i, φ)`` under ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``, ``L = (1/n) Σ ℓ_i``.

    Negative where more weight on example i makes φ smaller. ``(nβ/n) BIF`` is the derivative of ``E[φ]`` by the weight
    of example i. At a regular minimum, ``nβ BIF`` goes to the classical influence ``−∇φ H⁻¹ ∇ℓ_i`` as nβ grows, and
    removing the example changes φ by about ``−(nβ/n) BIF``. No Hessian is inverted, so the minimum may be singular.

    Args:
        problem: Network, loss, penalty and the n examples. ℓ_i is the loss of example i times its weight, without the
            penalty.
        params: The point w*.
        observable: ``φ(params) -> `` one number or an array of them, in JAX.
        queries: ``(inputs, labels)`` of other examples, whose losses are the φ. Default, without an ``observable``:
            the losses of the examples themselves.
        examples: Indices of the examples i that are asked about. Default: all.
        throw: Whether an unsound status raises.
        **sampling: ``sampler``, ``chains``, ``nbeta`` (default ``n / ln n``), ``localisation``, ``mask``,
            ``precision``, ``seed``, as for :func:`~allroads.llc`. The relative error of an influence is some
            ``√((1 + 1/ρ²)/ess)`` for losses and φ of correlation ρ.

    Raises:
        InputError: For an observable beside queries, examples that do not exist, and as :func:`~allroads.llc`.
        UnknownNameError: For a sampler that does not exist.
        MemoryBudgetError: If the chains or what they observe do not fit.
        MeasurementError: With ``throw``, if the status is not sound.

    When it fails: as the chains do, see ``status``; a weak influence drowns in noise, see ``error``.

    References: [kreer2025]

    Example:
        The mean of three numbers, under squared error: the outlier pulls w up, the others down.

        >>> from allroads.points.zoo import quadratic
        >>> linear = quadratic((2.0, 2.0)).network  # w · x
        >>> problem = Problem(linear, "mse", np.array([[1.0, 0.0]] * 3), np.array([0.0, 1.0, 5.0]))
        >>> found = bayesian_influence(
        ...     problem, np.array([2.0, 0.0]), observable=lambda w: w[0], nbeta=100.0, localisation=0.1)
        >>> np.round(found.response[:, 0] * 3)  # the mean changes by (y − mean)/n
        array([-2., -1.,  3.])
    """
    if observable is not None and queries is not None:
        raise InputError("bayesian_influence: give observable or queries, not both; an observable can hold the losses.")
    rows = chosen_examples(problem, examples)
    watched: dict[str, Problem | np.ndarray] = {"examples": rows}
    if queries is not None:
        watched["queries"] = other_examples(problem, "queries", queries)
    seen = observe_losses(problem, params, watched, observable, **sampling)
    target = "observable" if observable is not None else "queries" if queries is not None else "examples"
    value, error = covariance(seen.values["examples"], seen.values[target])
    weight = seen.llc.stats["nbeta"] / len(problem)
    return finish(Influence(-value, error, rows, weight, seen.status, seen.llc), throw)
