"""Jobs: what a worker does. Each is plain data, and stores what comes of it.

Whoever hands them out has claimed them; processes on one directory thus share the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, overload

from allroads.studies.built import precision
from allroads.studies.failures import Failure, reason
from allroads.studies.measures.measure import Measure, as_outcome
from allroads.studies.measures.registry import find_measure
from allroads.studies.parts import Part
from allroads.studies.store import Store
from allroads.studies.units import KIND, Place, Reader, Unit, UnitRef, checked, chunk_files

if TYPE_CHECKING:
    from allroads.studies.graph import Graph, Node


class Job(Protocol):
    """A piece of work that can be sent to another process."""

    @property
    def study(self) -> str:
        """The study's name, for messages."""

    @property
    def hash(self) -> str:
        """The name of its claim."""

    @property
    def weight(self) -> float:
        """Its share of the work of its phase, in arbitrary units."""

    @property
    def describe(self) -> str:
        """What messages call it."""

    @property
    def quick(self) -> bool:
        """Whether it takes less time than to start a process."""

    def entries(self) -> list[tuple[str, str]]:
        """Kind and name of every entry that it may leave."""

    def todo(self, store: Store) -> bool:
        """Whether something is left that can be done now."""

    def run(self, store: Store) -> list[Failure]:
        """Do it and store what comes of it; what went wrong for one unit of many is given back."""


def perform(jobs: Sequence[Job], directory: str) -> tuple[tuple[Failure, ...], ...]:
    """Do those jobs that are not done; the function that engines run.

    Returns:
        What went wrong with each.

    Raises:
        StoreError: If the directory cannot be read or written.
    """
    store = Store(directory)
    return tuple(tuple(job.run(store)) if job.todo(store) else () for job in jobs)


@dataclass(frozen=True)
class MeasureJob:
    """Compute one measure for a chunk of units.

    Attributes:
        study: The study's name, for messages.
        name: The measure's name.
        origin: The user's function that gives the measure; ``None``: it is known by its name.
        options: Its options.
        units: The units.
        places: Where the result for each goes.
        needs: For each unit, where the results that it needs are, by the measure's name.
        trained: Whether the trajectories must be there.
        quick: Whether it takes less time than to start a process.
    """

    study: str
    name: str
    origin: Part | None
    options: Mapping[str, Any]
    units: tuple[UnitRef, ...]
    places: tuple[Place, ...]
    needs: tuple[Mapping[str, tuple[Place, ...]], ...]
    trained: bool
    quick: bool

    @property
    def hash(self) -> str:
        """The name of its entry and of its claim."""
        return self.places[0].chunk

    @property
    def weight(self) -> float:
        """Its share of the work, in arbitrary units."""
        return float(sum(len(unit.runs) for unit in self.units))

    @property
    def describe(self) -> str:
        """What messages call it."""
        more = f" and {len(self.units) - 1} more" if len(self.units) > 1 else ""
        return f"{self.name} of {self.units[0].describe}{more}"

    def entries(self) -> list[tuple[str, str]]:
        """Kind and name of every entry that it may leave."""
        names = dict.fromkeys([self.hash, *(place.key for place in self.places)])
        return [(KIND, name) for name in names]

    def todo(self, store: Store) -> bool:
        """Whether a unit is missing that can be computed now."""
        return next(self._missing(store), None) is not None

    def _missing(self, store: Store) -> Iterator[int]:
        """The units without a result of which everything that they need is there."""
        if store.has(KIND, self.hash):
            return
        for index, place in enumerate(self.places):
            if place.find(store) is None and self._ready(index, store):
                yield index

    def _ready(self, index: int, store: Store) -> bool:
        cells = all(store.has("cells", run.cell) for run in self.units[index].runs) if self.trained else True
        needed = (place for places in self.needs[index].values() for place in places)
        return cells and all(place.find(store) is not None for place in needed)

    @cached_property
    def measure(self) -> Measure:
        """The measure."""
        measure: Measure = find_measure(self.name) if self.origin is None else self.origin.build()
        return measure

    def run(self, store: Store) -> list[Failure]:
        """Compute the missing units.

        All units of a chunk make one entry; where some failed or were there before, each of the others has its own.
        """
        failures: list[Failure] = []
        computed: dict[int, Any] = {}
        reader = Reader(store)
        for index in list(self._missing(store)):
            try:
                computed[index] = self.compute(index, reader)
            except Exception as error:
                failures.append(Failure(self.study, self.name, self.units[index].describe, reason(error)))
        if len(computed) == len(self.units):
            self._write(store, self.hash, computed)
        else:
            for index, found in computed.items():
                self._write(store, self.places[index].key, {index: found})
        return failures

    def compute(self, index: int, reader: Reader) -> Any:
        """Rows, columns along the steps and arrays for one unit.

        Raises:
            InputError: If they do not fit the measure's schema.
        """
        ref = self.units[index]
        unit = Unit(ref, reader, self.needs[index])
        with precision(ref.runs[0].recipe.precision):
            options = self.measure.options.model_validate(self.options, strict=False)
            return checked(self.measure, unit, as_outcome(self.measure.compute(unit, options)))

    def _write(self, store: Store, name: str, computed: Mapping[int, Any]) -> None:
        header = {
            "measure": self.name,
            "version": self.measure.version,
            "options": dict(self.options),
            "units": [self.places[index].key for index in computed],
            "labels": [dict(self.units[index].labels) for index in computed],
            "cells": [[run.cell for run in self.units[index].runs] for index in computed],
        }
        store.write(KIND, name, header, chunk_files(computed.values()))


@dataclass(frozen=True)
class MeasureJobs(Sequence[MeasureJob]):
    """The jobs of one node, each made when it is asked for: a large study has more than fit the memory together.

    Attributes:
        study: The study's name.
        graph: The graph.
        node: The node.
    """

    study: str
    graph: Graph
    node: Node

    def __len__(self) -> int:
        return len(self.node.chunks)

    @overload
    def __getitem__(self, at: int) -> MeasureJob: ...
    @overload
    def __getitem__(self, at: slice) -> list[MeasureJob]: ...
    def __getitem__(self, at: int | slice) -> MeasureJob | list[MeasureJob]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        node, chunk = self.node, self.node.chunks[at]
        return MeasureJob(
            self.study,
            node.measure.name,
            node.asked.origin,
            self._identities[id(node.asked.options_for(node.units[chunk[0]]))],
            tuple(node.units[index] for index in chunk),
            tuple(node.places[index] for index in chunk),
            tuple(_needed(self.graph, node, node.units[index]) for index in chunk),
            node.measure.scope != "map",
            self.quick,
        )

    @cached_property
    def _identities(self) -> dict[int, dict[str, Any]]:
        """What the options of the measure decide by, for the study's and each grid's own."""
        asked = self.node.asked
        return {id(options): options.identity for options in (asked.options, *asked.own.values())}

    @property
    def quick(self) -> bool:
        """Whether one of them takes less time than to start a process."""
        return self.node.measure.chunk > 1 and bool(self.node.measure.needs)


def _needed(graph: Graph, node: Node, unit: UnitRef) -> dict[str, tuple[Place, ...]]:
    found: dict[str, tuple[Place, ...]] = {}
    for name in node.measure.needs:
        homes: Mapping[int, Place] = graph.nodes[name].place_of
        found[name] = tuple(dict.fromkeys(homes[run.index] for run in unit.runs))
    return found
