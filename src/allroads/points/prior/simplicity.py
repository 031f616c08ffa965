"""Simplicity bias: the probability of functions beside their complexity, and the bound 2^(−aK − b)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.stats import beta, rankdata

from allroads.budget import budgeted
from allroads.checks import check_count, check_options
from allroads.errors import InputError
from allroads.points.complexity import Complexity, complexity
from allroads.points.complexity.lz76 import first_bit_most_significant
from allroads.points.prior.function_prior import FunctionPrior

Complexities = Mapping[str, Callable[[np.ndarray], float]]
"""Measures of a truth table ``[2^n]`` of zeros and ones, by name."""

RANDOM = 1000
"""Functions drawn at random to find the largest complexity."""
ALL_OF = 3
"""Bits up to which every function is looked at for it."""
LARGEST = 1e100
"""Of a complexity; squares of it are numbers still."""
COLUMNS = ("count", "probability", "low", "high")
"""Of the table, beside the measures."""
LEVEL = 0.05
"""Chance that any function at all is called a violation where none is."""


@dataclass(frozen=True)
class SimplicityBound:
    """What one measure of complexity K says about log₂ P.

    Args:
        rank_correlation: Spearman's, of K and P over the functions of the table; NaN where one of them is constant.
        mean: Mean of K over networks drawn from the initialisation.
        mean_error: Half-width of its 95 % interval.
        largest: The largest K of any function; see ``simplicity_bias``.
        slope: a of the published bound ``P ≤ 2^(−aK − b)``: ``2^n / largest``, with b = 0; NaN where every K is 0.
        violations: Number of functions in the table whose P is above that bound, beyond chance.
        violating_mass: Their probability together.
        offset: The largest b with which no function of the table is above the bound of that slope.
        fitted_slope: a of the line that lies closest above the largest log₂ P at each K; NaN for one K alone.
        fitted_offset: b of that line.
    """

    rank_correlation: float
    mean: float
    mean_error: float
    largest: float
    slope: float
    violations: int
    violating_mass: float
    offset: float
    fitted_slope: float
    fitted_offset: float


@dataclass(frozen=True, repr=False)
class SimplicityBias:
    """Functions of a prior with their complexities, and what each measure says about their probability.

    Args:
        table: Columns ``[K]`` over the most frequent functions, in the order of the prior: ``count``, ``probability``,
            ``low`` and ``high`` (its 95 % Clopper–Pearson interval), and each measure.
        bounds: By the name of the measure.
        covered: Probability of the functions in the table together.
    """

    table: Mapping[str, np.ndarray]
    bounds: Mapping[str, SimplicityBound]
    covered: float

    def __repr__(self) -> str:
        return f"SimplicityBias({len(self.table['count'])} functions, {', '.join(self.bounds)})"

    def __str__(self) -> str:
        """A line for each measure."""
        return "\n".join(
            [
                f"{len(self.table['count']):,} functions with {self.covered:.3g} of the probability",
                *(
                    f"{name}: rank correlation with P {found.rank_correlation:.2f}, mean K {found.mean:.4g} ± "
                    f"{found.mean_error:.2g}, {found.violations:,} above 2^(−{found.slope:.3g} K), line above all: "
                    f"log₂ P = {-found.fitted_slope:.3g} K {-found.fitted_offset:+.3g}"
                    for name, found in self.bounds.items()
                ),
            ]
        )


def simplicity_bias(
    prior: FunctionPrior,
    *,
    measures: Complexities | None = None,
    functions: int = 4096,
    first_bit: str = "least",
    seed: int = 0,
    progress: bool = True,
) -> SimplicityBias:
    """log₂ P(f) beside the complexity K(f) of the most frequent functions, with the bound ``P ≤ 2^(−aK − b)``.

    The published form sets ``a = log₂ N / max K`` and b = 0, with N = 2^(2^n) the number of all functions of n bits
    [dingle2018]. A function is a violation where the lower end of its Clopper–Pearson interval is above the bound.
    That interval is taken at 5 % divided by the number of functions. max K is exact up to 3 bits. Beyond, it is the
    largest K among 1,000 random functions and those of the table.

    Args:
        prior: Of a network of one output, on all inputs of n bits.
        measures: Functions of a truth table; default every measure of :func:`~allroads.complexity` that is known for
            n bits, but the entropy of the table.
        functions: How many of the most frequent functions enter the table.
        first_bit: ``"least"``: measures read row r as everywhere in allroads, bit i of row r being input i.
            ``"most"``: input 0 is the most significant bit of r, as in most published tables. Only measures that
            depend on the order of rows differ, such as ``lz76``.
        seed: Decides the random functions, and those outside of the table from which the means are estimated.
        progress: Whether a bar, or a line every ten seconds, tells what is being done.

    Raises:
        InputError: If the inputs are not all inputs of n bits, functions were counted by digests, a measure has the
            name of another column, or gives no number from 0 to 1e100.

    References: [dingle2018, valleperez2019]

    Example:
        >>> import jax
        >>> from allroads import Network, function_prior
        >>> unit = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w)
        >>> prior = function_prior(unit, np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), 8192, progress=False)
        >>> sorted(simplicity_bias(prior).table["formula_any"].tolist())  # 0, x, y, and three of one gate
        [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """
    check_options("prior", prior, FunctionPrior)
    _check_measures(measures)
    check_count("functions", functions)
    check_count("seed", seed, 0)
    if first_bit not in ("least", "most"):
        raise InputError(f"first_bit: expected 'least' or 'most'; got {first_bit!r}.")
    if prior.distinct == 0:
        raise InputError("prior: no network had finite outputs, so there are no functions.")

    def read(table: np.ndarray) -> np.ndarray:
        return table if first_bit == "least" else first_bit_most_significant(table)

    most = min(functions, prior.distinct)
    count, total = prior.counts[:most].astype(float), float(prior.samples)
    columns = {"count": prior.counts[:most], "probability": count / total}
    columns |= {"low": beta.ppf(0.025, count, total - count + 1), "high": _upper(count, total, 0.025)}
    lower = np.log2(beta.ppf(LEVEL / 2 / most, count, total - count + 1))
    generator = np.random.default_rng(seed)
    rest = _rest(prior, most, generator)
    with budgeted("simplicity_bias", None, progress) as clock:
        tables = [read(prior.truth_table(k)) for k in range(most)]
        clock.say(f"complexity of the {most:,} most frequent functions")
        looked = _measured(tables, measures)
        clock.say("complexity of others")
        others = _measured([read(prior.truth_table(k)) for k in rest], measures) if len(rest) else {}
        random = _measured(_all_or_random(len(tables[0]), generator), measures)
    bounds = {}
    for name, values in looked.items():
        largest = float(max(values.max(), random[name].max(), *others.get(name, values[:1])))
        mean, error = _mean(values, count / total, others.get(name), total)
        bounds[name] = _bound(values, np.log2(count / total), lower, largest, len(tables[0]), mean, error)
    return SimplicityBias(columns | looked, bounds, float(count.sum() / total))


def _check_measures(measures: Any) -> None:
    if measures is None:
        return
    if not isinstance(measures, Mapping) or not measures or not all(map(callable, measures.values())):
        raise InputError(
            f"measures: expected functions of a truth table by their names, such as {{'ones': sum}}; got {measures!r}."
        )
    if taken := sorted(set(measures) & set(COLUMNS)):
        raise InputError(f"measures: {taken[0]!r} is a column of the table already; choose another name.")


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"measures: {name!r} gives {value!r}; expected a number of each truth table.") from error


def _measured(tables: list[np.ndarray], measures: Complexities | None) -> dict[str, np.ndarray]:
    if measures is None:
        found = [complexity(table) for table in tables]
        names = [f.name for f in dataclasses.fields(Complexity) if f.name not in ("bits", "missing", "entropy")]
        known = [name for name in names if getattr(found[0], name) is not None]
        return {name: np.array([getattr(one, name) for one in found], float) for name in known}
    values = {name: np.array([_number(name, of(table)) for table in tables]) for name, of in measures.items()}
    for name, column in values.items():
        bad = ~(column >= 0) | (column > LARGEST)
        if bad.any():
            raise InputError(
                f"measures: {name!r} gives {column[bad][0]}; expected numbers from 0 to {LARGEST:g}: a complexity "
                "is not negative."
            )
    return values


def _upper(count: np.ndarray, total: float, tail: float) -> np.ndarray:
    upper: np.ndarray = np.where(count < total, beta.isf(tail, count + 1, np.maximum(total - count, 0.5)), 1.0)
    return upper


def _rest(prior: FunctionPrior, most: int, generator: np.random.Generator) -> np.ndarray:
    """Functions beyond the table, drawn by their counts."""
    beyond = prior.counts[most:]
    if not len(beyond):
        return np.empty(0, np.int64)
    chosen: np.ndarray = most + generator.choice(len(beyond), size=RANDOM, p=beyond / beyond.sum())
    return chosen


def _all_or_random(rows: int, generator: np.random.Generator) -> list[np.ndarray]:
    if rows <= 1 << ALL_OF:
        return list(np.arange(1 << rows)[:, None] >> np.arange(rows) & 1)
    return list(generator.integers(0, 2, (RANDOM, rows)))


def _mean(values: np.ndarray, share: np.ndarray, others: np.ndarray | None, total: float) -> tuple[float, float]:
    """Mean over networks: of the table by their shares, of the others by those that were looked at."""
    beyond = 0.0 if others is None else 1 - float(share.sum())
    rest, spread = (0.0, 0.0) if others is None else (float(others.mean()), float(others.var(ddof=1)))
    mean = float(share @ values) + beyond * rest
    square = float(share @ values**2) + beyond * (spread + rest**2)
    looked = 0.0 if others is None else beyond**2 * spread / len(others)
    return mean, 1.96 * math.sqrt(max(square - mean**2, 0.0) / total + looked)


def _bound(
    values: np.ndarray, logs: np.ndarray, lower: np.ndarray, largest: float, size: int, mean: float, error: float
) -> SimplicityBound:
    slope = size / largest if largest > 0 else math.nan
    above = lower > -slope * values
    constant = len(np.unique(values)) < 2 or len(np.unique(logs)) < 2
    fitted = _line_above(values, logs)
    return SimplicityBound(
        rank_correlation=math.nan if constant else float(np.corrcoef(rankdata(values), rankdata(logs))[0, 1]),
        mean=mean,
        mean_error=error,
        largest=largest,
        slope=slope,
        violations=int(above.sum()),
        violating_mass=float((2.0 ** logs[above]).sum()),
        offset=float((-slope * values - logs).min()),
        fitted_slope=fitted[0],
        fitted_offset=fitted[1],
    )


def _line_above(values: np.ndarray, logs: np.ndarray) -> tuple[float, float]:
    """Slope a ≥ 0 and offset b of the line −aK − b that lies above log₂ P, at the least sum of distances over K."""
    levels = np.unique(values)
    if len(levels) < 2:
        return math.nan, math.nan
    top = np.array([logs[values == level].max() for level in levels])
    found = linprog(
        [-levels.sum(), -float(len(levels))],
        A_ub=np.stack([levels, np.ones(len(levels))], axis=1),
        b_ub=-top,
        bounds=[(0, None), (None, None)],
    )
    return float(found.x[0]), float(found.x[1])
