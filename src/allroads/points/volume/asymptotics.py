"""How a shrinking volume is read: its exponent, and how probable each multiplicity is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import chi2
from scipy.stats import t as student

from allroads.points.volume.local_volume import pooled

FEWEST = 6
"""Levels that a reading keeps at least."""
UNLIKELY = 0.05
"""Probability below which a multiplicity is left out."""
_CORRELATED = 1.5
"""Variance of an increment over what independent particles would have, as found on regular models."""
_MISFIT = 0.01
"""Chance of a larger misfit below which the largest ε are left out."""
_PROFILE = 3.84
"""How far above the least the criterion may be for a form to be in the 95 % interval."""
_SHIFTS = np.geomspace(1.0, 40.0, 200)
"""Trial values of ``−log ε + b`` at the first ε."""
_NEXT = np.array([0.25, 0.5, 1.0])
"""Trial values of the distance from λ to the exponent of the next term, where m = 1."""
_SHARES = np.concatenate([np.geomspace(0.05, 1.0, 25)[:-1] - 1, np.geomspace(0.02, 7.0, 20)])
"""Trial values of the next term's size at the first ε, in units of the first."""


@dataclass(frozen=True)
class Exponent:
    """λ at one multiplicity.

    Args:
        value: λ.
        error: Half-width of its 95 % interval: disagreement of the replicas, the forms that fit nearly as well, and
            the change of λ when only the lower half of the range is read.
        criterion: ``χ² + (number of parameters) log(number of increments)``.
        tail: Chance of a larger χ².
    """

    value: float
    error: float
    criterion: float
    tail: float


@dataclass(frozen=True)
class Reading:
    """λ at each multiplicity.

    Args:
        hypotheses: ``(m, λ, probability)`` of every multiplicity in every range that was read; the probabilities add
            up to 1.
        start: The first level of the longest range.
    """

    hypotheses: list[tuple[int, Exponent, float]]
    start: int

    @property
    def exponents(self) -> dict[int, Exponent]:
        """λ by multiplicity, from the longest range."""
        return {m: exponent for m, exponent, _ in reversed(self.hypotheses)}

    @property
    def weights(self) -> dict[int, float]:
        """Probability by multiplicity."""
        return {m: sum(weight for other, _, weight in self.hypotheses if other == m) for m in sorted(self.exponents)}

    @property
    def value(self) -> float:
        """λ: the mean over the hypotheses by their probability."""
        return sum(weight * exponent.value for _, exponent, weight in self.hypotheses)

    @property
    def error(self) -> float:
        """Half-width of an interval that covers every hypothesis that is not unlikely."""
        likely = [exponent for _, exponent, weight in self.hypotheses if weight >= UNLIKELY / 2]
        return max(math.hypot(exponent.error, exponent.value - self.value) for exponent in likely)

    @property
    def multiplicity(self) -> int | None:
        """The multiplicity beside which all others together are unlikely; ``None`` where there is none."""
        return next((m for m, weight in self.weights.items() if weight >= 1 - UNLIKELY), None)


def read(cutoffs: np.ndarray, log_masses: np.ndarray, variances: np.ndarray, candidates: tuple[int, ...]) -> Reading:
    """λ and the probability of each multiplicity from ``V(ε) ≈ c ε^λ (−log ε + b)^{m−1}`` at many ε.

    What is fitted are the increments between levels, whose errors are independent. For m = 1, where b has nothing to
    shift, ``V ≈ c ε^λ (1 + a ε^δ)`` with the next exponent is tried too. The probabilities are those of the Bayesian
    information criterion. The largest ε are left out as far as none of the candidates fits them. Among several
    candidates, half of the probability is given by the lower half of the range alone: a high multiplicity with its free
    b bends enough to follow what is not yet asymptotic.

    Args:
        cutoffs: ε ``[K]``, decreasing.
        log_masses: ``[R, K]``, of each replica.
        variances: ``[K]``, of the log-mass of one replica if particles were independent.
        candidates: The multiplicities that are tried.

    References: [watanabe2009, schwarz1978]
    """
    # Two levels that the same particles are below are one: their increment has no error to be weighed by.
    apart = np.append(np.diff(variances) > 0, True)
    cutoffs, log_masses, variances = cutoffs[apart], log_masses[:, apart], variances[apart]

    def exponents(start: int) -> list[Exponent]:
        noise = np.diff(variances[start:]) / len(log_masses)
        return [_exponent(cutoffs[start:], log_masses[:, start:], noise, m) for m in candidates]

    last = max(len(cutoffs) - FEWEST, 0)
    for start in range(last + 1):
        found = exponents(start)
        if max(exponent.tail for exponent in found) >= _MISFIT:
            break
    ranges = [found] if len(candidates) == 1 else [found, exponents(min((start + len(cutoffs)) // 2, last))]
    hypotheses: list[tuple[int, Exponent, float]] = []
    for found in ranges:
        logits = np.array([-exponent.criterion / 2 for exponent in found])
        weights = np.exp(logits - logsumexp(logits)) / len(ranges)
        hypotheses += zip(candidates, found, weights.tolist(), strict=True)
    return Reading(hypotheses, start)


def _exponent(cutoffs: np.ndarray, log_masses: np.ndarray, noise: np.ndarray, multiplicity: int) -> Exponent:
    logs, noise, mean = -np.log(cutoffs), _CORRELATED * noise, pooled(log_masses)[0]
    forms = []
    for known, parameters in _forms(logs, multiplicity):
        value, square = _slope(logs, mean - known, noise)
        forms.append((square + parameters * math.log(noise.size), value, square, parameters, known))
    criterion, value, square, parameters, known = min(forms, key=lambda form: form[0])
    profile = max(abs(form[1] - value) for form in forms if form[0] <= criterion + _PROFILE)
    replicas = len(log_masses)
    without = [_slope(logs, pooled(np.delete(log_masses, r, axis=0))[0] - known, noise)[0] for r in range(replicas)]
    deviation = float(student.ppf(0.975, replicas - 1)) * math.sqrt((replicas - 1) * np.var(without))
    half = len(cutoffs) // 2
    lower = _slope(logs[half:], (mean - known)[half:], noise[half:])[0]
    tail = float(chi2.sf(square, max(noise.size - parameters, 1)))
    return Exponent(value, math.hypot(deviation, lower - value, profile), criterion, tail)


def _forms(logs: np.ndarray, multiplicity: int) -> Iterator[tuple[np.ndarray, int]]:
    """What ``log V + λ (−log ε)`` may be up to a constant ``[K]``, each with its number of parameters, λ's included."""
    if multiplicity > 1:
        for shift in _SHIFTS:
            yield (multiplicity - 1) * np.log(logs - logs[0] + shift), 2
        return
    yield np.zeros(logs.size), 1
    for distance in _NEXT:
        for share in _SHARES:
            yield np.log1p(share * np.exp(-distance * (logs - logs[0]))), 3


def _slope(logs: np.ndarray, log_masses: np.ndarray, noise: np.ndarray) -> tuple[float, float]:
    """λ and χ² of the increments."""
    steps, gains = np.diff(logs), np.diff(log_masses)
    value = -float((gains * steps / noise).sum() / (steps**2 / noise).sum())
    return value, float(((gains + value * steps) ** 2 / noise).sum())
