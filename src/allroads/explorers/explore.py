"""Run a population of an explorer and record where it went."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError, MemoryBudgetError
from allroads.explorers.build import build_explorer
from allroads.explorers.explorer import Explorer
from allroads.explorers.pack import Data, Record, Schedule, compiled_pack
from allroads.explorers.schedule import log_spaced
from allroads.explorers.trajectory import Cost, Trajectory
from allroads.pfmap.jaxpr import intermediate_bytes
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params
from allroads.status import RunStatus

CACHE_BYTES = 2**21
"""Working set that one pack aims at: the second-level cache of one core is 1 to 2 MiB on present machines."""


def explore(
    network: Network,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    explorer: Explorer | str,
    members: int | Sequence[int],
    *,
    steps: int,
    seed: int = 0,
    held_out: tuple[Any, Any] | None = None,
    probes: Any = None,
    start: Params = None,
    records: int = 64,
    checkpoints: int = 16,
    memory: int = 2**30,
    pack: int = 64,
    progress: Callable[[int], None] | None = None,
) -> Trajectory:
    """Move a population through parameter space and record it.

    What a member does depends on ``seed`` and its own index alone: its key is ``fold_in(key(seed), index)``, its start
    is ``network.init(fold_in(key, 0))``, its explorer's key ``fold_in(key, 1)``. A member whose loss or parameters
    stop being finite is frozen at its last finite point with status ``diverged``; the others do not notice.

    Args:
        network: The network.
        loss: ``"mse"``, ``"cross_entropy"``, ``"bce"`` or ``(outputs, labels) -> per-example losses``; a data set's
            loss is the mean over its examples.
        inputs: Training inputs ``[n, …]``.
        labels: Training labels ``[n, …]``.
        explorer: An :class:`Explorer`, or the name of one with its default options.
        members: How many (indices 0, 1, …), or their indices.
        steps: Steps of the explorer.
        seed: The study's seed.
        held_out: ``(inputs, labels)`` on which loss and accuracy are recorded too.
        probes: Inputs whose outputs are recorded; default: the training inputs.
        start: A population of starting points (leaves ``[M, …]``) instead of drawn ones.
        records: Recorded steps, at most; spaced evenly in log(1 + step).
        checkpoints: Records of which the parameters are kept, at most.
        memory: Bytes that values and parameters may take. Checkpoints are thinned to fit, never below the two ends.
        pack: Members that run side by side, at most; fewer where their working set would not fit the cache.
        progress: Called with the number of members done, after each pack.

    Returns:
        The :class:`Trajectory`.

    Raises:
        InputError: On NaN or infinite data, shapes that do not match, a batch larger than the data, empty data.
        MemoryBudgetError: If even two checkpoints do not fit; says how much is needed.

    Example:
        Gradient descent with η = 0.1 on the square of a line contracts by 1 − 2η a step:

        >>> import jax.numpy as jnp
        >>> from allroads import Network
        >>> line = Network(lambda key: jnp.ones(1), lambda w, x: x * w)
        >>> run = explore(line, "mse", jnp.ones((1, 1)), jnp.zeros((1, 1)), "gd", 1, steps=2)
        >>> [round(float(w), 6) for w in run.values[0, :, 0, 0]]
        [1.0, 0.8, 0.64]
    """
    explorer = build_explorer(explorer) if isinstance(explorer, str) else explorer
    indices = np.arange(members) if isinstance(members, int) else np.asarray(members, int)
    if indices.ndim != 1 or len(indices) == 0:
        raise InputError(f"members: expected a count ≥ 1 or a list of indices; got {members!r}.")
    data = _checked(inputs, labels, held_out, probes, explorer)
    began = time.perf_counter()

    key = jax.random.key(seed)
    shape = jax.eval_shape(network.init, key) if start is None else jax.tree.map(lambda leaf: leaf[0], start)
    outputs = _check_outputs(network, loss, shape, data)
    recorded = log_spaced(steps, records)
    kept = _fit_checkpoints(shape, outputs, len(indices), len(recorded), checkpoints, memory)
    slots = np.full(len(recorded), len(kept))
    slots[kept] = np.arange(len(kept))
    schedule = Schedule(jnp.asarray(recorded), jnp.asarray(slots))

    batch = explorer.batch_size or len(data.inputs)
    width = pack_width(network, shape, jax.ShapeDtypeStruct((batch, *data.inputs.shape[1:]), data.inputs.dtype), pack)
    ways = [partial(compiled_pack, network, explorer, loss, len(kept), guarded) for guarded in (False, True)]
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.asarray(indices))
    packs: list[Record] = []
    for first in range(0, len(indices), width):
        chosen = np.arange(first, min(first + width, len(indices)))
        packs.append(_run_pack(ways, chosen, width, keys, start, data, schedule))
        if progress is not None:
            progress(int(chosen[-1]) + 1)
    record: Record = jax.tree.map(lambda *leaves: np.concatenate(leaves), *packs)

    return Trajectory(
        members=indices,
        steps=recorded,
        values=record.values,
        checkpoint_steps=recorded[kept],
        params=record.params,
        curves=record.curves,
        status=tuple(RunStatus.OK if alive else RunStatus.DIVERGED for alive in record.alive),
        last_step=record.last_step,
        cost=Cost(record.gradients, record.forwards, (record.gradients.astype(np.int64) + record.forwards) * batch),
        seconds=time.perf_counter() - began,
    )


def _run_pack(
    ways: Sequence[Callable[[], Callable[..., Record]]],
    chosen: np.ndarray,
    width: int,
    keys: Any,
    start: Params,
    data: Data,
    schedule: Schedule,
) -> Record:
    """Run the members at these positions, filled up with copies of the last: every pack has one compiled shape.

    Where one of them diverges the pack is run a second time with a guard, which is dearer and seldom needed.
    """
    positions = np.pad(chosen, (0, width - len(chosen)), mode="edge")
    starts = None if start is None else jax.tree.map(lambda leaf: jnp.asarray(leaf)[positions], start)
    for way in ways:
        record = way()(starts, keys[positions], data, schedule)
        if np.asarray(record.alive).all():
            break
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(chosen)], record)


def pack_width(network: Network, params: Params, examples: Any, most: int = 64) -> int:
    """How many members run side by side: on a CPU as many as fit the cache (a power of two), from 1 to ``most``.

    It does not depend on how many members there are, and a pack that is not full is filled up, so a member goes
    through the same compiled arithmetic however many run beside it. The working set of one member is estimated as its
    parameters four times (point, gradient, two moments) and every array that its forward pass makes.

    Args:
        network: The network.
        params: One point, or its shapes.
        examples: What one step looks at, or its shape.
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
    return min(most, 2 ** int(max(0.0, math.log2(CACHE_BYTES / member))))


def _checked(inputs: Any, labels: Any, held_out: tuple[Any, Any] | None, probes: Any, explorer: Explorer) -> Data:
    """The data as arrays, refused where nothing could be learned from it."""

    def array(name: str, value: Any) -> Any:
        value = jnp.asarray(value)
        if value.ndim == 0 or value.shape[0] == 0:
            raise InputError(f"{name}: expected at least one example along the first axis; got shape {value.shape}.")
        if jnp.issubdtype(value.dtype, jnp.inexact) and not bool(jnp.isfinite(value).all()):
            bad = int(jnp.argwhere(~jnp.isfinite(value))[0][0])
            raise InputError(f"{name}: example {bad} has a NaN or an infinity; remove or repair it.")
        return value

    def pair(name: str, x: Any, y: Any) -> tuple[Any, Any]:
        x, y = array(f"{name} inputs", x), array(f"{name} labels", y)
        if x.shape[0] != y.shape[0]:
            raise InputError(f"{name}: {x.shape[0]} inputs but {y.shape[0]} labels; expected one label an input.")
        return x, y

    x, y = pair("train", inputs, labels)
    held_x, held_y = pair("held-out", *held_out) if held_out is not None else (None, None)
    if explorer.batch_size is not None and explorer.batch_size > x.shape[0]:
        raise InputError(
            f"explorer {explorer.name!r}: batch_size {explorer.batch_size} is larger than the {x.shape[0]} training "
            "examples; make it smaller or leave it out for the full batch."
        )
    return Data(x, y, held_x, held_y, None if probes is None else array("probes", probes))


def _check_outputs(network: Network, loss: str | PerExampleLoss, params: Params, data: Data) -> Any:
    """The shape of the values on the probes; runs the loss on shapes, so that a mismatch is named before any run."""
    outputs = jax.eval_shape(network.apply, params, data.inputs)
    if outputs.ndim < 1 or outputs.shape[0] != data.inputs.shape[0]:
        raise InputError(
            f"network {network.name!r} gives outputs of shape {outputs.shape} for {data.inputs.shape[0]} examples; "
            "expected the example axis first."
        )
    losses = jax.eval_shape(resolve_loss(loss), outputs, data.labels)
    if losses.shape != (data.inputs.shape[0],):
        raise InputError(f"the loss gives shape {losses.shape}; expected one number an example: {outputs.shape[:1]}.")
    if loss == "cross_entropy":
        top, low = int(data.labels.max()), int(data.labels.min())
        if low < 0 or top >= outputs.shape[-1]:
            raise InputError(
                f"labels run from {low} to {top}, but network {network.name!r} has {outputs.shape[-1]} outputs; "
                f"expected classes 0 … {outputs.shape[-1] - 1}."
            )
    return outputs if data.probes is None else jax.eval_shape(network.apply, params, data.probes)


def _fit_checkpoints(
    params: Params, outputs: Any, members: int, records: int, checkpoints: int, memory: int
) -> np.ndarray:
    """Which records keep their parameters: as many as asked for and as fit the budget, the two ends always."""
    values = members * records * math.prod(outputs.shape) * outputs.dtype.itemsize
    point = members * sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))
    least = min(2, records)
    wanted = max(least, min(checkpoints, records))
    affordable = (memory - values) // max(1, point)
    if affordable < least:
        raise MemoryBudgetError(
            f"recording {members} members needs {(values + least * point) / 2**20:,.0f} MiB ({values / 2**20:,.0f} for "
            f"values at {records} steps, {point / 2**20:,.0f} a checkpoint), the budget is {memory / 2**20:,.0f} MiB; "
            "use fewer probes, records or members, or raise `memory`."
        )
    return np.unique(np.rint(np.linspace(0, records - 1, int(min(wanted, affordable)))).astype(int))
