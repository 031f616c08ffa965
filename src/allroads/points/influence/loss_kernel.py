"""The loss kernel: which examples' losses rise and fall together around a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.influence.moments import covariance
from allroads.points.influence.samples import chosen_examples, observe_losses
from allroads.points.llc import LearningCoefficient
from allroads.points.sampling.plan import SamplingOptions
from allroads.results import Result, finish
from allroads.status import LLCStatus


@dataclass(frozen=True, repr=False)
class LossKernel(Result):
    """Covariances of losses.

    Attributes:
        value: ``Cov(ℓ_i, ℓ_j)``, ``[examples, examples]``: symmetric, no negative eigenvalue.
        error: Half of a 95 % interval from the differences between chains, same shape.
        correlation: ``value`` over the root of its diagonal, in −1 … 1; 0 for a loss that does not vary.
        examples: Indices of the examples.
        status: That of the chains.
        llc: The learning coefficient of the same chains, with their diagnostics.
    """

    value: np.ndarray
    error: np.ndarray
    correlation: np.ndarray
    examples: np.ndarray
    status: LLCStatus
    llc: LearningCoefficient

    @property
    def stats(self) -> dict[str, Any]:
        """Those of the chains."""
        return dict(self.llc.stats)


def loss_kernel(
    problem: Problem,
    params: Params,
    *,
    examples: Any = None,
    throw: bool = False,
    **sampling: Unpack[SamplingOptions],
) -> LossKernel:
    """The loss kernel ``K_ij = Cov(ℓ_i, ℓ_j)`` under ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``, and its correlation.

    Two examples are close where the same changes of the parameters hurt both. K is minus the Bayesian influence of
    examples on each other, see :func:`~allroads.bayesian_influence`.

    Args:
        problem: Network, loss, penalty and the n examples that the posterior is made from. ℓ_i is the loss of example i
            times its weight, without the penalty.
        params: The point w*.
        examples: Indices of the examples in the kernel. Default: all n.
        throw: Whether an unsound status raises.
        **sampling: As for :func:`~allroads.bayesian_influence`.

    Raises:
        InputError: For examples that do not exist, and as :func:`~allroads.llc`.
        UnknownNameError: For a sampler that does not exist.
        MemoryBudgetError: If the chains or what they observe do not fit.
        MeasurementError: With ``throw``, if the status is not sound.

    References: [adam2025]

    Example:
        Two examples that see one weight, and a third that sees another:

        >>> from allroads.points.zoo import quadratic
        >>> linear = quadratic((2.0, 2.0)).network  # w · x
        >>> problem = Problem(linear, "mse", np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), np.zeros(3))
        >>> found = loss_kernel(problem, np.zeros(2), nbeta=10.0, localisation=1.0)
        >>> bool(found.correlation[0, 1] > 0.999), bool(abs(found.correlation[0, 2]) < 0.1)
        (True, True)
    """
    rows = chosen_examples(problem, examples)
    seen = observe_losses(problem, params, {"examples": rows}, **sampling)
    value, error = covariance(seen.values["examples"], seen.values["examples"])
    deviation = np.sqrt(np.diag(value))
    scale = np.outer(deviation, deviation)
    correlation = np.divide(value, scale, out=np.zeros_like(value), where=scale != 0)
    return finish(LossKernel(value, error, correlation, rows, seen.status, seen.llc), throw)
