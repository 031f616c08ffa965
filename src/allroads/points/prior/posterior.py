"""What a posterior over functions is: probabilities of functions given data, with the probability of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.distributions import clopper_pearson
from allroads.points.prior.functions import FunctionTable
from allroads.results import Measurement
from allroads.status import PriorStatus

LEAST = 100
"""Effective sample size below which a posterior is refused."""


@dataclass(frozen=True, repr=False)
class FunctionPosterior(FunctionTable):
    """Functions on the probes given the data, most probable first.

    Args:
        probabilities: P(f | S) of each ``[K]``; they add up to 1.
        codes: The functions, packed: answers bit by bit, or a digest where they are too long ``[K, W]``.
        rows: As in :class:`~allroads.points.prior.FunctionPrior`.
        log_evidence: log P(S) in nats: the probability that a drawn network fits, or of a weighted prior its mean
            weight. ``stats`` holds the 95 % interval, ``low`` and ``high``.
        effective: Number of independent draws from P(f | S) that the probabilities are worth.
        status: ``ok``, or ``diverged`` where draws with outputs that are not finite were left out.
        stats: ``method``, ``seed``, ``answers``, ``outputs``, ``inputs`` (a digest of the probes), ``precision``,
            ``exact``, ``examples``, ``forwards`` (passes over the examples), ``ended``; by rejection ``drawn`` and
            ``not_finite``; by sequential Monte Carlo ``log_evidences``, ``levels`` and ``accepted`` of each population.
    """

    probabilities: np.ndarray
    codes: np.ndarray
    rows: np.ndarray | None
    log_evidence: Measurement
    effective: float
    status: PriorStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """Log P(S) in nats."""
        return self.log_evidence.value

    @property
    def error(self) -> float | None:
        """Half-width of its 95 % interval."""
        return self.log_evidence.error

    def probability(self, answers: Any) -> Measurement:
        """P(f | S) of a given function, with a 95 % interval.

        The interval is that of Clopper and Pearson for as many draws as the effective sample size. It is exact by
        rejection, and an approximation otherwise.

        Args:
            answers: What f answers on the probes, in their order: 0 and 1, or classes.

        Returns:
            The probability; ``stats`` holds ``low`` and ``high``, and ``error`` is the larger side.

        Raises:
            InputError: If they are no answers on the probes.

        References: [clopper1934]
        """
        place = self.place(answers)
        value, n = (0.0 if place is None else float(self.probabilities[place])), self.effective
        low, high = clopper_pearson(n * value, n)
        return Measurement(value, max(value - low, high - value), PriorStatus.OK, {"low": low, "high": high})
