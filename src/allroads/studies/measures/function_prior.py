"""P(f) under the initialisation, of the functions that runs reach and of the most probable ones, beside complexity."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import jax
import numpy as np
import polars as pl
from pydantic import Field

from allroads.errors import InputError
from allroads.points.complexity import complexity
from allroads.status import PathStatus
from allroads.studies.joined.ranks import rank_correlations
from allroads.studies.measures.complexity import By
from allroads.studies.measures.functions import domain, end_answers, function_name, truth_table
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, short, signed

if TYPE_CHECKING:
    from allroads.pfmap.network import Network
    from allroads.studies.units import Run, Unit


class FunctionPriorOptions(Options):
    """Options of the prior over functions.

    Args:
        enabled: Off by default: it draws many networks for every target and architecture.
        samples: Networks that are drawn.
        functions: The most probable functions that have a row each, beside those that runs reach.
        by: The complexity in the column ``complexity``, a field of :func:`allroads.complexity`.
    """

    enabled: bool = False
    samples: Annotated[int, Field(ge=1000)] = 100_000
    functions: Annotated[int, Field(ge=2)] = 256
    by: By = "lz76"


QUANTITY = Quantity(
    "prior probability of a function",
    "Share of networks drawn from the initialisation that compute the function on all inputs.",
    symbol="P(f)",
    conventions="With its Clopper–Pearson interval. For functions that were never drawn the upper end bounds P(f). The "
    "bound is 2^(−aK), with a the number of inputs over the largest complexity.",
    source="dingle2018",
)


def measure_prior(unit: Unit, options: FunctionPriorOptions) -> list[Row]:
    """A row per architecture and function, for Boolean targets whose inputs are all there."""
    probes = domain(unit.runs[0].target)
    inputs = np.asarray(probes.inputs)
    wanted = truth_table(np.asarray(probes.labels), inputs)
    by_architecture: dict[str, list[Run]] = {}
    for run in unit.runs:
        by_architecture.setdefault(run.labels["architecture"], []).append(run)
    rows: list[Row] = []
    for architecture, runs in by_architecture.items():
        same = {"architecture": architecture, "by": options.by}
        reads = wanted is not None and runs[0].loss in ("bce", "cross_entropy")
        if wanted is None or not reads or getattr(complexity(wanted), options.by) is None:
            rows.append(same | {"status": PathStatus.NOT_APPLICABLE.value})
            continue
        rows += [same | row for row in _functions(runs, inputs, wanted, options)]
    return rows


def _functions(
    runs: Sequence[Run], inputs: np.ndarray, wanted: np.ndarray, options: FunctionPriorOptions
) -> list[dict[str, Any]]:
    """Rows of one architecture: reached functions, and the most probable ones, most probable first."""
    from allroads.points.prior import function_prior, simplicity_bias

    ends = [end_answers(run, inputs) for run in runs]
    known = [table for said in ends if said is not None and (table := truth_table(said, inputs)) is not None]
    reached = Counter(table.tobytes() for table in known)
    seed = runs[0].study_seed
    prior = function_prior(
        _one_output(runs[0].network, inputs), inputs, options.samples, answers="signs", seed=seed, progress=False
    )

    def measured(table: np.ndarray) -> float:
        return float(getattr(complexity(table), options.by))

    by: str = options.by
    bound = simplicity_bias(prior, measures={by: measured}, functions=options.functions, seed=seed, progress=False)
    tables = [prior.truth_table(k) for k in range(min(options.functions, prior.distinct))]
    seen = {table.tobytes() for table in tables}
    tables += [np.frombuffer(code, np.int64) for code in reached if code not in seen]
    order = _order(inputs)
    rows = []
    for table in tables:
        share = prior.probability(table[order].reshape(len(inputs), 1))
        rows.append(
            {
                "function": function_name(table, table),
                "count": share.stats["count"],
                "samples": share.stats["samples"],
                "probability": float(share.value),
                "low": share.stats["low"],
                "high": share.stats["high"],
                "complexity": measured(table),
                "reached": reached[table.tobytes()],
                "runs": len(known),
                "target_function": bool((table == wanted).all()),
                "slope": None if np.isnan(slope := bound.bounds[by].slope) else slope,
                "status": prior.status.value,
            }
        )
    return rows


def _order(inputs: np.ndarray) -> np.ndarray:
    """The row of a truth table that each input is."""
    from allroads.points.prior.functions import rows_of_cube

    rows = rows_of_cube(inputs)
    assert rows is not None
    return rows


def _one_output(network: Network, inputs: np.ndarray) -> Network:
    """The network with one output per input, whose sign is its answer: of two class scores their difference."""
    shape = jax.eval_shape(lambda key: network.apply(network.init(key), inputs), jax.random.key(0)).shape
    if shape[-1] != 2:
        return network

    def difference(params: Any, x: Any) -> Any:
        scores = network.apply(params, x)
        return scores[..., 1:] - scores[..., :1]

    return dataclasses.replace(network, apply=difference, cell=None)


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """Whether runs end at functions that the initialisation makes probable, and whether those are simple."""
    return by_grid(_simple, "function_prior", "learned")(tables["function_prior"], grids)


def _simple(table: pl.DataFrame) -> str:
    texts = _bias(table.filter(pl.col("count") > 0)), _probable(table.filter(pl.col("reached") > 0))
    return " ".join(text for text in texts if text)


def _bias(drawn: pl.DataFrame) -> str:
    """Whether complex functions are less probable: of one setting, or counted over several."""
    parts = drawn.partition_by(["grid", "target", "architecture"], maintain_order=True)
    known = [(found, part.height) for part in parts if (found := _correlation(part)) is not None]
    if not known:
        return ""
    if len(known) > 1:
        less, more = sum(high < 0 for (_, _, high), _ in known), sum(low > 0 for (_, low, _), _ in known)
        return (
            f"Complex functions are clearly less probable at the initialisation in {less} of {len(known)} settings, "
            f"and clearly more probable in {more}."
        )
    ((value, low, high), functions) = known[0]
    verb = "less probable" if high < 0 else "more probable" if low > 0 else "neither clearly more nor less probable"
    return (
        f"Complex functions are {verb} at the initialisation: rank correlation {signed(value)} (95 % interval "
        f"{signed(low)} to {signed(high)}, {functions} functions)."
    )


def _correlation(part: pl.DataFrame) -> tuple[float, float, float] | None:
    """Rank correlation of complexity and probability over functions; ``None`` where too few were drawn or all agree."""
    try:
        found = rank_correlations(part, ["complexity", "probability"], draws="runs", resamples=499)
    except InputError:
        return None
    row = found.row("complexity", "probability", "rank")
    return None if row["low"] is None else (row["value"], row["low"], row["high"])


def _probable(ends: pl.DataFrame) -> str:
    """How probable the functions are that runs end at."""
    if ends.is_empty():
        return ""
    never = int(ends.filter(pl.col("count") == 0)["reached"].sum())
    total = int(ends["reached"].sum())
    middle = float(np.median(np.repeat(ends["probability"].to_numpy(), ends["reached"].to_numpy())))
    samples = ends["samples"].to_list()[0]
    at = (
        f"a function of probability {short(middle)}"
        if middle
        else f"a function that none of {samples:,} draws computes"
    )
    return f"The median run ends at {at}; {never} of {total} runs end at one that was never drawn."


MEASURE = Measure(
    "function_prior",
    1,
    "target",
    measure_prior,
    {
        "architecture": pl.String,
        "function": pl.String,
        "count": pl.Int64,
        "samples": pl.Int64,
        "probability": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "complexity": pl.Float64,
        "by": pl.String,
        "reached": pl.Int64,
        "runs": pl.Int64,
        "target_function": pl.Boolean,
        "slope": pl.Float64,
        "status": pl.String,
    },
    options=FunctionPriorOptions,
    quantities=(QUANTITY,),
    findings=findings,
)
