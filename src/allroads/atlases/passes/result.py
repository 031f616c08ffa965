"""Bounds of the passes between points, as one result."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from allroads.atlases.passes.merge_tree import MergeTree, merge_tree
from allroads.atlases.tables import EDGES
from allroads.errors import InputError
from allroads.results import Result
from allroads.status import Status

ENDS = "ends"
"""Name of the lower bound that always holds: a path contains its ends."""


@dataclass(frozen=True, eq=False, repr=False)
class PassBounds(Result):
    """Pass heights between M points, each between two bounds.

    Args:
        losses: Loss of each point, ``[M]``.
        lower: No path between two points stays below it, ``[M, M]``; on the diagonal the losses.
        upper: A path was found that does not rise above it, ``[M, M]``.
        lower_by: What each lower bound rests on, by its position in ``theorems``.
        upper_by: The path behind each upper bound, by its position in ``ways``.
        theorems: ``("ends", name)``: the loss of the higher end, and the theorem that was given.
        ways: ``("segment", "aligned", "curve", "detour")``.
        ended: ``"budget"`` or ``"interrupted"`` where one of these ended the search, else ``None``.
        status: ``ok``; ``cut short`` where fewer paths were tried. The bounds hold then, and are wider.
    """

    losses: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    lower_by: np.ndarray
    upper_by: np.ndarray
    theorems: tuple[str, ...]
    ways: tuple[str, ...]
    ended: str | None
    status: Status

    @property
    def value(self) -> float:
        """The highest of the upper bounds."""
        return float(self.upper.max())

    @property
    def error(self) -> None:
        """``None``: read ``lower`` and ``upper``."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """How many pairs each way and each theorem bounds, and ``ended``."""
        pairs = np.triu_indices(len(self.losses), 1)
        upper = {name: int((self.upper_by[pairs] == at).sum()) for at, name in enumerate(self.ways)}
        lower = {name: int((self.lower_by[pairs] == at).sum()) for at, name in enumerate(self.theorems) if name}
        return {"upper": upper, "lower": lower, "ended": self.ended}

    def way(self, p: int, q: int) -> str:
        """The path behind an upper bound, by name."""
        return self.ways[int(self.upper_by[p, q])]

    def theorem(self, p: int, q: int) -> str:
        """What a lower bound rests on, by name; ``"ends"`` says nothing but that a path contains its ends."""
        return self.theorems[int(self.lower_by[p, q])]

    def tree(self, labels: Sequence[str] | None = None) -> MergeTree:
        """The merge tree of the upper bounds: components can join lower than it says."""
        return merge_tree(self.upper, self.losses, labels)

    def between(self, labels: Sequence[Hashable]) -> pl.DataFrame:
        """Passes between programs: the lowest over their points, as edges of an atlas.

        A program holds more points than were sampled, so the lowest pass between samples bounds the program's from
        above. Nothing bounds it from below but theorems about every pair, which are not carried over.

        Args:
            labels: The program of each point, ``[M]``.

        Returns:
            ``source``, ``target`` (as texts), ``quantity`` (``"pass_upper"``), ``value``, ``low`` and ``high`` (null: a
            bound has no interval), ``tried`` (pairs of points), ``status``; one row for each direction.

        Raises:
            InputError: If there is not one label per point.
        """
        if len(labels) != len(self.losses):
            raise InputError(f"labels: got {len(labels)} for {len(self.losses)} points; expected one per point.")
        of = np.array([str(label) for label in labels])
        names = sorted(set(of.tolist()))
        rows = []
        for p in names:
            for q in names:
                if p != q:
                    block = self.upper[np.ix_(of == p, of == q)]
                    rows.append((p, q, "pass_upper", float(block.min()), None, None, block.size, self.status.value))
        return pl.DataFrame(rows, schema=dict(EDGES), orient="row")
