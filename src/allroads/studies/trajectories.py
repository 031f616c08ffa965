"""Trajectories: the weights of a run at every recorded step, stored as a cell.

A cell holds weights and nothing that is derived from them. :func:`write_cell` is the one way in, wherever the weights
come from; :class:`TrajectoryJob` is the source that trains them, and
:class:`~allroads.studies.recorded_jobs.RecordedJob` the one that reads the user's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

    from allroads.pfmap.network import Params

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
    given = {"run": [run.name for run in runs], "cell": [run.cell for run in runs], **labels}
    given |= {"seed": [run.member for run in runs], "steps": [run.recipe.steps for run in runs]}
    return pl.DataFrame(given, schema={name: COLUMNS[name] for name in given})


@dataclass(frozen=True)
class TrajectoryJob:
    """Train the members of one pack and store a cell for each.

    Attributes:
        study: The study's name, for messages.
        labels: Labels of grid, target, architecture and explorer, for messages.
        recipe: What decides the cells.
        first: The first member.
        cells: The keys of the cells, member by member.
        examples: Examples that a step looks at; with steps and members, the pack's share of the work.
    """

    study: str
    labels: Mapping[str, str]
    recipe: Recipe
    first: int
    cells: tuple[str, ...]
    examples: int

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
            self._train(store)
        except Exception as error:
            return [Failure(self.study, "trajectories", self.describe, reason(error))]
        return []

    def _train(self, store: Store) -> None:
        import jax

        from allroads.explorers.explore import explore
        from allroads.explorers.recording import Recording

        recipe = self.recipe
        explorer = recipe.explorer
        assert explorer is not None
        with precision(recipe.precision):
            target, network = built(recipe)
            trained = explore(
                target.problem(network, recipe.loss),
                explorer.build(),
                range(self.first, self.first + len(self.cells)),
                steps=recipe.steps,
                seed=recipe.seed,
                probes=target.train.inputs[:1],  # outputs are measured afterwards, from the weights
                record=Recording(records=recipe.records, checkpoints=recipe.records, pack=PACK),
            )
        cost = trained.cost
        assert cost is not None
        for position, cell in enumerate(self.cells):
            if store.has("cells", cell):
                continue
            recorded = Recorded(
                steps=trained.checkpoint_steps,
                params=jax.tree.map(lambda leaf, at=position: leaf[at], trained.params),
                network=network.name,
                status=trained.statuses[position].value,
                last_step=int(trained.last_step[position]),
                gradients=int(cost.gradients[position]),
                forwards=int(cost.forwards[position]),
                examples=int(cost.examples[position]),
            )
            header = {
                **self.labels,
                "identity": {**recipe.identity, "member": self.first + position},
                "options": part_identities(recipe),
            }
            write_cell(store, cell, header, recorded)


def trajectory_jobs(plan: Plan) -> list[TrajectoryJob]:
    """All packs of a plan that are trained."""
    return [
        TrajectoryJob(plan.study.name, one.labels, one.recipe, first, cells, _examples(plan, one))
        for one in plan.combinations
        if not one.files
        for first, cells in one.packs()
    ]


def _examples(plan: Plan, combination: Combination) -> int:
    train = plan.targets[combination.grid, combination.target].train
    explorer = combination.recipe.explorer
    assert explorer is not None
    return int(explorer.options.get("batch_size", len(train.inputs)))
