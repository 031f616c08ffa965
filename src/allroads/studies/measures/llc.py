"""Learning coefficient along a run: λ̂ at some of its recorded points, in one batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field

from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, middle, share
from allroads.studies.measures.thinning import spread

if TYPE_CHECKING:
    from allroads.studies.units import Unit


class LLCOptions(Options):
    """Options of the learning coefficient.

    Args:
        enabled: Off by default: it takes longer than most runs do.
        checkpoints: Recorded points, at most, at which it is measured; spread evenly over the records, both ends among
            them.
        budget: Seconds per point, compilation included, as ``budget`` of :func:`allroads.llc`; the points of a run are
            measured together in as many times as much. The default is twice what a point of 128 parameters and 48
            examples takes on one core without an end; longer than an hour is as good as no end.
        precision: Monte Carlo standard error to reach, as ``precision`` of :func:`allroads.llc`.
    """

    enabled: bool = False
    checkpoints: Annotated[int, Field(ge=2)] = 16
    budget: Annotated[float, Field(gt=0)] = 5.0
    precision: Annotated[float, Field(gt=0)] = 0.01


SOUND = ("converged", "ok", "scale-dependent")
"""Statuses of a number that may be read, with its error, at the nβ of the study."""

QUANTITY = Quantity(
    "learning coefficient",
    "Excess loss nβ (E[L] − L(w*)) over a checkpoint w*, the mean being over exp(−nβ L(w) − γ/2 ‖w − w*‖²).",
    symbol="λ̂",
    conventions="Training examples, nβ = n / ln n, one γ for all checkpoints of a run. Of checkpoints that are no "
    "minima it is not the asymptotic coefficient and may be negative: the status says so. Where the budget leaves no "
    "time for other nβ and γ, the status is ok at best, and the number belongs to these two.",
    source="lau2023",
)


def measure_llc(unit: Unit, options: LLCOptions) -> list[Row]:
    """The learning coefficient at each chosen point; one whose loss is not finite has ``diverged`` and no number.

    Raises:
        KeyboardInterrupt: If the user stopped the sampling: what is there then is nothing to store.
    """
    import jax

    from allroads.points.curve import llc_curve
    from allroads.studies.forward import curve_along

    run = unit.run
    chosen = spread(len(run.steps), options.checkpoints)
    steps = run.steps[chosen]
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], run.params)
    losses, _ = curve_along(run.problem, params)
    usable = np.flatnonzero(np.isfinite(losses))
    rows: list[dict[str, Any]] = [{"step": int(step), "status": "diverged", "stage": False} for step in steps]
    if not len(usable):
        return list(rows)
    finite = jax.tree.map(lambda leaf: leaf[usable], params)
    curve = llc_curve(
        run.problem,
        finite,
        steps=steps[usable],
        precision=options.precision,
        seed=run.study_seed,
        budget=options.budget * len(usable),
        progress=False,
    )
    ended = [found.stats["ended"] for found in curve.measurements]
    if "interrupted" in ended:
        raise KeyboardInterrupt
    for place, index in enumerate(usable):
        number = {"value": curve.value[place], "error": curve.error[place]}
        rows[index] |= {
            **{name: float(found) if np.isfinite(found) else None for name, found in number.items()},
            "status": curve.statuses[place].value,
            "stage": bool(place in curve.boundaries),
            "nbeta": curve.nbeta,
            "localisation": curve.localisation,
            "ended": ended[place],
        }
    return list(rows)


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """What the learning coefficients of the last points come to; only the sound ones are numbers."""
    columns = ["run", "grid", "parameters"]
    ends = tables["llc"].join(tables["runs"].select(columns), on="run", maintain_order="left")
    ends = ends.filter(pl.col("step") == pl.col("step").max().over("run"))
    return by_grid(_degeneracy, "llc", "around")(ends, grids)


def _degeneracy(ends: pl.DataFrame) -> str:
    if ends.is_empty():
        return ""
    sound = ends.filter(pl.col("status").is_in(SOUND))
    if sound.is_empty():
        counts = ", ".join(f"{count} {status}" for status, count in sorted(Counter(ends["status"]).items()))
        return f"No run ends at a point with a learning coefficient at nβ = n/ln n: {counts}."
    text = f"Where they end, {share(len(sound), len(ends)).lower()} have a learning coefficient at nβ = n/ln n"
    value = middle(sound["value"], "median {}", 1)
    most = sound["parameters"] / 2
    below = sound.filter(pl.col("value") + pl.col("error") < pl.col("parameters") / 2).height
    return (
        f"{text}: {value}. In {below} of {len(sound)} it lies below {middle(most, '{}', 1)}, the value without "
        "degeneracy, by more than its error."
    )


MEASURE = Measure(
    "llc",
    2,
    "checkpoint",
    measure_llc,
    {
        "value": pl.Float64,
        "error": pl.Float64,
        "status": pl.String,
        "stage": pl.Boolean,
        "nbeta": pl.Float64,
        "localisation": pl.Float64,
        "ended": pl.String,
    },
    options=LLCOptions,
    quantities=(QUANTITY,),
    findings=findings,
    chunk=1,
)
