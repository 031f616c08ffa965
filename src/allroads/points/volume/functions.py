"""How probable a function is under a distribution over parameters."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.points.volume.local_volume import Volume, volume_of
from allroads.points.volume.measures import Gaussian, Measure, checked_measure
from allroads.points.volume.problem import make_problem
from allroads.points.volume.splitting import Splitting, descend


def function_log_probability(
    network: Network,
    inputs: Any,
    labels: Any,
    *,
    loss: str | PerExampleLoss = "bce",
    like: Params | None = None,
    measure: Measure = Gaussian(1.0, centre="zero"),  # noqa: B008 (frozen)
    particles: int = 4096,
    replicas: int = 8,
    sweeps: int = 40,
    seed: int = 0,
) -> Volume:
    """``log P(f)``: the probability, in nats, that parameters drawn from ``measure`` compute the labels on all inputs.

    Splitting from the measure through sets of ever fewer errors: the level is the share of wrong answers plus the
    share of the outputs that is on the wrong side, which is 0 exactly where all answers are right and does not change
    when the outputs are rescaled. Right is as in training: ``bce``, a positive logit exactly where the label is 1;
    ``cross_entropy``, the largest score at the label.

    Args:
        network: The network.
        inputs: ``[N, …]``, all inputs that count.
        labels: 0 or 1 ``[N]``, or classes ``[N]``.
        loss: ``"bce"`` or ``"cross_entropy"``: how outputs answer.
        like: Parameters whose structure and shapes are drawn; default those of ``network.init``.
        measure: The prior; default standard normal in every parameter, around zero.
        particles: In all replicas together.
        replicas: Independent populations.
        sweeps: Most sweeps of moves after each level.
        seed: Decides all draws.

    Returns:
        A :class:`Volume` whose ``value`` is log P; ``not equilibrated`` where no particle came through, which is so
        for every function that the network cannot compute.

    Raises:
        InputError: If the loss names no answers, the labels are not answers, or an option cannot be used.

    References: [cerou2012, valleperez2019]

    Example:
        One affine unit of standard normal weights answers 1 at 0 with probability ½:

        >>> unit = Network(lambda key: np.zeros(1), lambda w, x: x * 0 + w)
        >>> found = function_log_probability(unit, np.zeros((1, 1)), np.ones(1), particles=1024)
        >>> bool(abs(found.value - np.log(0.5)) < 0.2)
        True
    """
    options = Splitting(particles, replicas, sweeps)
    with float64():
        params = network.init(jax.random.key(0)) if like is None else like
        origin = jax.tree.map(lambda leaf: np.zeros(np.shape(leaf)), params)
        problem = make_problem(network, origin, loss, inputs, _answers(labels), "errors")
        offset = checked_measure(measure, problem.point)
        descent = descend(problem, measure, offset, np.inf, 0.0, options, axes=None, log_prior=None, seed=seed)
    return volume_of(descent, measure, offset.size)


def _answers(labels: Any) -> np.ndarray:
    labels = np.asarray(labels)
    if not np.isfinite(labels).all() or (labels != np.round(labels)).any() or (labels < 0).any():
        raise InputError("labels: expected 0 or 1, or classes from 0 on, one for each input.")
    return labels.astype(int)
