"""Programs along a run: what its recorded points compute, with the kind of proof."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import jax
import numpy as np
import polars as pl
from pydantic import Field

from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, counted, share
from allroads.studies.measures.thinning import spread

if TYPE_CHECKING:
    from allroads.studies.units import Unit


class ProgramOptions(Options):
    """Options of extraction.

    Args:
        enabled: Off by default: it asks every network for its whole domain, and recurrent ones for their states.
        checkpoints: Recorded points, at most, at which a program is read; 1 reads the last alone, more are spread
            evenly over the records, both ends among them. 0 leaves the runs of a grid out.
    """

    enabled: bool = False
    checkpoints: Annotated[int, Field(ge=0)] = 1


QUANTITY = Quantity(
    "program",
    "A discrete object with source, read out of the weights, that gives the answers of the network.",
    symbol="P",
    conventions="The status says what was shown: computes asks for a proof over the whole domain, or for all lengths, "
    "and for interchange interventions; behaves as for the proof alone. Lengths in bits, by the code of the language.",
    source="michaud2024",
)


def measure_programs(unit: Unit, options: ProgramOptions) -> list[Row]:
    """The program and the function at each chosen point; one whose weights are not finite has neither."""
    from allroads.programs import extract
    from allroads.studies.measures.functions import answers_at, domain, function_name, truth_table

    run = unit.run
    if options.checkpoints == 0:
        return []
    last = len(run.steps) - 1
    chosen = spread(len(run.steps), options.checkpoints) if options.checkpoints > 1 else np.array([last])
    rows: list[dict[str, Any]] = []
    inputs = np.asarray(domain(run.target).inputs)
    for index, said in zip(chosen, answers_at(run, chosen, inputs), strict=True):
        params = jax.tree.map(lambda leaf, at=index: np.asarray(leaf)[at], run.params)
        row: dict[str, Any] = {"step": int(run.steps[index]), "status": "diverged"}
        rows.append(row)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            continue
        row["function"] = None if said is None else function_name(said, truth_table(said, inputs))
        found = extract(run.network, params, run.target, seed=run.study_seed, progress=False)
        row |= {"status": found.status.value, "why": str(found.stats["why"]), "table_bits": found.stats["table_bits"]}
        if found.program is None or found.equivalence is None:
            continue
        row |= {
            "language": found.program.language,
            "bits": float(found.program.bits),
            "equal": found.equivalence.equal,
            "scope": found.equivalence.scope,
            "checked": found.equivalence.checked,
            "correct": None if found.correct is None else found.correct.equal,
            "interchange": None if found.interchange is None else found.interchange.value,
            "source": found.program.source,
            "canonical": found.program.canonical().source,
            "parts": sorted(found.program.parts),
            "diagram": None if found.program.diagram is None else json.dumps(found.program.diagram.to_dict()),
        }
    return list(rows)


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """Which programs the runs end with, how many, what was proved, and when each appears; of all, then by grid."""

    def say(runs: pl.DataFrame) -> str:
        texts = _ends(runs, tables["programs"]), _appear(runs, tables["programs"])
        return " ".join(text for text in texts if text)

    return by_grid(say, "programs", "learned")(tables["runs"], grids)


def _appear(runs: pl.DataFrame, programs: pl.DataFrame) -> str:
    """From which step on a run holds the program that it ends with, and what was read before."""
    mine = programs.join(runs.select("run"), on="run", maintain_order="left").sort("run", "step")
    last = pl.col("source").last().over("run")
    mine = mine.with_columns(pl.col("step").shift(-1).over("run"), last=last)
    # Of each run, the last record that holds another program; the step is that of the record after it.
    turns = mine.filter(pl.col("last").is_not_null() & pl.col("source").ne_missing(pl.col("last")))
    turns = turns.group_by("run", maintain_order=True).last()
    steps, before = turns["step"].to_list(), Counter(_what(row) for row in turns.iter_rows(named=True))
    if not steps:
        return ""
    counts = ", ".join(f"{what} ({count})" for what, count in before.most_common())
    since = f"{median(steps):,.0f} on (median of {len(steps)})"
    return f"Their last program is there from step {since}; the reading before it: {counts}."


def _what(row: dict[str, Any]) -> str:
    """What a point held: a program of another function, another program of the target, or a status without one."""
    if row["status"] in ("computes", "behaves as"):
        return "another program of the target" if row["correct"] else "a program of another function"
    return str(row["status"])


def _ends(runs: pl.DataFrame, programs: pl.DataFrame) -> str:
    mine = programs.join(runs.select("run", "target"), on="run", maintain_order="left")
    ends = mine.filter(pl.col("step") == pl.col("step").max().over("run"))
    if ends.is_empty():
        return ""
    proved = ends.filter(pl.col("status").is_in(["computes", "behaves as"]) & pl.col("correct"))
    if proved.is_empty():
        counts = Counter(_end(row) for row in ends.iter_rows(named=True))
        listed = ", ".join(f"{what} ({count})" for what, count in sorted(counts.items()))
        return f"No run ends at a program that is proved to be its target. They end at: {listed}."
    languages = ", ".join(f"{count} {name}" for name, count in sorted(Counter(proved["language"]).items()))
    scopes = sorted({_scope(row) for row in proved.iter_rows(named=True)})
    computing = proved.filter(pl.col("status") == "computes").height
    distinct = proved.select("target", "source").n_unique()
    tables = ends.filter((pl.col("status") == "table") & pl.col("correct")).height
    more = f" {share(tables, len(ends))} end at its table instead." if tables else ""
    return (
        f"{counted(len(proved), len(ends))} end at a program that is proved to be the target, {' and '.join(scopes)} "
        f"({languages}): {_counted(distinct, 'program')} for {_counted(proved['target'].n_unique(), 'target')}. "
        f"In {computing} of them exchanged hidden states act as those of the program.{more}"
    )


def _end(row: dict[str, Any]) -> str:
    """What a run ends at that has no program of its target."""
    if row["status"] == "table":
        return "the table of the target" if row["correct"] else "the table of another function"
    return _what(row)


def _counted(number: int, what: str) -> str:
    """A number of things.

    Example:
        >>> _counted(1, "program"), _counted(3, "target")
        ('1 program', '3 targets')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _scope(row: Row) -> str:
    return "at all lengths" if row["scope"] == "all lengths" else f"over all {row['checked']:,} inputs"


MEASURE = Measure(
    "programs",
    3,
    "checkpoint",
    measure_programs,
    {
        "status": pl.String,
        "language": pl.String,
        "bits": pl.Float64,
        "table_bits": pl.Float64,
        "equal": pl.Boolean,
        "scope": pl.String,
        "checked": pl.Int64,
        "correct": pl.Boolean,
        "interchange": pl.Float64,
        "source": pl.String,
        "canonical": pl.String,
        "parts": pl.List(pl.String),
        "function": pl.String,
        "diagram": pl.String,
        "why": pl.String,
    },
    options=ProgramOptions,
    quantities=(QUANTITY,),
    findings=findings,
    chunk=1,
)
