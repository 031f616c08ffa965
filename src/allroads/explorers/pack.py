"""One pack: members that run side by side in one compiled call."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.errors import InputError
from allroads.explorers.explorer import Explorer, Info, State, TracedProblem
from allroads.explorers.observe import Observed, observer
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Objective


class Schedule(NamedTuple):
    """When a pack records: ``steps [T]``, and for each record its checkpoint slot (``K`` where it is none)."""

    steps: Any
    slots: Any


class Record(NamedTuple):
    """What members leave: curves and values are ``[M, T, …]``, params ``[M, K, …]``, all else ``[M]``.

    ``examples`` are those per evaluation.
    """

    curves: dict[str, Any]
    values: Any
    params: Params
    alive: Any
    last_step: Any
    gradients: Any
    forwards: Any
    examples: Any


@lru_cache(maxsize=128)
def compiled_pack(
    objective: Objective, held_out: Objective | None, explorer: Explorer, checkpoints: int, guarded: bool = False
) -> Callable[..., Record]:
    """The compiled run of a pack: ``run(starts, keys, data, schedule) -> Record`` with a leading member axis.

    ``starts`` is ``None`` (each member draws its own start) or a population of starting points. A ``guarded`` run puts
    a member whose loss stops being finite back on its last good point, for good, which takes a twelfth of its time;
    one that is not only says whether every loss was finite (``alive``), and is to be run again guarded if not. Where
    members mix, the explorer itself sees to those that diverge, and ``alive`` says whether the last loss was finite.
    """
    network = objective.network
    observe = jax.vmap(observer(network, objective, held_out), in_axes=(0, None))
    accept = _last_loss if explorer.mixes else _guard if guarded else _watch

    def run(starts: Params, keys: Any, data: Observed, schedule: Schedule) -> Record:
        assert data.train is not None
        problem = TracedProblem(objective, data.train)
        derived = jax.vmap(jax.random.fold_in, in_axes=(0, None))
        population = jax.vmap(network.init)(derived(keys, 0)) if starts is None else starts
        state = explorer.init(derived(keys, 1), population, problem)
        members = len(keys)
        check_step(explorer, state, jax.eval_shape(lambda moving: explorer.step(moving, problem), state), members)

        def advance(_: Any, moving: _Moving) -> _Moving:
            moved, info = explorer.step(moving.state, problem)
            return accept(moving, moved, info, 1)

        def record(carry: tuple[_Moving, Params], when: tuple[Any, Any, Any]) -> tuple[tuple[_Moving, Params], Any]:
            moving, stored = carry
            begin, end, slot = when
            moving = jax.lax.fori_loop(begin, end, advance, moving)
            seen = observe(moving.state.params, data)
            moving = accept(moving, moving.state, Info(seen[0]["train_loss"]), 0)
            params = moving.state.params
            stored = jax.tree.map(lambda all, one: all.at[:, slot].set(one, mode="drop"), stored, params)
            return (moving, stored), seen

        population = state.params
        stored = jax.tree.map(lambda leaf: jnp.zeros((members, checkpoints, *leaf.shape[1:]), leaf.dtype), population)
        begins = jnp.concatenate([schedule.steps[:1], schedule.steps[:-1]])
        zeros = jnp.zeros(members, jnp.int32)
        tally = _Tally(zeros, zeros, zeros, zeros)
        moving = _Moving(state, population if accept is _guard else None, jnp.ones(members, bool), tally)
        (moving, stored), seen = jax.lax.scan(record, (moving, stored), (begins, schedule.steps, schedule.slots))
        seen = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), seen)
        if accept is _guard:  # a record of a point that was refused shows where the member was put back, and ends
            refused = ~jnp.isfinite(seen[0]["train_loss"])
            seen = jax.tree.map(
                lambda all, last: jnp.where(_like(refused, all), last[:, None], all),
                seen,
                observe(moving.state.params, data),
            )
        curves, values = seen
        return Record(curves, values, stored, moving.alive, *moving.tally)

    return jax.jit(run)


def check_step(explorer: Explorer, state: State, stepped: Any, members: int) -> None:
    """Refuse what an explorer's ``step`` gives where it is not a state like the one before and the loss per member."""
    what = f"{type(explorer).__name__}.step"
    if not (isinstance(stepped, tuple) and len(stepped) == 2 and isinstance(stepped[1], Info)):
        raise InputError(f"{what}: expected the pair (state, Info(loss, …)); got {type(stepped).__name__}.")
    moved, info = stepped
    if jnp.shape(info.loss) != (members,):
        raise InputError(f"{what}: expected one loss per member, shape ({members},); got {jnp.shape(info.loss)}.")
    expected: Any = jax.tree.structure(state)
    if jax.tree.structure(moved) != expected:
        raise InputError(f"{what}: expected a state with the structure of the one given; got another structure.")
    before, after = (jax.tree_util.tree_flatten_with_path(part)[0] for part in (state, moved))
    for (path, old), (_, new) in zip(before, after, strict=True):
        if jnp.shape(old) != jnp.shape(new):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise InputError(f"{what}: the state's {name} has shape {jnp.shape(new)}; expected {jnp.shape(old)}.")


class _Tally(NamedTuple):
    """Counts of each member, ``[M]``: steps, gradients, forwards; and examples per evaluation."""

    steps: Any
    gradients: Any
    forwards: Any
    examples: Any

    def add(self, info: Info, taken: int, counts: Any = True) -> _Tally:
        """With one step more of the members that count."""
        if not taken:
            return self
        return _Tally(
            self.steps + jnp.where(counts, taken, 0),
            self.gradients + jnp.where(counts, info.gradients, 0),
            self.forwards + jnp.where(counts, info.forwards, 0),
            jnp.broadcast_to(jnp.asarray(info.examples, jnp.int32), self.examples.shape),
        )


class _Moving(NamedTuple):
    """A population on its way: its state, the last points whose loss was seen to be finite, whether all losses were."""

    state: State
    safe: Params
    alive: Any
    tally: _Tally


def _last_loss(moving: _Moving, moved: State, info: Info, taken: int) -> _Moving:
    """Accept what a step made, and remember whether the last loss was finite."""
    return _Moving(moved, None, jnp.isfinite(info.loss), moving.tally.add(info, taken))


def _watch(moving: _Moving, moved: State, info: Info, taken: int) -> _Moving:
    """Accept what a step made, and remember whether every loss was finite."""
    return _Moving(moved, None, moving.alive & jnp.isfinite(info.loss), moving.tally.add(info, taken))


def _guard(moving: _Moving, moved: State, info: Info, taken: int) -> _Moving:
    """Accept what a step made if the loss that it saw was finite; else put the member back on its safe point, for good.

    A loss is seen one step after the point that it belongs to, so looking at the loss alone, which costs nothing, is
    enough to notice parameters that are not finite.
    """
    alive = moving.alive & jnp.isfinite(info.loss)
    noticed = (moving.alive & ~alive).astype(jnp.int32)

    def keep(new: Any, old: Any) -> Any:
        return jax.tree.map(lambda n, o: jnp.where(_like(alive, n), n, o), new, old)

    # What the explorer of a member that stands still remembers is used by nobody, so it is not selected.
    state = moved._replace(params=keep(moved.params, moving.safe))
    safe = keep(moving.state.params, moving.safe)
    tally = moving.tally.add(info, taken, alive)
    return _Moving(state, safe, alive, tally._replace(steps=tally.steps - jnp.minimum(noticed, moving.tally.steps)))


def _like(flags: Any, leaf: Any) -> Any:
    """Flags with as many axes as a leaf that they lead."""
    return flags.reshape(*flags.shape, *[1] * (leaf.ndim - flags.ndim))
