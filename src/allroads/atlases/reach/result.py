"""The reach matrix: which functions are reached from which, at what cost, and what lies between."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.atlases.reach.starts import Starts
from allroads.atlases.reach.walks import Walks
from allroads.checks import check_count
from allroads.distributions import clopper_pearson, median_interval
from allroads.errors import InputError
from allroads.results import Result
from allroads.status import AtlasStatus

if TYPE_CHECKING:
    import polars as pl

    from allroads.atlases.atlas import Atlas

LATE, ABSENT = -1, -2
"""In place of a number of steps: a run that did not come within the budget, and no run."""


@dataclass(frozen=True, eq=False, repr=False)
class Reach(Result):
    """R(p→q) for functions p in rows and q in columns: ``probability``, also as ``edges()`` of an atlas.

    ``value`` is the mean of R over all pairs of two different functions that were tried. ``error`` is the half-width
    of its 95 % interval over the starts: runs from one start are not independent.

    Args:
        sources: Answers of the functions p, ``[S, …]``.
        targets: Answers of the functions q, ``[T, …]``.
        steps: Steps until the run from start k of p computes q for the first time, ``[S, T, n]``: 0 where the start
            computes it; −1 where the budget ended first; −2 where there is no run.
        directness: Chord over arc of that run's image in output space, ``[S, T, n]``; NaN where it did not come or did
            not move. The arc is that of all steps.
        walks: The stays on the way, one after another; see :class:`Walks`.
        starts: The points that were started from.
        status: ``ok``; ``no start`` where some source has no point; ``unfinished`` where a budget ended the call, and
            the last rows were not tried.
        stats: ``steps`` (the budget of a run), ``explorer``, ``loss``, ``answers``, ``margin``, ``seed``,
            ``diverged`` (runs that were not finite; they count as not reached), ``walks`` (stays kept per run),
            ``cut`` (runs with more), ``ended``, ``seconds``.
    """

    sources: np.ndarray
    targets: np.ndarray
    steps: np.ndarray
    directness: np.ndarray
    walks: Walks
    starts: Starts
    status: AtlasStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def tried(self) -> np.ndarray:
        """Runs per pair, ``[S, T]``."""
        count: np.ndarray = (self.steps != ABSENT).sum(-1)
        return count

    @cached_property
    def reached(self) -> np.ndarray:
        """Runs per pair that came, ``[S, T]``."""
        count: np.ndarray = (self.steps >= 0).sum(-1)
        return count

    @property
    def probability(self) -> np.ndarray:
        """R(p→q), ``[S, T]``; NaN where there is no run."""
        unknown = np.full(self.tried.shape, np.nan)
        share: np.ndarray = np.divide(self.reached, self.tried, out=unknown, where=self.tried > 0)
        return share

    @property
    def low(self) -> np.ndarray:
        """Lower end of the 95 % interval of Clopper and Pearson of R."""
        return self._interval[0]

    @property
    def high(self) -> np.ndarray:
        """Upper end of that interval."""
        return self._interval[1]

    @cached_property
    def cost(self) -> np.ndarray:
        """Median of ``log₂(1 + steps)`` over the runs, ``[S, T]``: infinite where half or more did not come."""
        return self._ordered[0]

    @property
    def cost_low(self) -> np.ndarray:
        """Lower end of a 95 % interval of the median, from order statistics; 0 where there are fewer than 6 runs."""
        return self._ordered[1]

    @property
    def cost_high(self) -> np.ndarray:
        """Upper end of that interval; infinite where runs that it needs did not come."""
        return self._ordered[2]

    @property
    def asymmetry(self) -> np.ndarray:
        """``R(p→q) − R(q→p)``, ``[S, S]``.

        Raises:
            InputError: If sources and targets are not the same functions in the same order.
        """
        if not np.array_equal(self.sources, self.targets):
            raise InputError("asymmetry: sources and targets must be the same functions; leave targets out.")
        difference: np.ndarray = self.probability - self.probability.T
        return difference

    @property
    def value(self) -> float:
        """Mean of R over pairs of two different functions."""
        shares = self._shares
        return float(np.mean([row.mean() for row in shares])) if shares else math.nan

    @property
    def error(self) -> float | None:
        """Half-width of its 95 % interval over the starts; ``None`` with fewer than two starts of a source."""
        shares = self._shares
        if not shares or min(map(len, shares)) < 2:
            return None
        spread = sum(row.var(ddof=1) / len(row) for row in shares)
        if spread > 0:
            return float(1.96 * math.sqrt(spread) / len(shares))
        count = sum(map(len, shares))  # all alike: what as many independent runs would leave open
        low, high = clopper_pearson(self.value * count, count)
        return float(max(self.value - low, high - self.value))

    def within(self, steps: int) -> Reach:
        """The same runs with a smaller budget: what came later than ``steps`` did not come.

        Walks are those of the whole runs.

        Raises:
            InputError: If ``steps`` is above the budget of the runs.
        """
        check_count("steps", steps, 0)
        if steps > self.stats["steps"]:
            raise InputError(f"steps: runs have {self.stats['steps']}; expected as many at most, got {steps}.")
        late = self.steps > steps
        return Reach(
            self.sources, self.targets, np.where(late, LATE, self.steps), np.where(late, np.nan, self.directness),
            self.walks, self.starts, self.status, dict(self.stats) | {"steps": steps},
        )  # fmt: skip

    def edges(self, names: Sequence[str] | None = None) -> pl.DataFrame:
        """Edges of an atlas: ``reach``, ``reach_cost`` and ``directness``, each a row per pair of two functions.

        A cost beyond the budget is null, with the status ``not reached``.

        Args:
            names: Of the sources, then of the targets that are no sources. Default: a function's answers as a text.

        Raises:
            InputError: If there is not one name per function.
        """
        from allroads.atlases.reach.tables import edges

        return edges(self, names)

    def atlas(self, names: Sequence[str] | None = None, least: int = 5) -> Atlas:
        """The functions as an atlas: edges as :meth:`edges`, and with walks also ``changes`` and the walks themselves.

        Functions that are on the way alone are nodes too.

        Args:
            names: As of :meth:`edges`.
            least: Fewest changes that must leave a node for its edges ``changes`` to be estimated. ``stats`` counts the
                others. Reach itself has as many runs per pair as were asked for.

        Raises:
            InputError: If there is not one name per function, or ``least`` is no count.
        """
        from allroads.atlases.reach.tables import as_atlas

        check_count("least", least)
        return as_atlas(self, names, least)

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """The matrix in four lines."""
        other = self.others
        r = self.probability[other & (self.tried > 0)]
        error = "" if self.error is None else f" ± {self.error:.2g}"
        lines = [
            f"{len(self.sources):,} sources × {len(self.targets):,} targets, {(self.steps != ABSENT).sum():,} runs of "
            f"{self.stats.get('explorer')} within {self.stats.get('steps'):,} steps; {self.status.value}",
            f"mean R = {self.value:.3g}{error} over {r.size:,} pairs: R = 1 in {(r == 1).mean():.1%}, R = 0 in "
            f"{(r == 0).mean():.1%}"
            if r.size
            else "no pair was tried",
        ]
        cost = self.cost[other & (self.tried > 0)]
        if r.size and np.isfinite(cost).any():
            half = np.median(np.where(np.isfinite(cost), cost, np.inf))
            said = f"2^{half:.2g} − 1 steps" if np.isfinite(half) else "beyond the budget"
            lines.append(f"median pair: {said}")
        if (few := (self.starts.found < self.starts.members)).any():
            have = "source has" if few.sum() == 1 else "sources have"
            lines.append(f"{few.sum():,} {have} fewer than {self.starts.members} starts")
        return "\n".join(lines)

    @cached_property
    def others(self) -> np.ndarray:
        """Whether source and target are two functions, ``[S, T]``."""
        texts = [[function.tobytes() for function in all] for all in (self.sources, self.targets)]
        places = {text: place for place, text in enumerate(texts[1])}
        found = np.ones((len(self.sources), len(self.targets)), bool)
        for row, text in enumerate(texts[0]):
            if text in places:
                found[row, places[text]] = False
        return found

    @cached_property
    def _shares(self) -> list[np.ndarray]:
        """For each source that was tried, the share of other functions that each of its starts reaches."""
        found = []
        for steps, other in zip(self.steps, self.others, strict=True):
            ran = (steps[other] != ABSENT).all(0) if other.any() else np.zeros(steps.shape[1], bool)
            if ran.any():
                found.append((steps[other][:, ran] >= 0).mean(0))
        return found

    @cached_property
    def _interval(self) -> tuple[np.ndarray, np.ndarray]:
        pairs, place = np.unique(np.stack([self.reached, self.tried], -1).reshape(-1, 2), axis=0, return_inverse=True)
        ends = np.array([(0.0, 1.0) if not tried else clopper_pearson(count, tried) for count, tried in pairs.tolist()])
        low, high = ends[place.ravel()].T.reshape(2, *self.tried.shape)
        return low, high

    @cached_property
    def _ordered(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Median of the cost and the order statistics around it."""
        cost = np.where(self.steps >= 0, np.log2(1.0 + np.maximum(self.steps, 0)), np.inf)
        middle, low, high = median_interval(np.where(self.steps == ABSENT, np.nan, cost))
        return middle, np.maximum(low, 0), high

    @cached_property
    def straightness(self) -> np.ndarray:
        """Median directness of the runs that came, ``[S, T]``; NaN where none did."""
        came = np.isfinite(self.directness)
        ordered = np.sort(self.directness, axis=-1)
        count = came.sum(-1)
        low, high = (np.take_along_axis(ordered, np.maximum(at, 0)[..., None], -1)[..., 0]
            for at in ((count - 1) // 2, count // 2 - (count == 0)))  # fmt: skip
        middle: np.ndarray = np.where(count > 0, (low + high) / 2, np.nan)
        return middle
