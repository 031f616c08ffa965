"""What a worker does: a pack of cells, the measures of a run's points, of a group, of a task.

Each job is plain data that can be sent to another process. It holds its own lock while it works, so that two
processes on one directory share the work and never do it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from allroads.errors import AllroadsError, StoreError, WorkerError
from allroads.studies.built import build_target, built, precision
from allroads.studies.canonical import digest
from allroads.studies.forecasts import ForecastJob
from allroads.studies.plan import PACK, Combination, Plan, Recipe
from allroads.studies.store import SCHEMA_VERSION, Store, arrays_bytes, table_bytes

CURVES = ("train_loss", "train_accuracy", "held_out_loss", "held_out_accuracy")
"""What is recorded along a run."""


@dataclass(frozen=True)
class PackJob:
    """Run the members of one pack and store a cell for each.

    Attributes:
        study: The study's name, for messages.
        labels: Labels of grid, target, architecture and explorer, for messages.
        recipe: What decides the cells.
        first: The first member.
        cells: The cells' hashes, member by member.
        examples: Examples that a step looks at; with steps and members, the pack's share of the work.
    """

    study: str
    labels: dict[str, str]
    recipe: Recipe
    first: int
    cells: tuple[str, ...]
    examples: int

    kind = "cells"

    @property
    def hash(self) -> str:
        """The name of its lock."""
        return digest(self.cells)

    @property
    def weight(self) -> float:
        """Its share of the work, in arbitrary units."""
        return float(self.recipe.steps * len(self.cells) * self.examples)

    @property
    def describe(self) -> str:
        """What messages call it."""
        last = self.first + len(self.cells) - 1
        seeds = f"seed {last}" if last == self.first else f"seeds {self.first}–{last}"
        return f"{_joined(self.labels)}, {seeds} (cells {self.cells[0][:10]} …)"

    def missing(self, store: Store) -> list[str]:
        """What is not stored yet."""
        return [cell for cell in self.cells if not store.has("cells", cell)]

    def run(self, store: Store) -> None:
        """Run the whole pack and store the missing cells: the same numbers as without an interruption."""
        from allroads.explorers.explore import explore
        from allroads.explorers.recording import Recording
        from allroads.studies.measures import measure_cell
        from allroads.studies.probes import road_probes

        recipe = self.recipe
        with precision(recipe.precision):
            target, network = built(recipe)
            explorer = recipe.explorer.build()
            trajectory = explore(
                target.problem(network, recipe.loss),
                explorer,
                range(self.first, self.first + len(self.cells)),
                steps=recipe.steps,
                seed=recipe.seed,
                held_out=target.held_out_problem(network, recipe.loss),
                probes=road_probes(target, recipe.probes).inputs,
                record=Recording(records=recipe.records, checkpoints=recipe.checkpoints, pack=PACK),
            )
            for position, cell in enumerate(self.cells):
                if not store.has("cells", cell):
                    measured = measure_cell(trajectory, position, target, recipe)
                    header, files = self._cell(trajectory, position, target, network.name, measured)
                    store.write("cells", cell, header, files)

    def _cell(
        self, trajectory: Any, position: int, target: Any, network: str, measured: tuple[dict[str, Any], dict[str, Any]]
    ) -> tuple[dict[str, Any], dict[str, bytes]]:
        import jax
        import numpy as np
        import polars as pl

        from allroads.studies.weights import named_arrays

        scalars, records = measured
        curves = {name: trajectory.curves[name][position] for name in CURVES if name in trajectory.curves}
        table = {"step": np.asarray(trajectory.steps, np.int64)}
        table |= {name: np.asarray(curve, np.float64) for name, curve in curves.items()} | records
        params = named_arrays(jax.tree.map(lambda leaf: leaf[position], trajectory.params))
        values = np.asarray(trajectory.values[position], np.float32)
        metadata = {
            "checkpoint_steps": ",".join(str(int(step)) for step in trajectory.checkpoint_steps),
            "network": network,
            "schema_version": str(SCHEMA_VERSION),
        }
        baseline = target.baseline
        header = {
            **self.labels,
            "identity": {**self.recipe.identity, "member": self.first + position},
            "options": {role: getattr(self.recipe, role).identity for role in ("target", "architecture", "explorer")},
            "network": network,
            "scalars": {
                **scalars,
                "parameters": sum(int(array[0].size) for array in params.values()),
                "baseline_train_accuracy": baseline["train_accuracy"],
                "baseline_held_out_accuracy": baseline["held_out_accuracy"],
            },
        }
        return header, {
            "curves.parquet": table_bytes(pl.DataFrame(table)),
            "weights.safetensors": arrays_bytes(params, metadata),
            "values.safetensors": arrays_bytes({"values": values, "steps": np.asarray(trajectory.steps, np.int64)}),
        }


@dataclass(frozen=True)
class PointJob:
    """Measure the learning coefficient at the checkpoints of one run.

    Attributes:
        study, labels: For messages, as of a pack.
        recipe: What decides the cell.
        cells: The cell's hash.
    """

    study: str
    labels: dict[str, str]
    recipe: Recipe
    cells: tuple[str]

    kind = "points"
    weight = 1.0  # all take about as long

    @property
    def hash(self) -> str:
        """The hash of its entry."""
        return digest({"learning coefficients of": self.cells, "schema_version": SCHEMA_VERSION})

    @property
    def describe(self) -> str:
        """What messages call it."""
        return f"learning coefficients of {_joined(self.labels)} (cell {self.cells[0][:10]} …)"

    def missing(self, store: Store) -> list[str]:
        """What is not stored yet."""
        return [] if store.has("points", self.hash) else [self.hash]

    def run(self, store: Store) -> None:
        """Measure and store."""
        import polars as pl

        from allroads.studies.measures import measure_points
        from allroads.studies.tables import LLC
        from allroads.studies.weights import checkpoint_steps, load_params

        cell = store.read("cells", self.cells[0])
        with precision(self.recipe.precision):
            target, network = built(self.recipe)
            params = load_params(cell, network)
        rows = measure_points(network, params, checkpoint_steps(cell), target, self.recipe)
        table = table_bytes(pl.DataFrame(rows, schema={name: LLC[name] for name in LLC if name != "run"}))
        store.write("points", self.hash, {**self.labels, "cells": list(self.cells)}, {"llc.parquet": table})


@dataclass(frozen=True)
class GroupJob:
    """Measure the pairs of runs of one combination.

    Attributes:
        study: The study's name, for messages.
        labels: Labels of grid, target, architecture and explorer, for messages.
        recipe: What decides the cells.
        cells: The cells' hashes, member by member.
    """

    study: str
    labels: dict[str, str]
    recipe: Recipe
    cells: tuple[str, ...]

    kind = "groups"

    @property
    def hash(self) -> str:
        """The hash of its entry."""
        return digest({"pairs of": self.cells, "schema_version": SCHEMA_VERSION})

    @property
    def weight(self) -> float:
        """Its share of the work, in arbitrary units."""
        return float(len(self.cells) ** 2)

    @property
    def describe(self) -> str:
        """What messages call it."""
        return f"pairs of {_joined(self.labels)}"

    def missing(self, store: Store) -> list[str]:
        """What is not stored yet."""
        return [] if store.has("groups", self.hash) else [self.hash]

    def run(self, store: Store) -> None:
        """Measure and store."""
        import polars as pl

        from allroads.studies.measures import measure_group
        from allroads.studies.tables import PAIRS
        from allroads.studies.weights import load_params

        with precision(self.recipe.precision):
            target, network = built(self.recipe)
            ends = [load_params(store.read("cells", cell), network, -1) for cell in self.cells]
            rows = measure_group(network, ends, target, self.recipe)
        named = [
            {**row, "run_a": self.cells[row["index_a"]][:10], "run_b": self.cells[row["index_b"]][:10]} for row in rows
        ]
        schema = {name: kind for name, kind in PAIRS.items() if name not in self.labels}
        table = pl.DataFrame([{name: row[name] for name in schema} for row in named], schema=schema)
        header = {**self.labels, "cells": list(self.cells)}
        store.write("groups", self.hash, header, {"pairs.parquet": table_bytes(table)})


@dataclass(frozen=True)
class TaskJob:
    """Embed all runs of one target of one grid together.

    Attributes:
        study: The study's name, for messages.
        labels: Labels of grid and target, for messages.
        recipe: Of one of its combinations: they share target, loss, probes and chart.
        cells: The cells' hashes.
    """

    study: str
    labels: dict[str, str]
    recipe: Recipe
    cells: tuple[str, ...]

    kind = "tasks"

    @property
    def hash(self) -> str:
        """The hash of its entry."""
        return digest({"embedding of": self.cells, "schema_version": SCHEMA_VERSION})

    @property
    def weight(self) -> float:
        """Its share of the work, in arbitrary units."""
        return float(len(self.cells))

    @property
    def describe(self) -> str:
        """What messages call it."""
        return f"embedding of {_joined(self.labels)}"

    def missing(self, store: Store) -> list[str]:
        """What is not stored yet."""
        return [] if store.has("tasks", self.hash) else [self.hash]

    def run(self, store: Store) -> None:
        """Measure and store."""
        import polars as pl

        from allroads.studies.measures import measure_task
        from allroads.studies.tables import EMBEDDING

        arrays = [store.read("cells", cell).arrays("values.safetensors") for cell in self.cells]
        target = build_target(self.recipe)
        values, steps = [a["values"] for a in arrays], [a["steps"] for a in arrays]
        rows, stats = measure_task(values, steps, target, self.recipe)
        runs = [None if row["run_index"] is None else self.cells[row["run_index"]][:10] for row in rows]
        schema = {name: kind for name, kind in EMBEDDING.items() if name not in self.labels}
        named = [{name: {**row, "run": run}[name] for name in schema} for row, run in zip(rows, runs, strict=True)]
        header = {**self.labels, "cells": list(self.cells), "stats": stats}
        store.write("tasks", self.hash, header, {"embedding.parquet": table_bytes(pl.DataFrame(named, schema=schema))})


Job = PackJob | PointJob | GroupJob | TaskJob | ForecastJob


def perform(job: Job, directory: str) -> bool:
    """Do a job, unless it is done; the function that engines run.

    Returns:
        False where another process is at it.

    Raises:
        StoreError: If the directory cannot be read or written.
        WorkerError: If anything else fails; names the study, the cell, the factory and the error.
    """
    store = Store(directory)
    with store.lock(job.hash) as held:
        if held and job.missing(store):
            try:
                job.run(store)
            except StoreError as error:
                raise StoreError(str(error)) from None
            except Exception as error:
                raise failure(job, error) from error
        return held


def failure(job: Job, error: Exception) -> WorkerError:
    """What went wrong in a job, with the names of the study and the job."""
    reason = str(error) if isinstance(error, AllroadsError) else f"{type(error).__name__}: {error}"
    return WorkerError(f"study {job.study!r}: {job.describe} failed: {reason}")


def pack_jobs(plan: Plan) -> list[PackJob]:
    """All packs of a plan."""
    return [
        PackJob(plan.study.name, combination.labels, combination.recipe, first, cells, _examples(plan, combination))
        for combination in plan.combinations
        for first, cells in combination.packs()
    ]


def _examples(plan: Plan, combination: Combination) -> int:
    train = plan.targets[combination.grid, combination.target].train
    return combination.recipe.explorer.options.get("batch_size", len(train.inputs))


def point_jobs(plan: Plan) -> list[PointJob]:
    """The learning coefficients of a plan, run by run."""
    return [
        PointJob(plan.study.name, combination.labels, combination.recipe, (cell,))
        for combination in plan.combinations
        for cell in combination.cells
    ]


def group_jobs(plan: Plan) -> list[GroupJob]:
    """The pair measures of a plan; none where they are not asked for, or a combination has one member."""
    if not plan.study.measures.pairs:
        return []
    return [
        GroupJob(plan.study.name, combination.labels, combination.recipe, combination.cells)
        for combination in plan.combinations
        if len(combination.cells) > 1
    ]


def task_jobs(plan: Plan) -> list[TaskJob]:
    """The embeddings of a plan; none where they are not asked for."""
    if not plan.study.measures.embedding:
        return []
    return [
        TaskJob(plan.study.name, {"grid": grid, "target": target}, members[0].recipe, _all_cells(members))
        for (grid, target), members in plan.tasks().items()
    ]


def _all_cells(combinations: Sequence[Combination]) -> tuple[str, ...]:
    return tuple(cell for combination in combinations for cell in combination.cells)


def _joined(labels: dict[str, str]) -> str:
    grid, *others = labels.values()
    return f"{' × '.join(others)} of grid {grid!r}"
