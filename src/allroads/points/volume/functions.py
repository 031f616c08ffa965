"""How probable a function is under a distribution over parameters."""

from __future__ import annotations

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.pfmap.precision import float64
from allroads.pfmap.problem import Problem
from allroads.points.volume.level import level_function
from allroads.points.volume.local_volume import Volume, volume_of
from allroads.points.volume.measures import Gaussian, Measure, checked_measure
from allroads.points.volume.splitting import Splitting, descend
from allroads.results import finish


def function_log_probability(
    problem: Problem,
    *,
    like: Params | None = None,
    measure: Measure = Gaussian(1.0, centre="zero"),  # noqa: B008 (frozen)
    method: Splitting = Splitting(),  # noqa: B008 (frozen)
    seed: int = 0,
    throw: bool = False,
) -> Volume:
    """``log P(f)``: the probability, in nats, that parameters drawn from ``measure`` compute the labels on all inputs.

    It is computed by splitting, from the measure through sets of ever fewer errors. The level of a point is the share
    of wrong answers plus the share of the outputs that is on the wrong side. It is 0 exactly where all answers are
    right, and does not change when the outputs are rescaled. An answer is right as in training. For ``bce`` the logit
    is positive exactly where the label is 1. For ``cross_entropy`` the largest score is the label's.

    Args:
        problem: The network, all inputs that count, their labels (0 or 1, or classes), and ``"bce"`` or
            ``"cross_entropy"``, which says how outputs answer.
        like: Parameters whose structure and shapes are drawn; default those of ``network.init``.
        measure: The prior; default standard normal in every parameter, around zero.
        method: Particles, replicas and sweeps.
        seed: Decides all draws.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Volume` whose ``value`` is log P; ``not equilibrated`` where no particle came through, which is so
        for every function that the network cannot compute.

    Raises:
        InputError: If the loss names no answers, the labels are not answers, or an option cannot be used.

    References: [cerou2012, valleperez2019]

    Example:
        One affine unit of standard normal weights answers 1 at 0 with probability ½:

        >>> from allroads import Network
        >>> unit = Network(lambda key: np.zeros(1), lambda w, x: x * 0 + w)
        >>> problem = Problem(unit, "bce", np.zeros((1, 1)), np.ones(1))
        >>> found = function_log_probability(problem, method=Splitting(particles=1024))
        >>> bool(abs(found.value - np.log(0.5)) < 0.2)
        True
    """
    _check_answers(problem)
    with float64():
        params = problem.network.init(jax.random.key(0)) if like is None else like
        origin = problem.point(jax.tree.map(lambda leaf: np.zeros(np.shape(leaf)), params))
        function = level_function(problem, origin, "errors")
        offset = checked_measure(measure, function.point)
        descent = descend(function, measure, offset, np.inf, 0.0, method, axes=None, log_prior=None, seed=seed)
    return finish(volume_of(descent, measure, offset.size), throw)


def _check_answers(problem: Problem) -> None:
    labels = problem.labels
    if (labels != np.round(labels)).any() or (labels < 0).any():
        raise InputError("labels: expected 0 or 1, or classes from 0 on, one per input.")
