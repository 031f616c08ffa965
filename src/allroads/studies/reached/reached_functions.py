"""P(f | data) of any explorer: which functions its runs reach at matched moments."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.budget import Budget, budgeted
from allroads.checks import MOST_STEPS, check_count, check_number, check_options
from allroads.errors import InputError
from allroads.explorers.build import as_explorer
from allroads.explorers.explorer import Explorer, State, check_point
from allroads.explorers.trajectory import Cost
from allroads.explorers.width import pack_width
from allroads.pfmap.problem import Problem
from allroads.points.prior.draws import Source, source_of
from allroads.points.prior.functions import rows_of_cube
from allroads.results import finish
from allroads.status import PriorStatus
from allroads.studies.reached.moments import Limits, Mark, PackOfRuns, compiled_runs
from allroads.studies.reached.results import FunctionsReached, ReachedFunctions, functions_reached

STRIDE = 512
"""Steps between two looks at the clock."""


def reached_functions(
    problem: Problem,
    explorer: Explorer | str,
    probes: Any,
    runs: int = 1024,
    *,
    steps: int,
    loss: float | None = None,
    ages: int | Sequence[int] = (),
    answers: str | None = None,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> ReachedFunctions:
    """P(f | data) of an explorer: how often its runs reach each function, at matched moments.

    Run i is member i of ``explore`` with that seed: it draws its start from ``problem.network.init``. Its function is
    read from its answers on all probes at three kinds of moment. One is the first fit: the first step without an error
    on the training data. One is matched loss: the first step of a training loss of ``loss`` or less. One is matched
    age: each number of ``ages`` in steps after the first fit. Each is the distribution of the runs that came to it.

    Args:
        problem: Network, loss and training data.
        explorer: One whose members move each on its own, such as ``SGD(batch_size=4)``, or a name.
        probes: All inputs that there are, or a sample of them ``[N, ...]``, two or more.
        runs: How many.
        steps: Steps that a run may take until it fits and until it has that loss. The ages are added to them.
        loss: A training loss in the unit of the problem's; ``None`` leaves the moment out.
        ages: Numbers of steps after the first fit.
        answers: ``"signs"``: 1 where an output is above 0. ``"classes"``: the index of the largest output. Default:
            classes where an answer has several outputs, else signs.
        seed: Decides all runs.
        budget: Seconds, compilation included. A pack of runs that it ends is left out, all of it, since the quick ones
            alone would be another distribution. The first pack is always finished. ``None`` for no end.
        progress: Whether progress is written.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.studies.reached.results.ReachedFunctions`; ``value`` is the effective number at first fit.

    Raises:
        InputError: If the explorer mixes members, whose ends are then no independent draws; on probes that cannot be
            used, or options out of range.

    When it fails: a run that has not fitted within ``steps`` is left out, so read ``fit.share``: slow runs may reach
    other functions. An error is that of the loss (for ``mse`` the nearest integer), and an answer of ``"signs"`` is 1
    above 0; give labels for which both mean the same.

    References: [mingard2021]

    Example:
        A perceptron without bias learns OR from three of four inputs, in which it has no choice about the fourth:

        >>> from allroads import GD, Network
        >>> unit = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: (x @ w)[:, None])
        >>> bits = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
        >>> problem = Problem(unit, "bce", bits[:3], np.array([0, 1, 1]))
        >>> found = reached_functions(problem, GD(learning_rate=1.0), bits, 64, steps=100, ages=9, progress=False)
        >>> found.fit.counts.tolist(), found.fit.answers(0).ravel().tolist(), found.at_age[9].samples
        ([64], [0, 1, 1, 1], 64)
    """
    check_options("problem", problem, Problem)
    explorer = _checked(as_explorer(explorer), len(problem))
    check_count("runs", runs)
    check_count("steps", steps, 0, most=MOST_STEPS)
    check_number("loss", loss, 0, absent=True)
    after = _ages(ages)
    check_count("steps and the largest age together", steps + max(after, default=0), 0, most=MOST_STEPS)
    source = source_of(problem.network, probes, answers, seed)
    began = time.perf_counter()
    most = float(np.finfo(np.float32).max)
    bound = jnp.float32(-math.inf if loss is None else min(loss, most))
    limits = Limits(jnp.int32(steps), bound, jnp.asarray(after, jnp.int32))
    with budgeted("reached_functions", budget, progress) as clock:
        packs = _run(problem, explorer, source, runs, limits, clock)
        done = sum(len(pack.alive) for pack in packs)
        ended = clock.ended if done < runs else None
    pack: PackOfRuns = jax.tree.map(lambda *leaves: np.concatenate(leaves), *packs)
    stats = source.identity | {"exact": source.answers.exact}
    rows = rows_of_cube(np.asarray(source.inputs))
    found = [_moment(source, rows, mark, pack.examples, stats) for mark in pack.marks]
    asked = [mark.step for k, mark in enumerate(pack.marks) if k != 1 or loss is not None]
    diverged = int((~pack.alive & (np.min(asked, axis=0) < 0)).sum())
    result = ReachedFunctions(
        fit=found[0],
        at_loss=None if loss is None else found[1],
        at_age=dict(zip(after, found[2:], strict=True)),
        runs=done,
        diverged=diverged,
        seconds=time.perf_counter() - began,
        status=PriorStatus.DIVERGED if diverged else found[0].status,
        stats={"seed": seed, "steps": steps, "ended": ended},
    )
    return finish(result, throw)


def _run(
    problem: Problem, explorer: Explorer, source: Source, runs: int, limits: Limits, clock: Budget
) -> list[PackOfRuns]:
    """Packs of runs, without their states; at least one."""
    data = problem.data
    point = jax.eval_shape(problem.network.init, jax.random.key(0))
    check_point(explorer, point)
    batch = jax.tree.map(
        lambda array: jax.ShapeDtypeStruct((explorer.batch_size or len(problem), *array.shape[1:]), array.dtype),
        data.inputs,
    )
    width = pack_width(problem.network, point, batch)
    begin, go = compiled_runs(problem.objective, explorer, source.answers, len(limits.ages))
    key = jax.random.key(source.seed)
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(runs))
    packs: list[PackOfRuns] = []
    for first in range(0, runs, width):
        chosen = np.arange(first, min(first + width, runs))
        pack = begin(keys[np.pad(chosen, (0, width - len(chosen)), mode="edge")], data)
        moving, until = True, 0
        while moving and (not packs or not clock.ended):
            until += STRIDE
            with clock.interruptible():
                clock.say(f"run {first:,} to {chosen[-1]:,} of {runs:,}, step {until:,} at most")
                pack, more = go(pack, data, source.inputs, limits, jnp.int32(until))
                moving = bool(more)
        if moving:
            break
        packs.append(_kept(pack, len(chosen)))
        if clock.ended:
            break
    return packs


def _kept(pack: PackOfRuns, runs: int) -> PackOfRuns:
    """What the first runs of a pack leave, without their states."""
    kept: PackOfRuns = jax.tree.map(
        lambda leaf: np.asarray(leaf)[:runs], pack._replace(state=State(None, None), step=pack.alive)
    )
    return kept


def _moment(
    source: Source, rows: np.ndarray | None, mark: Mark, examples: np.ndarray, stats: dict[str, Any]
) -> FunctionsReached:
    cost = Cost.of(mark.gradients, mark.forwards, examples)
    return functions_reached(source.answers, rows, mark.words, mark.step, cost, stats)


def _checked(explorer: Explorer, examples: int) -> Explorer:
    if explorer.mixes:
        raise InputError(
            f"explorer {explorer.name!r}: its members depend on each other, so one population is no sample of "
            "independent runs. Explore several populations and count one member of each by "
            "allroads.paths.convergence.reached."
        )
    if explorer.batch_size is not None and explorer.batch_size > examples:
        raise InputError(
            f"explorer {explorer.name!r}: batch_size {explorer.batch_size} is larger than the {examples} training "
            "examples; make it smaller or leave it out for the full batch."
        )
    return explorer


def _ages(given: int | Sequence[int]) -> tuple[int, ...]:
    ages = tuple(given) if isinstance(given, Sequence | np.ndarray) else (given,)
    for age in ages:
        check_count("ages", age, 0, most=MOST_STEPS)
    if len(set(ages)) < len(ages):
        raise InputError(f"ages: expected each once; got {ages}.")
    return tuple(int(age) for age in ages)
