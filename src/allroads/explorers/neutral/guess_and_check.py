"""Guess and check: new points from the initialisation until one fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import Info, ProblemLike, State, example_count
from allroads.explorers.neutral.misfit import check_fit, loss_and_misfit, objective_of
from allroads.explorers.per_member import PerMember, Rule
from allroads.pfmap.network import Params


class _Memory(NamedTuple):
    """The key of the next guess; the loss of the present point, and whether it fits."""

    key: Any
    loss: Any
    fits: Any


@dataclass(frozen=True)
class _Guessing:
    """The rule of one member."""

    fit: float | None
    name: str

    def init(self, key: Any, params: Params, problem: ProblemLike) -> State:
        check_fit(self.name, problem, self.fit)
        loss, misfit = loss_and_misfit(self.name, problem, params, self.fit)
        return State(params, _Memory(key, loss, misfit <= 0))

    def step(self, state: State, problem: ProblemLike, index: Any) -> tuple[State, Info]:
        key, drawn = jax.random.split(state.memory.key)
        guess = objective_of(self.name, problem).network.init(drawn)
        guess = jax.tree.map(lambda new, old: new.astype(old.dtype), guess, state.params)
        loss, misfit = loss_and_misfit(self.name, problem, guess, self.fit)
        done = state.memory.fits
        moves = ~done & jnp.isfinite(misfit)  # a guess that is not finite is passed over
        new, old = (guess, loss, misfit <= 0), (state.params, state.memory.loss, done)
        params, loss, fits = jax.tree.map(lambda a, b: jnp.where(moves, a, b), new, old)
        guesses = jnp.where(done, 0, 1) + (index == 0)  # the start was one too
        return State(params, _Memory(key, loss, fits)), Info(loss, forwards=guesses, examples=example_count(problem))


@dataclass(frozen=True, kw_only=True)
class GuessAndCheck(PerMember):
    """Each member is drawn anew from ``network.init`` at every step, until it fits; then it stays [chiang2023].

    A member that fits is an exact draw from the prior given the data: the distribution of ``init``, conditioned on the
    set of all points that fit. Its ``forwards`` are the number of guesses, the last one included. They are
    geometric with mean ``1 / P(S)``, P(S) being the probability that a drawn network fits. The start is the first
    guess, so it has to be drawn from ``init``, as it is by default.

    Args:
        fit: The largest mean loss of a point that fits. Default: a point fits where it makes no training error, which
            ``"bce"`` and ``"cross_entropy"`` define.

    Raises:
        InputError: If ``fit`` is no number of 0 or more; in a run, if it is missing and the loss defines no errors.

    When it fails: members that found nothing in the given steps do not fit, and dropping them is right, as each guess
    is independent. Where P(S) is below about 1e-6, use :class:`SMC`. A guess with a loss that is not finite does not
    fit and is passed over, but a start of that kind ends its member.

    References:
        [chiang2023, valleperez2019]

    Example:
        A sign fits one example with probability ½, so 2 guesses are expected:

        >>> from allroads import Network, Problem, explore
        >>> unit = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x * w)
        >>> run = explore(Problem(unit, "bce", [[1.0]], [[1]]), GuessAndCheck(), 256, steps=20)
        >>> bool((run.ends() > 0).all()), bool(abs(run.cost.forwards.mean() - 2) < 0.5)
        (True, True)
    """

    fit: float | None = None

    name: ClassVar[str] = "guess_and_check"
    continuous: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.fit is not None:
            self.check_rates(fit=self.fit)

    @property
    def rule(self) -> Rule:
        """The rule of one member."""
        return _Guessing(self.fit, self.name)
