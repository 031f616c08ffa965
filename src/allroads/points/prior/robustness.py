"""Robustness of functions: how often a small move of the parameters keeps what a network computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import t as student

from allroads.budget import budgeted
from allroads.checks import check_count, check_number
from allroads.distributions.missing_mass import NORMAL
from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.points.prior.draws import Move, source_of, stream
from allroads.points.prior.function_prior import FunctionPrior, prior_of
from allroads.points.prior.tally import Tally
from allroads.points.prior.threefry import key_of
from allroads.results import Measurement, Result, finish
from allroads.status import PriorStatus

SCALE_DRAWS = 256
"""Draws of ``init`` from which the scale of each array is taken."""
LEAST = 100
"""Draws of one function from which on it enters the correlation."""


@dataclass(frozen=True, repr=False)
class FunctionRobustness(Result):
    """Robustness of each function, in the order of its prior.

    Args:
        robustness: Share of moves from networks of function k that compute it again ``[K]``.
        errors: Half-width of its 95 % interval ``[K]``, from the spread over networks, and 3 / networks at least, up to
            1; NaN for a single network.
        mean: Mean over networks drawn from the initialisation.
        null: What the mean would be if functions were assigned to parameters at random: ``Σ p²``.
        correlation: Of robustness with log P(f) over functions drawn 100 times and more; ``stats["functions"]`` is
            their number.
        prior: The functions and their probabilities.
        status: That of the prior.
        stats: ``move`` (the size, or ``"custom"``), ``moves`` (per network).
    """

    robustness: np.ndarray
    errors: np.ndarray
    mean: Measurement
    null: Measurement
    correlation: Measurement
    prior: FunctionPrior = field(repr=False)
    status: PriorStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The mean robustness."""
        return self.mean.value

    @property
    def error(self) -> float | None:
        """Half-width of its interval."""
        return self.mean.error


def function_robustness(
    network: Network,
    inputs: Any,
    samples: int = 100_000,
    *,
    move: float | Callable[[Any, Params], Params] = 0.1,
    moves: int = 8,
    answers: str | None = None,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> FunctionRobustness:
    """ρ(f): the share of small moves of the parameters that keep the function, for networks drawn that compute f.

    Beside it stand P(f) and the null. If functions were assigned to parameters at random, with their numbers kept, a
    move would keep f with probability P(f), and the mean would be ``Σ p²``. ``simplicity_bias(found.prior)`` gives
    the complexities of the same functions in the same order.

    Args:
        network: Its ``init`` is the distribution over parameters.
        inputs: ``[N, ...]``, two or more.
        samples: Number of networks to draw; they are those of :func:`~allroads.function_prior`.
        move: The size σ of Gaussian moves: every floating-point number is moved by a normal of standard deviation σ
            times the root mean square of its array over draws of ``init``. An array that ``init`` sets to zero is
            not moved. Or a function ``(key, params) -> params`` of one network.
        moves: Moves per network.
        answers: How outputs are read, as in :func:`~allroads.function_prior`.
        seed: Decides all draws and moves; below 2⁶⁴.
        budget: Seconds; looked at about every half second. One batch is always drawn.
        progress: Whether progress is written.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.points.prior.FunctionRobustness`; ``value`` is the mean robustness.

    Raises:
        InputError: As :func:`~allroads.function_prior`; or if ``move`` is neither a positive number nor callable.

    References: [greenbury2016]

    Example:
        The sign of one normal weight survives a move of its own scale with probability ½ + arctan(1) / π = ¾:

        >>> unit = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x @ w)
        >>> found = function_robustness(unit, np.array([[1.0], [2.0]]), 8192, move=1.0, progress=False)
        >>> abs(found.mean - 0.75) < 0.02, abs(found.null - 0.5) < 0.02
        (True, True)
    """
    check_count("samples", samples)
    check_count("moves", moves)
    check_count("seed", seed, 0)
    if not callable(move):
        check_number("move", move, 0, open_low=True)
    source = source_of(network, inputs, answers, seed)
    scale = None if callable(move) else scale_of_moves(network, float(move))
    tally = Tally(source.answers.words // 2 if source.answers.exact else 2, 3)
    with budgeted("function_robustness", budget, progress) as clock:
        step = _custom(move) if callable(move) else gaussian_move
        done, spoilt = stream(source, tally, 0, samples, clock, step, moves, scale)
        ended = clock.ended if done < samples else None
    prior, sums = prior_of(source, tally.table(), done, spoilt, ended)
    count, kept, squares = (sums[:, i].astype(float) for i in range(3))
    robustness = kept / moves / count
    errors = share_errors(count, kept / moves, squares / moves**2)
    total = count.sum()
    mean = float(kept.sum() / moves / total) if total else math.nan
    spread = math.sqrt(max(float(squares.sum()) / moves**2 / total - mean**2, 0.0) / total) if total else math.nan
    return finish(
        FunctionRobustness(
            robustness, errors, Measurement(mean, NORMAL * spread, prior.status), prior.collision,
            _correlation(robustness, count), prior, prior.status,
            {"move": "custom" if callable(move) else float(move), "moves": moves},
        ),
        throw,
    )  # fmt: skip


def share_errors(count: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Half-widths of the 95 % intervals of mean shares, from 0 to 1, that networks of one function have.

    They are Student's, and ``3 / count`` at least, which is what remains possible where all shares are equal.

    Args:
        count: Networks ``[K]``.
        total: Sum of their shares ``[K]``.
        squares: Sum of the squares of their shares ``[K]``.

    Returns:
        ``[K]``, up to 1; NaN for a single network.

    Example:
        >>> share_errors(np.array([1.0, 2.0, 30.0]), np.array([1.0, 2.0, 30.0]), np.array([1.0, 2.0, 30.0])).tolist()
        [nan, 1.0, 0.1]
    """
    rest = np.maximum(count - 1, 1)
    variance = np.maximum(squares - total**2 / count, 0) / rest
    half = np.maximum(student.ppf(0.975, rest) * np.sqrt(variance / count), 3 / count)
    return np.where(count > 1, np.minimum(half, 1.0), np.nan)


def _correlation(robustness: np.ndarray, count: np.ndarray) -> Measurement:
    """Pearson's, of robustness with the log of the count, with the interval of Fisher's transform."""
    often = count >= LEAST
    number = int(often.sum())
    x, y = np.log(count[often]), robustness[often]
    if number < 4 or not (np.ptp(x) > 0 and np.ptp(y) > 0):
        return Measurement(math.nan, None, PriorStatus.UNDERSAMPLED, {"functions": number})
    value = float(np.corrcoef(x, y)[0, 1])
    middle, half = math.atanh(min(max(value, -1 + 1e-15), 1 - 1e-15)), NORMAL / math.sqrt(number - 3)
    low, high = math.tanh(middle - half), math.tanh(middle + half)
    stats = {"functions": number, "low": low, "high": high}
    return Measurement(value, max(value - low, high - value), PriorStatus.OK, stats)


def scale_of_moves(network: Network, size: float) -> Any:
    """Standard deviation of the move of each array."""
    draws = jax.vmap(network.init)(jax.random.split(key_of(0), SCALE_DRAWS))

    def of(leaf: Any) -> Any:
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        return size * jnp.sqrt((leaf**2).mean()) if floating else jnp.zeros(())

    scale = jax.tree.map(of, draws)
    if not any(float(leaf) > 0 for leaf in jax.tree.leaves(scale)):
        raise InputError(
            "move: init draws zeros alone, so they have no scale. Give a function (key, params) -> params."
        )
    return scale


def gaussian_move(key: Any, params: Params, scale: Any) -> Params:
    """Parameters moved by a normal whose standard deviation ``scale`` gives for each array; whole numbers stay."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    moved = [
        leaf + size * jax.random.normal(own, leaf.shape, leaf.dtype)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
        else leaf
        for leaf, size, own in zip(leaves, jax.tree.leaves(scale), keys, strict=True)
    ]
    return jax.tree.unflatten(structure, moved)


@lru_cache(maxsize=16)
def _custom(move: Callable[[Any, Params], Params]) -> Move:
    return lambda key, params, scale: move(key, params)
