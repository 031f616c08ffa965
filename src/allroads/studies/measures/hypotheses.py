"""The hypotheses on the atlas of each grid: H1 by changes, H2 by reach and roads, H3 by walks; forecast and chain."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
from pydantic import Field

from allroads.status import AtlasStatus, Status
from allroads.studies.measures.chain_rows import chain_row, navigability_rows, said_of_chain
from allroads.studies.measures.direct_paths import direct_path_rows
from allroads.studies.measures.matrices import FEWEST, adjacency_matrices
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, signed

if TYPE_CHECKING:
    from allroads.atlases.atlas import Atlas
    from allroads.studies.units import Unit


class HypothesesOptions(Options):
    """Options of the tests of hypotheses.

    Args:
        enabled: Off by default: it takes an atlas with many changes.
        permutations: Relabellings of nodes, and shuffled orders.
        resamples: Bootstrap samples of runs for the forecast.
        level: Level of tests and intervals.
    """

    enabled: bool = False
    permutations: Annotated[int, Field(ge=99)] = 9999
    resamples: Annotated[int, Field(ge=100)] = 2000
    level: Annotated[float, Field(gt=0, lt=0.5)] = 0.05


QUANTITIES = (
    Quantity(
        "slope on program distance",
        "Change of the share of changes p → q per unit of program distance, given function distance and the level of "
        "each program.",
        conventions="Program distance is one minus the Jaccard index of the parts, function distance the share of "
        "other answers; Boolean functions of up to six bits alone. Test and interval by relabelling programs (double "
        "semi-partialling).",
        source="dekker2007",
    ),
    Quantity(
        "slope on road cost",
        "Change of log₂(1 + steps) of descents p → q per unit of road cost, given directness, function distance and "
        "the level of each program; likewise the slope on directness.",
        conventions="Pairs whose median descent does not come within the budget are left out. Boolean functions of up "
        "to six bits alone. Test and interval by relabelling programs (double semi-partialling).",
        source="dekker2007",
    ),
    Quantity(
        "share that lengthens",
        "Share of the changes of length along runs that lengthen the program.",
        conventions="Interval by run. The null shuffles the stays of each run, first and last kept.",
        source="phipson2010",
    ),
    Quantity(
        "gain of the forecast",
        "Bits per change by which the atlas of half of the runs predicts the next program of the other half, over "
        "marginal frequencies.",
        conventions="Given the target of the run; 95 % interval by run.",
        source="goodman1968",
    ),
    Quantity(
        "bits of the past",
        "What the previous program says of the next one beyond the present one, in bits per change.",
        conventions="Zero where programs along runs are a Markov chain. The null deals next programs anew among places "
        "with the same present one.",
        source="kemeny1960",
    ),
    Quantity(
        "navigability of programs",
        "Chance that a path of neighbours along which fitness never falls leads from one program to another.",
        symbol="ψ",
        conventions="Programs at which runs end, joined where a small move led from one to the other. Beside graphs "
        "with as many pairs at random, and beside moves whose ends are dealt anew. Intervals over draws of fitness.",
        source="greenbury2022",
    ),
)


def ask(unit: Unit, options: HypothesesOptions) -> list[Row]:
    """One row that says how, answered by the atlas."""
    return [{"options": json.dumps(options.identity)}]


def answer(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """A row per grid and test."""
    from allroads.atlases.stored import unstacked

    if rows.is_empty():
        return rows
    said = rows["options"][0]
    options = json.loads(said)
    targets = dict(tables["runs"].select("run", "target").iter_rows())
    found = [
        {"grid": grid, "options": said, **row}
        for (grid,), part in tables["atlas"].group_by(["grid"], maintain_order=True)
        for row in _tests(unstacked(part), targets, options, tables)
    ]
    numbers = {name: kind for name, kind in SCHEMA.items() if kind == pl.Float64}
    table = pl.DataFrame(found, schema_overrides=SCHEMA) if found else rows.clear()
    return table.with_columns(pl.col(name).fill_nan(None) for name in numbers if name in table.columns)


def _tests(atlas: Atlas, targets: dict[str, str], options: dict[str, Any], tables: Tables) -> Iterator[dict[str, Any]]:
    from allroads.atlases.forecast import forecast_programs
    from allroads.atlases.hypotheses import adjacency_hypothesis, stepping_stone_hypothesis

    shared = {"permutations": options["permutations"], "level": options["level"]}
    matrices = adjacency_matrices(atlas)
    if matrices is None:
        yield {"test": "H1", "status": AtlasStatus.TOO_FEW_PAIRS.value, "reason": FEW}
    else:
        h1 = adjacency_hypothesis(*matrices, node_effects=True, **shared)
        slope = h1.slopes["program distance"]
        numbers = {name: getattr(slope, name) for name in NUMBERS} | {"null": 0.0, "events": slope.pairs}
        yield {"test": "H1", **numbers, "verdict": h1.verdict["program distance"], **_told(slope.status)}
    yield from direct_path_rows(atlas, shared, tables.keys())
    sequences = atlas.sequences()
    if sequences:
        lengths = dict(atlas.nodes.select("node", "bits").drop_nulls().iter_rows())
        parts = dict(atlas.nodes.select("node", "parts").drop_nulls().iter_rows())
        h3 = stepping_stone_hypothesis(sequences, lengths, parts, fixed_ends=True, **shared)
        for name in ("lengthening", "precedence"):
            share = getattr(h3, name)
            numbers = {key: getattr(share, key) for key in (*NUMBERS, "null", "events", "runs")}
            yield {"test": f"H3 {name}", **numbers, "verdict": h3.verdict[name], **_told(share.status)}
        groups = {run: targets[run] for run in sequences}
        gain = forecast_programs(sequences, groups=groups, resamples=options["resamples"], progress=False)
        low, high = (gain.stats[name] if gain.status.sound else math.nan for name in ("low", "high"))
        verdict = "supported" if low > 0 else "opposed" if high < 0 else "undecided"
        counts = {"events": gain.stats["changes"], "runs": gain.stats["runs"]}
        numbers = {"value": gain.value, "low": low, "high": high, "null": 0.0, **counts}
        yield {"test": "forecast", **numbers, "verdict": verdict, **_told(gain.status)}
        yield chain_row(list(sequences.values()), options)
    yield from navigability_rows(atlas, tables.get("neighbours"))


def _told(status: Status) -> dict[str, str | None]:
    """The status of a number, and where there is none what that means."""
    return {"status": status.value, "reason": None if status.sound else status.meaning}


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """What each test says of each grid: for, against, or undecided, with its numbers."""
    return by_grid(_verdicts, "atlas", "around")(tables["hypotheses"], grids)


WORDS = {
    "H1": ("changes", "lead to programs that share parts", "lead away from programs that share parts"),
    "H2 road cost": (
        "descents",
        "take fewer steps where the straight road is short",
        "take more steps where the straight road is short",
    ),
    "H2 directness": (
        "descents",
        "take fewer steps where they are direct",
        "take more steps where they are direct",
    ),
    "H3 lengthening": (
        "changes",
        "lengthen programs more than shuffled orders do",
        "lengthen programs less than shuffled orders do",
    ),
    "forecast": ("changes", "can be forecast", "are forecast worse than by marginal frequencies"),
    "navigability, rewired": (
        "programs",
        "are more navigable than with as many neighbours at random",
        "are less navigable than with as many neighbours at random",
    ),
}
"""By test, what is spoken of, and what it does where the test is for and where it is against."""
NUMBER = {
    "H1": "the share of changes has a slope on program distance of",
    "H2 road cost": "log₂ steps have a slope on road cost of",
    "H2 directness": "log₂ steps have a slope on directness of",
    "forecast": "the gain in bits per change is",
}
"""What is said of a number with a sign; of others see ``_numbers``."""
NUMBERS = ("value", "low", "high", "p", "detectable")
FEW = f"fewer than {FEWEST} programs with Boolean functions of up to six bits, or no edge of changes was estimated."


def _verdicts(rows: pl.DataFrame) -> str:
    if rows["grid"].n_unique() != 1:
        return ""
    return " ".join(filter(None, map(_verdict, rows.iter_rows(named=True))))


def _verdict(row: dict[str, Any]) -> str:
    """What one test says; empty where it has no number, or no interval."""
    if row["test"] == "lumpability":
        return said_of_chain(row)
    if row["test"] not in WORDS or row["value"] is None or row["low"] is None or math.isinf(row["high"]):
        return ""
    what, agrees, opposes = WORDS[row["test"]]
    numbers = _numbers(row)
    if row["verdict"] == "undecided":
        return f"Whether {what} {agrees} is undecided: {numbers}."
    return f"{what.capitalize()} {agrees if row['verdict'] == 'supported' else opposes}: {numbers}."


def _numbers(row: dict[str, Any]) -> str:
    """The number of a test with its interval, beside its null where that is not zero."""
    value, low, high, null = (row[name] for name in ("value", "low", "high", "null"))
    inside = f"{_confidence(row):g} % interval"
    if row["test"] == "H3 lengthening":
        interval = f"{inside} {100 * low:.0f}–{100 * high:.0f} %"
        return (
            f"{100 * value:.0f} % of the changes of length lengthen ({interval}), in shuffled orders {100 * null:.0f} %"
        )
    if row["test"].startswith("navigability"):
        return f"ψ is {value:.2f} (interval over draws of fitness {low:.2f} to {high:.2f}), at random {null:.2f}"
    return f"{NUMBER[row['test']]} {signed(value)} ({inside} {signed(low)} to {signed(high)})"


def _confidence(row: dict[str, Any]) -> float:
    """Of the interval of a test, in per cent: by ``level``, but for that of the forecast."""
    return 95.0 if row["test"] == "forecast" else 100 * (1 - json.loads(row["options"])["level"])


SCHEMA: dict[str, Any] = {
    "grid": pl.String,
    "test": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "null": pl.Float64,
    "p": pl.Float64,
    "detectable": pl.Float64,
    "events": pl.Int64,
    "runs": pl.Int64,
    "verdict": pl.String,
    "status": pl.String,
    "reason": pl.String,
    "options": pl.String,
}

MEASURE = Measure(
    "hypotheses",
    2,
    "study",
    ask,
    SCHEMA,
    options=HypothesesOptions,
    quantities=QUANTITIES,
    tabulate=answer,
    reads=("atlas",),
    findings=findings,
)
