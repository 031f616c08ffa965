"""Descents side by side in one compiled loop: a member that is done makes room for the next."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import State, TracedProblem
from allroads.explorers.per_member import Rule
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.points.prior.answers import Answers

STRIDE = 4
"""Steps between two exchanges of those that are done."""


class Goals(NamedTuple):
    """What there is to reach: ``labels [G, N, …]`` for the loss, packed answers ``words [G, W]``."""

    labels: Any
    words: Any


class Jobs(NamedTuple):
    """Descents to be made, ``[J]``: random ``keys``, row of the ``start``, row of the ``goal``; ``count`` are real."""

    keys: Any
    start: Any
    goal: Any
    count: Any


class Limits(NamedTuple):
    """``steps`` that a descent may take, and the ``loss`` at which it may end: infinite where the answers decide."""

    steps: Any
    loss: Any


class Ends(NamedTuple):
    """What descents leave, ``[J]``.

    ``step`` of the first hit (−1: none), ``last`` step looked at, whether all was finite; number of stays, and of the
    first L of them the words and the first step; chord and arc of the image; the end points where they are kept.
    """

    step: Any
    last: Any
    alive: Any
    stays: Any
    words: Any
    since: Any
    chord: Any
    arc: Any
    params: Params


class Slots(NamedTuple):
    """Descents on their way, ``[M]``, and the job that each belongs to."""

    job: Any
    labels: Any
    goal: Any
    state: State
    done: Any
    origin: Any
    before: Any
    said: Any
    now: Ends


class Pack(NamedTuple):
    """The whole run: the slots, what is finished, the next job, how often slots were exchanged."""

    slots: Slots
    ends: Ends
    next: Any
    rounds: Any


@lru_cache(maxsize=64)
def compiled_descents(
    objective: Objective, rule: Rule, answers: Answers, kept: int, points: bool
) -> tuple[Callable[..., Pack], Callable[..., tuple[Pack, Any]]]:
    """``begin(width, …) -> pack`` and ``go(pack, starts, goals, jobs, inputs, limits, until) -> (pack, any left)``.

    A descent reads its function at every step, step 0 included, before it moves on. It ends at the first hit: its
    answers are those of its goal and its loss is at most ``limits.loss``. It also ends at the last step, or where its
    loss is not finite.

    Args:
        objective: The loss, without data.
        rule: How one member moves.
        answers: How outputs are read.
        kept: Number L of stays that are remembered per descent.
        points: Whether end points are kept.
    """
    network = objective.network

    def drawn(jobs: Jobs, starts: Params, job: Any) -> Params:
        if starts is None:
            return network.init(jax.random.fold_in(jobs.keys[job], 0))
        return jax.tree.map(lambda leaf: leaf[jobs.start[job]], starts)

    def entered(job: Any, starts: Params, goals: Goals, jobs: Jobs, inputs: Any) -> Slots:
        """One slot at the start of a job; one without a job is done."""
        row = jnp.minimum(job, jobs.keys.shape[0] - 1)
        labels, words = goals.labels[jobs.goal[row]], goals.words[jobs.goal[row]]
        params = drawn(jobs, starts, row)
        problem = TracedProblem(objective, Examples(inputs, labels))
        state = rule.init(jax.random.fold_in(jobs.keys[row], 1), params, problem)
        values = network.apply(params, inputs).ravel()
        zero, none = jnp.int32(0), jnp.float32(0)
        memory = jnp.zeros((kept, answers.words), jnp.uint32), jnp.zeros(kept, jnp.int32)
        now = Ends(zero - 1, zero, jnp.bool_(True), zero, *memory, none, none, state.params if points else None)
        return Slots(job, labels, words, state, job >= jobs.count, values, values, words, now)

    def advance(slot: Slots, inputs: Any, limits: Limits) -> Slots:
        data = Examples(inputs, slot.labels)
        problem, params, now = TracedProblem(objective, data), slot.state.params, slot.now
        outputs = network.apply(params, inputs)
        values, words = outputs.ravel(), answers.pack(outputs)
        loss = objective.from_outputs(outputs, data).mean()
        alive = jnp.isfinite(loss) & jnp.isfinite(values).all()
        hit = alive & (words == slot.goal).all() & (loss <= limits.loss)
        step = now.last
        moved = alive & ((now.stays == 0) | (words != slot.said).any())
        place = jnp.where(moved, now.stays, kept)
        done = hit | ~alive | (step >= limits.steps)
        state, _ = rule.step(slot.state, problem, step)
        found = Ends(
            step=jnp.where(hit, step, -1),
            last=jnp.where(done, step, step + 1),
            alive=alive,
            stays=now.stays + moved,
            words=now.words.at[place].set(words, mode="drop"),
            since=now.since.at[place].set(step, mode="drop"),
            chord=jnp.linalg.norm(values - slot.origin).astype(jnp.float32),
            arc=now.arc + jnp.linalg.norm(values - slot.before).astype(jnp.float32),
            params=params if points else None,
        )
        now = jax.tree.map(lambda new, old: jnp.where(slot.done, old, new), found, now)
        return slot._replace(state=state, done=slot.done | done, before=values, said=words, now=now)

    def begin(width: int, starts: Params, goals: Goals, jobs: Jobs, inputs: Any) -> Pack:
        slots = jax.vmap(entered, (0, None, None, None, None))(
            jnp.arange(width, dtype=jnp.int32), starts, goals, jobs, inputs
        )
        size = jobs.keys.shape[0]
        ends = jax.tree.map(lambda leaf: jnp.zeros((size, *leaf.shape[1:]), leaf.dtype), slots.now)
        return Pack(slots, ends, jnp.int32(width), jnp.int32(0))

    def exchange(pack: Pack, starts: Params, goals: Goals, jobs: Jobs, inputs: Any) -> Pack:
        slots, size = pack.slots, jobs.keys.shape[0]
        row = jnp.where(slots.done, slots.job, size)  # a slot without a job has one past the end
        ends = jax.tree.map(lambda all, one: all.at[row].set(one, mode="drop"), pack.ends, slots.now)
        number = pack.next + jnp.cumsum(slots.done, dtype=jnp.int32) - 1
        fresh = jax.vmap(entered, (0, None, None, None, None))(
            jnp.minimum(number, size), starts, goals, jobs, inputs
        )
        slots = jax.tree.map(
            lambda new, old: jnp.where(slots.done.reshape(-1, *[1] * (new.ndim - 1)), new, old), fresh, slots
        )
        following = jnp.minimum(pack.next + pack.slots.done.sum(dtype=jnp.int32), size)
        return Pack(slots, ends, following, pack.rounds)

    def go(
        pack: Pack, starts: Params, goals: Goals, jobs: Jobs, inputs: Any, limits: Limits, until: Any
    ) -> tuple[Pack, Any]:
        def left(pack: Pack) -> Any:
            return (pack.slots.job < jobs.count).any()

        def body(pack: Pack) -> Pack:
            ahead = jax.vmap(advance, (0, None, None))
            slots = jax.lax.fori_loop(0, STRIDE, lambda _, slots: ahead(slots, inputs, limits), pack.slots)
            pack = pack._replace(slots=slots, rounds=pack.rounds + 1)
            return jax.lax.cond(
                slots.done.any(), lambda pack: exchange(pack, starts, goals, jobs, inputs), lambda pack: pack, pack
            )

        pack = jax.lax.while_loop(lambda pack: left(pack) & (pack.rounds < until), body, pack)
        return pack, left(pack)

    return jax.jit(begin, static_argnums=0), jax.jit(go)
