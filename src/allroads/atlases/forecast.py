"""Forecast: what an atlas of half of the runs tells of the next program of the other half."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from allroads.atlases.atlas import Atlas
from allroads.atlases.next_program import Changes, Scores, coded, scored
from allroads.budget import Budget, budgeted
from allroads.checks import check_count, check_positive
from allroads.errors import InputError, MemoryBudgetError
from allroads.results import Result
from allroads.status import AtlasStatus

STRENGTHS = (*(2.0**k for k in range(-3, 11)), np.inf)
"""Weights of the marginal shares, in changes, among which each half chooses; infinite is the marginal shares alone."""

FOLDS = 5
MOST_APART = 2**13
"""Labels of a group of which all distances are held, 270 MB."""
ROUNDING = 1e-9
"""Bits that count as none."""


@dataclass(frozen=True, repr=False)
class ProgramForecast(Result):
    """How well the program before a change predicts the one after it.

    Args:
        value: Gain in bits per change over marginal frequencies.
        error: Half the width of its interval.
        status: What became of it.
        groups: For each group of runs its gain with ``low`` and ``high``, ``changes`` and ``runs``.
        stats: What it rests on: ``low``, ``high``, ``changes``, ``runs``, ``nodes``, ``bits`` per change of the atlas
            and of the ``marginal`` shares, ``hits`` and ``marginal_hits`` (share of changes that lead to the most
            probable node), ``strengths`` (weights of the marginal shares that were chosen), ``splits`` that were made,
            ``resamples``, ``answers`` (whether the marginal shares know distances) and ``ended``.
    """

    value: float
    error: float | None
    status: AtlasStatus
    groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    stats: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        stats = self.stats
        seen = f"{stats['changes']} changes in {stats['runs']} run{'s' * (stats['runs'] != 1)}"
        if not self.status.sound:
            return f"next program: {self.status.value}; {seen}"
        low, high = stats["low"], stats["high"]
        verb = "predicts" if low > ROUNDING else "does not predict" if high < -ROUNDING else "does not clearly predict"
        over = "frequencies and distances" if stats["answers"] else "marginal frequencies"
        lines = [
            f"the atlas {verb} the next program: {self.value:+.3f} bits per change over {over} "
            f"(95 % interval {low:+.3f} to {high:+.3f}; {seen})",
            f"most probable next program right: {100 * stats['hits']:.0f} %, by {over} "
            f"{100 * stats['marginal_hits']:.0f} %",
        ]
        if len(self.groups) > 1:
            clear = sum(row["low"] > ROUNDING for row in self.groups.values())
            lines.append(f"clearly above 0 in {clear} of {len(self.groups)} groups of runs")
        if self.status is AtlasStatus.CUT_SHORT:
            lines.append(f"cut short: {stats['splits']} halving{'s' * (stats['splits'] > 1)} done")
        return "\n".join(lines)


def forecast_programs(
    runs: Atlas | Mapping[str, Sequence[Hashable]] | Sequence[Sequence[Hashable]],
    *,
    groups: Mapping[str, Hashable] | Sequence[Hashable] | None = None,
    answers: Mapping[Any, Any] | None = None,
    splits: int = 4,
    resamples: int = 2000,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
) -> ProgramForecast:
    """Gain in bits per change of predicting the next program from the present one.

    An atlas of half of the runs predicts the changes of the other half, and the other way round, over several random
    splits. The gain of a change p → q is ``log₂ P(q|p) − log₂ M(q|p)``.

    *M* are the marginal shares: a label has a weight, whatever is left, and no change leads to the label that it leaves
    (quasi-independence). So that a run moves at all is no gain. *P* is smoothed towards M with a weight of α changes:
    ``P(q|p) = (n_pq + α M(q|p)) / (n_p + α)``. Each half chooses α by cross-validation over its own runs. All labels
    that it has not seen are one more node, of the same share m in P as in M; n_pq then counts 1 − m times. Every label
    has half a change in advance in M.

    With ``answers`` M knows more: in how many answers p and q differ. A label then has a weight, and each number of
    answers a factor of its own (a gravity model). The gain is what p says beyond its distance.

    The interval draws whole runs again (percentile bootstrap, 95 %), since the changes of one run go together. It takes
    the atlases as they are. On a planted chain it holds the truth in about 92 % of seeds.

    As the runs grow in number, and for walks that are Markov, the gain tends to the conditional mutual information of
    the programs before and after a change. With few runs it is less, and may be below 0.

    Args:
        runs: An :class:`~allroads.Atlas` with walks, or the labels of runs as :func:`~allroads.atlas` takes them.
        groups: What each run is conditioned on, such as its target, by name of run or in order. Each group has an atlas
            and marginal shares of its own. Default: one group.
        answers: What labels answer on common inputs, a row of whole numbers by label. Labels without a row are at a
            distance of their own. Default: M does not know distances.
        splits: Random halvings.
        resamples: Bootstrap samples of runs.
        seed: Decides halves and samples.
        budget: Seconds, looked at between halvings. One is always made. Ctrl-C ends the call as a budget does.
        progress: Whether progress is written.

    Returns:
        A :class:`ProgramForecast`. Its status is ``"too few changes"`` with fewer than 20 changes or 8 runs that
        change, ``"one program"`` without a change, and ``"cut short"`` where fewer halvings were made than asked for.

    Raises:
        InputError: If there are no runs, a run has no group, or answers are not as many for each label.
        MemoryBudgetError: With answers, if a group has more than 8,192 labels.

    References: [goodman1968, hunter2004, deming1940]

    Example:
        A cycle of three: the next program is certain, and one of two by marginal frequencies.

        >>> found = forecast_programs([["a", "b", "c"] * 4] * 30)
        >>> found.value > 0.9, found.stats["hits"]
        (True, 1.0)
    """
    for name, value, least in (("splits", splits, 1), ("resamples", resamples, 100), ("seed", seed, 0)):
        check_count(name, value, least)
    check_positive(budget=budget)
    walks = _walks(runs)
    of = _groups(walks, groups)
    names = list(dict.fromkeys(of.values()))
    known = None if answers is None else _answers(answers)
    parts = [_part([walk for run, walk in walks.items() if of[run] == name], known) for name in names]
    changes = sum(len(part.q) for part in parts)
    changing = sum(len(np.unique(part.run)) for part in parts)
    stats: dict[str, Any] = {"changes": changes, "runs": len(walks), "nodes": sum(part.nodes for part in parts)}
    if changes < 20 or changing < 8:
        alone = len({label for walk in walks.values() for label in walk}) < 2
        status = AtlasStatus.ONE_PROGRAM if alone else AtlasStatus.TOO_FEW
        return ProgramForecast(np.nan, None, status, {}, stats | {"low": None, "high": None})
    rng = np.random.default_rng(seed)
    scores: list[list[Scores]] = []
    strengths: list[float] = []
    with budgeted("forecast", budget, progress) as clock:
        while len(scores) < splits and not (scores and clock.ended):
            with clock.interruptible() if scores else nullcontext():
                found, chosen = _crossed(parts, rng, clock, f"halving {len(scores) + 1} of {splits}")
                scores.append(found)
                strengths += chosen
        ended = clock.ended if len(scores) < splits else None
    means = [
        Scores(*(np.mean(columns, axis=0) for columns in zip(*split, strict=True)))
        for split in zip(*scores, strict=True)
    ]
    table = {
        name: _summary([(part, score)], resamples, seed) for name, part, score in zip(names, parts, means, strict=True)
    }
    whole = _summary(list(zip(parts, means, strict=True)), resamples, seed)
    together = Scores(*(np.concatenate(columns) for columns in zip(*means, strict=True)))
    stats |= {"low": whole["low"], "high": whole["high"], "strengths": strengths}
    stats |= {"bits": float(together.bits.mean()), "marginal": float(together.marginal.mean())}
    stats |= {"hits": float(together.hit.mean()), "marginal_hits": float(together.marginal_hit.mean())}
    stats |= {"splits": len(scores), "resamples": resamples, "seed": seed, "answers": known is not None, "ended": ended}
    error = (whole["high"] - whole["low"]) / 2
    status = AtlasStatus.CUT_SHORT if ended else AtlasStatus.OK
    return ProgramForecast(whole["gain"], error, status, table, stats)


def _walks(runs: Any) -> dict[str, list[str]]:
    if isinstance(runs, Atlas):
        if runs.walks.is_empty():
            raise InputError("runs: this atlas has no walks; make one from runs or from a study.")
        return runs.sequences()
    from allroads.atlases.from_runs import named_runs
    from allroads.atlases.stays import stays

    return {name: [stay.label for stay in stays(walk)] for name, walk in named_runs(runs)[0].items()}


def _groups(walks: Mapping[str, Any], groups: Any) -> dict[str, str]:
    """The group of every run."""
    if groups is None:
        return dict.fromkeys(walks, "all")
    if isinstance(groups, Mapping):
        if absent := [run for run in walks if run not in groups]:
            raise InputError(f"groups: run {absent[0]!r} has none; give one for each run.")
        return {run: str(groups[run]) for run in walks}
    if isinstance(groups, str) or len(groups) != len(walks):
        raise InputError(f"groups: expected one for each of {len(walks)} runs; got {groups!r:.60}.")
    return {run: str(group) for run, group in zip(walks, groups, strict=True)}


def _answers(given: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    """The answers of each label by the name of its node."""
    if not isinstance(given, Mapping) or not given:
        raise InputError(
            f"answers: expected rows of whole numbers by label, such as {{'and': [0, 0, 0, 1]}}; got {given!r:.60}."
        )
    rows = {str(label): np.asarray(row).ravel() for label, row in given.items()}
    sizes = {len(row) for row in rows.values()}
    if len(sizes) != 1 or any(row.dtype.kind not in "iub" for row in rows.values()):
        kinds = sorted({f"{len(row)} of {row.dtype}" for row in rows.values()})
        raise InputError(f"answers: expected whole numbers, as many for each label; got rows of {', '.join(kinds)}.")
    return rows


def _part(walks: Sequence[Sequence[str]], answers: Mapping[str, np.ndarray] | None) -> Changes:
    """The changes of one group, with the distance of each two labels where answers are known."""
    changes, labels = coded(walks)
    if answers is None:
        return changes
    if len(labels) > MOST_APART:
        raise MemoryBudgetError(
            f"answers: a group has {len(labels):,} labels, and all pairs of them are held; {MOST_APART:,} at most. "
            "Leave answers out, or give smaller groups."
        )
    told = np.array([label in answers for label in labels], bool)
    if labels and not told.any():
        one, other = labels[0], next(iter(answers))
        raise InputError(f"answers: no label of the runs has any; a label is {one!r}, and one with answers {other!r}.")
    width = len(next(iter(answers.values())))
    apart = np.full((len(labels), len(labels)), width + 1, np.int32)
    if told.any():
        rows = np.stack([answers[label] for label in labels if label in answers])
        apart[np.ix_(told, told)] = np.rint(width * cdist(rows, rows, "hamming"))
    return changes._replace(apart=apart)


def _crossed(
    parts: Sequence[Changes], rng: np.random.Generator, clock: Budget, what: str
) -> tuple[list[Scores], list[float]]:
    """Scores of all changes, each by the half that its run is not in; and the weights that were chosen."""
    halves = [_halved(part, rng) for part in parts]
    found = [Scores(*(np.zeros(len(part.q)) for _ in Scores._fields)) for part in parts]
    strengths = []
    for side in (False, True):
        trained = [half == side for half in halves]
        clock.say(f"{what}, {'second' if side else 'first'} half")
        strength = _strength([part.at(mask) for part, mask in zip(parts, trained, strict=True)], rng)
        strengths.append(float(strength))
        for part, mask, score in zip(parts, trained, found, strict=True):
            new = scored(part.at(mask), part.at(~mask), np.array([strength]))
            for column, values in zip(score, new, strict=True):
                column[~mask] = values[0]
    return found, strengths


def _halved(part: Changes, rng: np.random.Generator) -> np.ndarray:
    """In which half the run of each change is."""
    runs, place = np.unique(part.run, return_inverse=True)
    second: np.ndarray = np.zeros(len(runs), bool)
    second[rng.permutation(len(runs))[: len(runs) // 2]] = True
    return second[place]


def _strength(parts: Sequence[Changes], rng: np.random.Generator) -> float:
    """The weight of the marginal shares that predicts best what is held out, run by run."""
    bits = np.zeros(len(STRENGTHS))
    for part in parts:
        runs, place = np.unique(part.run, return_inverse=True)
        fold = rng.permutation(len(runs))[place] % FOLDS
        for held in np.unique(fold):
            if (fold != held).any():
                inner = scored(part.at(fold != held), part.at(fold == held), np.array(STRENGTHS), False)
                bits += inner.bits.sum(axis=1)
    return STRENGTHS[int(bits.argmin())]


def _summary(scored: Sequence[tuple[Changes, Scores]], resamples: int, seed: int) -> dict[str, float]:
    """Gain per change with the interval of a bootstrap over the runs of each group."""
    rng = np.random.default_rng(seed)
    drawn, total, count, runs = np.zeros((2, resamples)), 0.0, 0, 0
    for part, score in scored:
        if not len(part.q):
            continue
        place = np.unique(part.run, return_inverse=True)[1]
        gains, sizes = np.bincount(place, score.marginal - score.bits), np.bincount(place)
        total, count, runs = total + gains.sum(), count + len(part.q), runs + len(sizes)
        times = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), resamples)
        drawn += np.stack([times @ gains, times @ sizes])
    if not count:
        return {"gain": np.nan, "low": np.nan, "high": np.nan, "changes": 0, "runs": 0}
    low, high = np.quantile(drawn[0] / drawn[1], [0.025, 0.975])
    return {"gain": float(total / count), "low": float(low), "high": float(high), "changes": count, "runs": runs}
