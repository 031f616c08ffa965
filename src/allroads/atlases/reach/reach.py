"""Reach: how often descent of the loss of one function, started in another, comes to compute it."""

from __future__ import annotations

import numbers
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.atlases.reach.descents import Limits
from allroads.atlases.reach.question import Labels, Question, checked_functions, question_of
from allroads.atlases.reach.result import ABSENT, Reach
from allroads.atlases.reach.starts import Starts, given_starts, train_starts
from allroads.atlases.reach.walks import Walks, walks_of
from allroads.budget import Budget, budgeted
from allroads.checks import check_count, check_number
from allroads.explorers.build import as_explorer
from allroads.explorers.explorer import Explorer
from allroads.explorers.gd import GD
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.results import finish
from allroads.status import AtlasStatus

FIRST = 2**31
"""From this number on keys are those of runs between functions; below, those of random starts."""


def reach(
    network: Network,
    inputs: Any,
    sources: Any,
    targets: Any = None,
    *,
    loss: str | PerExampleLoss = "bce",
    explorer: Explorer | str = GD(learning_rate=0.3),  # noqa: B008 - frozen
    steps: int = 600,
    starts: int | Params | Starts = 16,
    margin: float = 0.1,
    start_steps: int | None = None,
    draws: int | None = None,
    answers: str | None = None,
    labels: Labels | None = None,
    walks: int = 0,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Reach:
    """R(p→q): the probability that a descent of the loss of q, started in p, computes q within a budget of steps.

    A function is the answers on all inputs. From each start of each source p one run descends the loss of each target
    q. Its function is read before every step, and the run ends when it first is q. So R(p→p) is 1, at 0 steps. Runs
    go side by side in one compiled loop, in which a run that ends makes room for the next.

    Args:
        network: The network.
        inputs: All inputs on which functions are told apart, ``[N, …]``; the loss is taken over them too.
        sources: Answers of the functions p on the inputs: 0 and 1, or classes, ``[S, N]`` or ``[S, N, C]``.
        targets: Answers of the functions q, ``[T, N]``; default the sources.
        loss: ``"bce"``, ``"cross_entropy"``, ``"mse"``, or ``(outputs, labels) -> per-example losses``.
        explorer: One whose members move each on its own, or its name; default full-batch gradient descent, η = 0.3.
        steps: The budget of a run; :meth:`Reach.within` gives smaller ones from the same runs.
        starts: How many points per source are trained, or points that compute the sources, leaves ``[S, n, …]``, or
            :class:`~allroads.atlases.reach.Starts` where their numbers differ.
            Trained points are descended to from ``network.init`` by the same explorer, until they compute p with a
            loss of ``margin`` or less.
        margin: That loss, in the unit of the loss.
        start_steps: Steps that training a start may take; default ten times ``steps``.
        draws: Random starts per source at most; default 16 times ``starts``.
        answers: ``"signs"``: 1 where an output is above 0. ``"classes"``: the index of the largest output. Default:
            what the loss means, else classes where an answer has several outputs.
        labels: Makes of answers ``[K, …]`` what the loss takes. Default: the answers; for ``"mse"`` ±1, or one-hot.
        walks: Stays to keep per run, for :attr:`Reach.walks`; default none.
        seed: Decides everything that is drawn. A run's draws do not depend on what else is asked.
        budget: Seconds, compilation included; ``None`` for no end. Ctrl-C ends the call as a budget does. Sources are
            taken some at a time, starts and runs, and rows that are done are kept. A row is kept whole or not at all,
            as the runs that end early are no sample.
        progress: Whether progress is written.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.atlases.reach.Reach`.

    Raises:
        InputError: Before anything is compiled: on functions that are no answers on the inputs, starts that do not
            compute their source, an explorer that mixes members, or options out of range.

    When it fails: R belongs to explorer, budget and starts, and a wide map reaches everything: read the cost there.
    Starts deeper in p take longer to leave it. A source that training from random starts does not find has no row.

    References: [clopper1934]

    Example:
        One unit computes linear threshold functions alone, so XOR is not reached from AND, and OR is:

        >>> from allroads.networks.mlp import mlp
        >>> bits = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
        >>> functions = [[0, 0, 0, 1], [0, 1, 1, 1]], [[0, 1, 1, 1], [0, 1, 1, 0]]  # AND, OR to OR, XOR
        >>> found = reach(mlp((2,), 1, widths=()), bits, *functions, starts=8, progress=False)
        >>> found.probability.tolist()
        [[1.0, 0.0], [1.0, 0.0]]
    """
    check_count("steps", steps, 0)
    check_count("start_steps", start_steps, 0, absent=True)
    check_count("draws", draws, absent=True)
    check_count("walks", walks, 0)
    check_count("seed", seed, 0)
    check_number("margin", margin, 0, open_low=True)
    trained = int(starts) if isinstance(starts, numbers.Integral) else None
    if trained is not None:
        check_count("starts", starts)
    explorer = as_explorer(explorer)
    question = question_of(network, inputs, sources, loss, explorer, answers, labels, seed)
    sources = checked_functions("sources", sources, question.answers)
    targets = sources if targets is None else checked_functions("targets", targets, question.answers)
    began = time.perf_counter()
    points = [] if trained else [given_starts(question, sources, starts)]
    members = trained or points[0].members
    with budgeted("reach", budget, progress) as clock:
        runs = _Runs(question, sources, targets, members, steps, walks, clock)
        if not trained:
            runs.fill(0, points[0])
        rows = max(1, question.width // (2 * members))  # whose starts are trained side by side
        for first in range(0, len(sources) if trained else 0, rows):
            most, training = draws or 16 * members, 10 * steps if start_steps is None else start_steps
            these = sources[first : first + rows]
            points.append(train_starts(question, these, members, margin, training, most, clock, max(walks, 1)))
            runs.fill(first, points[-1])
            if clock.ended:
                break
        ended = clock.ended
    start = Starts.joined(points, len(sources))
    empty = start.found == 0
    undone = (runs.steps == ABSENT).all((1, 2)) & ~empty
    status = AtlasStatus.OK
    if undone.any() or not start.complete:
        status = AtlasStatus.UNFINISHED
    elif empty.any():
        status = AtlasStatus.NO_START
    stats = {
        "steps": steps,
        "explorer": explorer.name,
        "loss": loss if isinstance(loss, str) else getattr(loss, "__name__", "a loss of its own"),
        "answers": question.answers.kind,
        "margin": None if trained is None else margin,
        "seed": seed,
        "diverged": runs.diverged,
        "walks": walks,
        "cut": runs.cut,
        "ended": ended if status is AtlasStatus.UNFINISHED else None,
        "seconds": time.perf_counter() - began,
    }
    passed = Walks.joined(runs.stays, question.answers)
    return finish(Reach(sources, targets, runs.steps, runs.directness, passed, start, status, stats), throw)


class _Runs:
    """The runs of one call, filled in row by row; thrown away at its end.

    Attributes:
        steps: ``[S, T, n]``, as of :class:`Reach`.
        directness: ``[S, T, n]``.
        stays: On the way, of the rows that are done.
        diverged: Runs that were not finite.
        cut: Runs with more stays than are kept.
    """

    def __init__(
        self,
        question: Question,
        sources: np.ndarray,
        targets: np.ndarray,
        members: int,
        budget: int,
        kept: int,
        clock: Budget,
    ):
        self.question, self.kept, self.clock = question, kept, clock
        self.sources, self.targets = question.targets(sources).words, question.targets(targets)
        self.limits = Limits(jnp.int32(budget), jnp.float32(np.inf))
        shape = len(sources), len(targets), members
        self.steps, self.directness = np.full(shape, ABSENT, np.int32), np.full(shape, np.nan, np.float32)
        self.stays, self.diverged, self.cut = list[Walks](), 0, 0

    def fill(self, first: int, points: Starts) -> None:
        """The rows of sources from number ``first`` on that have points, as many as the time allows."""
        question, kept, shape = self.question, self.kept, self.steps.shape
        size = question.block(max(kept, 1))
        rows, together = np.flatnonzero(points.found), max(1, size // (shape[1] * shape[2]))
        for group in [rows[at : at + together] for at in range(0, len(rows), together)]:
            r, t, k = (axis.ravel() for axis in np.meshgrid(group, *map(np.arange, shape[1:]), indexing="ij"))
            there = k < points.found[r]
            runs, done = np.stack([r, t, k])[:, there], list[Any]()
            for at in range(0, runs.shape[1], size):
                r, t, k = runs[:, at : at + size]
                s = first + r
                keys = question.keys(self.sources[s], self.targets.words[t], number=FIRST + k)
                starts = jax.tree.map(lambda leaf: leaf[r, k], points.params)  # noqa: B023
                what = f"from function {s[0]:,} of {shape[0]:,}"
                ends = question.descend(
                    starts, keys, self.targets.at(t), self.limits, self.clock, kept=max(kept, 1), what=what
                )
                if ends is None:
                    return
                done.append(((s, t, k), ends))
            for where, ends in done:
                self.steps[where] = ends.step
                came = (ends.step > 0) & (ends.arc > 0)
                self.directness[where] = np.where(came, np.minimum(ends.chord / np.where(came, ends.arc, 1), 1), np.nan)
                self.diverged += int((~ends.alive).sum())
                if kept:
                    self.stays.append(walks_of(ends, np.ravel_multi_index(where, shape), question.answers))
                    self.cut += int((ends.stays > kept).sum())
