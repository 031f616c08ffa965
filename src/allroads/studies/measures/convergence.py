"""Convergence of the runs of a combination: representations and answers of pairs, beside a permutation null."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
import polars as pl
from pydantic import Field

from allroads.studies.measures.functions import domain
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid
from allroads.studies.measures.thinning import spread

if TYPE_CHECKING:
    from allroads.paths.convergence.tables import PairTable
    from allroads.studies.units import Unit

Name: TypeAlias = Literal["cka", "procrustes", "neighbours", "rsa", "stitching"]
LEAST_INPUTS = 4
"""Inputs below which nothing is compared."""
WORDS = {
    "agreement": "answers",
    "cka": "representations by CKA",
    "procrustes": "representations by the Procrustes angle",
    "neighbours": "representations by mutual neighbours",
    "rsa": "representations by RSA",
    "stitching": "representations by stitching",
}


class ConvergenceOptions(Options):
    """Options of the convergence.

    Args:
        enabled: Off by default: every pair is held against hundreds of permutations.
        measures: Of representations, as for :func:`allroads.convergence`. Angles and stitching take far longer.
        layers: Names of layers; none: the last hidden one.
        inputs: Inputs, at most, on which runs are compared, spread evenly.
        members: Runs of a combination, at most, that are compared: the first ones.
        permutations: How many; default as many as the correction for the number of pairs needs.
        level: Of the corrected p-value up to which a pair is nearer than chance.
    """

    enabled: bool = False
    measures: tuple[Name, ...] = ("cka", "neighbours")
    layers: tuple[str, ...] = ()
    inputs: Annotated[int, Field(ge=LEAST_INPUTS)] = 256
    members: Annotated[int, Field(ge=2)] = 16
    permutations: Annotated[int, Field(ge=19)] | None = None
    level: Annotated[float, Field(gt=0, lt=1)] = 0.05


QUANTITY = Quantity(
    "convergence",
    "How alike two ends of one combination are on the same inputs, beside what they would be if the inputs of one were "
    "shuffled.",
    conventions="On the whole domain where it is known, else on held-out inputs. A pair "
    "is beyond the null where its p-value, corrected by Holm "
    "for the pairs of its combination, is at most the level. Untrained networks of one architecture can be beyond it "
    "too, since they see the same inputs.",
    source="kornblith2019",
)


def measure_convergence(unit: Unit, options: ConvergenceOptions) -> list[Row]:
    """Answers and representations of every pair of runs that finished, each beside its null.

    Raises:
        KeyboardInterrupt: If the user stopped it: what is there then is nothing to store.
    """
    from allroads.paths.convergence import convergence

    runs = [run for run in unit.runs if run.status == "ok"][: options.members]
    first = unit.runs[0]
    probes = domain(first.target)
    inputs = probes.inputs[spread(len(probes.inputs), options.inputs)]
    if len(runs) < 2 or len(inputs) < LEAST_INPUTS:
        return []
    found = convergence(
        first.network,
        [run.end for run in runs],
        inputs,
        loss=first.loss,
        measures=options.measures,
        layers=options.layers or None,
        permutations=options.permutations,
        level=options.level,
        seed=first.study_seed,
        progress=False,
    )
    if found.ended == "interrupted":
        raise KeyboardInterrupt
    names = [run.name for run in runs]
    tables = [("outputs", found.agreement)]
    tables += [(layer, table) for layer, named in found.representations.items() for table in named.values()]
    return [{"layer": layer, **row} for layer, table in tables for row in _rows(table, names)]


def _rows(table: PairTable, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row per pair; where the direction counts, one per direction."""
    both = itertools.permutations if table.directed else itertools.combinations
    for a, b in both(range(len(names)), 2):
        numbers = {
            "value": table.values[a, b],
            "error": table.errors[a, b],
            "null": table.null_mean[a, b],
            "excess": table.excess[a, b],
            "p": table.p[a, b],
            "adjusted": table.adjusted[a, b],
        }
        known = {name: float(number) if np.isfinite(number) else None for name, number in numbers.items()}
        tested = known["adjusted"] is not None
        yield {
            "run_a": names[a],
            "run_b": names[b],
            "measure": table.measure,
            **known,
            "beyond": bool(table.beyond[a, b]) if tested else None,
            "level": table.level,
            "permutations": table.permutations,
            "status": table.status.value,
        }


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """In how many pairs answers and representations are nearer than chance; of all, then grid by grid."""
    return by_grid(_beyond, "convergence", "elsewhere")(tables["convergence"], grids)


def _beyond(pairs: pl.DataFrame) -> str:
    tested = pairs.drop_nulls("beyond")
    if tested.is_empty():
        return ""
    parts = []
    for (measure,), part in tested.group_by(["measure"], maintain_order=True):
        count, of = int(part["beyond"].sum()), part.height
        many = "all" if count == of else "none" if not count else str(count)
        parts.append(f"{WORDS[str(measure)]} in {many} of {of}")
    level = f"{100 * tested['level'].to_list()[0]:g} %"
    return f"Pairs of runs that are nearer than chance, corrected at {level}: {'; '.join(parts)}."


MEASURE = Measure(
    "convergence",
    1,
    "pair",
    measure_convergence,
    {
        "layer": pl.String,
        "measure": pl.String,
        "value": pl.Float64,
        "error": pl.Float64,
        "null": pl.Float64,
        "excess": pl.Float64,
        "p": pl.Float64,
        "adjusted": pl.Float64,
        "beyond": pl.Boolean,
        "level": pl.Float64,
        "permutations": pl.Int64,
        "status": pl.String,
    },
    options=ConvergenceOptions,
    quantities=(QUANTITY,),
    findings=findings,
)
