"""Run a population of an explorer and record where it went."""

from __future__ import annotations

import numbers
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import MOST_STEPS, check_count, check_options
from allroads.errors import InputError
from allroads.explorers.build import as_explorer
from allroads.explorers.devices import over_devices, own_devices
from allroads.explorers.explorer import Explorer, check_point
from allroads.explorers.observe import Observed, as_probes, held_out_problem
from allroads.explorers.pack import Record, Schedule, compiled_pack
from allroads.explorers.recording import Recording
from allroads.explorers.trajectory import Cost, Trajectory
from allroads.explorers.width import narrower, pack_width
from allroads.memory import tree_bytes
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.status import RunStatus


def explore(
    problem: Problem,
    explorer: Explorer | str,
    members: int | Sequence[int],
    *,
    steps: int,
    seed: int = 0,
    held_out: Problem | tuple[Any, Any] | None = None,
    probes: Any = None,
    start: Params = None,
    record: Recording = Recording(),  # noqa: B008 (frozen)
    progress: Callable[[int], None] | None = None,
) -> Trajectory:
    """Move a population through parameter space and record it.

    Members run side by side in packs. Where this process has several devices, each takes packs of its own. Where a
    device has no memory left for a pack, packs become half as large, a warning says so, and what was computed is kept.

    What a member does depends on ``seed`` and its own index alone, unless the explorer mixes members: its key is
    ``fold_in(key(seed), index)``, its start is ``network.init(fold_in(key, 0))``, its explorer's key
    ``fold_in(key, 1)``. A member whose loss or parameters stop being finite is frozen at its last finite point with
    status ``diverged``; the others do not notice.

    Args:
        problem: Network, loss and training data.
        explorer: An :class:`Explorer` such as ``Adam(learning_rate=0.01)``, or the name of one with its default
            options.
        members: How many (indices 0, 1, …), or their indices.
        steps: Steps of the explorer.
        seed: The study's seed.
        held_out: A problem, or ``(inputs, labels)``, on which loss and accuracy are recorded too.
        probes: Inputs whose outputs are recorded; default: the training inputs.
        start: A population of starting points (leaves ``[M, …]``) instead of drawn ones.
        record: What is recorded and what it may take; see :class:`Recording`.
        progress: Called with the number of members done, after each pack.

    Returns:
        The :class:`Trajectory`.

    Raises:
        InputError: On options out of range, starts or probes that do not fit, or a batch larger than the data.
        MemoryBudgetError: If even two checkpoints do not fit, or a device has no memory for a single member; says how
            much is needed, or what to change.

    Example:
        Gradient descent with η = 0.1 on the square of a line contracts by 1 − 2η per step:

        >>> import jax.numpy as jnp
        >>> from allroads import Network
        >>> line = Network(lambda key: jnp.ones(1), lambda w, x: x * w)
        >>> run = explore(Problem(line, "mse", [[1.0]], [[0.0]]), "gd", 1, steps=2)
        >>> [round(float(w), 6) for w in run.values[0, :, 0, 0]]
        [1.0, 0.8, 0.64]
    """
    explorer = as_explorer(explorer)
    indices = _indices(members)
    check_count("steps", steps, 0, most=MOST_STEPS)
    check_count("seed", seed, 0)
    check_options("record", record, Recording)
    count = len(problem)
    if explorer.batch_size is not None and explorer.batch_size > count:
        raise InputError(
            f"explorer {explorer.name!r}: batch_size {explorer.batch_size} is larger than the {count} training "
            "examples; make it smaller or leave it out for the full batch."
        )
    key = jax.random.key(seed)
    point, start = _start(problem, key, start, len(indices))
    check_point(explorer, point)
    aside = held_out_problem(problem, held_out)
    train = problem.data
    data = Observed(train, None if aside is None else aside.data, as_probes(problem.network, probes))
    values = jax.eval_shape(problem.network.apply, point, train.inputs if data.probes is None else data.probes)
    began = time.perf_counter()

    recorded = record.steps(steps)
    kept = record.kept(len(indices), len(recorded), point, values)
    slots = np.full(len(recorded), len(kept))
    slots[kept] = np.arange(len(kept))
    schedule = Schedule(jnp.asarray(recorded), jnp.asarray(slots))
    batch = jax.tree.map(
        lambda array: jax.ShapeDtypeStruct((explorer.batch_size or count, *array.shape[1:]), array.dtype), train.inputs
    )
    recorded_bytes = len(kept) * tree_bytes(point) + len(recorded) * tree_bytes(values)
    width = len(indices)
    if not explorer.mixes:
        width = pack_width(problem.network, point, batch, record.pack, members=width, recorded=recorded_bytes)
    objectives = problem.objective, None if aside is None else aside.objective
    ways = [partial(compiled_pack, *objectives, explorer, len(kept), guarded) for guarded in (False, True)]
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.asarray(indices))
    runs = _Runs(explorer, ways[: 1 if explorer.mixes else 2], keys, start, data, schedule)
    wholes = [np.arange(len(indices))[first : first + width] for first in range(0, len(indices), width)]
    devices = own_devices()[: len(wholes)]
    packs: list[Record] = []
    done = 0
    for chosen, records in zip(wholes, over_devices(partial(runs.of, width=width), wholes, devices), strict=True):
        packs += records
        done += len(chosen)
        if progress is not None:
            progress(done)
    found: Record = jax.tree.map(lambda *leaves: np.concatenate(leaves), *packs)

    return Trajectory(
        members=indices,
        steps=recorded,
        values=found.values,
        checkpoint_steps=recorded[kept],
        params=found.params,
        curves=found.curves,
        statuses=tuple(RunStatus.OK if alive else RunStatus.DIVERGED for alive in found.alive),
        last_step=found.last_step,
        cost=Cost.of(found.gradients, found.forwards, found.examples),
        seconds=time.perf_counter() - began,
    )


@dataclass(frozen=True)
class _Runs:
    """What all packs of a call share.

    Attributes:
        explorer: The explorer.
        ways: Compiled runs, to be tried in turn: where a member diverges the pack is run again with a guard, which is
            dearer and seldom needed.
        keys: The members' keys.
        start: Their starts, or ``None``.
        data: What they are trained and observed on.
        schedule: When they are recorded.
    """

    explorer: Explorer
    ways: Sequence[Callable[[], Callable[..., Record]]]
    keys: Any
    start: Params
    data: Observed
    schedule: Schedule

    def of(self, chosen: np.ndarray, device: Any, width: int) -> list[Record]:
        """The records of the members at these positions, in packs that get smaller where the device has no memory."""
        records: list[Record] = []
        while len(chosen):
            try:
                records.append(self.pack(chosen[:width], device, width))
                chosen = chosen[width:]
            except jax.errors.JaxRuntimeError as error:
                width = narrower(error, self.explorer, width)
        return records

    def pack(self, chosen: np.ndarray, device: Any, width: int) -> Record:
        """One pack, filled up with copies of the last member: all packs have one compiled shape.

        ``device`` is ``None`` where there is no choice.
        """
        positions = np.pad(chosen, (0, width - len(chosen)), mode="edge")
        starts = None if self.start is None else jax.tree.map(lambda leaf: leaf[positions], self.start)
        given = starts, self.keys[positions], self.data, self.schedule
        if device is not None:
            given = jax.device_put(given, device)
        for way in self.ways:
            record = way()(*given)
            if np.asarray(record.alive).all():
                break
        found: Record = jax.tree.map(lambda leaf: np.asarray(leaf)[: len(chosen)], record)
        return found


def _indices(members: int | Sequence[int]) -> np.ndarray:
    """The indices of the members."""
    indices = np.arange(int(members)) if isinstance(members, numbers.Integral) else np.asarray(members)
    if isinstance(members, bool) or indices.ndim != 1 or not len(indices) or indices.dtype.kind not in "iu":
        raise InputError(f"members: expected a count of 1 or more, or a list of indices; got {members!r}.")
    if indices.min() < 0:
        raise InputError(f"members: expected indices of 0 or more; got {indices.min()} among them.")
    return indices.astype(int)


def _start(problem: Problem, key: Any, start: Params, members: int) -> tuple[Params, Params]:
    """The shapes of one point, and the checked population of starts where one is given."""
    if start is None:
        return jax.eval_shape(problem.network.init, key), None
    start = problem.population(start, "start")
    given = len(jax.tree.leaves(start)[0])
    if given != members:
        raise InputError(f"start: got {given} points for {members} members; give one point per member.")
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), start), start
