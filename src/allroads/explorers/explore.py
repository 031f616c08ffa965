"""Run a population of an explorer and record where it went."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import MOST_STEPS, check_count, check_options
from allroads.errors import InputError
from allroads.explorers.build import as_explorer
from allroads.explorers.explorer import Explorer, check_point
from allroads.explorers.observe import Observed, as_probes, held_out_problem
from allroads.explorers.pack import Record, Schedule, compiled_pack
from allroads.explorers.recording import Recording
from allroads.explorers.trajectory import Cost, Trajectory
from allroads.pfmap.jaxpr import intermediate_bytes
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem
from allroads.status import RunStatus

CACHE_BYTES = 2**21
"""Working set that one pack aims at: the second-level cache of one core is 1 to 2 MiB on present machines."""


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
        MemoryBudgetError: If even two checkpoints do not fit; says how much is needed.

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
    width = len(indices) if explorer.mixes else pack_width(problem.network, point, batch, record.pack)
    objectives = problem.objective, None if aside is None else aside.objective
    ways = [partial(compiled_pack, *objectives, explorer, len(kept), guarded) for guarded in (False, True)]
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.asarray(indices))
    packs: list[Record] = []
    for first in range(0, len(indices), width):
        chosen = np.arange(first, min(first + width, len(indices)))
        packs.append(_run_pack(ways[: 1 if explorer.mixes else 2], chosen, width, keys, start, data, schedule))
        if progress is not None:
            progress(int(chosen[-1]) + 1)
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


def _run_pack(
    ways: Sequence[Callable[[], Callable[..., Record]]],
    chosen: np.ndarray,
    width: int,
    keys: Any,
    start: Params,
    data: Observed,
    schedule: Schedule,
) -> Record:
    """Run the members at these positions, filled up with copies of the last: every pack has one compiled shape.

    Where one of them diverges the pack is run a second time with a guard, which is dearer and seldom needed.
    """
    positions = np.pad(chosen, (0, width - len(chosen)), mode="edge")
    starts = None if start is None else jax.tree.map(lambda leaf: leaf[positions], start)
    for way in ways:
        record = way()(starts, keys[positions], data, schedule)
        if np.asarray(record.alive).all():
            break
    found: Record = jax.tree.map(lambda leaf: np.asarray(leaf)[: len(chosen)], record)
    return found


def pack_width(network: Network, params: Params, examples: Any, most: int = 64) -> int:
    """How many members run side by side: on a CPU as many as fit the cache (a power of two), from 1 to ``most``.

    It does not depend on how many members there are, and a pack that is not full is filled up, so a member goes
    through the same compiled arithmetic however many run beside it. The working set of one member is estimated as its
    parameters four times (point, gradient, two moments) and every array that its forward pass makes.

    Args:
        network: The network.
        params: One point, or its shapes.
        examples: The inputs that one step looks at, or their shapes.
        most: Members at most; on an accelerator, which wants many, this is the answer.

    Example:
        Eight 7-40-40-1 networks on 128 inputs; of 2 to 32, eight were measured to be the fastest:

        >>> from allroads.networks.mlp import mlp
        >>> network = mlp((7,), 1, widths=(40, 40))
        >>> pack_width(network, network.init(jax.random.key(0)), jax.ShapeDtypeStruct((128, 7), "float32"))
        8
    """
    if jax.default_backend() != "cpu":
        return most
    weights = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))
    member = 4 * weights + intermediate_bytes(jax.make_jaxpr(network.apply)(params, examples).jaxpr)
    return min(most, 1 << int(max(0.0, math.log2(CACHE_BYTES / member))))


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
