"""The joined table: rank correlations of all that a study measured of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import polars as pl
from pydantic import Field

from allroads.errors import InputError
from allroads.studies.joined.ranks import DEFAULT, rank_correlations
from allroads.studies.joined.table import QUANTITIES, joined_table
from allroads.studies.measures.attribution import REFUSED
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import signed

if TYPE_CHECKING:
    from allroads.studies.units import Unit

Covariate: TypeAlias = Literal["grid", "target", "architecture", "explorer", "train_loss"]
NAMES = tuple(quantity.name for quantity in QUANTITIES)


class JoinedOptions(Options):
    """Options of the joined table.

    Args:
        enabled: Off by default: it says little where a study measures few quantities of each run.
        quantities: Columns to correlate; none: all that the study measured, without the training loss and the held-out
            accuracy.
        given: Covariates of the correlations given covariates.
        draws: ``cells`` or ``runs`` for the intervals, ``auto`` for cells where there are ten or more.
        resamples: Bootstrap samples.
    """

    enabled: bool = False
    quantities: tuple[str, ...] = ()
    given: tuple[Covariate, ...] = ("target", "train_loss")
    draws: Literal["auto", "cells", "runs"] = "auto"
    resamples: Annotated[int, Field(ge=99)] = 999


QUANTITY = Quantity(
    "partial rank correlation",
    "Correlation of the ranks of two quantities over runs, with the ranks of others held fixed.",
    symbol="ρ",
    conventions="Runs that lack a number are left out. Intervals by bootstrap over cells, or over runs where there are "
    "fewer than ten cells; p-values corrected by Holm for the number of pairs.",
    source="spearman1904",
)


def ask(unit: Unit, options: JoinedOptions) -> list[Row]:
    """Rank correlations of all that a study measured: one row that says which, answered by the other tables.

    Raises:
        InputError: If a quantity is unknown.
    """
    if unknown := [name for name in options.quantities if name not in NAMES]:
        raise InputError(f"quantities: {unknown[0]!r} is unknown; expected some of {', '.join(NAMES)}.")
    return [
        {
            "quantities": list(options.quantities),
            "given": list(options.given),
            "draws": options.draws,
            "resamples": options.resamples,
        }
    ]


def answer(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """A row per pair of quantities and kind of correlation; one row with the reason where there are none."""
    if rows.is_empty():
        return rows
    asked = rows.row(0, named=True)
    joined = joined_table(tables)
    chosen = asked["quantities"] or [name for name in DEFAULT if name in joined.measured]
    given = [name for name in asked["given"] if name not in chosen]
    same: dict[str, Any] = {"quantities": chosen, "given": given, "resamples": asked["resamples"]}
    try:
        found = rank_correlations(
            joined,
            chosen,
            given=given,
            draws=None if asked["draws"] == "auto" else asked["draws"],
            resamples=asked["resamples"],
        )
    except InputError as error:
        return pl.DataFrame([same | {"status": REFUSED, "reason": str(error)}], schema_overrides=TYPES)
    same |= {"runs": found.runs, "draws": found.draws, "units": found.units, "status": "ok"}
    same["constant"] = list(found.constant)
    return pl.DataFrame([same | row for row in found.table.to_dicts()], schema_overrides=TYPES)


TYPES = {name: pl.List(pl.String) for name in ("quantities", "given", "constant")}


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """Which quantities go together given all others, and which pairs do so in neither direction."""
    table = tables["joined"].filter(pl.col("kind") == "others").drop_nulls(["low", "high"])
    return [Finding(_together(table), "joined", "", "around")]


def _together(pairs: pl.DataFrame) -> str:
    if pairs.is_empty():
        return ""
    clear = pairs.filter(pl.col("adjusted") <= 0.05).sort(pl.col("value").abs(), descending=True, maintain_order=True)
    runs, names = pairs["runs"].to_list()[0], {*pairs["a"], *pairs["b"]}
    given = "Given all other quantities" if len(names) > 2 else "Over all runs"
    if clear.is_empty():
        return f"{given}, none of {pairs.height} pairs of quantities is clearly correlated over {runs} runs."
    first = clear.row(0, named=True)
    how = "rise together" if first["value"] > 0 else "go against each other"
    ends = f"{signed(first['low'])} to {signed(first['high'])}"
    what = "rank correlation" if len(names) == 2 else "partial rank correlation"
    return (
        f"{given}, {title(first['a'])} and {title(first['b'])} {how}: {what} {signed(first['value'])} (95 % interval "
        f"{ends}, {runs} runs). {clear.height} of {pairs.height} pairs are clearly correlated, corrected for their "
        "number."
    )


def title(name: str) -> str:
    """A quantity in words.

    Example:
        >>> title("held_out_loss")
        'held-out loss'
    """
    return name.replace("held_out", "held-out").replace("_", " ")


MEASURE = Measure(
    "joined",
    1,
    "study",
    ask,
    {
        "a": pl.String,
        "b": pl.String,
        "kind": pl.String,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "p": pl.Float64,
        "adjusted": pl.Float64,
        "runs": pl.Int64,
        "draws": pl.String,
        "units": pl.Int64,
        "resamples": pl.Int64,
        "quantities": pl.List(pl.String),
        "given": pl.List(pl.String),
        "constant": pl.List(pl.String),
        "status": pl.String,
        "reason": pl.String,
    },
    options=JoinedOptions,
    quantities=(QUANTITY,),
    tabulate=answer,
    findings=findings,
)
