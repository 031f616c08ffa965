"""Two tables of counts: what they share, random splits of their pool, and tables like them.

Total variation and Jensen–Shannon divergence are 1 less an overlap, a sum over the labels that both have. So a table
of few runs beside one of millions takes as long as the few.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_HALVES = 4


def overlaps(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Total variation and Jensen–Shannon divergence in bits of shares ``[K]``, ``[2]``.

    ``TV = 1 − Σ min(p, q)`` and ``JSD = 1 − ½ Σ (p log₂(1 + q/p) + q log₂(1 + p/q))``, sums over labels with both
    shares above 0. Both sum to 1 over all labels; labels that only one side has may be left out.

    References: [lin1991]

    Example:
        >>> overlaps(np.array([1.0, 0.0]), np.array([0.0, 1.0])).tolist()
        [1.0, 1.0]
        >>> overlaps(np.array([0.5, 0.5]), np.array([0.5, 0.5])).tolist()
        [0.0, 0.0]
    """
    both = (p > 0) & (q > 0)
    a, b = p[both], q[both]
    shared = 0.5 * (a * np.log2(1 + b / a) + b * np.log2(1 + a / b)).sum()
    return np.maximum([1 - np.minimum(a, b).sum(), 1 - shared], 0.0)


@dataclass(frozen=True)
class World:
    """Two distributions from which tables are drawn.

    Args:
        small: That of the side with fewer runs ``[K]``.
        large: That of the other ``[K]``.
    """

    small: np.ndarray
    large: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """The two distances between the distributions, ``[2]``."""
        return overlaps(self.small, self.large)

    def drawn(self, sizes: tuple[int, int], tables: int, rng: np.random.Generator) -> np.ndarray:
        """Counted distances of tables of so many runs, ``[tables, 2]``."""
        ends = np.cumsum(self.small)
        found = np.empty((tables, 2))
        for k in range(tables):
            if len(ends) > sizes[0]:
                at = np.searchsorted(ends, rng.random(sizes[0]) * ends[-1], side="right")
                labels, few = np.unique(np.minimum(at, len(ends) - 1), return_counts=True)
            else:
                few = rng.multinomial(sizes[0], self.small / self.small.sum())
                labels = np.flatnonzero(few)
                few = few[labels]
            here = self.large[labels]
            many = rng.multinomial(sizes[1], np.append(here, max(1 - here.sum(), 0.0)))[:-1]
            found[k] = overlaps(few / sizes[0], many / sizes[1])
        return found


@dataclass(frozen=True)
class Pair:
    """Counts of two sides over the same labels, ``[K]`` each."""

    first: np.ndarray
    second: np.ndarray

    @property
    def given(self) -> tuple[np.ndarray, np.ndarray]:
        """Both, in their order."""
        return self.first, self.second

    @cached_property
    def _ordered(self) -> tuple[np.ndarray, np.ndarray]:
        return (self.first, self.second) if self.first.sum() <= self.second.sum() else (self.second, self.first)

    @property
    def small(self) -> np.ndarray:
        """Counts of the side with fewer runs."""
        return self._ordered[0]

    @property
    def large(self) -> np.ndarray:
        """Counts of the other side."""
        return self._ordered[1]

    @property
    def sizes(self) -> tuple[int, int]:
        """Runs of the side with fewer, and of the other."""
        return int(self.small.sum()), int(self.large.sum())

    @property
    def unseen(self) -> tuple[float, float]:
        """Of each side, the share of runs whose label came once: Good and Turing's estimate of what it missed."""
        first, second = (float((side == 1).sum() / side.sum()) for side in self.given)
        return first, second

    def split(self, times: int, rng: np.random.Generator) -> np.ndarray:
        """Counted distances of random splits of all runs into two sides of these sizes, ``[times, 2]``."""
        few, many = self.sizes
        pooled = self.first + self.second
        ends = np.cumsum(pooled)
        found = np.empty((times, 2))
        for k in range(times):
            if len(pooled) > few:
                chosen = rng.choice(few + many, few, replace=False, shuffle=False)
                labels, here = np.unique(np.searchsorted(ends, chosen, side="right"), return_counts=True)
            else:
                here = rng.multivariate_hypergeometric(pooled, few, method="marginals")
                labels = np.flatnonzero(here)
                here = here[labels]
            found[k] = overlaps(here / few, (pooled[labels] - here) / many)
        return found

    def told(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """What a rule learned from one half of the runs tells about the other half: mean and standard error, ``[2]``.

        For any s with values from −1 to 1, ``TV ≥ ½ Σ s (p − q)``. For any D from 0 to 1, ``JSD ≥ ½ Σ p log₂ 2D + ½ Σ q
        log₂ 2(1 − D)``. Here s is the sign of the difference in one half of the runs, and D the share of the smaller
        side's shares there, both by label. The other half estimates the sums without bias, whatever the
        distributions are. Halves change their places, and this is done for several random halves.
        """
        values, variances = [], []
        for _ in range(_HALVES):
            halves = [rng.binomial(side, 0.5) for side in (self.small, self.large)]
            rest = [side - half for side, half in zip((self.small, self.large), halves, strict=True)]
            folds = [_judged(*pair) for pair in ((halves, rest), (rest, halves))]
            values.append(np.mean([fold[0] for fold in folds], axis=0))
            variances.append(np.sum([fold[1] for fold in folds], axis=0) / 4)
        return np.mean(values, axis=0), np.sqrt(np.mean(variances, axis=0))

    def shrunk(self, rare: float) -> World:
        """Two distributions nearer to each other by the part of their difference that chance explains.

        In the norm of chi-square, the difference of counted shares has an expected size where there is none. The
        difference is scaled so that this part is gone. Labels of which the smaller side expects fewer than ``rare``
        runs are scaled apart from the others.
        """
        few, many = self.sizes
        pooled = (self.small + self.large) / (few + many)
        difference = self.small / few - self.large / many
        seen = np.maximum(pooled, 1e-300)
        sizes, chance = difference**2 / seen * (few * many / (few + many)), 1 - pooled
        scale = np.zeros(len(pooled))
        uncommon = pooled * few < rare
        for alike in (uncommon, ~uncommon):
            size, expected = sizes[alike].sum(), chance[alike].sum()
            if size > expected:
                scale[alike] = np.sqrt(1 - expected / size)
        sides = [
            np.maximum(pooled + sign * scale * difference * other / (few + many), 0.0)
            for sign, other in ((1, many), (-1, few))
        ]
        return World(sides[0] / sides[0].sum(), sides[1] / sides[1].sum())


def _judged(learned: list[np.ndarray], seen: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Both lower bounds by rules from one pair of tables, estimated on the other; with their variances."""
    (p, q), sizes = [side / max(side.sum(), 1) for side in learned], [max(int(side.sum()), 1) for side in learned]
    little = 0.5 / min(sizes)
    share = (p + little) / (p + q + 2 * little)
    votes = [np.sign(p - q) / 2, np.log2(2 * share) / 2], [-np.sign(p - q) / 2, np.log2(2 - 2 * share) / 2]
    value, variance = np.zeros(2), np.zeros(2)
    for of, side in zip(votes, seen, strict=True):
        total = max(int(side.sum()), 1)
        for k, vote in enumerate(of):
            mean = float(side @ vote) / total
            value[k] += mean
            variance[k] += max(float(side @ vote**2) / total - mean**2, 0.0) / total  # below 0 by rounding alone
    return value, variance
