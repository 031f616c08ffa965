"""Distances between two distributions that are known by counts: total variation and Jensen–Shannon divergence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from scipy.stats import norm

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.points.prior.function_prior import FunctionPrior
from allroads.points.prior.functions import FunctionTable
from allroads.points.prior.posterior import FunctionPosterior
from allroads.results import Measurement, Result
from allroads.status import PriorStatus
from allroads.studies.attribution.label_null import p_value
from allroads.studies.attribution.label_world import RARE
from allroads.studies.reached.overlap import Pair, overlaps
from allroads.studies.reached.results import FunctionsReached, ReachedFunctions

FEWEST = 20
"""Runs on each side, at least."""
Counted = FunctionTable | Sequence[Hashable] | Mapping[Hashable, int]
"""Counted functions; one label per run, of which ``None`` is left out; or how many runs have each label."""
_SAME = ("answers", "outputs", "inputs")


@dataclass(frozen=True, eq=False, repr=False)
class DistributionDistance(Result):
    """How far two distributions over functions or other labels are from each other.

    Each distance has, in ``stats``, ``counted`` (that of the observed shares, which is too large), ``bias`` (what
    counting adds; ``value`` is ``counted − bias``), ``low`` and ``high`` (the interval), and the *seed-split null*:
    ``null_mean`` and ``null_high``, mean and 95 % point of the counted distance between two random halves of the
    pooled runs, of the same sizes, and ``p``.

    Args:
        total_variation: ``½ Σ |p − q|``: the largest difference in the probability of any event, 0 to 1.
        jensen_shannon: Mean divergence of both from their mean, in bits, 0 to 1.
        runs: Numbers of runs of both.
        distinct: Numbers of labels that each reached.
        shared: How many labels both reached.
        unseen: Of each, the estimated probability of labels that it did not reach.
        status: ``ok``; ``undersampled`` where one of these is above ½. The p-values hold all the same.
    """

    total_variation: Measurement
    jensen_shannon: Measurement
    runs: tuple[int, int]
    distinct: tuple[int, int]
    shared: int
    unseen: tuple[float, float]
    status: PriorStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The total variation, without what counting adds."""
        return self.total_variation.value

    @property
    def error(self) -> float | None:
        """The larger side of its interval."""
        return self.total_variation.error

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """Both distances, one in a line."""
        lines = []
        for name, found in (("total variation", self.total_variation), ("Jensen–Shannon, bits", self.jensen_shannon)):
            at = found.stats
            lines.append(
                f"{name}: {found.value:.3g} [{at['low']:.3g}, {at['high']:.3g}], counted {at['counted']:.3g} beside a "
                f"null of {at['null_mean']:.3g} (95 %: {at['null_high']:.3g}), p = {at['p']:.2g}"
            )
        return "\n".join(lines)


def distribution_distance(
    first: Counted,
    second: Counted,
    *,
    resamples: int = 999,
    level: float = 0.95,
    seed: int = 0,
) -> DistributionDistance:
    """Distances between what two explorers reach, beside what the same distances are by chance alone.

    Shares that were counted differ by chance, so a counted distance is too large; with as many functions as runs it is
    near 1 for two identical explorers. The null says how large: runs of both are pooled and split at random. This test
    is exact for every distribution. The bias and the interval are those of a parametric bootstrap. Its two
    distributions lie nearer to each other than the observed shares, by the part of their difference that chance
    explains.

    Args:
        first: What one explorer reaches: a result of :func:`reached_functions` at one moment, a prior, a
            ``function_posterior`` by rejection, one label per run (``None`` is left out), or how many runs have each.
        second: What the other reaches, on the same probes.
        resamples: Random splits, and bootstrap tables.
        level: Confidence of the intervals.
        seed: Decides the random splits and tables.

    Returns:
        A :class:`DistributionDistance`; ``value`` is the total variation.

    Raises:
        InputError: If one side has fewer than 20 runs, or the two were read from other inputs.

    When it fails: where most runs reach a function that no other run reaches, no distance can be told from shares. The
    status is then ``undersampled``, and ``counted`` is about an upper bound. Compare coarser labels, which gives a
    lower bound: no function of the label can be farther apart than the labels are.

    References: [lin1991, phipson2010, davison1997]

    Example:
        Two coins of which one falls on heads in 3 of 4 throws: ``TV = 1/4``:

        >>> found = distribution_distance("hhht" * 500, "ht" * 1000, resamples=199)
        >>> abs(found.total_variation - 1 / 4) < 0.005, found.total_variation.stats["p"]
        (True, 0.005)
    """
    check_count("resamples", resamples, 99)
    check_number("level", level, 0.5, 1 - 1e-6)
    check_count("seed", seed, 0)
    pair = Pair(*aligned_counts(first, second))
    rng = np.random.default_rng(seed)
    counted = overlaps(pair.small / pair.sizes[0], pair.large / pair.sizes[1])
    null = pair.split(resamples, rng)
    world = pair.shrunk(RARE)
    drawn, truth = world.drawn(pair.sizes, resamples, rng), world.truth
    bias = drawn.mean(axis=0) - truth
    corrected = counted - bias
    told, deviation = pair.told(rng)
    z = float(norm.isf((1 - level) / 2))
    low, high = told - z * deviation, counted + z * drawn.std(axis=0)
    unseen = pair.unseen
    status = PriorStatus.UNDERSAMPLED if max(unseen) > 0.5 else PriorStatus.OK
    parts = []
    for k in range(2):
        span = [min(max(float(end), 0.0), 1.0) for end in (low[k], high[k])]
        value = min(max(float(corrected[k]), span[0]), span[1])
        stats = {
            "low": span[0],
            "high": span[1],
            "counted": float(counted[k]),
            "bias": float(bias[k]),
            "null_mean": float(null[:, k].mean()),
            "null_high": float(np.quantile(null[:, k], 0.95)),
            "p": p_value(float(counted[k]), null[:, k]),
        }
        parts.append(Measurement(value, max(value - stats["low"], stats["high"] - value), status, stats))
    there = pair.given
    return DistributionDistance(
        total_variation=parts[0],
        jensen_shannon=parts[1],
        runs=(int(there[0].sum()), int(there[1].sum())),
        distinct=(int((there[0] > 0).sum()), int((there[1] > 0).sum())),
        shared=int(((there[0] > 0) & (there[1] > 0)).sum()),
        unseen=unseen,
        status=status,
        stats={"resamples": resamples, "level": level, "seed": seed},
    )


def aligned_counts(first: Counted, second: Counted) -> tuple[np.ndarray, np.ndarray]:
    """How often each label came in the first and in the second, ``[K]`` each, for all labels that came in one.

    Raises:
        InputError: If one has fewer than 20 runs, they were read from other inputs or in another way, or a posterior
            is no count of draws.

    Example:
        >>> [counts.tolist() for counts in aligned_counts("ab" * 10, "bc" * 10)]
        [[10, 10, 0], [0, 10, 10]]
    """
    if isinstance(first, FunctionTable) and isinstance(second, FunctionTable):
        for name in _SAME:
            if first.stats[name] != second.stats[name]:
                raise InputError(
                    f"the two were read from other {name}: {first.stats[name]!r} and {second.stats[name]!r}. Give the "
                    "same probes and kind of answers to both."
                )
        codes = np.concatenate([first.codes, second.codes])
        each, place = np.unique(codes, axis=0, return_inverse=True)
        counts = np.zeros((2, len(each)), np.int64)
        counts[0, place.ravel()[: len(first.codes)]] = _draws(first, "first")
        counts[1, place.ravel()[len(first.codes) :]] = _draws(second, "second")
    else:
        sides = sorted(((first, "first"), (second, "second")), key=lambda side: isinstance(side[0], FunctionTable))
        named = {name: _labelled(side, name) for side, name in sides}  # a wrong kind is named before a mixture is
        tables = [named["first"], named["second"]]
        labels = list(dict.fromkeys([*tables[0], *tables[1]]))
        counts = np.array([[table[label] for label in labels] for table in tables], np.int64).reshape(2, -1)
    for name, total in zip(("first", "second"), counts.sum(axis=1).tolist(), strict=True):
        if total < FEWEST:
            raise InputError(f"{name}: {total} runs; expected {FEWEST} or more, or no interval can be given.")
    return counts[0], counts[1]


def _draws(side: FunctionTable, name: str) -> np.ndarray:
    """How many independent draws or runs gave each function."""
    if isinstance(side, FunctionPrior | FunctionsReached):
        return side.counts
    if isinstance(side, FunctionPosterior) and side.stats["method"] == "rejection":
        exact = side.probabilities * side.effective
        counts: np.ndarray = np.rint(exact).astype(np.int64)
        if abs(counts - exact).max() < 1e-3:
            return counts
    raise InputError(
        f"{name}: its functions are weighted, and were not counted in independent draws. Give a prior, what "
        "reached_functions gives, or a function_posterior by method='rejection' without examples=."
    )


def _labelled(side: Any, name: str) -> Counter[Hashable]:
    if isinstance(side, FunctionTable):
        raise InputError(f"{name}: functions beside labels; give both as functions, or both as labels.")
    if isinstance(side, ReachedFunctions):
        raise InputError(f"{name}: what runs reach at several moments; give one of them, such as its fit.")
    try:
        table = Counter(side if isinstance(side, Mapping) else (label for label in side if label is not None))
    except TypeError as error:
        raise InputError(f"{name}: expected one hashable label per run, or counted functions ({error}).") from error
    if not all(isinstance(count, Integral) and count >= 0 for count in table.values()):
        raise InputError(f"{name}: expected whole numbers of runs, 0 or more, by label; got {side!r}.")
    return table
