"""First fit: when each run first answers all training examples right, and what it had spent by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.checks import check_number, check_options
from allroads.errors import InputError
from allroads.explorers.trajectory import Cost, Trajectory
from allroads.paths.agreement import answers
from allroads.pfmap.problem import Problem

GRADIENT = 3
"""Forward passes that one gradient counts as: the forward pass, and about two more for the way back."""


@dataclass(frozen=True, eq=False)
class FirstFit:
    """The first record of each run at which it fits.

    Args:
        fitted: Whether the run fits at any record, ``[M]``.
        records: Index of that record; of the last where the run never fits, ``[M]``.
        steps: Steps taken by then, ``[M]``.
        spent: Forward-equivalents spent by then, ``[M]``; see :func:`first_fit`.
        whole: Forward-equivalents of a run of all its steps.
        answers: What each run answers on the probes at that record, ``[M, N, …]``.
        resolution: The largest share of the steps to fit that lies between the record and the one before, over runs
            that fit; 0 where every step was recorded or none fits.
    """

    fitted: np.ndarray
    records: np.ndarray
    steps: np.ndarray
    spent: np.ndarray
    whole: float
    answers: np.ndarray
    resolution: float

    def codes(self) -> list[str]:
        """The answers of each run as one text, such as the table of a Boolean function.

        Example:
            >>> one = FirstFit(*[np.array([1])] * 4, 1.0, np.array([[[0], [1]]]), 0.0)
            >>> one.codes()
            ['01']
        """
        return ["".join(str(answer) for answer in said.ravel()) for said in self.answers]


def first_fit(runs: Trajectory, problem: Problem, goal: float = 1.0) -> FirstFit:
    """The first record at which each run has the training accuracy ``goal``, with its cost.

    The unit of cost is one forward pass over all training examples. A gradient counts as 3, since the way back takes
    about twice as long as the way forth. A run that has taken t steps is looked at once more, which is one forward
    pass. So a start that fits without any step costs 1, as one draw of a blind search does. Looks on the way are free:
    a full-batch gradient makes the same forward pass.

    Args:
        runs: Of :func:`~allroads.explore`, with their counted cost.
        problem: What they were trained on.
        goal: The training accuracy, above 0; default every answer right.

    Returns:
        A :class:`FirstFit`.

    Raises:
        InputError: If the runs have no training accuracy or no counted cost, if steps cost some members more than
            others, or the goal is out of range.

    When it fails: records lie apart, so a fit is seen late by up to ``resolution``, and one between two records is
    missed. ``Recording(records=steps + 1)`` sees every step. With batches, looks at all examples on the way would cost
    something that is not counted.

    Example:
        Gradient descent on a logit that begins at −0.2 and rises by 0.05 or so per step:

        >>> import jax.numpy as jnp
        >>> from allroads import GD, Network, Recording, explore
        >>> unit = Network(lambda key: -0.2 * jnp.ones(1), lambda w, x: x * w)
        >>> problem = Problem(unit, "bce", [[1.0]], [1])
        >>> runs = explore(problem, GD(learning_rate=0.1), 1, steps=6, record=Recording(records=7))
        >>> found = first_fit(runs, problem)
        >>> found.steps.tolist(), found.spent.tolist(), found.whole
        ([4], [13.0], 19.0)
    """
    check_number("goal", goal, 0, 1, open_low=True)
    check_options("runs", runs, Trajectory)
    check_options("problem", problem, Problem)
    if "train_accuracy" not in runs.curves:
        raise InputError("runs: they have no training accuracy; give the problem when they are read from files.")
    if runs.cost is None:
        raise InputError("runs: their cost was not counted, as they were read from files; give those of explore.")
    reached = runs.curves["train_accuracy"] >= goal - 0.5 / len(problem) / max(1, problem.labels[0].size)
    fitted = np.asarray(reached.any(axis=1))
    records = np.where(fitted, reached.argmax(axis=1), len(runs.steps) - 1)
    steps = np.where(fitted, runs.steps[records], runs.last_step)
    rate = _rate(runs.cost, len(problem)) / np.maximum(runs.last_step, 1)
    whole = rate[runs.last_step == runs.steps[-1]]
    if len(whole) and np.ptp(whole) > 1e-9 * whole.max():
        raise InputError(
            "runs: some members paid more than others for as many steps, as those of 'guess_and_check' do, which stop "
            "to pay once they fit. So what each had spent by its fit is not known. Its guesses are run.cost.forwards: "
            "give them to allroads.studies.channels.search_cost."
        )
    before = runs.steps[np.maximum(records - 1, 0)]
    late = (steps - before - 1) / np.maximum(steps, 1)
    members = np.arange(len(fitted))
    return FirstFit(
        fitted=fitted,
        records=records,
        steps=steps,
        spent=1.0 + rate * steps,
        whole=float(1.0 + rate.max() * runs.steps[-1]),
        answers=answers(runs.values[members, records], problem.loss),
        resolution=float(np.clip(late[fitted], 0, None).max(initial=0.0)),
    )


def _rate(cost: Cost, examples: int) -> Any:
    return (GRADIENT * cost.gradient_examples + cost.forward_examples) / examples
