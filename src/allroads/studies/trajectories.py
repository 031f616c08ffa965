"""Trajectories: the weights of a run at every recorded step, stored as a cell.

A cell holds weights and nothing that is derived from them. :func:`write_cell` is the one way in, wherever the weights
come from; :class:`TrajectoryJob` is the source that trains them, and
:class:`~allroads.studies.recorded_jobs.RecordedJob` the one that reads the user's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from allroads.studies.built import built, precision
from allroads.studies.canonical import digest
from allroads.studies.failures import Failure, reason
from allroads.studies.measures.measure import LABELS, DataType
from allroads.studies.plan import Plan
from allroads.studies.recipes import PACK, Combination, Recipe
from allroads.studies.store import SCHEMA_VERSION, Store, arrays_bytes
from allroads.studies.units import RunRef

if TYPE_CHECKING:
    import numpy as np

    from allroads.explorers.recording import Recording
    from allroads.explorers.trajectory import Trajectory
    from allroads.pfmap.network import Network, Params

SCALARS: dict[str, DataType] = {
    "status": pl.String,
    "last_step": pl.Int64,
    "parameters": pl.Int64,
    "gradients": pl.Int64,
    "forwards": pl.Int64,
    "examples": pl.Int64,
}
"""What a cell says of its run, beside the weights."""

COLUMNS: dict[str, DataType] = {
    "run": pl.String,
    "cell": pl.String,
    **LABELS,
    "seed": pl.Int64,
    "steps": pl.Int64,
    **SCALARS,
}
"""Columns of the table of runs that are there before anything is measured."""


@dataclass(frozen=True)
class Recorded:
    """One run, wherever it comes from.

    Attributes:
        steps: Recorded steps ``[T]``, increasing.
        params: Parameters at these steps, leaves ``[T, …]``.
        network: Name of the network.
        status: ``ok`` or ``diverged``.
        last_step: The last step with finite numbers.
        gradients: Gradients of a batch that it took; ``None`` where it is not known, as the next two.
        forwards: Forward passes over a batch that it took outside gradients.
        examples: Examples that went through either.
    """

    steps: np.ndarray
    params: Params
    network: str
    status: str
    last_step: int
    gradients: int | None = None
    forwards: int | None = None
    examples: int | None = None


def write_cell(store: Store, cell: str, header: Mapping[str, Any], recorded: Recorded) -> None:
    """Store one run.

    Args:
        store: Where.
        cell: The key of the cell.
        header: Labels and identity: what the key is the digest of.
        recorded: The run.

    Raises:
        StoreError: If the operating system refuses, or two parameters have one name.
    """
    from allroads.studies.weights import named_arrays

    params = named_arrays(recorded.params)
    steps = [int(step) for step in recorded.steps]
    metadata = {
        "checkpoint_steps": ",".join(map(str, steps)),
        "network": recorded.network,
        "schema_version": str(SCHEMA_VERSION),
    }
    scalars = {
        "parameters": sum(int(array[0].size) for array in params.values()),
        **{name: getattr(recorded, name) for name in SCALARS if name != "parameters"},
    }
    body = {**header, "network": recorded.network, "steps": steps, "scalars": scalars}
    store.write("cells", cell, body, {"weights.safetensors": arrays_bytes(params, metadata)})


def part_identities(recipe: Recipe) -> dict[str, Any]:
    """Kinds and options of the parts of a recipe, as the header of a cell has them."""
    parts = {"target": recipe.target, "architecture": recipe.architecture, "explorer": recipe.explorer}
    return {role: part.identity for role, part in parts.items() if part is not None}


def run_rows(runs: Sequence[RunRef]) -> pl.DataFrame:
    """The columns of the table of runs that are known before anything is trained."""
    labels = {name: [run.labels[name] for run in runs] for name in LABELS}
    given: dict[str, list[Any]] = {"run": [run.name for run in runs], "cell": [run.cell for run in runs], **labels}
    given |= {"seed": [run.member for run in runs], "steps": [run.recipe.steps for run in runs]}
    return pl.DataFrame(given, schema={name: COLUMNS[name] for name in given})


@dataclass(frozen=True)
class TrajectoryJob:
    """Train the members of one pack, or of one pack per accelerator, and store a cell for each.

    Attributes:
        study: The study's name, for messages.
        labels: Labels of grid, target, architecture and explorer, for messages.
        recipe: What decides the cells.
        first: The first member.
        cells: The keys of the cells, member by member.
        examples: Examples that a step looks at; with steps and members, the pack's share of the work.
        width: Members that run side by side on one device.
    """

    study: str
    labels: Mapping[str, str]
    recipe: Recipe
    first: int
    cells: tuple[str, ...]
    examples: int
    width: int = PACK

    @property
    def hash(self) -> str:
        """The name of its claim."""
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
        grid, *others = self.labels.values()
        return f"{' × '.join(others)} of grid {grid!r}, {seeds} (cells {self.cells[0][:10]} …)"

    @property
    def quick(self) -> bool:
        """Whether it takes less time than to start a process."""
        return False

    def entries(self) -> list[tuple[str, str]]:
        """Kind and name of every entry that it may leave."""
        return [("cells", cell) for cell in self.cells]

    def todo(self, store: Store) -> bool:
        """Whether there is something left to do."""
        return any(not store.has("cells", cell) for cell in self.cells)

    def run(self, store: Store) -> list[Failure]:
        """Train the whole pack and store the missing cells: the same numbers as without an interruption."""
        try:
            with precision(self.recipe.precision):
                self._train(store)
        except Exception as error:
            return [Failure(self.study, "trajectories", self.describe, reason(error))]
        return []

    def _train(self, store: Store) -> None:
        from allroads.explorers.explore import explore
        from allroads.explorers.recording import Recording

        recipe = self.recipe
        explorer = recipe.explorer
        assert explorer is not None
        target, network = built(recipe)
        probes = target.train.inputs[:1]  # outputs are measured afterwards, from the weights
        record = Recording(records=recipe.records, checkpoints=recipe.records)
        most = PACK if len(self.cells) <= PACK else _kept_whole(network, probes, record, recipe.steps)
        width = min(self.width, most)
        for at in range(0, len(self.cells), most):
            cells = self.cells[at : at + most]
            if all(store.has("cells", cell) for cell in cells):
                continue
            trained = explore(
                target.problem(network, recipe.loss),
                explorer.build(),
                range(self.first + at, self.first + at + len(cells)),
                steps=recipe.steps,
                seed=recipe.seed,
                probes=probes,
                record=replace(record, pack=width),
            )
            self._write(store, trained, at, cells, network.name)

    def _write(self, store: Store, trained: Trajectory, at: int, cells: Sequence[str], network: str) -> None:
        import jax

        cost = trained.cost
        assert cost is not None
        for position, cell in enumerate(cells):
            if store.has("cells", cell):
                continue
            recorded = Recorded(
                steps=trained.checkpoint_steps,
                params=jax.tree.map(lambda leaf, at=position: leaf[at], trained.params),
                network=network,
                status=trained.statuses[position].value,
                last_step=int(trained.last_step[position]),
                gradients=int(cost.gradients[position]),
                forwards=int(cost.forwards[position]),
                examples=int(cost.examples[position]),
            )
            header = {
                **self.labels,
                "identity": {**self.recipe.identity, "member": self.first + at + position},
                "options": part_identities(self.recipe),
            }
            write_cell(store, cell, header, recorded)


def _kept_whole(network: Network, probes: Any, record: Recording, steps: int) -> int:
    """How many members can be trained at once without a loss of records: whole packs, and one at least."""
    import jax

    from allroads.memory import tree_bytes

    point = jax.eval_shape(network.init, jax.random.key(0))
    values = jax.eval_shape(network.apply, point, probes)
    member = len(record.steps(steps)) * (tree_bytes(point) + tree_bytes(values))
    return max(1, record.memory // (PACK * member)) * PACK


def trajectory_jobs(plan: Plan, accelerators: int = 0) -> list[TrajectoryJob]:
    """All packs of a plan that are trained.

    Args:
        plan: The plan.
        accelerators: How many this process computes on; each trains as many members side by side as it can. Cells and
            their names are the same.
    """
    return [
        TrajectoryJob(plan.study.name, one.labels, one.recipe, first, cells, _examples(plan, one), width)
        for one in plan.combinations
        if not one.files
        for width in (one.width(accelerators),)
        for first, cells in one.packs(width * max(accelerators, 1))
    ]


def _examples(plan: Plan, combination: Combination) -> int:
    train = plan.targets[combination.grid, combination.target].train
    explorer = combination.recipe.explorer
    assert explorer is not None
    return int(explorer.options.get("batch_size", len(train.inputs)))
