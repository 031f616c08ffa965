"""What the map at the start predicts of a study: how long each target takes, and how that turned out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.errors import AllroadsError
from allroads.measurement import Status
from allroads.studies.built import build_target, precision
from allroads.studies.canonical import digest
from allroads.studies.store import SCHEMA_VERSION, Store, table_bytes

if TYPE_CHECKING:
    import polars as pl

    from allroads.studies.plan import Plan, Recipe
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

LABELS = ("grid", "target", "architecture", "explorer")
NUMBERS = ("low", "high", "probability", "probability_low", "probability_high", "road")

QUANTITY: dict[str, str] = {
    "name": "predicted steps",
    "symbol": "",
    "definition": "Steps until the training loss is a tenth of the best constant answer's, predicted before training "
    "from the residual's spectrum at the start and a law fitted on other runs; with an interval of 90 % and the chance "
    "of it within the steps of the grid.",
    "conventions": "Three starts, those of the first seeds. Actual: where the loss first falls to that level, between "
    "two records log loss taken as linear in log(1 + step). Runs that never reach it count with their whole budget in "
    "rank correlations, and as inside an interval that ends beyond it.",
    "source": "zancato2020",
}
"""As the report states it where predictions were asked for."""

_REFUSALS = (AllroadsError, TypeError, ValueError, NotImplementedError)
"""What says that a map cannot be looked at: bad shapes, or operations without a derivative in both directions."""


@dataclass(frozen=True)
class ForecastJob:
    """Predict the targets of one grid that one network and explorer learn from the same inputs.

    Attributes:
        study: The study's name, for messages.
        labels: Labels of grid, architecture and explorer.
        targets: Labels of the targets.
        recipes: Theirs, in that order.
    """

    study: str
    labels: dict[str, str]
    targets: tuple[str, ...]
    recipes: tuple[Recipe, ...]

    kind = "forecasts"
    cells = ()  # it waits for none

    @property
    def hash(self) -> str:
        """The hash of its entry: of all that decides the predictions, the law among it."""
        names = ("fingerprint", "loss", "architecture", "explorer", "seed", "steps", "precision")
        asked = [{name: recipe.identity[name] for name in names} for recipe in self.recipes]
        return digest({"forecasts of": asked, "goal": GOAL, "law": _law(), "schema_version": SCHEMA_VERSION})

    @property
    def weight(self) -> float:
        """Its share of the work, in arbitrary units."""
        return float(len(self.recipes))

    @property
    def describe(self) -> str:
        """What messages call it."""
        return f"forecasts for {self.labels['architecture']} × {self.labels['explorer']} of {self.labels['grid']!r}"

    def missing(self, store: Store) -> list[str]:
        """What is not stored yet."""
        return [] if store.has(self.kind, self.hash) else [self.hash]

    def run(self, store: Store) -> None:
        """Predict and store."""
        table = table_bytes(self.table().drop(LABELS))
        header = {**self.labels, "targets": list(self.targets)}
        store.write(self.kind, self.hash, header, {"forecasts.parquet": table})

    def table(self, learn: int = 0) -> pl.DataFrame:
        """The predictions, a row a target, after ``learn`` of the targets have been learned."""
        import polars as pl

        from allroads.studies.tables import PREDICTIONS

        return self.labelled(pl.DataFrame(self._rows(learn), schema=PREDICTIONS))

    def labelled(self, table: pl.DataFrame) -> pl.DataFrame:
        """A row a target with its four labels."""
        import polars as pl

        labels = self.labels | {"target": pl.Series(self.targets)}
        named = [pl.lit(labels[name]).alias(name) for name in LABELS]
        return table.select(*named, pl.all())

    def _rows(self, learn: int) -> list[dict[str, Any]]:
        from allroads.explorers.samplers import SAMPLERS
        from allroads.paths.learnability import LearnabilityOptions, learnability

        recipe = self.recipes[0]
        if recipe.explorer.kind in SAMPLERS:
            reason = f"{recipe.explorer.kind!r} samples, and does not descend to a goal"
            return [_refused(recipe, reason)] * len(self.recipes)
        with precision(recipe.precision):
            targets = {name: build_target(own) for name, own in zip(self.targets, self.recipes, strict=True)}
            network = recipe.architecture.build(targets[self.targets[0]].interface)
            explorer = recipe.explorer.build()
            asked = {"budget": recipe.steps, "learn": learn, "seed": recipe.seed}
            options = LearnabilityOptions(threshold=GOAL)
            try:
                found = learnability(network, None, targets, recipe.loss, explorer, **asked, options=options).table()
            except _REFUSALS as error:
                return [_refused(recipe, str(error) or type(error).__name__)] * len(targets)
        return [_row(recipe, targets[row["target"]], row) for row in found]


_REASONS = {
    Status.DIVERGED.value: "what the network gives at the start is not finite",
    Status.NOTHING_TO_LEARN.value: "the target is constant",
}


@cache
def _law() -> str:
    """A digest of the law that comes with the package; read as a file, so that nothing heavy is imported."""
    file = resources.files("allroads") / "paths" / "learnability" / "law" / "law.json"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _refused(recipe: Recipe, reason: str) -> dict[str, Any]:
    return {"budget": recipe.steps, "status": Status.NOT_APPLICABLE.value, "reason": reason}


def _row(recipe: Recipe, target: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    """One prediction as the table has it."""
    from allroads.targets.answers import best_constant

    return {
        "goal": GOAL * best_constant(target.train.labels, recipe.loss)[1] or None,
        "budget": recipe.steps,
        "predicted": found["steps"],
        **{name: found[name] for name in NUMBERS},
        **{column: found[name] for column, name in BASELINES.items()},
        "outside": found["outside"],
        "status": found["status"],
        "reason": _REASONS.get(found["status"], ""),
    }


def forecast_jobs(plan: Plan) -> list[ForecastJob]:
    """The predictions of a plan: a job for each grid, network, explorer, loss and set of inputs."""
    inputs = {key: _inputs(target) for key, target in plan.targets.items()}
    together: dict[Any, list[Any]] = {}
    for one in plan.combinations:
        target = plan.targets[one.grid, one.target]
        shapes = target.interface, target.train.labels.shape[1:], inputs[one.grid, one.target]
        together.setdefault((one.grid, one.architecture, one.explorer, one.recipe.loss, *shapes), []).append(one)
    return [
        ForecastJob(
            plan.study.name,
            {name: getattr(alike[0], name) for name in ("grid", "architecture", "explorer")},
            tuple(one.target for one in alike),
            tuple(one.recipe for one in alike),
        )
        for alike in together.values()
    ]


def _inputs(target: Target) -> str:
    """A digest of a target's inputs, held-out ones too."""
    total = hashlib.sha256()
    for part in (target.train, target.held_out):
        if part is not None:
            total.update(f"{part.inputs.shape} {part.inputs.dtype}".encode())
            total.update(np.ascontiguousarray(part.inputs).tobytes())
    return total.hexdigest()


def turned_out(predictions: pl.DataFrame, runs: pl.DataFrame, curves: pl.DataFrame) -> pl.DataFrame:
    """Every prediction beside each run that it speaks of.

    Args:
        predictions: As :meth:`ForecastJob.table` has them.
        runs: The table of runs.
        curves: The table of curves.

    Returns:
        One row a run, and one without a run for what no run has finished; added are ``run``, ``actual`` (the step at
        which the run's training loss fell to the goal; null where it did not) and ``within`` (whether that lies in the
        interval; of a run that did not reach the goal, whether the interval ends beyond the budget).
    """
    import polars as pl

    from allroads.paths.learnability.law.crossing import first_crossing
    from allroads.studies.tables import FORECASTS

    table = predictions.join(runs.select("run", *LABELS), on=LABELS, how="left", maintain_order="left_right")
    losses = {run[0]: part for run, part in curves.select("run", "step", "train_loss").group_by("run")}
    actual = [
        None if run is None or goal is None else first_crossing(*losses[run].sort("step")["step", "train_loss"], goal)
        for run, goal in table.select("run", "goal").iter_rows()
    ]
    table = table.with_columns(actual=pl.Series(actual, dtype=pl.Float64))
    inside = pl.when(pl.col("actual").is_null()).then(pl.col("high") >= pl.col("budget"))
    inside = inside.otherwise(pl.col("actual").is_between("low", "high"))
    return table.with_columns(within=pl.when(pl.col("run").is_not_null()).then(inside)).select(
        pl.col(name).cast(kind) for name, kind in FORECASTS.items()
    )
