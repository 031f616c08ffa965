"""The loss kernel: which examples' losses rise and fall together around a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.points.influence.moments import covariance
from allroads.points.influence.samples import chosen_examples, draw_samples
from allroads.results import Measurement
from allroads.status import Status


@dataclass(frozen=True)
class LossKernel:
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
    status: Status
    llc: Measurement


def loss_kernel(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    examples: Any = None,
    nbeta: float | None = None,
    localisation: float | None = None,
    mask: Any = None,
    seed: int = 0,
    memory: int = 2**32,
    **sampling: Any,
) -> LossKernel:
    """The loss kernel ``K_ij = Cov(ℓ_i, ℓ_j)`` under ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``, and its correlation.

    Two examples are close where the same changes of the parameters hurt both. K is minus the Bayesian influence of
    examples on each other, see :func:`~allroads.bayesian_influence`.

    Args:
        network: The network.
        params: The point w*.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[n, …]``, from which the posterior is made.
        labels: ``[n, …]``.
        examples: Indices of the examples in the kernel. Default: all n.
        nbeta: nβ. Default ``n / ln n``.
        localisation: γ. Default: as for :func:`~allroads.llc`.
        mask: The free parameters, as for :func:`~allroads.llc`.
        seed: Decides everything random.
        memory: Bytes that the chains, and what they see, may each take. Default 4 GiB.
        **sampling: As for :func:`~allroads.bayesian_influence`.

    Raises:
        InputError: For examples that do not exist, and as :func:`~allroads.llc`.
        UnknownNameError: For a sampler or loss that does not exist.
        MemoryBudgetError: If the chains or what they see do not fit.

    References: [adam2025]

    Example:
        Two examples that see one weight, and a third that sees another:

        >>> from allroads.points.zoo import quadratic
        >>> linear = quadratic((2.0, 2.0)).network  # w · x
        >>> rows = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
        >>> found = loss_kernel(linear, np.zeros(2), "mse", rows, np.zeros(3), nbeta=10.0, localisation=1.0)
        >>> bool(found.correlation[0, 1] > 0.999), bool(abs(found.correlation[0, 2]) < 0.1)
        (True, True)
    """
    rows, watched = chosen_examples(inputs, labels, examples)
    samples = draw_samples(
        network, params, loss, inputs, labels, {"examples": watched}, None,
        nbeta=nbeta, localisation=localisation, mask=mask, seed=seed, memory=memory, sampling=sampling,
    )  # fmt: skip
    value, error = covariance(samples.seen["examples"], samples.seen["examples"])
    spread = np.sqrt(np.diag(value))
    scale = np.outer(spread, spread)
    correlation = np.divide(value, scale, out=np.zeros_like(value), where=scale != 0)
    return LossKernel(value, error, correlation, rows, samples.status, samples.llc)
