"""The graph of a study: which measures it takes, in which order, on which units, under which keys."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from allroads.errors import ConfigError, InputError, nearest_name
from allroads.studies.canonical import digest, digester, plain
from allroads.studies.garbage import uncollected
from allroads.studies.measures.measure import LABELS, Measure, Options, Scope
from allroads.studies.measures.registry import by_name, known_measures
from allroads.studies.parts import Part, make_part
from allroads.studies.plan import Plan, make_plan
from allroads.studies.recipes import PACK
from allroads.studies.store import SCHEMA_VERSION
from allroads.studies.trajectories import COLUMNS
from allroads.studies.units import Place, RunRef, UnitRef

if TYPE_CHECKING:
    from allroads.studies.config import Measures, Study
    from allroads.studies.toml import Source

MAP = ("fingerprint", "loss", "architecture", "explorer", "seed", "steps", "precision")
"""What of a recipe decides what is said of a map before anything is trained."""


@dataclass(frozen=True)
class Asked:
    """A measure that a study takes.

    Attributes:
        measure: The measure.
        options: Its options.
        own: Its options in those grids that have others, by the grid's name.
        origin: The user's function that gave it, ``None`` for one that is known by its name.
    """

    measure: Measure
    options: Options
    own: Mapping[str, Options]
    origin: Part | None = None

    def options_for(self, unit: UnitRef) -> Options:
        """Its options for a unit: those of the grid, where it lies in one that has its own."""
        return self.own.get(unit.labels.get("grid", ""), self.options)


@dataclass(frozen=True)
class Node:
    """A measure with its units.

    Attributes:
        asked: The measure and its options.
        units: Its units, in the order of the plan.
        keys: The keys of their results.
        chunks: Which units one job computes: slices of them.
    """

    asked: Asked
    units: tuple[UnitRef, ...]
    keys: tuple[str, ...]
    chunks: tuple[tuple[int, ...], ...]

    @property
    def measure(self) -> Measure:
        """The measure."""
        return self.asked.measure

    def chunk_key(self, chunk: Sequence[int]) -> str:
        """The name of a chunk's entry."""
        keys = [self.keys[index] for index in chunk]
        return keys[0] if len(keys) == 1 else digest({"units": keys})

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where the result for each unit is."""
        found: dict[int, Place] = {}
        for chunk in self.chunks:
            name = self.chunk_key(chunk)
            for index in chunk:
                found[index] = Place(name, self.keys[index], tuple(run.index for run in self.units[index].runs))
        return tuple(found[index] for index in range(len(self.units)))

    @cached_property
    def place_of(self) -> dict[int, Place]:
        """Where the result is that speaks of a run, by the run's index."""
        return {run: place for place in self.places for run in place.runs}


@dataclass(frozen=True)
class Graph:
    """The measures of a study, each after all that it needs.

    Attributes:
        nodes: By name, in an order in which each can be computed.
        known: Every measure that could be asked for, by name, in the order of tables and findings.
        runs: The runs of the plan.
    """

    nodes: Mapping[str, Node]
    known: Mapping[str, Measure]
    runs: tuple[RunRef, ...]

    @property
    def shown(self) -> list[Node]:
        """The nodes in the order of tables and findings."""
        return [self.nodes[name] for name in self.known if name in self.nodes]


def plan_study(study: Study, source: Source) -> tuple[Plan, Graph]:
    """What a study trains, and what it measures.

    Raises:
        ConfigError: Names every mistake in either.
    """
    errors = []
    try:
        known, asked = ask(study, source)
    except ConfigError as error:
        errors.append(str(error))
    with uncollected():
        try:
            plan = make_plan(study, source)
        except ConfigError as error:
            errors.insert(0, str(error))
        if errors:
            raise ConfigError("\n".join(errors))
        return plan, make_graph(plan, known, asked)


def make_graph(plan: Plan, known: Mapping[str, Measure], asked: Sequence[Asked]) -> Graph:
    """The graph of a plan.

    Args:
        plan: What is trained.
        known: Every measure by name.
        asked: Those that the study takes, each after all that it needs.
    """
    runs = plan_runs(plan)
    scopes: list[Scope] = [item.measure.scope for item in asked]
    units = {scope: units_of(scope, plan, runs) for scope in dict.fromkeys(scopes)}
    nodes: dict[str, Node] = {}
    for item in asked:
        nodes[item.measure.name] = make_node(item, units[item.measure.scope], nodes)
    return Graph(nodes, known, runs)


def ask(study: Study, source: Source) -> tuple[dict[str, Measure], list[Asked]]:
    """Every measure by name, and those that a study takes, each after all that it needs.

    Raises:
        ConfigError: If a measure or an option is unknown, two measures have one name or one column, or their needs go
            round in a circle; names every such mistake.
    """
    known, origins, asked = _asked(study, source)
    own = _by_grid(study, known, source)
    names = _in_order(known, asked, source)
    return known, [Asked(known[name], asked[name], own.get(name, {}), origins.get(name)) for name in names]


def plan_runs(plan: Plan) -> tuple[RunRef, ...]:
    """The runs of a plan, in its order."""
    every = [
        (said, one.recipe, member, cell)
        for one, said in ((one, one.labels) for one in plan.combinations)
        for member, cell in zip(one.members, one.cells, strict=True)
    ]
    return tuple(RunRef(index, *each) for index, each in enumerate(every))


def _asked(study: Study, source: Source) -> tuple[dict[str, Measure], dict[str, Part], dict[str, Options]]:
    """All measures, the user's functions behind some of them, and the options of those that are enabled."""
    problems: list[str] = []
    own, origins = _own_measures(study.measures, source, problems)
    try:
        known = by_name([*known_measures().values(), *own])
        _check_columns(known.values())
    except InputError as error:
        raise source.error(*problems, f"measures: {error}") from None
    given = dict(study.measures.model_extra or {})
    problems += [_unknown(f"measures.{name}", name, known) for name in given if name not in known]
    options = {name: _options(measure, given.get(name), problems) for name, measure in known.items()}
    if problems:
        raise source.error(*problems)
    return known, origins, _closed(known, options, given, source)


def _by_grid(study: Study, known: Mapping[str, Measure], source: Source) -> dict[str, dict[str, Options]]:
    """Options that are others in one grid, by measure and grid; what a grid leaves out is the study's."""
    problems: list[str] = []
    found: dict[str, dict[str, Options]] = {}
    places = [f"{kind}.{index}" for kind in ("grid", "runs") for index in range(len(getattr(study, kind)))]
    for place, grid in zip(places, study.sections, strict=True):
        for name, given in grid.measures.items():
            where = f"{place}.measures"
            if name not in known:
                problems.append(_unknown(f"{where}.{name}", name, known))
            elif "enabled" in given:
                problems.append(f"{where}.{name}.enabled: a measure is on or off for a whole study; set it there.")
            else:
                shared = (study.measures.model_extra or {}).get(name)
                merged = {**(shared if isinstance(shared, Mapping) else {}), **given}
                found.setdefault(name, {})[grid.name] = _options(known[name], merged, problems, where)
    if problems:
        raise source.error(*problems)
    return found


def _unknown(key: str, name: str, known: Mapping[str, Measure]) -> str:
    near = nearest_name(name, known)
    hint = f"did you mean {near!r}? " if near else ""
    return f"{key}: no measure of that name: {hint}Known: {', '.join(known)}."


def _own_measures(measures: Measures, source: Source, problems: list[str]) -> tuple[list[Measure], dict[str, Part]]:
    own, origins = [], {}
    for index, choice in enumerate(measures.own):
        try:
            part = make_part("measure", choice, source.folder)
            own.append(part.build())
            origins[own[-1].name] = part
        except InputError as error:
            problems.append(f"measures.own.{index}: {error}")
    return own, origins


def _check_columns(measures: Iterable[Measure]) -> None:
    """Refuse two columns of one name in ``runs`` or in ``curves``."""
    taken = {
        "runs": dict.fromkeys(COLUMNS, "the trajectory"),
        "curves": dict.fromkeys(("run", "step"), "the trajectory"),
    }
    for measure in measures:
        joined = {"runs": measure.schema if measure.scope == "run" else {}, "curves": measure.along}
        for table, columns in joined.items():
            for column in columns:
                if column in taken[table]:
                    other = taken[table][column]
                    raise InputError(
                        f"{measure.name!r} and {other} both give the column {column!r} of {table}; rename one."
                    )
                taken[table][column] = repr(measure.name)


def _options(measure: Measure, given: Any, problems: list[str], parent: str = "measures") -> Options:
    """The options of a measure: ``true`` and ``false`` stand for ``enabled``, and a table enables it."""
    where = f"{parent}.{measure.name}"
    if isinstance(given, bool):
        given = {"enabled": given}
    elif isinstance(given, Mapping):
        given = {"enabled": True, **given}
    elif given is not None:
        problems.append(f"{where}: {given!r} is not allowed: expected true, false or a table of its options.")
        given = None
    try:
        return measure.options.model_validate_json(json.dumps(given or {}), strict=True)
    except ValidationError as error:
        problems += [_problem(where, measure, dict(detail)) for detail in error.errors()]
        return Options(enabled=False)


def _problem(where: str, measure: Measure, detail: Mapping[str, Any]) -> str:
    key = ".".join([where, *map(str, detail["loc"])])
    if detail["type"] == "extra_forbidden":
        allowed = sorted(measure.options.model_fields)
        near = nearest_name(str(detail["loc"][-1]), allowed)
        hint = f"did you mean {near!r}? " if near else ""
        return f"{key}: unknown key: {hint}Allowed here: {', '.join(allowed)}."
    if detail["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(detail["ctx"]["expected"]))
        near = nearest_name(str(detail["input"]), allowed)
        hint = f"did you mean {near!r}? " if near else ""
        return f"{key}: {detail['input']!r} is not allowed: {hint}Allowed: {', '.join(allowed)}."
    message = str(detail["msg"])
    return f"{key}: {detail['input']!r} is not allowed: {message[0].lower()}{message[1:].rstrip('.')}."


def _closed(
    known: Mapping[str, Measure], options: Mapping[str, Options], given: Mapping[str, Any], source: Source
) -> dict[str, Options]:
    """The options of the measures that are enabled, and of those that they need."""
    asked: dict[str, Options] = {}
    waiting = [(name, "") for name in known if options[name].enabled]
    while waiting:
        name, by = waiting.pop()
        if name in asked:
            continue
        if name not in known:
            raise source.error(f"measures.{by}: it needs {name!r}, and there is no measure of that name.")
        if not options[name].enabled and name in given:
            raise source.error(f"measures.{name}: it is off, and {by!r} needs it; switch that off too.")
        asked[name] = options[name]
        waiting += [(need, name) for need in (*known[name].needs, *known[name].reads)]
    return asked


def _in_order(known: Mapping[str, Measure], asked: Mapping[str, Options], source: Source) -> list[str]:
    """The names, each after all that it needs."""
    order: list[str] = []
    names = [name for name in known if name in asked]
    while len(order) < len(names):
        waiting = [name for name in names if name not in order]
        ready = [name for name in waiting if {*known[name].needs, *known[name].reads} <= set(order)]
        if not ready:
            circle = _circle(known, waiting)
            raise source.error(f"measures: {' needs '.join(circle)}: a circle; drop one of these needs.")
        order += ready
    return order


def _circle(known: Mapping[str, Measure], stuck: Sequence[str]) -> list[str]:
    """Names of measures, each of which needs the next; first and last are the same."""
    walked = [stuck[0]]
    while walked[-1] not in walked[:-1]:
        measure = known[walked[-1]]
        walked.append(next(need for need in (*measure.needs, *measure.reads) if need in stuck))
    return walked[walked.index(walked[-1]) :]


def make_node(asked: Asked, units: tuple[UnitRef, ...], nodes: Mapping[str, Node]) -> Node:
    """A measure of those units for which ``nodes`` has all that it needs."""
    measure = asked.measure
    every = {run.index for unit in units for run in unit.runs} if measure.needs else set()
    alone = {index for need in measure.needs for index in every - nodes[need].place_of.keys()}
    if alone:  # what it needs is not there for them
        units = tuple(unit for unit in units if alone.isdisjoint(run.index for run in unit.runs))
    keys = _keys(asked, units, {need: nodes[need] for need in measure.needs})
    return Node(asked, units, tuple(keys), _chunks(measure, units))


def units_of(scope: Scope, plan: Plan, runs: Sequence[RunRef]) -> tuple[UnitRef, ...]:
    """The units of a scope, in the order of the plan.

    Args:
        scope: Of the measure.
        plan: For its targets.
        runs: The runs of the plan.
    """
    if scope in ("run", "checkpoint"):
        return tuple(UnitRef(run.labels, (run,)) for run in runs)
    if scope == "study":
        return (UnitRef({}, tuple(runs)),) if runs else ()
    shared = {
        "pair": tuple(LABELS),
        "target": ("grid", "target"),
        "map": ("grid", "architecture", "explorer"),
        "grid": ("grid",),
    }[scope]
    groups: dict[Any, list[RunRef]] = {}
    for run in runs:
        key: tuple[Any, ...] = tuple(run.labels[name] for name in shared)
        groups.setdefault(key + (_seen_by_map(plan, run) if scope == "map" else ()), []).append(run)
    found = [UnitRef({name: group[0].labels[name] for name in shared}, tuple(group)) for group in groups.values()]
    return tuple(unit for unit in found if scope != "pair" or len(unit.runs) > 1)


def _seen_by_map(plan: Plan, run: RunRef) -> tuple[Any, ...]:
    """What must be equal for two targets to be seen by one map: loss, interface, shape of labels, inputs."""
    target = plan.targets[run.labels["grid"], run.labels["target"]]
    return run.recipe.loss, target.interface, target.train.labels.shape[1:], plan.inputs(run.labels)


def _keys(asked: Asked, units: Iterable[UnitRef], needs: Mapping[str, Node]) -> Iterator[str]:
    """The key of each unit's result: a digest of all that decides it."""

    def digest_with(options: Options) -> Callable[[Mapping[str, Any]], str]:
        measure = asked.measure
        shared = {"measure": measure.name, "version": measure.version, "options": options.identity}
        return digester({**shared, "schema_version": SCHEMA_VERSION})

    usual = digest_with(asked.options)
    of_grid = {grid: digest_with(options) for grid, options in asked.own.items()}
    for unit in units:
        if asked.measure.scope == "map":
            decided: Any = plain([{name: run.recipe.identity[name] for name in MAP} for run in unit.firsts])
        else:
            decided = [run.cell for run in unit.runs]
        needed = {
            name: list(dict.fromkeys(node.place_of[run.index].key for run in unit.runs)) for name, node in needs.items()
        }
        yield of_grid.get(unit.labels.get("grid", ""), usual)({"of": decided, "needs": needed})


def _chunks(measure: Measure, units: Sequence[UnitRef]) -> tuple[tuple[int, ...], ...]:
    """Runs of one pack go together, at most ``measure.chunk`` of them; every other unit goes alone."""
    if measure.scope not in ("run", "checkpoint") or measure.chunk < 2:
        return tuple((index,) for index in range(len(units)))
    packs: dict[tuple[Any, ...], list[int]] = {}
    for index, unit in enumerate(units):
        (run,) = unit.runs
        packs.setdefault((*run.labels.values(), run.member // min(measure.chunk, PACK)), []).append(index)
    return tuple(tuple(pack) for pack in packs.values())
