"""Runs and units: what a measure is asked about, as plain data, and as ``compute`` sees it in a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from allroads.errors import InputError
from allroads.studies.built import build_target, built, parameter_shapes
from allroads.studies.measures.measure import Measure, Outcome, checked_table
from allroads.studies.store import Entry, Store, arrays_bytes, table_bytes
from allroads.studies.weights import load_params

if TYPE_CHECKING:
    from allroads.explorers.trajectory import Cost
    from allroads.pfmap.network import Network, Params
    from allroads.pfmap.problem import Problem
    from allroads.studies.recipes import Recipe
    from allroads.targets.target import Target

KIND = "measures"
"""The kind of entry that holds results."""

PATH = ".path"
"""A column beside those of measures: the file that a row comes from."""


@dataclass(frozen=True, slots=True)
class RunRef:
    """One run of a plan.

    Attributes:
        index: Its place in the plan.
        labels: Labels of grid, target, architecture and explorer.
        recipe: What decides it beside the member.
        member: The member's index.
        cell: The key of its trajectory.
    """

    index: int
    labels: Mapping[str, str]
    recipe: Recipe
    member: int
    cell: str

    @property
    def name(self) -> str:
        """How tables call it."""
        return self.cell[:10]


@dataclass(frozen=True, slots=True)
class UnitRef:
    """One unit of a measure.

    Attributes:
        labels: The labels that its runs share.
        runs: Its runs.
    """

    labels: Mapping[str, str]
    runs: tuple[RunRef, ...]

    @property
    def firsts(self) -> tuple[RunRef, ...]:
        """The first run of each combination."""
        seen: dict[tuple[str, ...], RunRef] = {}
        for run in self.runs:
            seen.setdefault(tuple(run.labels.values()), run)
        return tuple(seen.values())

    @property
    def describe(self) -> str:
        """What messages call it."""
        grid = self.labels.get("grid")
        others = " × ".join(value for name, value in self.labels.items() if name != "grid")
        words = f"{others or 'all'} of grid {grid!r}" if grid else "the whole study"
        return f"{words}, seed {self.runs[0].member} (cell {self.runs[0].name} …)" if len(self.runs) == 1 else words


@dataclass(frozen=True, slots=True)
class Place:
    """Where the result for one unit is stored: in the entry of its chunk, or in one of its own.

    Attributes:
        chunk: The name of the chunk's entry.
        key: The unit's key; the name of an entry of its own.
        runs: The indices of the unit's runs.
    """

    chunk: str
    key: str
    runs: tuple[int, ...]

    def find(self, store: Store) -> str | None:
        """The name of the entry that holds it, ``None`` where none does."""
        return next((name for name in (self.chunk, self.key) if store.has(KIND, name)), None)


@dataclass(frozen=True)
class Result:
    """What was computed of one unit.

    Attributes:
        rows: Its rows.
        along: Columns along the recorded steps; those that are null throughout are left out.
        arrays: Its arrays.
    """

    rows: pl.DataFrame
    along: Mapping[str, np.ndarray] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def row(self) -> dict[str, Any]:
        """The first row; the only one of a run."""
        return self.rows.row(0, named=True)


class Reader:
    """Reads cells and results, each file once.

    Args:
        store: Where they are; ``None`` where nothing is stored.
    """

    def __init__(self, store: Store | None = None):
        self._store = store
        self._entries: dict[str, StoredChunk] = {}
        self._built: dict[int, tuple[Target, Network]] = {}

    def cell(self, key: str) -> Entry:
        """The entry of a trajectory."""
        assert self._store is not None
        return self._store.read("cells", key)

    def result(self, place: Place) -> Result:
        """The result for one unit, which must be there."""
        assert self._store is not None
        name = place.find(self._store) or place.key
        if name not in self._entries:
            self._entries[name] = StoredChunk(self._store.read(KIND, name))
        return self._entries[name].unit(place.key)

    def built(self, recipe: Recipe) -> tuple[Target, Network]:
        """The target and the network of a recipe."""
        if id(recipe) not in self._built:
            self._built[id(recipe)] = built(recipe)
        return self._built[id(recipe)]


class Run:
    """One run as a measure sees it; what it does not ask for is not read.

    Args:
        ref: The run.
        reader: Where results come from.
        needs: Where the results that it needs are, by the measure's name.
    """

    def __init__(self, ref: RunRef, reader: Reader, needs: Mapping[str, Place]):
        self._ref, self._reader, self._needs = ref, reader, needs
        self.name, self.labels, self.recipe, self.member = ref.name, ref.labels, ref.recipe, ref.member

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self.recipe.loss

    @property
    def seed(self) -> int:
        """The member's index, as the column ``seed`` of the tables has it."""
        return self.member

    @property
    def study_seed(self) -> int:
        """The study's seed, for what a measure draws."""
        return self.recipe.seed

    @property
    def target(self) -> Target:
        """What was learned."""
        return build_target(self.recipe)

    @property
    def network(self) -> Network:
        """The network."""
        return self._reader.built(self.recipe)[1]

    @cached_property
    def problem(self) -> Problem:
        """The network with the training examples and the loss."""
        return self.target.problem(self.network, self.loss)

    @cached_property
    def held_out_problem(self) -> Problem | None:
        """The same with the held-out examples; ``None`` where nothing is held out."""
        return self.target.held_out_problem(self.network, self.loss)

    @cached_property
    def _cell(self) -> Entry:
        return self._reader.cell(self._ref.cell)

    @cached_property
    def steps(self) -> np.ndarray:
        """Recorded steps ``[T]``, rising; the first is 0 where the run was trained here."""
        return np.asarray(self._cell.header["steps"], np.int64)

    @property
    def status(self) -> str:
        """``ok`` or ``diverged``."""
        return str(self._cell.header["scalars"]["status"])

    @property
    def last_step(self) -> int:
        """The last step with finite numbers."""
        return int(self._cell.header["scalars"]["last_step"])

    @property
    def cost(self) -> Cost | None:
        """What moving has cost, arrays of one member; ``None`` for a run that was read from files."""
        from allroads.explorers.trajectory import Cost

        gradients, forwards, examples = (
            self._cell.header["scalars"][name] for name in ("gradients", "forwards", "examples")
        )
        if gradients is None:
            return None
        each = examples // max(gradients + forwards, 1)
        return Cost.of(*(np.array([count], np.int64) for count in (gradients, forwards, each)))

    @cached_property
    def params(self) -> Params:
        """Parameters at every recorded step, leaves ``[T, …]``."""
        return load_params(self._cell, self.network, template=parameter_shapes(self.recipe, self.network))

    @property
    def end(self) -> Params:
        """Parameters at the last recorded step."""
        import jax

        return jax.tree.map(lambda leaf: leaf[-1], self.params)

    def need(self, name: str) -> Result:
        """The result of a measure that is needed, for this run or for the unit that this run belongs to.

        Args:
            name: One of the measure's ``needs``.
        """
        return self._reader.result(self._needs[name])


class Unit:
    """One unit as ``compute`` sees it.

    Args:
        ref: The unit.
        reader: Where results come from.
        needs: Where the results that it needs are, by the measure's name.
    """

    def __init__(self, ref: UnitRef, reader: Reader, needs: Mapping[str, Sequence[Place]] | None = None):
        self.labels = ref.labels
        homes = {name: {run: place for place in places for run in place.runs} for name, places in (needs or {}).items()}
        self.runs = tuple(Run(run, reader, {name: home[run.index] for name, home in homes.items()}) for run in ref.runs)
        self._firsts = tuple(run.index for run in ref.firsts)
        self._by_index = dict(zip((run.index for run in ref.runs), self.runs, strict=True))

    @property
    def run(self) -> Run:
        """Its only run; the first where there are several."""
        return self.runs[0]

    @property
    def firsts(self) -> tuple[Run, ...]:
        """The first run of each combination: one per target of a ``map``."""
        return tuple(self._by_index[index] for index in self._firsts)


class StoredChunk:
    """An entry with the results for one or more units, taken apart.

    Args:
        entry: The entry; every file that is read is checked.
    """

    TABLES = ("rows", "along")
    """What its tables are called: rows, and columns along the steps."""

    def __init__(self, entry: Entry):
        self._entry = entry
        self._positions = {key: position for position, key in enumerate(entry.header["units"])}

    @cached_property
    def tables(self) -> dict[str, pl.DataFrame | None]:
        """Rows, and columns along the steps, of all its units; ``unit`` is the place of a unit in the entry."""
        return {
            name: self._entry.table(f"{name}.parquet") if self._holds(f"{name}.parquet") else None
            for name in self.TABLES
        }

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        return self._entry.arrays("arrays.safetensors") if self._holds("arrays.safetensors") else {}

    def _holds(self, file: str) -> bool:
        return file in self._entry.header["files"]

    def path(self, name: str) -> str | None:
        """Where one of its tables lies, which is checked; ``None`` where it has none.

        Raises:
            StoreError: If the file is missing or damaged.
        """
        file = f"{name}.parquet"
        if not self._holds(file):
            return None
        self._entry.file(file)
        return f"{self._entry.path}/{file}"

    def position(self, key: str) -> int:
        """The place of a unit in the entry."""
        return self._positions[key]

    def frame(self, name: str, key: str) -> pl.DataFrame | None:
        """Rows or columns along the steps for one unit."""
        table = self.tables[name]
        return None if table is None else table.filter(pl.col("unit") == self._positions[key]).drop("unit")

    def unit(self, key: str) -> Result:
        """The result for one unit."""
        rows, along = self.frame("rows", key), self.frame("along", key)
        columns = [] if along is None else [column for column in along if column.null_count() < column.len()]
        prefix = f"{self._positions[key]}."
        arrays = {name.removeprefix(prefix): a for name, a in self._arrays.items() if name.startswith(prefix)}
        return Result(
            pl.DataFrame() if rows is None else rows,
            {column.name: column.to_numpy() for column in columns},
            arrays,
        )


def stored_tables(paths: Sequence[str]) -> pl.DataFrame:
    """Tables of entries under one another, with the path of each; columns that some lack are null there."""
    scan: dict[str, Any] = {"include_file_paths": PATH, "glob": False, "hive_partitioning": False}
    try:
        return pl.read_parquet(list(paths), **scan)
    except (pl.exceptions.SchemaError, pl.exceptions.ColumnNotFoundError):  # their columns are not the same
        return pl.concat([pl.read_parquet(path, **scan) for path in paths], how="diagonal")


def checked(measure: Measure, unit: Unit, outcome: Outcome) -> tuple[pl.DataFrame, pl.DataFrame, Mapping[str, Any]]:
    """Rows, columns along the steps and arrays of one unit, as the measure's schema has them.

    Raises:
        InputError: If they do not fit.
    """
    rows = checked_table(outcome.rows, measure.stored) if measure.stored else pl.DataFrame()
    wanted = {"run": 1, "map": len(unit.firsts)}.get(measure.scope)
    if measure.schema and wanted is not None and rows.height != wanted:
        raise InputError(f"it gave {rows.height} rows; expected {wanted}: one per {_row_of(measure)} of the unit.")
    if unknown := set(outcome.along) - set(measure.along):
        raise InputError(f"it gave the columns {', '.join(sorted(unknown))} along the steps; its schema has none such.")
    if not measure.along:
        return rows, pl.DataFrame(), outcome.arrays
    steps = unit.run.steps
    for name, column in outcome.along.items():
        if len(column) != len(steps):
            raise InputError(
                f"its column {name!r} has {len(column)} entries; expected one per recorded step: {len(steps)}."
            )
    columns = {name: list(outcome.along.get(name, [None] * len(steps))) for name in measure.along}
    by_step = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return rows, checked_table(by_step, measure.along), outcome.arrays


def _row_of(measure: Measure) -> str:
    return "target" if measure.scope == "map" else "run"


def chunk_files(parts: Iterable[tuple[pl.DataFrame, pl.DataFrame, Mapping[str, Any]]]) -> dict[str, bytes]:
    """The files of an entry that holds these units, in their order."""
    tables: dict[str, list[pl.DataFrame]] = {"rows": [], "along": []}
    arrays: dict[str, np.ndarray] = {}
    for position, (rows, along, named) in enumerate(parts):
        for name, table in (("rows", rows), ("along", along)):
            if table.width:
                tables[name].append(table.select(pl.lit(position, pl.Int64).alias("unit"), pl.all()))
        arrays |= {f"{position}.{name}": np.asarray(array) for name, array in named.items()}
    files = {f"{name}.parquet": table_bytes(pl.concat(found)) for name, found in tables.items() if found}
    return files | ({"arrays.safetensors": arrays_bytes(arrays)} if arrays else {})
