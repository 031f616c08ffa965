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


class Race(NamedTuple):
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
def compiled_race(
    objective: Objective, explorer: Explorer, answers: Answers, ages: int
) -> tuple[Callable[..., Race], Callable[..., tuple[Race, Any]]]:
    """``begin(keys, data) -> race`` and ``go(race, data, probes, limits, until) -> (race, whether any is on its way)``.

    Moments are, in this order: the first step without an error on the data, the first step of a loss of ``limits.loss``
    or less, and ``ages`` numbers of steps after the first. Losses and answers are those of all data, also where the
    explorer sees batches. Probes are looked at only in steps in which some run comes to a moment.
    """
    network = objective.network

    def begin(keys: Any, data: Examples) -> Race:
        derived = jax.vmap(jax.random.fold_in, in_axes=(0, None))
        problem = TracedProblem(objective, data)
        state = explorer.init(derived(keys, 1), jax.vmap(network.init)(derived(keys, 0)), problem)
        members = len(keys)
        check_step(explorer, state, jax.eval_shape(lambda moving: explorer.step(moving, problem), state), members)
        zeros = jnp.zeros(members, jnp.int32)
        mark = Mark(zeros - 1, jnp.zeros((members, answers.words), jnp.uint32), zeros, zeros)
        return Race(state, jnp.int32(0), jnp.ones(members, bool), zeros, zeros, zeros, (mark,) * (2 + ages))

    def scored(params: Params, data: Examples) -> tuple[Any, Any]:
        outputs = network.apply(params, data.inputs)
        loss = objective.from_outputs(outputs, data).mean()
        if objective.regulariser != 0.0:
            loss = loss + objective.penalty(params).astype(loss.dtype)
        return loss, (objective.correct(outputs, data) > ALL).all() & jnp.isfinite(outputs).all()

    def answered(params: Params, probes: Any) -> tuple[Any, Any]:
        outputs = network.apply(params, probes)
        return answers.pack(outputs), jnp.isfinite(outputs).all()

    def go(race: Race, data: Examples, probes: Any, limits: Limits, until: Any) -> tuple[Race, Any]:
        problem = TracedProblem(objective, data)

        def waiting(race: Race) -> Any:
            fit, loss, *aged = race.marks
            in_time = race.step <= limits.steps
            wanted = in_time & ((fit.step < 0) | ((loss.step < 0) & jnp.isfinite(limits.loss)))
            for mark in aged:
                wanted = wanted | ((fit.step >= 0) & (mark.step < 0))
            return wanted & race.alive

        def body(race: Race) -> Race:
            params, step = race.state.params, race.step
            loss, right = jax.vmap(scored, (0, None))(params, data)
            alive = race.alive & jnp.isfinite(loss)
            in_time = alive & (step <= limits.steps)
            fit = race.marks[0].step
            fits = in_time & right & (fit < 0)
            since = jnp.where(fits, step, fit)
            due = [fits, in_time & (loss <= limits.loss) & (race.marks[1].step < 0)]
            due += [alive & (since >= 0) & (step == since + limits.ages[k]) for k in range(ages)]

            def look(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
                words, finite = jax.vmap(answered, (0, None))(params, probes)

                def put(mark: Mark, now: Any) -> Mark:
                    now = now & finite
                    return Mark(
                        jnp.where(now, step, mark.step),
                        jnp.where(now[:, None], words, mark.words),
                        jnp.where(now, race.gradients, mark.gradients),
                        jnp.where(now, race.forwards, mark.forwards),
                    )

                return tuple(put(mark, now) for mark, now in zip(marks, due, strict=True))

            marks = jax.lax.cond(jnp.stack(due).any(), look, lambda marks: marks, race.marks)
            state, info = explorer.step(race.state, problem)
            return Race(state, step + 1, alive, *_counted(race, info), marks)

        def on(race: Race) -> Any:
            return (race.step < until) & waiting(race).any()

        race = jax.lax.while_loop(on, body, race)
        return race, waiting(race).any()

    return jax.jit(begin), jax.jit(go)


def _counted(race: Race, info: Info) -> tuple[Any, Any, Any]:
    return (
        race.gradients + jnp.asarray(info.gradients, jnp.int32),
        race.forwards + jnp.asarray(info.forwards, jnp.int32),
        jnp.broadcast_to(jnp.asarray(info.examples, jnp.int32), race.examples.shape),
    )
