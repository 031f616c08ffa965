"""Steps to fit and to generalise: when the training and the held-out examples are answered for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field

from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, counted, listed, middle

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
    """What was fitted and generalised, and how the held-out answers end; of all runs, then grid by grid."""
    runs = tables["runs"]
    return [
        *by_grid(_learned, "learning", "learnable")(runs, grids),
        *by_grid(_held_out, "learning", "learned")(runs, grids),
    ]


def _learned(runs: pl.DataFrame) -> str:
    targets: list[str] = runs["target"].unique(maintain_order=True).to_list()
    whose = f"the training examples of {targets[0]}" if len(targets) == 1 else "their training examples"
    text = _count(runs, "steps_to_fit", f"fitted {whose}")
    if runs["held_out_accuracy"].is_not_null().any():
        held_out = runs.filter(pl.col("held_out_accuracy").is_not_null())
        text += f"; {_lower(_count(held_out, 'steps_to_generalise', 'generalised to the held-out ones'))}"
        delay = (held_out["steps_to_generalise"] / held_out["steps_to_fit"].clip(lower_bound=1)).drop_nulls()
        if len(delay) and len(targets) == 1:
            text += f", {middle(delay, '{} times the steps', 1)}"
    return f"{text}. {_by_target(runs) if len(targets) > 1 else ''}".rstrip()


def _count(runs: pl.DataFrame, column: str, verb: str) -> str:
    """How many did so, with the share and its interval, and the median step of those that did."""
    steps = runs[column].drop_nulls()
    when = f" at {middle(steps, 'median step {}')}" if len(steps) else f" within {max(runs['steps'].to_list())} steps"
    return f"{counted(len(steps), runs.height)} {verb}{when}"


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _by_target(runs: pl.DataFrame) -> str:
    """Targets that all their runs fitted, the soonest and the latest of them, and those that none fitted."""
    by_target = runs.group_by("target", maintain_order=True).agg(
        pl.col("steps_to_fit").count().alias("fitted"),
        pl.len().alias("runs"),
        pl.col("steps_to_fit").median().alias("step"),
    )
    whole = by_target.filter(pl.col("fitted") == pl.col("runs")).sort("step", maintain_order=True)
    never = by_target.filter(pl.col("fitted") == 0)["target"].to_list()
    text = f"All runs fitted {whole.height} of {by_target.height} targets"
    if whole.height > 1 and whole["step"][0] < whole["step"][-1]:
        first, last = whole.row(0, named=True), whole.row(-1, named=True)
        text += f", from {first['target']} (median step {first['step']:.0f}) to {last['target']} ({last['step']:.0f})"
    return text + (f"; none fitted {listed(never)}." if never else ".")


def _held_out(runs: pl.DataFrame) -> str:
    """Held-out accuracy beside that of the commonest answer: how many runs end above it."""
    known = runs.drop_nulls(["held_out_accuracy", "baseline_held_out_accuracy"])
    if known.is_empty():
        return ""
    above = known.filter(pl.col("held_out_accuracy") > pl.col("baseline_held_out_accuracy"))
    ends = middle(known["held_out_accuracy"] * 100, "{} %", 1)
    constant = middle(known["baseline_held_out_accuracy"] * 100, "{} %", 1)
    return (
        f"Held-out accuracy ends at a median of {ends}, where always giving the commonest answer has {constant}; "
        f"{_lower(counted(above.height, known.height))} {'ends' if known.height == 1 else 'end'} above that."
    )


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
