"""A random walk among the points that make no training error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.checks import check_choice, check_number
from allroads.explorers.explorer import Info, ProblemLike, State, example_count
from allroads.explorers.neutral.invariant import invariant_move, known_of
from allroads.explorers.neutral.misfit import objective_of
from allroads.explorers.per_member import PerMember
from allroads.pfmap.network import Params

NAME = "zero_error_walk"
MEASURES = ("prior", "uniform")
"""What a walk is uniform with respect to."""


class WalkMemory(NamedTuple):
    """What a member remembers: its key, whether its point makes no error, and the mean loss there."""

    key: Any
    fits: Any
    loss: Any


@dataclass(frozen=True)
class _WalkRule:
    """The walk of one member."""

    step_size: float
    measure: str

    def init(self, key: Any, params: Params, problem: ProblemLike) -> State:
        """The state of one member at its start."""
        objective = objective_of(NAME, problem)
        if self.measure == "prior":
            known_of(objective.network, None)
        return State(params, WalkMemory(key, *_seen(params, problem)))

    def step(self, state: State, problem: ProblemLike, index: Any) -> tuple[State, Info]:
        """One proposal of one member, or one guess."""
        key, fits, loss = state.memory
        key, guess_key, move_key = jax.random.split(key, 3)
        init = objective_of(NAME, problem).network.init
        guess = jax.tree.map(lambda old, new: new.astype(old.dtype), state.params, init(guess_key))
        moved = self._moved(move_key, state.params, problem)
        proposal = jax.tree.map(lambda g, m: jnp.where(fits, m, g), guess, moved)
        right, seen = _seen(proposal, problem)
        params = jax.tree.map(lambda new, old: jnp.where(right, new, old), proposal, state.params)
        memory = WalkMemory(key, fits | right, jnp.where(right, seen, loss))
        return State(params, memory), Info(memory.loss, forwards=1, examples=example_count(problem))

    def _moved(self, key: Any, params: Params, problem: ProblemLike) -> Params:
        """A move that is reversible with respect to the measure."""
        if self.measure == "prior":
            network = objective_of(NAME, problem).network
            return invariant_move(key, params, self.step_size, network.init, *known_of(network, None))
        leaves, structure = jax.tree.flatten(params)
        keys = jax.random.split(key, len(leaves))
        noise = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
        return jax.tree.unflatten(structure, [w + self.step_size * e for w, e in zip(leaves, noise, strict=True)])


def _seen(params: Params, problem: ProblemLike) -> tuple[Any, Any]:
    """Whether a point makes no error, and its mean loss, from one forward pass."""
    loss, right = objective_of(NAME, problem).mean_and_correct(params, problem.data)
    # An example of many outputs counts by its share of right ones; less than half of one output is rounding.
    return (right.mean() > 1 - 0.5 / problem.data.labels.size) & jnp.isfinite(loss), loss


@dataclass(frozen=True, kw_only=True)
class ZeroErrorWalk(PerMember):
    """A Metropolis walk in the set S of points that make no training error: a move out of S is refused.

    Its stationary law is the stated measure, conditioned on S:

    - ``"prior"``: that of ``network.init``. Where it is normal with mean 0, a move is ``√(1 − ε²) θ + ε θ'`` with a
      new draw θ' (preconditioned Crank–Nicolson [cotter2013]). Else entries or arrays are drawn anew, each with
      probability ε. Which moves leave ``init`` as it is, is tested once per network, see
      :func:`~allroads.explorers.neutral.invariant.invariant_move`.
    - ``"uniform"``: volume in parameter space. A move is ``θ + ε ξ`` with standard normal ξ. S has to have a finite
      volume; that of a network on ``"bce"`` or ``"cross_entropy"`` has not, as its outputs may grow without end.

    A member outside S guesses: each step draws a point from ``network.init``, and the member moves there if that point
    is in S. With the measure ``"prior"`` the first point in S is therefore an exact draw of the stationary law,
    unless the start was in S and came from elsewhere. A step costs one forward pass; the one of the start is not
    counted. An output is right as :func:`~allroads.pfmap.losses.correct` says.

    Args:
        step_size: ε: for ``"prior"`` in (0, 1], where 1 forgets the point; for ``"uniform"`` in the unit of the
            parameters.
        measure: ``"prior"`` or ``"uniform"``.

    Raises:
        UnknownNameError: If there is no such measure.
        InputError: If the step is out of range; in a run with the measure ``"prior"``, if ``init`` has no known moves.

    When it fails: parts of S that no move connects are not mixed; members that start apart stay apart. Steps that are
    large beside the width of S are nearly always refused.

    References:
        [cotter2013, chiang2023]

    Example:
        Outputs round to their label within ½ of it, so here S is the interval (−½, ½), of variance 1/12:

        >>> import numpy as np
        >>> from allroads import Network, Problem, explore
        >>> line = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x * w)
        >>> problem = Problem(line, "mse", [[1.0]], [[0.0]])
        >>> run = explore(problem, ZeroErrorWalk(step_size=0.5, measure="uniform"), 512, steps=100)
        >>> bool(abs(run.ends()).max() < 0.5), bool(abs(12 * run.ends().var() - 1) < 0.2)
        (True, True)
    """

    step_size: float = 0.1
    measure: str = "prior"

    @property
    def name(self) -> str:
        """How reports call it."""
        return NAME

    def __post_init__(self) -> None:
        check_choice("measure", self.measure, MEASURES)
        high = 1.0 if self.measure == "prior" else float("inf")
        check_number(f"explorer {self.name!r}: step_size", self.step_size, 0, high, open_low=True)

    @property
    def rule(self) -> _WalkRule:
        """The rule of one member."""
        return _WalkRule(self.step_size, self.measure)
