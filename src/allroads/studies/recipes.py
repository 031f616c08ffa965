"""What decides the cells of a study: recipes, and the combinations that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from allroads.studies.canonical import digester
from allroads.studies.parts import Part
from allroads.studies.store import SCHEMA_VERSION

PACK = 8
"""Members, at most, that run together: the unit of work. One configuration always gives the same packs."""

WIDE = 4096
"""Members, at most, that run together on an accelerator."""


@dataclass(frozen=True)
class Recipe:
    """Everything but the member's index that decides the result of a cell.

    Attributes:
        target: The target.
        fingerprint: The target's, of everything that decides its data.
        loss: Name of the loss.
        architecture: The architecture.
        explorer: The explorer; ``None`` where the runs are the user's own and none is said to be like their loop.
        seed: The study's seed.
        steps: Steps.
        records: Recorded steps, at most.
        precision: ``float32`` or ``float64``.
    """

    target: Part
    fingerprint: str
    loss: str
    architecture: Part
    explorer: Part | None
    seed: int
    steps: int
    records: int
    precision: str

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the hash of a cell is taken of, beside the member's index."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        explorer = None if self.explorer is None else self.explorer.identity
        built = {"architecture": self.architecture.identity, "explorer": explorer}
        # The fingerprint stands for the target: two spellings of the same data are the same target.
        del values["target"]
        return {**values, **built, "schema_version": SCHEMA_VERSION}

    def cell(self, member: int) -> str:
        """The hash of the cell of that member."""
        return self.cells([member])[0]

    def cells(self, members: Iterable[int]) -> tuple[str, ...]:
        """The hashes of the cells of these members."""
        digest = digester(self.identity)
        return tuple(digest({"member": member}) for member in members)

    def recorded_identity(self, member: int, checkpoints: str) -> dict[str, Any]:
        """What the hash of a cell of the user's own runs is taken of; how they are said to be trained is no part.

        Args:
            member: The member's number.
            checkpoints: A digest of its checkpoints.
        """
        decided = {name: value for name, value in self.identity.items() if name != "explorer"}
        return {**decided, "member": member, "checkpoints": checkpoints}


@dataclass(frozen=True)
class Combination:
    """One target × architecture × explorer of a grid, or one table of the user's own runs, with its members.

    Attributes:
        grid: Label of the grid, as those of the three below.
        target: Label.
        architecture: Label.
        explorer: Label.
        recipe: What decides its cells.
        members: Its members: what the seeds of a grid count, or the numbers of the user's own runs.
        cells: Their hashes, in the order of the members.
        files: Checkpoints by step of each member, where the runs are the user's own; empty where they are trained.
    """

    grid: str
    target: str
    architecture: str
    explorer: str
    recipe: Recipe
    members: tuple[int, ...]
    cells: tuple[str, ...]
    files: tuple[Mapping[int, Path], ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """The four labels, as tables have them."""
        return {name: getattr(self, name) for name in ("grid", "target", "architecture", "explorer")}

    def packs(self, members: int = PACK) -> list[tuple[int, tuple[str, ...]]]:
        """First member and cells of each pack of so many members."""
        return [(first, self.cells[first : first + members]) for first in range(0, len(self.cells), members)]

    def width(self, accelerators: int) -> int:
        """Members that run side by side on each of so many accelerators: a power of two, or ``PACK`` without one.

        It follows from the number of members and not from what is stored, so that what is computed later, after an
        interruption, is computed as widely as the rest.
        """
        if not accelerators:
            return PACK
        own = -(-len(self.cells) // accelerators)
        return min(WIDE, max(PACK, 1 << max(own - 1, 0).bit_length()))
