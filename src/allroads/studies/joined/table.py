"""One row per run with every quantity that a study measured of it, and why some are absent."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from allroads.errors import InputError, StoreError
from allroads.studies.measures.measure import LABELS, Tables

if TYPE_CHECKING:
    from allroads.studies.run import StudyRun

READABLE = ("converged", "ok", "scale-dependent")
"""Statuses of a learning coefficient that may be read."""
READ = ("computes", "behaves as")
"""Statuses of a program that was shown to give the network's answers."""


@dataclass(frozen=True)
class JoinedQuantity:
    """A column of the joined table.

    Attributes:
        name: Of the column.
        table: The table of the study that holds it.
        rows: ``rows(table)`` gives ``run``, ``value`` and ``status``, a row per run.
        sound: Statuses with which the number is kept.
    """

    name: str
    table: str
    rows: Callable[[pl.DataFrame], pl.DataFrame]
    sound: tuple[str, ...] = ("ok",)


def _at_the_end(column: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A column of a table along the steps, at the last point of each run that was measured."""

    def rows(table: pl.DataFrame) -> pl.DataFrame:
        last = table.filter(pl.col("step") == pl.col("step").max().over("run"))
        return last.select("run", pl.col(column).cast(pl.Float64).alias("value"), "status")

    return rows


def _of_run(column: str, status: str = "status") -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A column of ``runs`` with the column of its status."""

    def rows(table: pl.DataFrame) -> pl.DataFrame:
        return table.select("run", pl.col(column).cast(pl.Float64).alias("value"), pl.col(status).alias("status"))

    return rows


def _over_partners(number: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Mean of a number of pairs over the other runs of the same combination."""

    def rows(table: pl.DataFrame) -> pl.DataFrame:
        pairs = table.select("run_a", "run_b", number.alias("value"))
        both = pl.concat([pairs.select(run=side, value="value") for side in ("run_a", "run_b")])
        mean = both.drop_nulls().group_by("run", maintain_order=True).agg(pl.col("value").mean())
        return mean.with_columns(status=pl.lit("ok"))

    return rows


QUANTITIES = (
    JoinedQuantity("program_length", "programs", _at_the_end("bits"), READ),
    JoinedQuantity("complexity", "complexity", _at_the_end("value")),
    JoinedQuantity("learning_coefficient", "llc", _at_the_end("value"), READABLE),
    JoinedQuantity("log_volume", "volume", _at_the_end("value")),
    JoinedQuantity("robustness", "robustness", _at_the_end("value")),
    JoinedQuantity("sharpness", "sharpness", _at_the_end("value")),
    JoinedQuantity("directness", "runs", _of_run("directness", "directness_status")),
    JoinedQuantity("convergence", "pairs", _over_partners(pl.col("agreement") - pl.col("chance"))),
    JoinedQuantity("held_out_loss", "runs", _of_run("held_out_loss")),
    JoinedQuantity("held_out_accuracy", "runs", _of_run("held_out_accuracy")),
    JoinedQuantity("train_loss", "runs", _of_run("train_loss")),
)
"""The quantities, in the order of the columns."""


@dataclass(frozen=True)
class JoinedTable:
    """All runs of a study with what was measured of each.

    Attributes:
        table: One row per run: ``run``, ``seed``, the labels ``grid``, ``target``, ``architecture`` and ``explorer``,
            and a column per quantity, null where there is no number that may be read.
        left_out: For each quantity, how many runs lack it, by status. ``"not measured"`` stands for runs without a
            row, and ``"no number"`` for a sound status without one.
    """

    table: pl.DataFrame
    left_out: Mapping[str, Mapping[str, int]]

    @property
    def measured(self) -> tuple[str, ...]:
        """Quantities of which at least one run has a number."""
        return tuple(name for name in self.left_out if self.table[name].is_not_null().any())

    def __str__(self) -> str:
        lines = [f"{self.table.height} runs"]
        for name, counts in self.left_out.items():
            absent = "".join(f", {count} {status}" for status, count in counts.items())
            lines.append(f"{name}: {self.table[name].is_not_null().sum()}{absent}")
        return "\n".join(lines)


def joined_table(study: str | Path | StudyRun | Tables) -> JoinedTable:
    """Program length, complexity, learning coefficient, volume, robustness and more, one row per run of a study.

    Numbers are those of the last point of each run that was measured. A number whose status says that it must not be
    read is left out and counted. What the study did not measure is a column of nulls.

    ===================== =============================================================================================
    column                is
    ===================== =============================================================================================
    program_length        bits of a program that was shown to give the network's answers
    complexity            of the function that the network computes, by the measure that the study chose
    learning_coefficient  λ̂ of the training loss
    log_volume            log mass of the parameters about as good, in nats
    robustness            share of small moves that keep the function
    sharpness             largest eigenvalue of the Hessian of the training loss
    directness            chord over arc of the road in function space
    convergence           agreement with the other runs of its combination, less what chance gives, mean over them
    held_out_loss, held_out_accuracy, train_loss at the end
    ===================== =============================================================================================

    Args:
        study: The directory of a study that ran, what :func:`~allroads.run_study` gave, or its tables by name.

    Returns:
        A :class:`JoinedTable`.

    Raises:
        StoreError: If the directory holds no tables, or one cannot be read.
        InputError: If it is none of these, or tables lack one named ``runs`` or hold what no study writes.

    Example:
        >>> import polars as pl
        >>> runs = pl.DataFrame({"run": ["a", "b"], "seed": [0, 1], "status": ["ok", "diverged"],
        ...     "directness": [0.5, None], "directness_status": ["ok", "diverged"], "train_loss": [0.1, 2.0]})
        >>> joined = joined_table({"runs": runs})
        >>> joined.table["directness"].to_list(), dict(joined.left_out["directness"])
        ([0.5, None], {'diverged': 1})
    """
    tables = study if isinstance(study, Mapping) else _read(study)
    if "runs" not in tables:
        raise InputError(f"tables: expected one named 'runs'; got {', '.join(map(str, tables)) or 'none'}.")
    for name in ("runs", *(quantity.table for quantity in QUANTITIES if quantity.table in tables)):
        if not isinstance(tables[name], pl.DataFrame):
            raise InputError(f"tables: expected {name!r} to be a polars DataFrame; got {type(tables[name]).__name__}.")
    runs = tables["runs"]
    if "run" not in runs.columns:
        raise InputError("tables: expected 'runs' to be a polars DataFrame with a column 'run'.")
    found = runs.select(name for name in ("run", "seed", *LABELS) if name in runs.columns)
    left_out: dict[str, Mapping[str, int]] = {}
    for quantity in QUANTITIES:
        column, left_out[quantity.name] = _column(found, quantity, tables)
        found = found.with_columns(column)
    return JoinedTable(found, left_out)


def _column(runs: pl.DataFrame, quantity: JoinedQuantity, tables: Tables) -> tuple[pl.Series, Mapping[str, int]]:
    """The numbers of one quantity, and how many runs lack it by status."""
    absent = {"run": pl.String, "value": pl.Float64, "status": pl.String}
    try:
        rows = quantity.rows(tables[quantity.table]) if quantity.table in tables else pl.DataFrame(schema=absent)
        joined = runs.select("run").join(rows.unique("run", keep="last"), on="run", how="left", maintain_order="left")
    except pl.exceptions.ColumnNotFoundError:  # an earlier allroads, or a table made by hand
        joined = runs.select("run").with_columns(value=pl.lit(None, pl.Float64), status=pl.lit(None, pl.String))
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"tables: {quantity.table!r} does not give {quantity.name} ({str(error).splitlines()[0]}); expected the "
            "columns of that table of a study, numbers as numbers and runs as 'runs' names them."
        ) from error
    sound = pl.col("status").is_in(quantity.sound)
    known = sound & pl.col("value").is_finite().fill_null(False)
    unread = pl.when(sound).then(pl.lit("no number")).otherwise("status")
    why = pl.when(pl.col("status").is_null()).then(pl.lit("not measured")).otherwise(unread)
    lacking = joined.filter(~known.fill_null(False)).select(why.alias("why"))["why"].to_list()
    value = joined.select(pl.when(known).then("value").alias(quantity.name))[quantity.name]
    return value, dict(sorted(Counter(lacking).items()))


def _read(study: Any) -> dict[str, pl.DataFrame]:
    directory = getattr(study, "directory", study)
    if not isinstance(directory, str | os.PathLike):
        raise InputError(
            "study: expected the directory of a study, what run_study gave, or tables by name; got "
            f"{type(study).__name__}."
        )
    folder = Path(directory) / "tables"
    names = dict.fromkeys(("runs", *(quantity.table for quantity in QUANTITIES)))
    if not (folder / "runs.parquet").is_file():
        raise StoreError(
            f"{folder} holds no runs.parquet: give the directory of a study that ran to its end, such as the one that "
            "`allroads run STUDY --out DIR` wrote to."
        )
    try:
        return {
            name: pl.read_parquet(folder / f"{name}.parquet", glob=False)
            for name in names
            if (folder / f"{name}.parquet").is_file()
        }
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(
            f"a table in {folder} cannot be read ({error}). Run the study again: finished cells are kept."
        ) from error
