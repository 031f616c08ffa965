"""Learning curves: loss and accuracy at every recorded step, by forward passes from the stored weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from allroads.studies.measures.measure import Measure, Options, Outcome, Quantity

if TYPE_CHECKING:
    from allroads.studies.units import Unit

PARTS = ("train", "held_out")
COLUMNS = tuple(f"{part}_{quantity}" for part in PARTS for quantity in ("loss", "accuracy"))

QUANTITIES = (
    Quantity(
        "loss",
        "Mean over examples of the per-example loss.",
        symbol="L",
        conventions="cross_entropy and bce in nats; mse is the mean over the outputs of one example.",
    ),
    Quantity(
        "accuracy",
        "Mean over examples of the share of outputs that are right.",
        conventions="cross_entropy: largest score; bce: sign of the logit; mse: every output within ½ of its label.",
    ),
    Quantity(
        "majority baseline",
        "Accuracy of the best constant answer on the same examples.",
        conventions="A network that does not beat it has learned nothing about the input.",
    ),
)


def record_curves(unit: Unit, options: Options) -> Outcome:
    """Loss and accuracy on training and held-out examples along one run, and at its end."""
    from allroads.studies.forward import curve_along

    run = unit.run
    along: dict[str, np.ndarray] = {}
    for part, problem in zip(PARTS, (run.problem, run.held_out_problem), strict=True):
        if problem is not None:
            found = curve_along(problem, run.params)
            along |= {f"{part}_{name}": np.asarray(found[i], np.float64) for i, name in enumerate(("loss", "accuracy"))}
    row: dict[str, Any] = {name: float(curve[-1]) for name, curve in along.items()}
    row |= {f"baseline_{part}_accuracy": run.target.baseline[f"{part}_accuracy"] for part in PARTS}
    return Outcome((row,), along)


ENDS = dict.fromkeys(COLUMNS, pl.Float64)
BASELINES = {f"baseline_{part}_accuracy": pl.Float64 for part in PARTS}

MEASURE = Measure("curves", 1, "run", record_curves, {**ENDS, **BASELINES}, along=ENDS, quantities=QUANTITIES)
