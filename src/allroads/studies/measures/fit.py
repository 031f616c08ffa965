"""Steps to fit and to generalise: when the training and the held-out examples are answered for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field

from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import listed, middle, share

if TYPE_CHECKING:
    from allroads.studies.units import Unit
    from allroads.targets.target import Target


class FitOptions(Options):
    """Options of the steps to fit.

    Args:
        threshold: What counts as fitted: the accuracy at least reached; for ``mse``, the share of the best constant's
            loss that is removed (R²).
    """

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.99


QUANTITY = Quantity(
    "steps to fit, steps to generalise",
    "First recorded step from which on the training (held-out) accuracy stays at or above the threshold of `fit` until "
    "the end of the run; with mse, the share of the best constant's loss removed.",
    conventions="Read at recorded steps, of runs trained here evenly in log(1 + step): late by at most one record.",
)


def steps_to_fit(unit: Unit, options: FitOptions) -> Row:
    """Steps to fit and to generalise of one run; null where it does not, or diverged, or nothing is held out."""
    run = unit.run
    curves = run.need("curves").along
    row: dict[str, int | None] = {}
    for part, learned in (("train", "steps_to_fit"), ("held_out", "steps_to_generalise")):
        reached = None
        if f"{part}_loss" in curves and run.status == "ok":
            reached = first_lasting(run.steps, score(curves, part, run.target, run.loss) >= options.threshold)
        row[learned] = reached
    return row


def first_lasting(steps: Any, reached: Any) -> int | None:
    """The first of ``steps`` from which on ``reached`` holds to the end; ``None`` where it does not at the end.

    Example:
        >>> first_lasting([0, 1, 2, 3, 4], [False, True, False, True, True])
        3
    """
    reached = np.asarray(reached, bool)
    if not reached[-1]:
        return None
    failed = np.flatnonzero(~reached)
    return int(steps[failed[-1] + 1 if len(failed) else 0])


def score(curves: Mapping[str, np.ndarray], part: str, target: Target, loss: str) -> np.ndarray:
    """What is held against the threshold: accuracy, or for ``mse`` the share of the constant's loss removed."""
    if loss != "mse":
        return np.asarray(curves[f"{part}_accuracy"])
    constant = target.baseline[f"{part}_loss"]
    losses = np.asarray(curves[f"{part}_loss"])
    return 1 - losses / constant if constant else np.zeros(len(losses))


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """Which targets were fitted and generalised, grid by grid."""
    return [Finding(_learned(tables["runs"].filter(pl.col("grid") == grid)), "learning", grid) for grid in grids]


def _learned(runs: pl.DataFrame) -> str:
    targets: list[str] = runs["target"].unique(maintain_order=True).to_list()
    return _learned_one(runs, targets[0]) if len(targets) == 1 else _learned_many(runs)


def _learned_one(runs: pl.DataFrame, target: str) -> str:
    fitted, generalised = runs["steps_to_fit"].drop_nulls(), runs["steps_to_generalise"].drop_nulls()
    text = f"{share(len(fitted), runs.height)} fitted the training examples of {target}"
    text += f" ({middle(fitted, 'median step {}')})" if len(fitted) else ""
    if runs["held_out_accuracy"].null_count() == runs.height:
        return text + "."
    text += f"; {share(len(generalised), runs.height).lower()} generalised"
    if len(generalised):
        text += f" ({middle(generalised, 'median step {}')})"
        delay = (runs["steps_to_generalise"] / runs["steps_to_fit"].clip(lower_bound=1)).drop_nulls()
        if len(delay) and float(np.median(delay.to_numpy())) >= 2:
            text += f", {middle(delay, '{} times later')}"
    accuracy, baseline = runs["held_out_accuracy"], runs["baseline_held_out_accuracy"].drop_nulls().to_list()
    text += f". Held-out accuracy ends at {middle(accuracy, '{}', 3)}"
    return text + (f"; a constant answer gives {max(baseline):.3f}." if baseline else ".")


def _learned_many(runs: pl.DataFrame) -> str:
    by_target = runs.group_by("target", maintain_order=True).agg(
        pl.col("steps_to_fit").count().alias("fitted"),
        pl.col("steps_to_generalise").count().alias("generalised"),
        pl.len().alias("runs"),
        pl.col("steps_to_fit").median().alias("step"),
    )
    whole = by_target.filter(pl.col("fitted") == pl.col("runs")).sort("step")
    never = by_target.filter(pl.col("fitted") == 0)["target"].to_list()
    part = by_target.height - whole.height - len(never)
    text = f"Of {by_target.height} targets, {whole.height} were fitted by all their runs"
    if whole.height > 1:
        first, last = whole.row(0, named=True), whole.row(-1, named=True)
        text += f", from {first['target']} (median step {first['step']:.0f}) to {last['target']} ({last['step']:.0f})"
    text += f"; {part} by some of them" if part else ""
    text += f"; none fitted {listed(never)} in {max(runs['steps'].to_list())} steps" if never else ""
    if runs["held_out_accuracy"].null_count() < runs.height:
        general = by_target.filter(pl.col("generalised") == pl.col("runs")).height
        lost = by_target.filter(pl.col("generalised") == 0)["target"].to_list()
        text += f". {general} generalised in all their runs" + (f", {listed(lost)} by none" if lost else "")
    return text + "."


MEASURE = Measure(
    "fit",
    2,
    "run",
    steps_to_fit,
    {"steps_to_fit": pl.Int64, "steps_to_generalise": pl.Int64},
    options=FitOptions,
    needs=("curves",),
    quantities=(QUANTITY,),
    findings=findings,
)
