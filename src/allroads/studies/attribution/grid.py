"""The factorial grid of a table of runs: which runs lie in which cell, and what keeps a grid from being balanced."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from allroads.checks import check_choice, check_count
from allroads.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import polars as pl

Table: TypeAlias = "pl.DataFrame | Mapping[str, Sequence[Any]]"
LEAST_SEEDS = 5
"""Runs per cell below which no interval is given."""
SHOWN = 5
"""Cells that a message names."""


@dataclass(frozen=True)
class Grid:
    """A balanced factorial grid.

    Args:
        factors: Names of the factors.
        levels: Levels of each factor.
        rows: Rows of the table, ``[levels of the first factor, …, of the last, runs per cell]``.
        total: Rows of the table.
    """

    factors: tuple[str, ...]
    levels: tuple[tuple[Hashable, ...], ...]
    rows: np.ndarray
    total: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of levels."""
        return self.rows.shape[:-1]

    @property
    def seeds(self) -> int:
        """Runs per cell."""
        return int(self.rows.shape[-1])

    def within(self, factor: int, level: int) -> Grid:
        """The grid of the other factors at one level of a factor."""
        others = [axis for axis in range(len(self.factors)) if axis != factor]
        return Grid(
            tuple(self.factors[axis] for axis in others),
            tuple(self.levels[axis] for axis in others),
            np.take(self.rows, level, axis=factor),
            self.total,
        )


def read_column(table: Table, name: Any) -> list[Any]:
    """The values of a column, lists among them as tuples, and arrays of one number, such as PyTorch's, as numbers.

    Raises:
        InputError: If the table is of another kind, or the column is no list.
        UnknownNameError: If it has no such column.

    Example:
        >>> read_column({"a": [1, [2, 3]]}, "a")
        [1, (2, 3)]
    """
    names: Any = list(table) if isinstance(table, Mapping) else getattr(table, "columns", None)
    if names is None or not hasattr(table, "__getitem__"):
        raise InputError(f"table: expected a polars DataFrame or a mapping of columns; got {type(table).__name__}.")
    if name not in list(names):
        raise UnknownNameError("column", str(name), [str(known) for known in names])
    values: Any = table[name]
    if isinstance(values, str) or not (hasattr(values, "to_list") or hasattr(values, "__iter__")):
        raise InputError(f"table: expected column {name!r} to be a list, one value per row; got {values!r:.80}.")
    listed = values.to_list() if hasattr(values, "to_list") else getattr(values, "tolist", lambda: list(values))()
    return [_plain(value) for value in listed]


def _plain(value: Any) -> Any:
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        return value.item()
    return tuple(value) if isinstance(value, list | np.ndarray) else value


def is_missing(value: Any) -> bool:
    """Whether a value is none, or a NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def coded(values: Sequence[Any], name: str) -> tuple[np.ndarray, tuple[Hashable, ...]]:
    """Numbers for values, and what they stand for: sorted where they can be, else as they first appear.

    Raises:
        InputError: If a value is missing or cannot be hashed.

    Example:
        >>> codes, levels = coded(["sgd", "adam", "sgd"], "optimiser")
        >>> codes.tolist(), levels
        ([1, 0, 1], ('adam', 'sgd'))
    """
    missing = sum(map(is_missing, values))
    if missing:
        raise InputError(f"{name}: {missing} of {len(values)} rows have no value; expected one in every row.")
    try:
        found: list[Any] = list(dict.fromkeys(values))
    except TypeError as error:
        raise InputError(f"{name}: expected text, numbers or other values that can be hashed; {error}.") from None
    if len({type(level) for level in found}) == 1 and isinstance(found[0], str | int | float):
        found = sorted(found)
    place = {level: index for index, level in enumerate(found)}
    return np.array([place[value] for value in values], dtype=np.int64), tuple(found)


def read_grid(table: Table, factors: str | Sequence[str], balance: str = "refuse", seed: int = 0) -> Grid:
    """The grid that the factors of a table span.

    Args:
        table: Columns, one row per run.
        factors: Names of the columns of the factors.
        balance: ``"refuse"`` a grid whose cells hold unequal numbers of runs, or ``"drop"`` rows drawn at random
            down to the smallest number.
        seed: Of that draw.

    Raises:
        InputError: If a factor has one level, if a cell has no run, if cells hold unequal numbers and
            ``balance="refuse"``, or if a cell holds fewer than five runs.

    Example:
        >>> grid = read_grid({"depth": [1] * 5 + [2] * 5}, "depth")
        >>> grid.levels, grid.rows.tolist()
        (((1, 2),), [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]])
    """
    check_choice("balance", balance, ("refuse", "drop"))
    check_count("seed", seed, 0)
    if not isinstance(factors, Iterable):
        raise InputError(f"factors: expected names of columns; got {factors!r}.")
    names = (factors,) if isinstance(factors, str) else tuple(factors)
    if not names or len(set(names)) < len(names):
        raise InputError(f"factors: expected one or more names, each once; got {list(names)}.")
    codes, levels = zip(*(coded(read_column(table, name), name) for name in names), strict=True)
    if len({len(code) for code in codes}) > 1:
        raise InputError(f"table: its columns have unequal lengths, {[len(code) for code in codes]}.")
    for name, found in zip(names, levels, strict=True):
        if len(found) < 2:
            raise InputError(f"{name}: a factor needs two levels or more; all rows have {', '.join(map(str, found))}.")
    shape = tuple(len(found) for found in levels)
    cell = np.ravel_multi_index(codes, shape)
    counts = np.bincount(cell, minlength=math.prod(shape))
    _check_counts(names, levels, shape, counts, balance)
    seeds = int(counts.min())
    order: np.ndarray = np.argsort(cell, kind="stable")
    rng = np.random.default_rng(seed)
    kept = []
    for end, count in zip(np.cumsum(counts).tolist(), counts.tolist(), strict=True):
        held = order[end - count : end]
        kept.append(held if count == seeds else np.sort(rng.choice(held, seeds, replace=False)))
    return Grid(names, levels, np.stack(kept).reshape(*shape, seeds), int(counts.sum()))


def _check_counts(
    names: Sequence[str], levels: Sequence[Sequence[Any]], shape: tuple[int, ...], counts: np.ndarray, balance: str
) -> None:
    def called(cells: np.ndarray) -> str:
        told = []
        for index in cells[:SHOWN]:
            at = np.unravel_index(index, shape)
            told.append(", ".join(f"{n}={known[i]}" for n, known, i in zip(names, levels, at, strict=True)))
        more = f"; and {len(cells) - SHOWN} more" if len(cells) > SHOWN else ""
        return "; ".join(f"({cell})" for cell in told) + more

    empty = np.flatnonzero(counts == 0)
    if len(empty):
        raise InputError(
            f"factors: {len(empty)} of {len(counts)} cells have no run: {called(empty)}. Run them, or leave out rows "
            "of one level so that every combination that remains has runs."
        )
    least, most = int(counts.min()), int(counts.max())
    if least < most and balance == "refuse":
        how_many = Counter(counts.tolist())
        listed = ", ".join(f"{cells} with {runs}" for runs, cells in sorted(how_many.items()))
        raise InputError(
            f"factors: the grid is not balanced; cells by their number of runs: {listed}. The fewest have "
            f"{called(np.flatnonzero(counts == least))}. Run the missing seeds, or give balance='drop' to keep {least} "
            "runs per cell, drawn at random."
        )
    if least < LEAST_SEEDS:
        raise InputError(
            f"factors: the cells {called(np.flatnonzero(counts == least))} have {least} run{'s' * (least != 1)}; an "
            f"interval needs {LEAST_SEEDS} or more seeds per cell."
        )
