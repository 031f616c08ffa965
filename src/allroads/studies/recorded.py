"""Runs of the user's own in a study: checked before any work, and named by the hash of what decides them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.errors import InputError
from allroads.imported import import_path
from allroads.studies.built import precision
from allroads.studies.canonical import digest
from allroads.studies.config import Choice, Runs
from allroads.studies.parts import USER_CODE, Part, RecordedNetwork, importable, make_part, source_digest
from allroads.studies.recipes import Combination, Recipe

if TYPE_CHECKING:
    from allroads.explorers.checkpoint_files import CheckpointRun
    from allroads.pfmap.network import Network, Params
    from allroads.targets.target import Target

TOKEN_AXES = (2, 3)
"""Axes of whole numbers that are tokens: examples, positions, and channels."""


def plan_recorded(
    seed: int, runs: Runs, folder: Path, where: str, problems: list[str]
) -> tuple[Target, Combination] | None:
    """Read and check the user's own runs; what they learned, and their cells.

    Every checkpoint is read: names and shapes are those of the network, and labels fit its outputs. Nothing is
    computed.

    Args:
        seed: The study's.
        runs: As the study has them.
        folder: The study's folder, which paths are relative to.
        where: Their key in the study, for messages.
        problems: What is wrong is added, one message per key.

    Returns:
        ``None`` where something is wrong.
    """
    from allroads.explorers.checkpoint_files import common_steps, members_of, runs_of

    before = len(problems)
    with _noted(f"{where}.checkpoints", problems):
        found = runs_of(folder / runs.checkpoints)
        steps = common_steps(found)
    with _noted(f"{where}.data", problems):
        part = _target_part(runs, folder)
        target: Target = part.build()
    with _noted(f"{where}.network", problems):
        with importable(str(folder)):
            code = source_digest(runs.network)
        architecture = RecordedNetwork("architecture", "factory", {USER_CODE: runs.network}, str(folder), code)
    with _noted(f"{where}.like", problems):
        explorer = None if runs.like is None else _explorer(runs.like, folder)
    if len(problems) > before:
        return None
    with _noted(f"{where}.network", problems):
        network, template = architecture.evaluated(target.interface)
    if len(problems) > before:
        return None
    for run in found:
        with _noted(f"{where}.checkpoints", problems):
            first = _first_point(run, network, template, runs)
        if len(problems) > before:
            return None
    with _noted(f"{where}.data", problems), precision(runs.precision):
        for problem in (target.problem(network, runs.loss), target.held_out_problem(network, runs.loss)):
            if problem is not None:
                problem.point(first)
    if len(problems) > before:
        return None
    recipe = Recipe(
        target=part,
        fingerprint=target.fingerprint(),
        loss=runs.loss,
        architecture=architecture,
        explorer=explorer,
        seed=seed,
        steps=steps[-1],
        records=len(steps),
        precision=runs.precision,
    )
    own_name = network.name if network.name != "network" else import_path(runs.network)[1]
    members = tuple(int(member) for member in members_of(found))
    cells = tuple(
        digest(recipe.recorded_identity(member, checkpoints_digest(run.points)))
        for member, run in zip(members, found, strict=True)
    )
    files = tuple(dict(run.points) for run in found)
    labels = (runs.name, runs.target or target.name, runs.architecture or own_name, runs.explorer)
    return target, Combination(*labels, recipe, members, cells, files)


def checkpoints_digest(files: Mapping[int, Path]) -> str:
    """A digest of the steps of one run and of the bytes of their files."""
    return digest([[step, hashlib.sha256(path.read_bytes()).hexdigest()] for step, path in sorted(files.items())])


@contextlib.contextmanager
def _noted(key: str, problems: list[str]) -> Iterator[None]:
    """Add what is refused inside a ``with`` block to the problems, under its key."""
    try:
        yield
    except InputError as error:
        name = key.rpartition(".")[2]
        problems.append(f"{key}: {str(error).removeprefix(f'{name}: ')}")


def _target_part(runs: Runs, folder: Path) -> Part:
    """The data as a target: all of it trains where nothing is held out, and whole numbers are tokens."""
    from allroads.targets.arrays import read_npz

    arrays = read_npz(folder / runs.data)
    options: dict[str, Any] = {"path": runs.data, "loss": runs.loss}
    if "inputs" in arrays:
        options["train_fraction"] = 1.0
    inputs = [array for name, array in arrays.items() if name.endswith("inputs")]
    if all(_are_tokens(array) for array in inputs):
        options["alphabet"] = max(int(array.max()) for array in inputs) + 1
    return make_part("target", Choice(kind="arrays", **options), folder)


def _are_tokens(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu" and array.ndim in TOKEN_AXES and array.size > 0 and int(array.min()) >= 0


def _explorer(choice: Choice, folder: Path) -> Part:
    part = make_part("explorer", choice, folder)
    if part.user_code is None:
        part.build()
    return part


def _first_point(run: CheckpointRun, network: Network, template: Params, runs: Runs) -> Params:
    """The first point of a run; refuses weights that are not the network's at any of its steps."""
    import jax

    from allroads.explorers.checkpoints import read_checkpoints

    with precision(runs.precision):
        read = read_checkpoints(network, run, like=template)
    return jax.tree.map(lambda leaf: np.asarray(leaf[0, 0]), read.params)
