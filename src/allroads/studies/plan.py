"""What a study consists of: combinations, their cells and packs, named by the hash of what decides them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.errors import InputError
from allroads.imported import reason
from allroads.studies.config import Choice, Grid, Study
from allroads.studies.parts import Part, make_part, part_problems
from allroads.studies.recipes import Combination, Recipe
from allroads.studies.recorded import plan_recorded
from allroads.studies.toml import Source

if TYPE_CHECKING:
    from allroads.targets.target import Target


@dataclass(frozen=True)
class Plan:
    """A study with everything that it consists of.

    Attributes:
        study: The configuration.
        combinations: In the order of the configuration.
        targets: The built targets, by label of grid and target.
    """

    study: Study
    combinations: tuple[Combination, ...]
    targets: dict[tuple[str, str], Target]

    def inputs(self, labels: Mapping[str, str]) -> str:
        """A digest of the inputs of the target with these labels, held-out ones too."""
        key = labels["grid"], labels["target"]
        if key not in self._inputs:
            self._inputs[key] = _inputs(self.targets[key])
        return self._inputs[key]

    @cached_property
    def _inputs(self) -> dict[tuple[str, str], str]:
        return {}

    @property
    def cells(self) -> list[str]:
        """The hashes of all cells, each once."""
        return list(dict.fromkeys(cell for combination in self.combinations for cell in combination.cells))

    def tasks(self) -> dict[tuple[str, str], list[Combination]]:
        """The combinations of each grid and target."""
        tasks: dict[tuple[str, str], list[Combination]] = {}
        for combination in self.combinations:
            tasks.setdefault((combination.grid, combination.target), []).append(combination)
        return tasks


def _inputs(target: Target) -> str:
    total = hashlib.sha256()
    for part in (target.train, target.held_out):
        if part is not None:
            total.update(f"{part.inputs.shape} {part.inputs.dtype}".encode())
            total.update(np.ascontiguousarray(part.inputs).tobytes())
    return total.hexdigest()


def make_plan(study: Study, source: Source) -> Plan:
    """Check every part of a study against its factory, build its targets and name its cells.

    Raises:
        ConfigError: Names file, key and what is allowed, for every mistake found.
    """
    problems: list[str] = []
    combinations: list[Combination] = []
    targets: dict[tuple[str, str], Any] = {}
    names = Counter(section.name for section in study.sections)
    problems += [
        f"grid: {count} grids are called {name!r}; give each its name." for name, count in names.items() if count > 1
    ]
    for index, grid in enumerate(study.grid):
        where = f"grid.{index}"
        before = len(problems)
        parts = {
            role: _parts(role, getattr(grid, role), source, f"{where}.{role}", problems)
            for role in ("target", "architecture", "explorer")
        }
        built = _build_targets(parts["target"], grid, where, problems) if len(problems) == before else {}
        labels = {role: _labels(getattr(grid, role), where, role, problems) for role in ("architecture", "explorer")}
        if len(problems) > before:
            continue
        _check_architectures(parts["architecture"], built, where, problems)
        _check_explorers(parts["explorer"], where, problems)
        for target, (part, made) in built.items():
            targets[grid.name, target] = made
            for architecture, network in zip(labels["architecture"], parts["architecture"], strict=True):
                for explorer, rule in zip(labels["explorer"], parts["explorer"], strict=True):
                    recipe = _recipe(study, grid, part, made, network, rule)
                    members = tuple(range(grid.seeds))
                    cells = recipe.cells(members)
                    labelled = (grid.name, target, architecture, explorer)
                    combinations.append(Combination(*labelled, recipe, members, cells))
    for index, runs in enumerate(study.runs):
        planned = plan_recorded(study.seed, runs, source.folder, f"runs.{index}", problems)
        if planned is not None:
            targets[runs.name, planned[1].target] = planned[0]
            combinations.append(planned[1])
    if problems:
        raise source.error(*problems)
    return Plan(study, tuple(combinations), targets)


def _recipe(study: Study, grid: Grid, part: Part, target: Any, architecture: Part, explorer: Part) -> Recipe:
    return Recipe(
        target=part,
        fingerprint=target.fingerprint(),
        loss=grid.loss or target.loss,
        architecture=architecture,
        explorer=explorer,
        seed=study.seed,
        steps=grid.steps,
        records=grid.records,
        precision=grid.precision,
    )


def _parts(role: str, choices: Sequence[Choice], source: Source, where: str, problems: list[str]) -> list[Part]:
    parts = []
    for index, choice in enumerate(choices):
        try:
            parts.append(make_part(role, choice, source.folder))
        except InputError as error:
            problems += part_problems(f"{where}.{index}", error)
    return parts


def _build_targets(parts: Sequence[Part], grid: Grid, where: str, problems: list[str]) -> dict[str, tuple[Part, Any]]:
    built: dict[str, tuple[Part, Any]] = {}
    for index, (part, choice) in enumerate(zip(parts, grid.target, strict=True)):
        try:
            target = part.build()
        except Exception as error:
            problems.append(f"{where}.target.{index}: {choice.kind!r} cannot be built: {reason(error)}.")
            continue
        label = choice.label or target.name
        if label in built:
            problems.append(
                f"{where}.target.{index}: two targets are called {label!r}; give one a `label`, or drop it."
            )
        built[label] = (part, target)
    return built


def _labels(choices: Sequence[Choice], where: str, role: str, problems: list[str]) -> list[str]:
    """How reports call each choice: its label, else its kind, with options where the kind occurs twice."""
    names = Counter(_name(choice) for choice in choices)
    labels = [choice.label or (_name(choice) if names[_name(choice)] == 1 else _spelled(choice)) for choice in choices]
    problems += [
        f"{where}.{role}: two are called {label!r}; give one a `label`, or drop it."
        for label, count in Counter(labels).items()
        if count > 1
    ]
    return labels


def _name(choice: Choice) -> str:
    """Its kind; for the user's own code, the function."""
    path = str(choice.options.get("path", ""))
    return path.partition(":")[2] or choice.kind if choice.kind == "factory" else choice.kind


def _spelled(choice: Choice) -> str:
    options = ", ".join(f"{name}={value}" for name, value in choice.options.items() if name != "path")
    return f"{_name(choice)}({options})" if options else _name(choice)


def _check_architectures(
    parts: Sequence[Part], built: dict[str, tuple[Part, Any]], where: str, problems: list[str]
) -> None:
    """Build every registered architecture for every target: a bad value is known before anything runs."""
    for index, part in enumerate(parts):
        for label, (_, target) in built.items():
            if part.user_code is None:
                try:
                    part.build(target.interface)
                except InputError as error:
                    problems.append(f"{where}.architecture.{index}: for target {label!r}: {error}")


def _check_explorers(parts: Sequence[Part], where: str, problems: list[str]) -> None:
    for index, part in enumerate(parts):
        try:
            mixes = part.build().mixes
        except InputError as error:
            if part.user_code is None:  # a user's own is named by the job that fails, and all others go on
                problems.append(f"{where}.explorer.{index}: {error}")
        else:
            if mixes:  # what a cell holds would hang on which others run beside it
                problems.append(f"{where}.explorer.{index}: {part.kind!r} mixes members; call explore instead.")
