"""Complexity of the function that a run ends at, by several measures."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl

from allroads.points.complexity import Complexity, complexity
from allroads.status import PathStatus
from allroads.studies.measures.functions import domain, end_answers, function_name, truth_table
from allroads.studies.measures.measure import Measure, Options, Quantity, Row

if TYPE_CHECKING:
    from allroads.studies.units import Unit

By: TypeAlias = Literal[
    "lz76",
    "formula_any",
    "formula_and_or",
    "circuit_size",
    "dnf_terms",
    "walsh_degree",
    "walsh_l1",
    "total_influence",
    "max_sensitivity",
]
KNOWN = tuple(field.name for field in dataclasses.fields(Complexity) if field.name not in ("bits", "missing"))


class ComplexityOptions(Options):
    """Options of the complexity of functions.

    Args:
        enabled: Off by default: it asks every network for its whole domain.
        by: The measure that stands in the column ``value``, a field of :func:`allroads.complexity`. Formulas, circuits
            and normal forms are known for up to 4 bits.
    """

    enabled: bool = False
    by: By = "lz76"


QUANTITY = Quantity(
    "complexity",
    "Complexity of the Boolean function that a network computes on all its inputs, by the measure that is named.",
    symbol="K",
    conventions="Measures disagree: parity is long by Lempel–Ziv and short as a circuit. LZ76 depends on the order of "
    "the bits, the first of them changing fastest.",
    source="dingle2018",
)


def measure_complexity(unit: Unit, options: ComplexityOptions) -> list[Row]:
    """Every known complexity of the function at the last point, where it is Boolean and its inputs are all there."""
    run = unit.run
    probes = domain(run.target)
    row: dict[str, Any] = {"step": int(run.steps[-1]), "by": options.by}
    said = end_answers(run, probes.inputs)
    if said is None:
        return [row | {"status": PathStatus.DIVERGED.value}]
    table = truth_table(said, probes.inputs)
    if table is None:
        return [row | {"status": PathStatus.NOT_APPLICABLE.value}]
    found = complexity(table)
    known = {name: getattr(found, name) for name in KNOWN}
    value = known[options.by]
    status = PathStatus.NOT_APPLICABLE if value is None else PathStatus.OK
    return [row | known | {"value": value, "status": status.value, "function": function_name(said, table)}]


MEASURE = Measure(
    "complexity",
    1,
    "checkpoint",
    measure_complexity,
    {
        "value": pl.Float64,
        "status": pl.String,
        "by": pl.String,
        "function": pl.String,
        **dict.fromkeys(KNOWN, pl.Float64),
    },
    options=ComplexityOptions,
    quantities=(QUANTITY,),
)
