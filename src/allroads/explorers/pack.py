"""One pack: members that run side by side in one compiled call."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import Explorer, Problem, State
from allroads.pfmap.losses import PerExampleLoss, correct, resolve_loss
from allroads.pfmap.network import Network, Params


class Data(NamedTuple):
    """What a pack is run on; ``held_out_*`` are ``None`` without such data, ``probes`` where they are ``inputs``."""

    inputs: Any
    labels: Any
    held_out_inputs: Any
    held_out_labels: Any
    probes: Any


class Schedule(NamedTuple):
    """When a pack records: ``steps [T]``, and for each record its checkpoint slot (``K`` where it is none)."""

    steps: Any
    slots: Any


class Record(NamedTuple):
    """What one member leaves: curves and values lead with ``[T]``, params with ``[K]``."""

    curves: dict[str, Any]
    values: Any
    params: Params
    alive: Any
    last_step: Any
    gradients: Any
    forwards: Any


@lru_cache(maxsize=128)
def compiled_pack(
    network: Network, explorer: Explorer, loss: str | PerExampleLoss, checkpoints: int, guarded: bool = False
) -> Callable:
    """The compiled run of a pack: ``run(starts, keys, data, schedule) -> Record`` with a leading member axis.

    ``starts`` is ``None`` (each member draws its own start) or a population of starting points. A ``guarded`` run puts
    a member whose loss stops being finite back on its last good point, for good, which takes a twelfth of its time;
    one that is not only says whether every loss was finite (``alive``), and is to be run again guarded if not.
    """
    accept = _guard if guarded else _watch
    per_example = resolve_loss(loss)

    def mean_loss(params: Params, inputs: Any, labels: Any) -> Any:
        return per_example(network.apply(params, inputs), labels).mean()

    def observe(params: Params, data: Data) -> tuple[dict[str, Any], Any]:
        train = network.apply(params, data.inputs)
        curves = {
            "train_loss": per_example(train, data.labels).mean(),
            "train_accuracy": correct(train, data.labels, loss).mean(),
        }
        if data.held_out_inputs is not None:
            held_out = network.apply(params, data.held_out_inputs)
            curves["held_out_loss"] = per_example(held_out, data.held_out_labels).mean()
            curves["held_out_accuracy"] = correct(held_out, data.held_out_labels, loss).mean()
        return curves, train if data.probes is None else network.apply(params, data.probes)

    def run_member(start: Params, key: Any, data: Data, schedule: Schedule) -> Record:
        problem = Problem(mean_loss, data.inputs, data.labels)
        start_key, explorer_key = jax.random.fold_in(key, 0), jax.random.fold_in(key, 1)
        params = network.init(start_key) if start is None else start
        state = explorer.init(params, explorer_key, data.inputs.shape[0])

        def advance(index: Any, moving: _Moving) -> _Moving:
            return accept(moving, explorer.step(moving.state, problem, index), jnp.asarray(1, jnp.int32))

        def record(carry: tuple, when: tuple) -> tuple:
            moving, stored = carry
            begin, end, slot = when
            moving = jax.lax.fori_loop(begin, end, advance, moving)
            seen = observe(moving.state.params, data)
            moving = accept(moving, moving.state._replace(loss=seen[0]["train_loss"]), jnp.asarray(0, jnp.int32))
            params = moving.state.params
            stored = jax.tree.map(lambda all, one: all.at[slot].set(one, mode="drop"), stored, params)
            return (moving, stored), seen

        stored = jax.tree.map(lambda leaf: jnp.zeros((checkpoints, *leaf.shape), leaf.dtype), params)
        begins = jnp.concatenate([schedule.steps[:1], schedule.steps[:-1]])
        moving = _Moving(state, params if guarded else None, jnp.asarray(True), jnp.zeros((), jnp.int32))
        (moving, stored), seen = jax.lax.scan(record, (moving, stored), (begins, schedule.steps, schedule.slots))
        state = moving.state
        if guarded:  # a record of a point that was refused shows where the member was put back, which is where it ends
            refused = ~jnp.isfinite(seen[0]["train_loss"])
            seen = jax.tree.map(
                lambda all, last: jnp.where(refused.reshape(-1, *[1] * last.ndim), last, all),
                seen,
                observe(state.params, data),
            )
        curves, values = seen
        return Record(curves, values, stored, moving.alive, moving.last_step, state.gradients, state.forwards)

    return jax.jit(jax.vmap(run_member, in_axes=(0, 0, None, None)))


class _Moving(NamedTuple):
    """A member on its way: its state, the last point whose loss was seen to be finite, whether all losses were."""

    state: State
    safe: Params
    alive: Any
    last_step: Any


def _watch(moving: _Moving, moved: State, taken: Any) -> _Moving:
    """Accept what a step made, and remember whether every loss was finite."""
    return _Moving(moved, None, moving.alive & jnp.isfinite(moved.loss), moving.last_step + taken)


def _guard(moving: _Moving, moved: State, taken: Any) -> _Moving:
    """Accept what a step made if the loss that it saw was finite; else put the member back on its safe point, for good.

    A loss is seen one step after the point that it belongs to, so looking at the loss alone, which costs nothing, is
    enough to notice parameters that are not finite.
    """
    alive = moving.alive & jnp.isfinite(moved.loss)
    noticed = (moving.alive & ~alive).astype(jnp.int32)

    def keep(new: Any, old: Any) -> Any:
        return jax.tree.map(lambda n, o: jnp.where(alive, n, o), new, old)

    # What the explorer of a member that stands still remembers is used by nobody, so it is not selected.
    state = moved._replace(
        params=keep(moved.params, moving.safe),
        gradients=keep(moved.gradients, moving.state.gradients),
        forwards=keep(moved.forwards, moving.state.forwards),
    )
    safe = keep(moving.state.params, moving.safe)
    last_step = moving.last_step + jnp.where(alive, taken, 0) - jnp.minimum(noticed, moving.last_step)
    return _Moving(state, safe, alive, last_step)
