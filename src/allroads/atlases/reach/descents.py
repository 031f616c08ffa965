"""Descents side by side in one compiled loop: a member that is done makes room for the next."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import Explorer, State, TracedProblem
from allroads.explorers.per_member import member_rule
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.points.prior.answers import Answers

STRIDE = 4
"""Steps between two exchanges of those that are done."""


class Jobs(NamedTuple):
    """Descents to be made, ``[J]``: points to start from, random keys, labels for the loss and packed answers to reach.

    The first ``count`` are real.
    """

    points: Params
    keys: Any
    labels: Any
    words: Any
    count: Any


class Limits(NamedTuple):
    """``steps`` that a descent may take, and the ``loss`` at which it may end: infinite where the answers decide."""

    steps: Any
    loss: Any


class Ends(NamedTuple):
    """What descents leave, ``[J]``.

    ``step`` of the first hit (−1: none), ``last`` step looked at, whether all was finite; number of stays, and of the
    first L of them the words and the first step; chord and arc of the image; the end points.
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
    state: State
    labels: Any
    words: Any
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
    objective: Objective, explorer: Explorer, answers: Answers, kept: int
) -> tuple[Callable[..., Pack], Callable[..., tuple[Pack, Any]]]:
    """``begin(width, jobs, inputs) -> pack`` and ``go(pack, jobs, inputs, limits, until) -> (pack, any left)``.

    A descent reads its function at every step, step 0 included, before it moves on. It ends at the first hit: its
    answers are those of its goal and its loss is at most ``limits.loss``. It also ends at the last step, or where its
    loss is not finite.

    Args:
        objective: The loss, without data.
        explorer: One whose members move each on its own. Equal ones use what is compiled again.
        answers: How outputs are read.
        kept: Number L of stays that are remembered per descent.
    """
    network, rule = objective.network, member_rule(explorer)

    def entered(job: Any, jobs: Jobs, inputs: Any) -> Slots:
        """One slot at the start of a job; a slot without a job is done."""
        row = jnp.minimum(job, jobs.keys.shape[0] - 1)
        params, key, labels, words = jax.tree.map(lambda all: all[row], jobs[:4])
        state = rule.init(key, params, TracedProblem(objective, Examples(inputs, labels)))
        values = network.apply(params, inputs).ravel()
        zero, none = jnp.int32(0), jnp.float32(0)
        memory = jnp.zeros((kept, answers.words), jnp.uint32), jnp.zeros(kept, jnp.int32)
        now = Ends(zero - 1, zero, jnp.bool_(True), zero, *memory, none, none, state.params)
        return Slots(job, state, labels, words, job >= jobs.count, values, values, words, now)

    def advance(slot: Slots, inputs: Any, limits: Limits) -> Slots:
        data = Examples(inputs, slot.labels)
        params, now, step = slot.state.params, slot.now, slot.now.last
        outputs = network.apply(params, inputs)
        values, words = outputs.ravel(), answers.pack(outputs)
        loss = objective.from_outputs(outputs, data).mean()
        alive = jnp.isfinite(loss) & jnp.isfinite(values).all()
        hit = alive & (words == slot.words).all() & (loss <= limits.loss)
        moved = alive & ((now.stays == 0) | (words != slot.said).any())
        place = jnp.where(moved, now.stays, kept)
        done = hit | ~alive | (step >= limits.steps)
        found = Ends(
            step=jnp.where(hit, step, -1),
            last=jnp.where(done, step, step + 1),
            alive=alive,
            stays=now.stays + moved,
            words=now.words.at[place].set(words, mode="drop"),
            since=now.since.at[place].set(step, mode="drop"),
            chord=jnp.linalg.norm(values - slot.origin).astype(jnp.float32),
            arc=now.arc + jnp.linalg.norm(values - slot.before).astype(jnp.float32),
            params=params,
        )
        now = jax.tree.map(lambda new, old: jnp.where(slot.done, old, new), found, now)
        state, _ = rule.step(slot.state, TracedProblem(objective, data), step)
        return slot._replace(state=state, done=slot.done | done, before=values, said=words, now=now)

    def begin(width: int, jobs: Jobs, inputs: Any) -> Pack:
        """All slots without a job: the first exchange gives them one."""
        size = jobs.keys.shape[0]
        shapes = jax.eval_shape(entered, jnp.int32(0), jobs, inputs)

        def empty(count: int) -> Callable[[Any], Any]:
            def filled(leaf: Any) -> Any:  # a rule's random keys are made of the job's, and so of their kind
                random = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
                return jnp.broadcast_to(jobs.keys[0] if random else jnp.zeros((), leaf.dtype), (count, *leaf.shape))

            return filled

        slots = jax.tree.map(empty(width), shapes)
        slots = slots._replace(job=jnp.full(width, size, jnp.int32), done=jnp.ones(width, bool))
        return Pack(slots, jax.tree.map(empty(size), shapes.now), jnp.int32(0), jnp.int32(0))

    def exchange(pack: Pack, jobs: Jobs, inputs: Any) -> Pack:
        slots, size = pack.slots, jobs.keys.shape[0]
        ends = jax.tree.map(lambda all, one: all.at[jnp.where(slots.done, slots.job, size)].set(one, mode="drop"),
            pack.ends, slots.now)  # fmt: skip
        number = jnp.minimum(pack.next + jnp.cumsum(slots.done, dtype=jnp.int32) - 1, size)
        fresh = jax.vmap(entered, (0, None, None))(number, jobs, inputs)
        slots = jax.tree.map(
            lambda new, old: jnp.where(slots.done.reshape(-1, *[1] * (new.ndim - 1)), new, old), fresh, slots
        )
        following = jnp.minimum(pack.next + pack.slots.done.sum(dtype=jnp.int32), size)
        return Pack(slots, ends, following, pack.rounds)

    def go(pack: Pack, jobs: Jobs, inputs: Any, limits: Limits, until: Any) -> tuple[Pack, Any]:
        ahead = jax.vmap(advance, (0, None, None))

        def left(pack: Pack) -> Any:
            return (pack.next < jobs.count) | (pack.slots.job < jobs.count).any()

        def body(pack: Pack) -> Pack:
            pack = jax.lax.cond(
                pack.slots.done.any(), lambda pack: exchange(pack, jobs, inputs), lambda pack: pack, pack
            )
            slots = jax.lax.fori_loop(0, STRIDE, lambda _, slots: ahead(slots, inputs, limits), pack.slots)
            return pack._replace(slots=slots, rounds=pack.rounds + 1)

        pack = jax.lax.while_loop(lambda pack: left(pack) & (pack.rounds < until), body, pack)
        return pack, left(pack)

    return begin, jax.jit(go)
