"""Forecasts: what the map at the start predicts of the steps that each target takes, and how that turned out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
from pydantic import Field

from allroads.errors import AllroadsError
from allroads.paths.learnability.law.crossing import first_crossing
from allroads.status import ForecastStatus
from allroads.studies.measures.intervals import wilson
from allroads.studies.measures.measure import LABELS, Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, counted, rank_correlation, signed

if TYPE_CHECKING:
    from allroads.studies.units import Run, Unit
    from allroads.targets.target import Target

GOAL = 0.1
"""A target is learned when its training loss is this share of the best constant answer's, as in the fit of the law."""

BASELINES = {
    "kernel_energy": "yᵀK⁻¹y",
    "hitting_time": "hitting time",
    "kernel_alignment": "kernel alignment",
    "degree": "degree",
    "average_sensitivity": "average sensitivity",
    "leap": "leap",
    "inal": "INAL",
}
"""Columns of the baselines, and what :func:`~allroads.learnability` calls them."""

NUMBERS = ("low", "high", "probability", "probability_low", "probability_high", "road")
TARGETS = 5
"""Targets that a grid needs for its rank correlation to be a finding."""

PROMISED = 0.9
"""Share of runs that a predicted interval should hold."""

PREDICTED = {
    "goal": pl.Float64,
    "budget": pl.Int64,
    "predicted": pl.Float64,
    **dict.fromkeys((*NUMBERS, *BASELINES), pl.Float64),
    "outside": pl.String,
    "status": pl.String,
    "reason": pl.String,
}
OUTCOME = {"run": pl.String, "actual": pl.Float64, "within": pl.Boolean}
"""What the runs add to a prediction."""

_REFUSALS = (AllroadsError, TypeError, ValueError, NotImplementedError)
"""What says that a map cannot be looked at: bad shapes, or operations without a derivative in both directions."""


class ForecastOptions(Options):
    """Options of the forecasts.

    Args:
        enabled: Off by default.
        learn: Targets of each network and explorer to learn first, so that the law knows the map.
    """

    enabled: bool = False
    learn: Annotated[int, Field(ge=0)] = 0


QUANTITY = Quantity(
    "predicted steps",
    "Steps until the training loss is a tenth of the best constant answer's, predicted before training from the "
    "residual's spectrum at the start and a law fitted on other runs; with an interval of 90 % and the chance of it "
    "within the steps of the grid.",
    conventions="Three starts, those of the first seeds. Actual: where the loss first falls to that level, between two "
    "records log loss taken as linear in log(1 + step). Runs that never reach it count with their whole budget in rank "
    "correlations, and as inside an interval that ends beyond it.",
    source="zancato2020",
)


def predict(unit: Unit, options: ForecastOptions) -> Sequence[Row]:
    """The prediction for each target of one map, one row per target."""
    from allroads.explorers.samplers import SAMPLERS
    from allroads.paths.learnability import LearnabilityOptions, learnability

    firsts = unit.firsts
    run = firsts[0]
    rule = run.recipe.explorer
    if rule is None:
        reason = "these runs are your own, and how they were trained is not known: name an explorer with `like`"
        return [_refused(run, reason)] * len(firsts)
    if rule.kind in SAMPLERS:
        reason = f"{rule.kind!r} samples, and does not descend to a goal"
        return [_refused(run, reason)] * len(firsts)
    targets = {first.labels["target"]: first.target for first in firsts}
    explorer = rule.build()
    try:
        found = learnability(
            run.network,
            None,
            targets,
            run.loss,
            explorer,
            within=run.recipe.steps,
            progress=False,
            learn=options.learn,
            seed=run.study_seed,
            options=LearnabilityOptions(threshold=GOAL),
        ).table()
    except _REFUSALS as error:
        return [_refused(run, str(error) or type(error).__name__)] * len(firsts)
    rows = {row["target"]: _row(run, targets[row["target"]], row) for row in found}
    return [rows[target] for target in targets]


_REASONS = {
    ForecastStatus.DIVERGED.value: "what the network gives at the start is not finite",
    ForecastStatus.NOTHING_TO_LEARN.value: "the target is constant",
}


def law() -> str:
    """A digest of the law that comes with the package."""
    file = resources.files("allroads") / "paths" / "learnability" / "law" / "law.json"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _refused(run: Run, reason: str) -> dict[str, Any]:
    return {"budget": run.recipe.steps, "status": ForecastStatus.NOT_APPLICABLE.value, "reason": reason}


def _row(run: Run, target: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    """One prediction as the table has it."""
    from allroads.targets.answers import best_constant

    return {
        "goal": GOAL * best_constant(target.train.labels, run.loss)[1] or None,
        "budget": run.recipe.steps,
        "predicted": found["steps"],
        **{name: found[name] for name in NUMBERS},
        **{column: found[name] for column, name in BASELINES.items()},
        "outside": found["outside"],
        "status": found["status"],
        "reason": _REASONS.get(found["status"], ""),
    }


def compare_outcomes(predictions: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Every prediction beside each run that it speaks of.

    Args:
        predictions: The four labels and what was predicted.
        tables: ``runs`` and ``curves``.

    Returns:
        One row per run, and one without a run for what no run has finished; added are ``run``, ``actual`` (the step at
        which the run's training loss fell to the goal; null where it did not) and ``within`` (whether that lies in the
        interval; of a run that did not reach the goal, whether the interval ends beyond the budget).
    """
    runs = tables["runs"].select("run", *LABELS)
    table = predictions.drop(OUTCOME).join(runs, on=list(LABELS), how="left", maintain_order="left_right")
    curves = tables["curves"].select("run", "step", "train_loss").drop_nulls()
    losses = {run: part.sort("step") for (run,), part in curves.group_by("run")}
    actual = [
        None
        if run not in losses or goal is None
        else first_crossing(losses[run]["step"], losses[run]["train_loss"], goal)
        for run, goal in table.select("run", "goal").iter_rows()
    ]
    table = table.with_columns(actual=pl.Series(actual, dtype=pl.Float64))
    unreached = pl.when(pl.col("actual").is_null()).then(pl.col("high") >= pl.col("budget"))
    inside = unreached.otherwise(pl.col("actual").is_between("low", "high"))
    return table.with_columns(within=pl.when(pl.col("run").is_in(list(losses))).then(inside))


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """How the predictions turned out, of all runs, then grid by grid; a correlation where a grid has five targets."""
    return by_grid(_predicted, "forecasts", "learnable")(tables["forecasts"], grids)


def _predicted(forecasts: pl.DataFrame) -> str:
    held = forecasts.drop_nulls(["run", "predicted", "within"])
    if held.is_empty():
        return ""
    inside = int(held["within"].sum())
    low, high = wilson(inside, held.height)
    verdict = "as many as promised" if low <= PROMISED <= high else "more than promised"
    verdict = "fewer than promised" if high < PROMISED else verdict
    text = f"{counted(inside, held.height)} took steps within the predicted 90 % interval: {verdict}."
    return f"{text} {_ranked(held.with_columns(pl.col('actual').fill_null(pl.col('budget'))))}".rstrip()


def _ranked(held: pl.DataFrame) -> str:
    """Whether the targets were learned in the order that was predicted."""
    said = []
    for (grid,), part in held.group_by("grid", maintain_order=True):
        targets = part["target"].n_unique()
        value, low, high = rank_correlation(part, "predicted", "actual") if targets >= TARGETS else (math.nan,) * 3
        if math.isnan(value):
            continue
        verb = "were learned in an order that the prediction does not clearly tell"
        verb = "were learned in about the predicted order" if low > 0 else verb
        verb = "were learned against the predicted order" if high < 0 else verb
        said.append(
            f"The {targets} targets of {grid} {verb}: rank correlation of predicted and actual steps {signed(value)} "
            f"(95 % interval over targets {signed(low)} to {signed(high)})."
        )
    return " ".join(said)


MEASURE = Measure(
    "forecasts",
    f"1 {law()}",
    "map",
    predict,
    {**OUTCOME, **PREDICTED},
    options=ForecastOptions,
    quantities=(QUANTITY,),
    findings=findings,
    tabulate=compare_outcomes,
    reads=("curves",),
    chunk=1,
)
