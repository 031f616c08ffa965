"""Jobs that read the user's own runs into the store; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from allroads.errors import InputError
from allroads.studies.built import built, parameter_shapes, precision
from allroads.studies.canonical import digest
from allroads.studies.failures import Failure, reason
from allroads.studies.plan import Plan
from allroads.studies.recipes import Recipe
from allroads.studies.recorded import checkpoints_digest
from allroads.studies.store import Store
from allroads.studies.trajectories import Recorded, part_identities, write_cell


@dataclass(frozen=True)
class RecordedJob:
    """Read one run and store it as a cell.

    Attributes:
        study: The study's name, for messages.
        labels: Labels of grid, target, architecture and explorer.
        recipe: What decides the cell, beside the member and its checkpoints.
        member: The member's number.
        cell: The key of the cell.
        files: The checkpoints by step.
    """

    study: str
    labels: Mapping[str, str]
    recipe: Recipe
    member: int
    cell: str
    files: Mapping[int, Path]

    @property
    def hash(self) -> str:
        """The name of its claim."""
        return digest([self.cell])

    @property
    def weight(self) -> float:
        """Its share of the work, in arbitrary units."""
        return float(len(self.files))

    @property
    def describe(self) -> str:
        """What messages call it."""
        return f"own runs {self.labels['grid']!r}, seed {self.member} (cell {self.cell[:10]} …)"

    @property
    def quick(self) -> bool:
        """Whether it takes less time than to start a process."""
        return True

    def entries(self) -> list[tuple[str, str]]:
        """Kind and name of every entry that it may leave."""
        return [("cells", self.cell)]

    def todo(self, store: Store) -> bool:
        """Whether there is something left to do."""
        return not store.has("cells", self.cell)

    def run(self, store: Store) -> list[Failure]:
        """Read the checkpoints and store them."""
        try:
            self._read(store)
        except Exception as error:
            return [Failure(self.study, "trajectories", self.describe, reason(error))]
        return []

    def _read(self, store: Store) -> None:
        import jax

        from allroads.explorers.checkpoint_files import CheckpointRun
        from allroads.explorers.trajectory import Trajectory

        recipe = self.recipe
        identity = recipe.recorded_identity(self.member, checkpoints_digest(self.files))
        if digest(identity) != self.cell:
            raise InputError("its checkpoints changed while the study ran; run the same command again")
        with precision(recipe.precision):
            target, network = built(recipe)
            read = Trajectory.from_checkpoints(
                network,
                CheckpointRun(f"seed {self.member}", dict(self.files)),
                problem=target.problem(network, recipe.loss),
                probes=target.train.inputs[:1],  # outputs are measured afterwards, from the weights
                like=parameter_shapes(recipe, network),
            )
        recorded = Recorded(
            steps=read.steps,
            params=jax.tree.map(lambda leaf: leaf[0], read.params),
            network=network.name,
            status=read.statuses[0].value,
            last_step=int(read.last_step[0]),
        )
        source = str(next(iter(self.files.values())).parent)
        header = {**self.labels, "identity": identity, "options": part_identities(recipe), "source": source}
        write_cell(store, self.cell, header, recorded)


def recorded_jobs(plan: Plan) -> list[RecordedJob]:
    """One job per run of the user's own."""
    return [
        RecordedJob(plan.study.name, one.labels, one.recipe, member, cell, files)
        for one in plan.combinations
        for member, cell, files in zip(one.members, one.cells, one.files, strict=False)
    ]
