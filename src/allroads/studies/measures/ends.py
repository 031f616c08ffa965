"""The functions at which the runs of a grid end: which there are, and which runs can be held against each other."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import jax
import numpy as np

from allroads.studies.measures.functions import domain, end_answers

if TYPE_CHECKING:
    from allroads.pfmap.network import Params
    from allroads.studies.units import Run


def last_function(run: Run) -> str | None:
    """The function that the measure ``programs`` read at the end of a run; ``None`` where it read none."""
    rows = run.need("programs").rows
    if rows.is_empty() or "function" not in rows.columns:
        return None
    found = rows.sort("step").row(-1, named=True)
    name: str | None = found["function"] if found["step"] == int(run.steps[-1]) else None
    return name


@dataclass(frozen=True, eq=False)
class World:
    """Runs of a grid whose functions can be compared: they have the same inputs and the same loss.

    Attributes:
        runs: Those that end at a function that was read.
        functions: The name of each one's function.
        inputs: The whole domain.
    """

    runs: tuple[Run, ...]
    functions: tuple[str, ...]
    inputs: np.ndarray

    @property
    def loss(self) -> str:
        """The loss that they share."""
        return self.runs[0].loss

    def commonest(self, most: int) -> list[str]:
        """The functions at which most runs end, at most so many."""
        return [name for name, _ in Counter(self.functions).most_common(most)]

    @cached_property
    def answers(self) -> dict[str, np.ndarray]:
        """What each function answers ``[N, …]``."""
        first = dict(zip(reversed(self.functions), reversed(self.runs), strict=True))
        said = {name: end_answers(run, self.inputs) for name, run in first.items()}
        return {name: answers for name, answers in said.items() if answers is not None}

    def parts(self, *labels: str) -> Iterator[tuple[tuple[str, ...], World]]:
        """Its runs by these labels, each part a world of its own."""
        keys = [tuple(run.labels[name] for name in labels) for run in self.runs]
        for key in dict.fromkeys(keys):
            mine = [at for at, other in enumerate(keys) if other == key]
            yield key, World(tuple(self.runs[at] for at in mine), tuple(self.functions[at] for at in mine), self.inputs)

    def of(self, function: str, most: int) -> list[Run]:
        """The first runs that end at a function."""
        return [run for run, name in zip(self.runs, self.functions, strict=True) if name == function][:most]


def worlds(runs: Sequence[Run]) -> list[World]:
    """The runs of a grid, those that can be compared together."""
    groups: dict[tuple[str, str], list[tuple[Run, str]]] = {}
    for run in runs:
        name = last_function(run) if run.status == "ok" else None
        if name is not None:
            groups.setdefault((run.loss, _digest(domain(run.target).inputs)), []).append((run, name))
    return [
        World(
            tuple(run for run, _ in group),
            tuple(name for _, name in group),
            np.asarray(domain(group[0][0].target).inputs),
        )
        for group in groups.values()
    ]


def stacked_ends(runs: Sequence[Run]) -> Params:
    """The last parameters of runs as a population."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *(run.end for run in runs))


def _digest(inputs: np.ndarray) -> str:
    array = np.ascontiguousarray(inputs)
    return hashlib.sha256(f"{array.dtype.str} {array.shape}".encode() + array.tobytes()).hexdigest()
