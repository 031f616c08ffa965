"""What each explorer reaches: how often its runs end at each function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from allroads.studies.measures.functions import domain, end_answers, function_name, share_right, truth_table
from allroads.studies.measures.intervals import wilson
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, short

if TYPE_CHECKING:
    from allroads.studies.units import Run, Unit


class ReachedOptions(Options):
    """Options of the functions reached.

    Args:
        enabled: Off by default: it asks every network for its whole domain.
    """

    enabled: bool = False


QUANTITIES = (
    Quantity(
        "function reached",
        "The answers of the last point of a run on the whole domain, or on the held-out examples where it is unknown.",
        symbol="f",
        conventions="Named by the truth table in hexadecimal, row 0 the lowest bit, for up to 6 bits; else a digest.",
    ),
    Quantity(
        "effective number",
        "1 / Σ p², the number of equally probable functions that would collide as often as those of two runs.",
        symbol="N_eff",
        conventions="Within one target, architecture and explorer. A lower end alone where no two runs agree.",
        source="hoeffding1963",
    ),
)


def measure_reached(unit: Unit, options: ReachedOptions) -> list[Row]:
    """A row per function that runs of an architecture and explorer end at, with its share of them."""
    from allroads.paths.convergence.reached import reached

    probes = domain(unit.runs[0].target)
    rows: list[Row] = []
    for labels, runs in _combinations(unit.runs).items():
        ends = {run.name: end_answers(run, probes.inputs) for run in runs}
        said = {name: one for name, one in ends.items() if one is not None}
        named = {name: function_name(one, truth_table(one, probes.inputs)) for name, one in said.items()}
        same: dict[str, Any] = {"architecture": labels[0], "explorer": labels[1], "runs": len(named)}
        same["diverged"] = len(runs) - len(named)
        if len(named) > 1:
            found = reached(list(named.values()))
            low, high = found.effective.stats["low"], found.effective.stats["high"]
            same |= {"effective": float(found.effective.value), "effective_low": low}
            same |= {"effective_high": high if np.isfinite(high) else None, "entropy": float(found.entropy.value)}
            same |= {"effective_status": found.effective.status.value}
        for function, count in Counter(named.values()).most_common():
            first = next(name for name, other in named.items() if other == function)
            low, high = wilson(count, len(named))
            right = share_right(said[first], probes.labels)
            rows.append(
                same | {"function": function, "count": count, "low": low, "high": high, "right": right, "first": first}
            )
    return rows


def _combinations(runs: Sequence[Run]) -> Mapping[tuple[str, str], list[Run]]:
    """The runs of each architecture and explorer."""
    found: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.labels["architecture"], run.labels["explorer"]), []).append(run)
    return found


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """How many functions the runs of one setting reach, and how often the most frequent one is the target."""
    return by_grid(_concentrated, "reached", "elsewhere")(tables["reached"], grids)


def _concentrated(table: pl.DataFrame) -> str:
    """One function, about as many as runs, or some in between; of one setting, or counted over several."""
    keys = ["grid", "target", "architecture", "explorer"]
    parts = [part for part in table.partition_by(keys, maintain_order=True) if part["runs"].to_list()[0] > 1]
    if not parts:
        return ""
    if len(parts) > 1:
        one = sum(part.height == 1 for part in parts)
        none = sum(max(part["count"].to_list()) == 1 for part in parts)
        target = sum(
            part.sort("count", descending=True, maintain_order=True)["right"].to_list()[0] == 1 for part in parts
        )
        return (
            f"In {one} of {len(parts)} settings all runs end at one function, and in {none} no two runs do. "
            f"In {target} the most frequent function is the target."
        )
    (part,) = parts
    row = part.sort("count", descending=True, maintain_order=True).row(0, named=True)
    whose = "the target" if row["right"] == 1 else f"right on {100 * row['right']:.1f} % of inputs"
    if part.height == 1:
        return f"All {row['runs']} runs end at one function, {whose}."
    if row["count"] == 1:
        return f"No two of {row['runs']} runs end at the same function."
    ends = "" if row["effective_high"] is None else f"–{short(row['effective_high'])}"
    return (
        f"{row['runs']} runs end at {part.height} functions, {row['count']} of them at the most frequent one, {whose}. "
        f"Their effective number is {short(row['effective'])} (95 % interval {short(row['effective_low'])}{ends})."
    )


MEASURE = Measure(
    "reached",
    1,
    "target",
    measure_reached,
    {
        "architecture": pl.String,
        "explorer": pl.String,
        "function": pl.String,
        "count": pl.Int64,
        "runs": pl.Int64,
        "low": pl.Float64,
        "high": pl.Float64,
        "right": pl.Float64,
        "first": pl.String,
        "effective": pl.Float64,
        "effective_low": pl.Float64,
        "effective_high": pl.Float64,
        "effective_status": pl.String,
        "entropy": pl.Float64,
        "diverged": pl.Int64,
    },
    options=ReachedOptions,
    quantities=QUANTITIES,
    findings=findings,
)
