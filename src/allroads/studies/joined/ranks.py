"""Rank correlations of all pairs of columns: plain, given the other columns, and given stated covariates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy.stats import t as student

from allroads.checks import check_choice, check_count, check_number
from allroads.errors import InputError, UnknownNameError
from allroads.paths.convergence.holm import holm
from allroads.studies.attribution.grid import coded, is_missing, read_column
from allroads.studies.joined.covariance import TINY, conditional, correlations, covariances, given_the_others
from allroads.studies.joined.table import JoinedTable
from allroads.studies.measures.measure import LABELS

if TYPE_CHECKING:
    from allroads.studies.attribution.grid import Table

LEAST_FREE = 10
"""Degrees of freedom below which no correlation is given: runs, less two, less what is held fixed."""
LEAST_CELLS = 10
"""Cells from which on whole cells are drawn for the intervals."""
AT_ONCE = 64
"""Resamples that are computed together."""
DEFAULT = (
    "program_length",
    "complexity",
    "learning_coefficient",
    "log_volume",
    "robustness",
    "sharpness",
    "directness",
    "convergence",
    "held_out_loss",
)
"""Columns of a joined table that are correlated where nothing is said."""
KINDS = ("rank", "others", "given")


@dataclass(frozen=True)
class RankCorrelations:
    """Rank correlations of all pairs of columns, each with its interval.

    Args:
        table: One row per pair and kind: ``a``, ``b``, ``kind`` (``rank``, ``others`` or ``given``), ``value``,
            ``low``, ``high``, ``p``, and ``adjusted``: ``p`` corrected by Holm for the pairs of that kind. Null where a
            number is not defined.
        columns: What was correlated.
        given: The covariates of the kind ``given``.
        constant: Columns that were left out since they have one value.
        incomplete: Runs that were left out since a column has no number, by the column; a run counts at each of them.
        runs: Runs that entered.
        draws: What was drawn again for the intervals: ``"cells"`` or ``"runs"``.
        units: How many of these there are.
        level: Confidence of the intervals.
    """

    table: pl.DataFrame
    columns: tuple[str, ...]
    given: tuple[str, ...]
    constant: tuple[str, ...]
    incomplete: Mapping[str, int]
    runs: int
    draws: str
    units: int
    level: float

    def row(self, a: str, b: str, kind: str = "others") -> dict[str, Any]:
        """The numbers of one pair, in either order.

        Raises:
            UnknownNameError: If a column or the kind is not there.
        """
        for name in (a, b):
            if name not in self.columns:
                raise UnknownNameError("column", name, self.columns)
        check_choice("kind", kind, KINDS)
        rows = self.table.filter(pl.col("kind") == kind, pl.col("a").is_in([a, b]), pl.col("b").is_in([a, b]))
        if rows.is_empty():
            raise InputError(
                f"row: no numbers of {a!r} and {b!r} of the kind {kind!r}; expected two different columns."
            )
        return rows.row(0, named=True)

    def __str__(self) -> str:
        lines = [f"{self.runs} runs; intervals at {self.level:.0%} by drawing {self.units} {self.draws} again"]
        if self.constant:
            lines.append(f"constant, left out: {', '.join(self.constant)}")
        for kind, part in self.table.group_by("kind", maintain_order=True):
            lines.append(_said(str(kind[0]), self.given))
            for row in part.drop_nulls("value").sort(pl.col("value").abs(), descending=True).iter_rows(named=True):
                ends = "" if row["low"] is None else f" [{row['low']:+.2f}, {row['high']:+.2f}]"
                lines.append(f"  {row['a']} · {row['b']}: {row['value']:+.2f}{ends}")
        return "\n".join(lines)


def _said(kind: str, given: Sequence[str]) -> str:
    """A kind in words."""
    words = {"rank": "rank correlation", "others": "given all other columns"}
    return words.get(kind) or f"given {', '.join(given)}"


def rank_correlations(
    table: JoinedTable | Table,
    columns: Sequence[str] | None = None,
    *,
    given: Sequence[str] = (),
    cells: Sequence[str] = tuple(LABELS),
    draws: str | None = None,
    resamples: int = 999,
    level: float = 0.95,
    seed: int = 0,
) -> RankCorrelations:
    """Spearman's correlation of each pair of columns, and the partial ones given the others or given covariates.

    All are computed from the covariance of ranks. ``others`` is the partial correlation of two columns given all other
    columns. ``given`` is that given the covariates alone: of numbers by their ranks, and of labels by their levels.

    The interval is Fisher's ``artanh r ± t s``. Here s is the standard deviation of ``artanh r`` over bootstrap
    samples, in which ranks are computed anew. Whole cells are drawn, since runs of one cell have much in common.

    Args:
        table: A :class:`JoinedTable`, or columns with one row per run.
        columns: Which to correlate, two or more. Default, of a joined table: those of its quantities that any run has,
            without the training loss and the held-out accuracy; else all columns of numbers but ``seed``.
        given: Covariates of the kind ``given``; by default there is no such kind.
        cells: Columns whose values together name a run's cell; those that the table lacks are skipped.
        draws: ``"cells"``, or ``"runs"`` as if they were independent. Default cells where there are 10 or more. The
            interval of drawn runs speaks of more seeds of the same cells, and not of other cells.
        resamples: Bootstrap samples, 99 or more.
        level: Confidence, 0.5 to 0.999.
        seed: Decides the samples.

    Returns:
        A :class:`RankCorrelations`; constant columns are named there and left out.

    Raises:
        InputError: If runs with all the numbers are too few, and names how many are needed; if fewer than two columns
            vary, or one is a combination of others.
        UnknownNameError: If the table lacks a column.

    When it fails: partial correlations of ranks are those of monotone relations that add up. Given a third column that
    decides both, two columns can keep a correlation of ranks of a few hundredths. A column with few values, such as a
    program length that most runs share, carries little. None of this says what causes what.

    References: [spearman1904]

    Example:
        >>> ranks = list(range(20))
        >>> found = rank_correlations({"x": ranks, "y": [r**3 for r in ranks], "z": [0] * 20})
        >>> found.row("x", "y", "rank")["value"], found.constant
        (1.0, ('z',))
    """
    check_count("resamples", resamples, 99)
    check_count("seed", seed, 0)
    check_number("level", level, 0.5, 0.999)
    if draws is not None:
        check_choice("draws", draws, ("cells", "runs"))
    frame, chosen = _frame(table, columns)
    given, cells = _names("given", given), _names("cells", cells)
    if both := [name for name in chosen if name in given]:
        raise InputError(f"given: {', '.join(both)} cannot be a column and a covariate at once; leave it out of one.")
    kept, incomplete = _complete(frame, (*chosen, *given))
    numbers = {name: _numbers(frame, name, kept) for name in chosen}
    constant = tuple(name for name, values in numbers.items() if np.ptp(values) == 0) if len(kept) else ()
    varying = tuple(name for name in chosen if name not in constant)
    ranked, dummies = _covariates(frame, given, kept)
    held = max(len(varying) - 2, ranked.shape[1] + dummies.shape[1])
    _check_enough(len(kept), held, incomplete, len(frame[chosen[0]]))
    if len(varying) < 2:
        raise InputError(
            f"columns: two or more must vary; {', '.join(constant)} {'is' if len(constant) == 1 else 'are'} constant "
            f"over the {len(kept)} runs. Choose others, or run targets that differ more."
        )
    values = np.column_stack([*(numbers[name] for name in varying), ranked])
    cell = _cells(frame, cells, kept)
    units = cell if draws == "cells" or (draws is None and cell.max() + 1 >= LEAST_CELLS) else np.arange(len(kept))
    if units is cell and cell.max() + 1 < LEAST_CELLS:
        raise InputError(
            f"draws: {cell.max() + 1} cells are too few to draw from, expected {LEAST_CELLS} or more. Run more cells, "
            "or give draws='runs' for intervals that speak of these cells alone."
        )
    found = _estimates(values, dummies, np.ones((1, len(kept))), len(varying))
    _check_combinations(found["rank"][0], varying)
    spread = _spread(values, dummies, units, len(varying), resamples, seed)
    kinds = KINDS if given else KINDS[:2]
    rows = [row for kind in kinds for row in _rows(kind, varying, found[kind][0], spread[kind], units.max() + 1, level)]
    schema: dict[str, Any] = {"a": pl.String, "b": pl.String, "kind": pl.String}
    schema |= dict.fromkeys(("value", "low", "high", "p", "adjusted"), pl.Float64)
    return RankCorrelations(
        pl.DataFrame(rows, schema=schema),
        varying,
        given,
        constant,
        incomplete,
        len(kept),
        "cells" if units is cell else "runs",
        int(units.max()) + 1,
        level,
    )


def _frame(table: Any, columns: Sequence[str] | None) -> tuple[dict[str, list[Any]], tuple[str, ...]]:
    """All columns, and the names of those to correlate."""
    frame: Any = table.table if isinstance(table, JoinedTable) else table
    names = list(frame) if isinstance(frame, Mapping) else list(getattr(frame, "columns", ()))
    if not names:
        raise InputError(f"table: expected a joined table or columns; got {type(table).__name__}.")
    read = {str(name): read_column(frame, name) for name in names}
    lengths = {name: len(values) for name, values in read.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"table: expected columns of one length, a row per run; got {lengths}.")
    if columns is None and isinstance(table, JoinedTable):
        chosen = tuple(name for name in DEFAULT if name in table.measured)
    elif columns is None:
        chosen = tuple(n for n, values in read.items() if n not in (*LABELS, "run", "seed") and _are_numbers(values))
    else:
        chosen = _names("columns", columns)
    for name in chosen:
        if name not in read:
            raise UnknownNameError("column", str(name), list(read))
    if len(chosen) < 2:
        has = ", ".join(chosen) or "none"
        raise InputError(f"columns: expected two or more with numbers; got {has}. Measure more of the runs.")
    return read, chosen


def _names(what: str, given: Any) -> tuple[str, ...]:
    """Names of columns, each once."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        text = "the text " if isinstance(given, str) else ""
        raise InputError(f"{what}: expected a list of names; got {text}{given!r:.80}.")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"{what}: expected a list of names; got {name!r:.80} in it.")
    return tuple(dict.fromkeys(names))


def _are_numbers(values: Sequence[Any]) -> bool:
    known = [value for value in values if not is_missing(value)]
    return bool(known) and all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in known)


def _complete(frame: Mapping[str, list[Any]], names: Sequence[str]) -> tuple[np.ndarray, dict[str, int]]:
    """Places of the runs that have all of these, and how many runs lack each."""
    for name in names:
        if name not in frame:
            raise UnknownNameError("column", str(name), list(frame))
    lacking = np.array([[is_missing(value) for value in frame[name]] for name in names])
    return np.flatnonzero(~lacking.any(axis=0)), {n: int(row.sum()) for n, row in zip(names, lacking, strict=True)}


def _numbers(frame: Mapping[str, list[Any]], name: str, kept: np.ndarray) -> np.ndarray:
    try:
        return np.array([frame[name][place] for place in kept], np.float64)
    except (TypeError, ValueError):
        raise InputError(f"columns: {name!r} holds no numbers; expected numbers, or name it in given.") from None


def _covariates(
    frame: Mapping[str, list[Any]], given: Sequence[str], kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Covariates that are numbers ``[n, …]``, and a column of 0 and 1 for each level of a label but the first."""
    ranked, dummies = [np.zeros((len(kept), 0))], [np.zeros((len(kept), 0))]
    for name in given:
        if _are_numbers(frame[name]):
            ranked.append(_numbers(frame, name, kept)[:, None])
        elif len(kept):
            codes, levels = coded([frame[name][place] for place in kept], name)
            dummies.append((codes[:, None] == np.arange(1, len(levels))).astype(float))
    return np.hstack(ranked), np.hstack(dummies)


def _check_enough(runs: int, held: int, incomplete: Mapping[str, int], total: int) -> None:
    needed = held + 2 + LEAST_FREE
    if runs >= needed:
        return
    fewest = max(incomplete, key=lambda name: incomplete[name])
    why = f" {fewest!r} is absent in {incomplete[fewest]} of them." if incomplete[fewest] else ""
    raise InputError(
        f"table: {runs} of {total} runs have all the numbers, and {needed} are needed with {held} quantities or levels "
        f"held fixed.{why} Run more, choose fewer columns, or leave out a covariate."
    )


def _cells(frame: Mapping[str, list[Any]], cells: Sequence[str], kept: np.ndarray) -> np.ndarray:
    """The number of each run's cell; each run is its own where the table names no cells."""
    named = [name for name in cells if name in frame]
    if not named:
        return np.arange(len(kept))
    return coded([tuple(frame[name][place] for name in named) for place in kept], "cells")[0]


def _estimates(values: np.ndarray, dummies: np.ndarray, weights: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """The matrices of each kind ``[B, count, count]``."""
    covariance = covariances(values, dummies, weights)
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)[..., :count]
    plain = correlations(covariance[..., :count, :count], variance)
    return {
        "rank": plain,
        "others": given_the_others(plain) if count > 2 else plain,
        "given": correlations(conditional(covariance, count), variance),
    }


def _spread(
    values: np.ndarray, dummies: np.ndarray, units: np.ndarray, count: int, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Standard deviation of ``artanh r`` over resamples; NaN where more than a tenth of them have no number."""
    total = int(units.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(total, [1 / total] * total, size=resamples)[:, units].astype(float)
    parts = [_estimates(values, dummies, drawn[at : at + AT_ONCE], count) for at in range(0, resamples, AT_ONCE)]
    found = {}
    for kind in KINDS:
        scores = _fisher(np.concatenate([part[kind] for part in parts]))
        known = np.isfinite(scores)
        enough = known.mean(axis=0) > 0.9
        centred = np.where(known, scores - np.where(known, scores, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0)
        found[kind] = np.where(enough, np.sqrt((centred**2).sum(axis=0) / np.maximum(known.sum(axis=0) - 1, 1)), np.nan)
    return found


def _fisher(correlation: np.ndarray) -> np.ndarray:
    """Fisher's transform; correlations of 1 up to rounding have a large number instead of an infinite one."""
    scores: np.ndarray = np.arctanh(np.clip(correlation, -1 + TINY, 1 - TINY))
    return scores


def _check_combinations(plain: np.ndarray, columns: tuple[str, ...]) -> None:
    """Refuse columns of which one follows from the ranks of others: no partial correlation is defined."""
    if len(columns) < 3:
        return
    values, vectors = np.linalg.eigh(plain)
    if values[0] > TINY:
        return
    tied = [name for name, part in zip(columns, vectors[:, 0], strict=True) if abs(part) > 1e-3]
    raise InputError(
        f"columns: the ranks of one of {', '.join(tied)} follow from those of the others. Leave one of them out."
    )


def _rows(
    kind: str, columns: tuple[str, ...], found: np.ndarray, spread: np.ndarray, units: int, level: float
) -> list[dict[str, Any]]:
    """A row per pair of columns."""
    first, second = np.triu_indices(len(columns), 1)
    value, deviation = found[first, second], spread[first, second]
    score = _fisher(value)
    half = student.ppf((1 + level) / 2, units - 1) * deviation
    low, high = np.tanh(score - half), np.tanh(score + half)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * student.sf(np.abs(score) / deviation, units - 1)
    numbers = {"value": value, "low": low, "high": high, "p": p, "adjusted": holm(p)}
    return [
        {"a": columns[a], "b": columns[b], "kind": kind}
        | {name: None if np.isnan(column[at]) else float(column[at]) for name, column in numbers.items()}
        for at, (a, b) in enumerate(zip(first, second, strict=True))
    ]
