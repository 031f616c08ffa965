"""Runs side by side in one compiled loop that ends when each has passed all its moments."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import Explorer, Info, State, TracedProblem
from allroads.explorers.pack import check_step
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.points.prior.answers import Answers

ALL = 1 - 1e-5
"""A share of an example's labels above this is all of them."""


class Mark(NamedTuple):
    """What runs were at one moment: ``step [M]`` (−1: not yet), packed answers ``[M, W]``, evaluations ``[M]``."""

    step: Any
    words: Any
    gradients: Any
    forwards: Any


class PackOfRuns(NamedTuple):
    """Runs on their way: where they are, at which step, which are still finite, their cost, their moments so far."""

    state: State
    step: Any
    alive: Any
    gradients: Any
    forwards: Any
    examples: Any
    marks: tuple[Mark, ...]


class Limits(NamedTuple):
    """``steps`` that a run may take to fit, the ``loss`` of the second moment, ``ages [A]`` in steps after the fit."""

    steps: Any
    loss: Any
    ages: Any


@lru_cache(maxsize=64)
def compiled_runs(
    objective: Objective, explorer: Explorer, answers: Answers, ages: int
) -> tuple[Callable[..., PackOfRuns], Callable[..., tuple[PackOfRuns, Any]]]:
    """``begin(keys, data) -> pack`` and ``go(pack, data, probes, limits, until) -> (pack, whether any is on its way)``.

    Moments are, in this order: the first step without an error on the data, the first step of a loss of ``limits.loss``
    or less, and ``ages`` numbers of steps after the first. Losses and answers are those of all data, also where the
    explorer sees batches. Probes are looked at only in steps in which some run comes to a moment.
    """
    network = objective.network

    def begin(keys: Any, data: Examples) -> PackOfRuns:
        derived = jax.vmap(jax.random.fold_in, in_axes=(0, None))
        problem = TracedProblem(objective, data)
        state = explorer.init(derived(keys, 1), jax.vmap(network.init)(derived(keys, 0)), problem)
        members = len(keys)
        check_step(explorer, state, jax.eval_shape(lambda moving: explorer.step(moving, problem), state), members)
        zeros = jnp.zeros(members, jnp.int32)
        mark = Mark(zeros - 1, jnp.zeros((members, answers.words), jnp.uint32), zeros, zeros)
        return PackOfRuns(state, jnp.int32(0), jnp.ones(members, bool), zeros, zeros, zeros, (mark,) * (2 + ages))

    def scored(params: Params, data: Examples) -> tuple[Any, Any]:
        outputs = network.apply(params, data.inputs)
        loss = objective.from_outputs(outputs, data).mean()
        if objective.regulariser != 0.0:
            loss = loss + objective.penalty(params).astype(loss.dtype)
        return loss, (objective.correct(outputs, data) > ALL).all() & jnp.isfinite(outputs).all()

    def answered(params: Params, probes: Any) -> tuple[Any, Any]:
        outputs = network.apply(params, probes)
        return answers.pack(outputs), jnp.isfinite(outputs).all()

    def go(pack: PackOfRuns, data: Examples, probes: Any, limits: Limits, until: Any) -> tuple[PackOfRuns, Any]:
        problem = TracedProblem(objective, data)

        def waiting(pack: PackOfRuns) -> Any:
            fit, loss, *aged = pack.marks
            in_time = pack.step <= limits.steps
            wanted = in_time & ((fit.step < 0) | ((loss.step < 0) & jnp.isfinite(limits.loss)))
            for mark in aged:
                wanted = wanted | ((fit.step >= 0) & (mark.step < 0))
            return wanted & pack.alive

        def body(pack: PackOfRuns) -> PackOfRuns:
            params, step = pack.state.params, pack.step
            loss, right = jax.vmap(scored, (0, None))(params, data)
            alive = pack.alive & jnp.isfinite(loss)
            in_time = alive & (step <= limits.steps)
            fit = pack.marks[0].step
            fits = in_time & right & (fit < 0)
            since = jnp.where(fits, step, fit)
            due = [fits, in_time & (loss <= limits.loss) & (pack.marks[1].step < 0)]
            due += [alive & (since >= 0) & (step == since + limits.ages[k]) for k in range(ages)]

            def look(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
                words, finite = jax.vmap(answered, (0, None))(params, probes)

                def put(mark: Mark, now: Any) -> Mark:
                    now = now & finite
                    return Mark(
                        jnp.where(now, step, mark.step),
                        jnp.where(now[:, None], words, mark.words),
                        jnp.where(now, pack.gradients, mark.gradients),
                        jnp.where(now, pack.forwards, mark.forwards),
                    )

                return tuple(put(mark, now) for mark, now in zip(marks, due, strict=True))

            marks = jax.lax.cond(jnp.stack(due).any(), look, lambda marks: marks, pack.marks)
            state, info = explorer.step(pack.state, problem)
            return PackOfRuns(state, step + 1, alive, *_counted(pack, info), marks)

        def on(pack: PackOfRuns) -> Any:
            return (pack.step < until) & waiting(pack).any()

        pack = jax.lax.while_loop(on, body, pack)
        return pack, waiting(pack).any()

    return jax.jit(begin), jax.jit(go)


def _counted(pack: PackOfRuns, info: Info) -> tuple[Any, Any, Any]:
    return (
        pack.gradients + jnp.asarray(info.gradients, jnp.int32),
        pack.forwards + jnp.asarray(info.forwards, jnp.int32),
        jnp.broadcast_to(jnp.asarray(info.examples, jnp.int32), pack.examples.shape),
    )
