"""Certified stretches: where on its road the loss of a run must fall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from allroads.studies.measures.measure import Finding, Measure, Options, Outcome, Quantity, Tables
from allroads.studies.measures.sentences import by_grid, counted, middle

if TYPE_CHECKING:
    from allroads.studies.units import Unit

QUANTITY = Quantity(
    "certified stretches",
    "Stretches between two records on which the loss on the road probes must fall: the stretch, continued straight to "
    "the target, turns less than arcsin(2√κ/(1+κ)). Certified share: their share of the road's length.",
    conventions="In the stated chart, κ from the loss and the answers at the stretch's own ends; what is not certified "
    "is not known to rise.",
    source="lucas2021",
)


def measure_certified(unit: Unit, options: Options) -> Outcome:
    """Share of the road that is certified, and whether the stretch that ends at each record is (null at the first)."""
    from allroads.paths.certify import certify
    from allroads.status import PathStatus

    run = unit.run
    values, labels = (run.need("values").arrays[name] for name in ("values", "labels"))
    found = certify(values, labels, run.loss, chart=run.need("chart").row["chart"])
    # The whole may have no κ, and its stretches one.
    known = found.status == PathStatus.OK or (found.status == PathStatus.NOT_APPLICABLE and found.falls.any())
    row = {
        "certified_share": found.share if known else None,
        "certified_status": PathStatus.OK.value if known else found.status.value,
    }
    falls = found.falls.tolist() if known else [None] * len(found.falls)
    return Outcome((row,), {"certified": [None, *falls]})


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """How much of the roads is certified, and in how many stages they go; of all runs, then grid by grid."""
    return by_grid(_certified, "roads", "road")(tables["runs"], grids)


def _certified(runs: pl.DataFrame) -> str:
    shares, stages = runs["certified_share"].drop_nulls(), runs["stages"].drop_nulls()
    text = ""
    if not shares.is_empty():
        some = int((shares > 0).sum())
        have = "has" if len(shares) == 1 else "have"
        text = f"{counted(some, len(shares))} {have} a stretch on which the loss must fall"
        text += f", over {middle(shares * 100, '{} %')} of the median road" if np.median(shares) > 0 else ""
        text += ". "
    if not stages.is_empty():
        text += f"The median road has {middle(stages, '{}')} direct stage{'' if np.median(stages) == 1 else 's'}."
    return text.rstrip()


MEASURE = Measure(
    "certified",
    1,
    "run",
    measure_certified,
    {"certified_share": pl.Float64, "certified_status": pl.String},
    along={"certified": pl.Boolean},
    needs=("values", "chart"),
    quantities=(QUANTITY,),
    findings=findings,
)
