"""Whether chains have come to equilibrium and how precise their mean is.

R-hat and effective sample size are those of ``blackjax.diagnostics``, to rounding and within 2 %. They are computed in
NumPy: the library's are sequences of JAX operations, which compile anew for every number of draws, and a run asks at
every second round. Constant chains and chains of NaN have values here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

CLOSE = 0.02
"""Spread of the means of half chains, as a share of the mean, at which they agree whatever R-hat says."""
ESS = 50
"""Effective draws below which chains have said too little."""


@dataclass(frozen=True)
class Diagnostics:
    """Of chains ``[chains, draws]`` of one number.

    Attributes:
        mean: Over all draws.
        standard_error: Monte Carlo standard error of the mean: ``√(variance / ess)``; of fewer than four draws per
            chain, from the means of the chains.
        r_hat: Split R-hat: 1 where halves of chains agree among each other as draws within them do; ``inf`` where a
            chain does not move at all.
        spread: Standard deviation of the means of half chains.
        ess: Effective number of independent draws, all chains together, from autocorrelations by Geyer's initial
            monotone sequence.
        within, ess_within: Variance about the means of half chains, and how many independent draws tell of it: no more
            than there are, less one per half chain.
        drift: Mean of the last third of the draws minus that of the first.
        drift_error: Standard error of ``drift``.
    """

    mean: float
    standard_error: float
    r_hat: float
    spread: float
    ess: float
    within: float
    ess_within: float
    drift: float
    drift_error: float

    @property
    def close(self) -> bool:
        """Whether half chains agree on the mean, with a spread of 2 % of it, whatever R-hat says.

        A large energy λ hardly varies, by ``√λ`` from draw to draw, so that R-hat asks of chains to agree far beyond
        what any use of the mean does: within 0.4 % of ``λ = 15,000`` for an R-hat of 1.1.
        """
        return self.spread <= CLOSE * abs(self.mean)


def diagnose(chains: np.ndarray) -> Diagnostics:
    """Diagnostics of chains ``[chains, draws]``.

    Each chain is split in halves first, so that a drift shows as disagreement.

    References: [gelman1992], [geyer1992], [vehtari2021]

    Example:
        >>> white = np.random.default_rng(0).normal(size=(8, 1000))
        >>> found = diagnose(white)
        >>> abs(found.r_hat - 1) < 0.01, abs(found.ess / 8000 - 1) < 0.1
        (True, True)
    """
    chains = np.asarray(chains, float)
    if not np.isfinite(chains).all():
        return Diagnostics(
            mean=float("nan"), standard_error=float("inf"), r_hat=float("inf"), spread=float("inf"), ess=0.0,
            within=float("nan"), ess_within=0.0, drift=float("nan"), drift_error=float("inf"),
        )  # fmt: skip
    half = chains.shape[1] // 2
    split = chains[:, : 2 * half].reshape(2 * len(chains), half)
    mean = float(chains.mean())
    within = float(split.var(axis=1, ddof=1).mean()) if half > 1 else 0.0
    between = float(split.mean(axis=1).var(ddof=1))
    if within <= 0:
        constant = between == 0
        error, r_hat = (0.0, 1.0) if constant else (float("inf") if half > 1 else _of_few_draws(chains), float("inf"))
        return Diagnostics(
            mean=mean, standard_error=error, r_hat=r_hat, spread=float(np.sqrt(between)), ess=0.0,
            within=0.0, ess_within=0.0, drift=0.0, drift_error=0.0,
        )  # fmt: skip
    total = (half - 1) / half * within + between
    ess = _effective_sample_size(split, within, total)
    error = float(np.sqrt(total / ess))
    third = max(chains.shape[1] // 3, 1)
    return Diagnostics(
        mean=mean,
        standard_error=error,
        r_hat=float(np.sqrt(total / within)),
        spread=float(np.sqrt(between)),
        ess=ess,
        within=within,
        ess_within=min(_effective_sample_size(split, within, within), float(split.size - len(split))),
        drift=float(chains[:, -third:].mean() - chains[:, :third].mean()),
        drift_error=error * np.sqrt(6.0),
    )


def _of_few_draws(chains: np.ndarray) -> float:
    """Standard error from the means of chains alone, so that 1.96 of it are Student's interval of 95 %."""
    count = len(chains)
    widened = float(student.ppf(0.975, count - 1) / norm.ppf(0.975))
    return float(widened * chains.mean(axis=1).std(ddof=1) / count**0.5)


def _effective_sample_size(split: np.ndarray, within: float, total: float) -> float:
    """Effective sample size of split chains ``[m, half]`` for a mean whose draws vary by ``total``."""
    count, length = split.shape
    centred = split - split.mean(axis=1, keepdims=True)
    width = 2 ** int(np.ceil(np.log2(2 * length)))
    spectrum = np.fft.rfft(centred, width, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, width, axis=1)[:, :length].mean(axis=0) / length
    correlation = 1 - (within - covariance * length / max(length - 1, 1)) / total
    correlation[0] = 1.0
    pairs = correlation[: length // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: negative[0] if negative.size else len(pairs)])
    time = max(2 * pairs.sum() - 1, 1 / np.log10(max(count * length, 10)))
    return float(count * length / time)


def largest_r_hat(chains: np.ndarray) -> float:
    """The largest split R-hat of ``[chains, draws, p]``; a number that never changes counts as 1.

    References: [gelman1992]

    Example:
        >>> white = np.random.default_rng(0).normal(size=(8, 1000, 3))
        >>> largest_r_hat(white) < 1.01, largest_r_hat(white + np.arange(8)[:, None, None]) > 2
        (True, True)
    """
    half = chains.shape[1] // 2
    if half < 2 or not chains.shape[2]:
        return 1.0
    split = chains[:, : 2 * half].reshape(2 * len(chains), half, -1)
    within, between = split.var(axis=1, ddof=1).mean(0), split.mean(axis=1).var(axis=0, ddof=1)
    moves = within > 0
    if (between[~moves] > 0).any():
        return float("inf")
    ratio = (half - 1) / half + between[moves] / within[moves]
    return float(np.sqrt(ratio.max())) if moves.any() else 1.0
