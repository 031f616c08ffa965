"""Monotone linear interpolation: whether the loss rises on the straight segment of weights, beside its control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_count
from allroads.paths.barrier import compiled_profile
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.results import Result, finish
from allroads.status import PathStatus, Status


@dataclass(frozen=True, repr=False)
class Interpolation(Result):
    """The largest rise of the loss on a segment of weights, and that on segments from noise to the same end.

    Args:
        rise: ``max_{s<t} L(t) − L(s)``, 0 where the loss is monotone up to rounding; infinite where it is not finite;
            also ``value``.
        ts: Where the loss was evaluated, from 0 to 1.
        losses: The loss there.
        control_rises: The same rise for starts that are noise of the same size, ``[controls]``.
        p_value: ``(1 + #{controls that rise no more}) / (1 + controls)``.
        status: ``ok``, or ``diverged`` where a loss of the segment is not finite.
    """

    rise: float
    ts: np.ndarray
    losses: np.ndarray
    control_rises: np.ndarray
    p_value: float
    status: Status

    @property
    def value(self) -> float:
        """The rise."""
        return self.rise

    @property
    def error(self) -> None:
        """``None``: the rise is exact on the grid of ``ts``."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """``p_value`` and the number of ``controls``."""
        return {"p_value": self.p_value, "controls": len(self.control_rises)}

    @property
    def monotone(self) -> bool:
        """Whether the loss does not rise between any two points that were looked at."""
        return self.rise == 0.0

    @property
    def evidence(self) -> bool:
        """Whether this is more than what noise does: monotone, with ``p_value`` ≤ 0.05."""
        return self.monotone and self.p_value <= 0.05


def interpolation(
    problem: Problem,
    a: Params,
    b: Params,
    *,
    points: int = 25,
    controls: int = 19,
    seed: int = 0,
    throw: bool = False,
) -> Interpolation:
    """Largest rise of the loss on ``(1−t) a + t b``, with its negative control.

    The loss often falls monotonically from an initial to a trained point. Mostly this is a fact about the end, since
    it is as frequent from noise. So the same end is also approached from noise: each leaf is Gaussian with the root
    mean square of that leaf of ``a``. A monotone segment counts as evidence about the path only where few of those are.

    Args:
        problem: Network, loss and the examples over which the loss is taken.
        a: Start.
        b: End.
        points: Evaluations of the loss on a segment, evenly in t; default 25. Rises between them are missed.
        controls: Noise starts; default 19, the least at which ``p_value`` can be 0.05.
        seed: Of the noise.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        An :class:`Interpolation`.

    Raises:
        InputError: If the points are not of one architecture, or fewer than two points or one control are asked for.

    References: [goodfellow2015] [lucas2021]

    Example:
        A convex loss falls on every segment that ends at its minimum, so that it does so on this one says nothing:

        >>> import jax.numpy as jnp
        >>> from allroads import Network, Problem
        >>> line = Network(lambda key: jnp.ones(1), lambda w, x: x * w)
        >>> problem = Problem(line, "mse", jnp.ones((1, 1)), jnp.zeros((1, 1)))
        >>> found = interpolation(problem, jnp.ones(1), jnp.zeros(1))
        >>> found.monotone, found.p_value, found.evidence
        (True, 1.0, False)
    """
    a, b = problem.points(a, b)
    check_count("points", points, 2)
    check_count("controls", controls)
    ts = np.linspace(0.0, 1.0, points)
    profile, data = compiled_profile(problem.objective), problem.data

    def losses_from(start: Params) -> np.ndarray:
        return np.asarray(profile(start, b, jnp.asarray(ts), data)[0])

    losses = losses_from(a)
    rng = np.random.default_rng(seed)
    rises = np.array([_rise(losses_from(_noise_like(a, rng))) for _ in range(controls)])
    rise = _rise(losses)
    p_value = (1 + int((rises <= rise).sum())) / (1 + controls)
    status = PathStatus.OK if np.isfinite(rise) else PathStatus.DIVERGED
    return finish(Interpolation(rise, ts, losses.astype(np.float64), rises, p_value, status), throw)


def _rise(losses: np.ndarray) -> float:
    """Largest rise of a profile; below 8 ε of its largest value it is rounding, and 0."""
    if not np.isfinite(losses).all():
        return float("inf")
    rise = float((losses - np.minimum.accumulate(losses)).max())
    return rise if rise > 8 * np.finfo(losses.dtype).eps * np.abs(losses).max() else 0.0


def _noise_like(params: Params, rng: np.random.Generator) -> Params:
    """Gaussian noise with the root mean square of each leaf."""
    return jax.tree.map(
        lambda leaf: (rng.standard_normal(np.shape(leaf)) * np.sqrt(np.mean(np.square(leaf)))).astype(leaf.dtype),
        jax.tree.map(np.asarray, params),
    )
