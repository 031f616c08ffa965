"""A measure as a value: what it is called, what it needs, what it computes and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from allroads.errors import InputError

if TYPE_CHECKING:
    from allroads.studies.units import Unit

Scope: TypeAlias = Literal["run", "checkpoint", "pair", "target", "map", "grid", "study"]
"""What one unit of a measure holds; see :class:`Measure`."""

DataType: TypeAlias = pl.DataType | type[pl.DataType]
Schema: TypeAlias = Mapping[str, DataType]
Row: TypeAlias = Mapping[str, Any]
Tables: TypeAlias = Mapping[str, pl.DataFrame]

LABELS: dict[str, DataType] = dict.fromkeys(("grid", "target", "architecture", "explorer"), pl.String)
"""The four labels of a run."""

KEYS: dict[Scope, dict[str, DataType]] = {
    "run": {},
    "checkpoint": {"run": pl.String, "step": pl.Int64},
    "pair": {**LABELS, "run_a": pl.String, "run_b": pl.String},
    "target": {"grid": pl.String, "target": pl.String},
    "map": LABELS,
    "grid": {"grid": pl.String},
    "study": {},
}
"""Columns that every table of a scope begins with."""

OWN_KEYS: dict[Scope, tuple[str, ...]] = {"checkpoint": ("step",), "pair": ("run_a", "run_b")}
"""Keys that the rows of a measure give; all others follow from the unit."""

RESERVED = ("runs", "curves", "summary", "index", "own", "cells", "trajectories")
"""Names that no measure may have beside the built-in one: they stand for something else in a run directory."""


class Options(BaseModel):
    """Options of a measure, ``[measures.<name>]`` in a study's TOML.

    Args:
        enabled: Whether the measure is computed; no part of any key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    enabled: bool = True

    @property
    def identity(self) -> dict[str, Any]:
        """The options that decide a result."""
        return self.model_dump(mode="json", exclude={"enabled"})


@dataclass(frozen=True)
class Quantity:
    """A public quantity as the report states it; ``source`` is a key of ``docs/references.bib`` or empty."""

    name: str
    definition: str
    symbol: str = ""
    conventions: str = ""
    source: str = ""


Question: TypeAlias = Literal["", "learnable", "learned", "road", "elsewhere", "around"]

QUESTIONS: dict[Question, str] = {
    "learnable": "Will it be learned?",
    "learned": "What was learned?",
    "road": "How did it get there?",
    "elsewhere": "Would another run end elsewhere?",
    "around": "What lies around?",
}
"""What a study is asked, by the word that a :class:`Finding` names it with; the report answers in this order."""


@dataclass(frozen=True)
class Finding:
    """One sentence made from the measurements.

    Every verb follows from the numbers: the sentence has one for what they show, one for the opposite, and one for
    numbers that show neither. The numbers are those of the chart, and stand in the sentence with their uncertainty.

    Args:
        text: The sentence, or a few; empty where there is nothing to say.
        chart: The section of the report that shows it.
        grid: Its grid; empty for the whole study, which the report states first.
        question: Which of :data:`QUESTIONS` it answers; empty for none of them.
    """

    text: str
    chart: str
    grid: str = ""
    question: Question = ""


@dataclass(frozen=True)
class Outcome:
    """What a measure computes of one unit.

    Args:
        rows: Rows of its table; one for the scope ``run``.
        along: Columns along the recorded steps of a run, each as long as ``unit.run.steps``.
        arrays: Named arrays, which other measures read.
    """

    rows: Sequence[Row] = ()
    along: Mapping[str, Sequence[Any] | np.ndarray | pl.Series] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


Computed: TypeAlias = Outcome | Row | Sequence[Row] | pl.DataFrame
"""What ``compute`` may return: an outcome, one row, several rows, or a table."""


def _no_findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    return []


@dataclass(frozen=True)
class Measure:
    """One node of a study's graph.

    A *unit* is what one call of ``compute`` sees: for the scopes ``run`` and ``checkpoint`` one run, for ``pair`` the
    runs of one combination of target, architecture and explorer, for ``target`` all runs of one target of a grid, for
    ``map`` the targets that one network and explorer learn from the same inputs, before any of them is trained, for
    ``grid`` all runs of a grid, for ``study`` all runs. The key of a unit's result is the digest of name, version,
    options, cells and the keys of what it needs.

    Args:
        name: Lower-case letters, digits and ``_``; names its options in TOML, its table and its charts.
        version: Changed by hand whenever the numbers change: results of another version are not read.
        scope: ``run``, ``checkpoint``, ``pair``, ``target``, ``map``, ``grid`` or ``study``.
        compute: ``compute(unit, options)`` gives an :class:`Outcome`, a row, rows or a table.
        schema: Columns of its rows, beside the keys of its scope. Rows of the scope ``run`` are columns of ``runs``;
            all others make a table of the measure's name. Rows of the scope ``map`` are one per target of the unit, in
            that order; those of ``checkpoint`` give ``step``, those of ``pair`` ``run_a`` and ``run_b`` as well.
        along: Columns along the recorded steps, joined into ``curves``; for the scope ``run`` alone.
        options: The class of its options.
        needs: Names of measures whose results ``compute`` reads; the trajectory is always given.
        quantities: What it measures, as the report states it.
        findings: ``findings(tables, grids)`` gives sentences, see :class:`Finding`; ``grids`` are those with a run.
        tabulate: ``tabulate(rows, tables)`` completes its table where that takes other tables.
        reads: Names of measures whose columns ``tabulate`` reads.
        chunk: Units, at most, that one job computes; more than one for what is quick, and only for runs.

    Raises:
        InputError: If the name, the scope or a column cannot be used.

    Example:
        >>> import polars as pl
        >>> Measure("answer", 1, "run", lambda unit, options: {"answer": 42}, {"answer": pl.Int64}).title
        'answer'
    """

    name: str
    version: int | str
    scope: Scope
    compute: Callable[[Unit, Any], Computed]
    schema: Schema = field(default_factory=dict)
    along: Schema = field(default_factory=dict)
    options: type[Options] = Options
    needs: tuple[str, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    findings: Callable[[Tables, Sequence[str]], list[Finding]] = _no_findings
    tabulate: Callable[[pl.DataFrame, Tables], pl.DataFrame] | None = None
    reads: tuple[str, ...] = ()
    chunk: int = 8

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", self.name):
            raise InputError(f"measure {self.name!r}: expected a name of a–z, 0–9 and _, at most 40; rename it.")
        if self.scope not in get_args(Scope):
            raise InputError(f"measure {self.name!r}: scope {self.scope!r}; expected {', '.join(get_args(Scope))}.")
        if self.name in RESERVED and self.name != "curves":
            raise InputError(f"measure {self.name!r}: this name stands for something else; rename it.")
        if not issubclass(self.options, Options):
            raise InputError(f"measure {self.name!r}: its options are no subclass of Options; derive them from it.")
        if self.along and self.scope != "run":
            raise InputError(f"measure {self.name!r}: only the scope 'run' has columns along the steps.")
        if taken := set(KEYS[self.scope]) & set(self.schema):
            raise InputError(f"measure {self.name!r}: {', '.join(sorted(taken))} are keys of its table; rename them.")

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.name.replace("_", " ")

    @property
    def table(self) -> str | None:
        """The table of its own; ``None`` where its rows are columns of ``runs``, or it has no rows."""
        return self.name if self.schema and self.scope != "run" else None

    @property
    def columns(self) -> dict[str, DataType]:
        """Columns of its table, keys of the scope included."""
        return {**KEYS[self.scope], **self.schema}

    @property
    def stored(self) -> dict[str, DataType]:
        """Columns of its rows as ``compute`` gives them and as they are stored."""
        own = {name: KEYS[self.scope][name] for name in OWN_KEYS.get(self.scope, ())}
        return {**own, **self.schema}


def as_outcome(computed: Computed) -> Outcome:
    """What ``compute`` returned, as an :class:`Outcome`.

    Raises:
        InputError: If it is something else.

    Example:
        >>> as_outcome({"answer": 42}).rows
        ({'answer': 42},)
    """
    if isinstance(computed, Outcome):
        return computed
    if isinstance(computed, pl.DataFrame):
        return Outcome(computed.to_dicts())
    if isinstance(computed, Mapping):
        return Outcome((computed,))
    if isinstance(computed, Sequence) and all(isinstance(row, Mapping) for row in computed):
        return Outcome(tuple(computed))
    raise InputError(f"it gave {type(computed).__name__}; expected a row as a dict, rows, a table or an Outcome.")


def checked_table(rows: Sequence[Row], schema: Schema) -> pl.DataFrame:
    """Rows as a table of a schema; what a row leaves out is null.

    Raises:
        InputError: If a row has a column that the schema lacks, a value of another type, or a NaN; names the column.

    Example:
        >>> checked_table([{"a": 1}], {"a": pl.Int64, "b": pl.String}).rows()
        [(1, None)]
    """
    for row in rows:
        if unknown := [name for name in row if name not in schema]:
            raise InputError(
                f"its table does not fit its schema: the column {unknown[0]!r} is not among {', '.join(schema)}."
            )
    series = []
    for name, kind in schema.items():
        values = [_number(row.get(name)) if kind == pl.Float64 else row.get(name) for row in rows]
        try:
            series.append(pl.Series(name, values, dtype=kind, strict=True))
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            raise InputError(
                f"its table does not fit its schema: the column {name!r} is {kind}, and {_misfit(values, kind)!r} is "
                "not."
            ) from None
        if kind == pl.Float64 and series[-1].is_nan().any():
            raise InputError(f"its column {name!r} holds NaN; give None where there is no number, and a status.")
    return pl.DataFrame(series)


def _number(value: Any) -> Any:
    """A whole number as a float; everything else as it is."""
    return float(value) if isinstance(value, int | float | np.number) and not isinstance(value, bool) else value


def _misfit(values: Sequence[Any], kind: DataType) -> Any:
    """The first value that does not fit."""
    for value in values:
        try:
            pl.Series([value], dtype=kind)
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            return value
    return values[0] if values else None
