"""Words for numbers: what the findings of all measures share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from allroads.studies.measures.intervals import wilson
from allroads.studies.measures.measure import Finding, Question

RESAMPLES = 2000
"""Bootstrap samples behind an interval of a rank correlation."""


def signed(number: float) -> str:
    """A number with its sign.

    Example:
        >>> signed(-0.5), signed(0.5)
        ('−0.50', '+0.50')
    """
    return f"{number:+.2f}".replace("-", "−")


def middle(values: pl.Series, form: str, digits: int = 0) -> str:
    """A median in its sentence, with the middle half of the values where they differ.

    Example:
        >>> middle(pl.Series([1, 2, 3, 4, 5]), "median step {}")
        'median step 3 [2–4]'
    """
    median, low, high = (float(np.quantile(values.to_numpy(), q)) for q in (0.5, 0.25, 0.75))
    shown = [f"{number:.{digits}f}" for number in (median, low, high)]
    spread = "" if shown[1] == shown[2] else f" [{shown[1]}–{shown[2]}]"
    return form.format(shown[0] + spread)


def share(count: int, of: int) -> str:
    """How many of the runs.

    Example:
        >>> share(3, 4), share(4, 4), share(0, 4)
        ('3 of 4 runs', 'All 4 runs', 'None of 4 runs')
    """
    if count == of:
        return f"All {of} runs" if of > 1 else "The run"
    return f"{count} of {of} runs" if count else f"None of {of} runs"


def counted(count: int, of: int) -> str:
    """How many of the runs, with the share and its interval.

    Example:
        >>> counted(3, 4), counted(0, 4)
        ('3 of 4 runs (75 %, 95 % interval 30–95 %)', 'None of 4 runs (0 %, 95 % interval 0–49 %)')
    """
    low, high = wilson(count, of)
    return f"{share(count, of)} ({100 * count / of:.0f} %, 95 % interval {100 * low:.0f}–{100 * high:.0f} %)"


def short(number: float, digits: int = 2) -> str:
    """A number to a few significant digits, without exponents between 0.0001 and 100,000.

    Example:
        >>> short(0.012345), short(1234.5), short(0.0), short(float("inf"))
        ('0.012', '1,234', '0', 'infinite')
    """
    if np.isinf(number):
        return "infinite"
    if number != 0 and not 1e-4 <= abs(number) < 1e5:
        return f"{number:.{digits - 1}e}"
    return f"{number:,.0f}" if abs(number) >= 10 ** (digits - 1) else f"{number:.{digits}g}"


def by_grid(say: Callable[[pl.DataFrame], str], chart: str, question: Question) -> Callable[..., list[Finding]]:
    """Findings of one sentence: of each grid that has one, and before them, where several have, of the whole study.

    Args:
        say: The sentence of a table with the column ``grid``; empty where there is nothing to say.
        chart: The section that shows it.
        question: What it answers.
    """

    def find(table: pl.DataFrame, grids: Sequence[str]) -> list[Finding]:
        parts = [(grid, table.filter(pl.col("grid") == grid)) for grid in grids]
        found = [Finding(text, chart, grid, question) for grid, part in parts if (text := say(part))]
        return [Finding(say(table), chart, "", question), *found] if len(found) > 1 else found

    return find


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def rank_correlation(runs: pl.DataFrame, a: str, b: str) -> tuple[float, float, float]:
    """Spearman's coefficient with its 95 % interval: whole targets are drawn again, since their runs go together.

    All three are NaN where a column is constant.

    Args:
        runs: Rows with ``target`` and both columns.
        a: One column.
        b: The other.
    """
    value = spearman(runs.select(a, b).to_numpy())
    if np.isnan(value):
        return value, value, value
    parts = runs.select("target", a, b).partition_by("target", maintain_order=True)
    group = np.repeat(np.arange(len(parts)), [part.height for part in parts])
    ranks = [_ranks_when_drawn(pl.concat(parts)[column].to_numpy(), group) for column in (a, b)]
    groups, rng = len(parts), np.random.default_rng(0)
    samples = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(groups, size=groups)
        samples.append(_correlation([rank(drawn) for rank in ranks]))
    low, high = np.nanquantile(samples, [0.025, 0.975])
    return value, float(low), float(high)


def spearman(table: np.ndarray) -> float:
    """Spearman's coefficient of two columns; NaN where one is constant.

    Example:
        >>> round(spearman(np.array([[1, 10], [2, 20], [3, 15]])), 3)
        0.5
    """
    return _correlation([pl.Series(column).rank().to_numpy() for column in table.T])


def _correlation(ranks: Sequence[np.ndarray]) -> float:
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(ranks)[0, 1])


def _ranks_when_drawn(values: np.ndarray, group: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The ranks of values whose groups are drawn again, group after group; ties have their mean rank.

    Values are sorted once, and counted in each sample.

    Args:
        values: The values.
        group: Their groups, 0, 1, …, in order.

    Example:
        >>> _ranks_when_drawn(np.array([5.0, 7.0, 7.0]), np.array([0, 0, 1]))(np.array([1, 1, 0])).tolist()
        [3.0, 3.0, 1.0, 3.0]
    """
    distinct, place = np.unique(values, return_inverse=True)
    parts = np.split(place, np.flatnonzero(np.diff(group)) + 1)

    def ranks(drawn: np.ndarray) -> np.ndarray:
        times = np.bincount(drawn, minlength=len(parts))
        count = np.bincount(place, weights=times[group], minlength=len(distinct))
        middle_of = np.cumsum(count) - (count - 1) / 2
        return np.concatenate([middle_of[parts[index]] for index in drawn])

    return ranks
