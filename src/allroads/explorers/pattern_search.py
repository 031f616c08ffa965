"""Pattern search: one coordinate at a time, without a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from allroads.checks import check_number
from allroads.errors import InputError
from allroads.explorers.explorer import Info, ProblemLike, State, example_count
from allroads.explorers.per_member import PerMember
from allroads.pfmap.network import Params


class PatternMemory(NamedTuple):
    """What a member remembers of its sweep.

    Attributes:
        key: Draws the order of each sweep.
        order: Coordinates in the order of the present sweep, ``[P]``.
        radius: The present radius.
        helped: Whether a move of the present sweep was taken.
        loss: The mean loss of the present point.
    """

    key: Any
    order: Any
    radius: Any
    helped: Any
    loss: Any


@dataclass(frozen=True)
class _PatternRule:
    """The search of one member."""

    radius: float
    shrink: float

    def init(self, key: Any, params: Params, problem: ProblemLike) -> State:
        """The state of one member at its start."""
        flat, _ = ravel_pytree(params)
        loss = problem.objective.mean(params, problem.data)
        order = jnp.arange(flat.size)
        return State(params, PatternMemory(key, order, jnp.asarray(self.radius, flat.dtype), jnp.zeros((), bool), loss))

    def step(self, state: State, problem: ProblemLike, index: Any) -> tuple[State, Info]:
        """One coordinate, both ways."""
        key, order, radius, helped, loss = state.memory
        flat, unravel = ravel_pytree(state.params)
        position = index % flat.size

        def shuffle(key: Any, order: Any) -> tuple[Any, Any]:
            key, draw = jax.random.split(key)
            return key, jax.random.permutation(draw, order)

        key, order = jax.lax.cond(position == 0, shuffle, lambda key, order: (key, order), key, order)
        coordinate = order[position]
        helped = helped & (position > 0)

        def tried(way: float) -> tuple[Any, Any]:
            moved = flat.at[coordinate].add(way * radius)
            seen = problem.objective.mean(unravel(moved), problem.data)
            return moved, jnp.where(jnp.isfinite(seen), seen, jnp.inf)

        (up, loss_up), (down, loss_down) = tried(1.0), tried(-1.0)
        better, loss_better = jnp.where(loss_up <= loss_down, up, down), jnp.minimum(loss_up, loss_down)
        takes = loss_better < loss
        helped = helped | takes
        radius = jnp.where((position == flat.size - 1) & ~helped, self.shrink * radius, radius)
        point = unravel(jnp.where(takes, better, flat))
        memory = PatternMemory(key, order, radius, helped, jnp.where(takes, loss_better, loss))
        return State(point, memory), Info(loss, forwards=2, examples=example_count(problem))


@dataclass(frozen=True, kw_only=True)
class PatternSearch(PerMember):
    """Pattern search: a coordinate moves by ±r where that lowers the loss; r shrinks where no coordinate's move does.

    One step tries one coordinate both ways, and takes the better move if its loss is below the present one. It costs
    two forward passes over all examples. P steps are a sweep over all P coordinates, in an order that each member draws
    anew. A sweep in which no move was taken multiplies r by ``shrink``. The loss never rises, and no gradient is taken.
    The loss of the start, one forward pass more, is not counted.

    Args:
        radius: r at the start, in the unit of the parameters.
        shrink: In (0, 1); Chiang et al. halve the radius.

    Raises:
        InputError: On an option out of range.

    When it fails: it stops at points where every coordinate's moves are for the worse, though a slanted move would
    help: in a narrow valley that follows no coordinate. What it does depends on the coordinates.

    References:
        [chiang2023, hooke1961]

    Example:
        From 3 by moves of 1 down to 0, then by ½, which is not better, then by ¼:

        >>> from allroads import Network, explore
        >>> from allroads.pfmap.problem import Problem
        >>> problem = Problem(Network(lambda key: jnp.full(1, 3.0), lambda w, x: x * w), "mse", [[1.0]], [[0.25]])
        >>> explore(problem, PatternSearch(), 1, steps=7).params[0, :, 0].tolist()
        [3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.25, 0.25]
    """

    radius: float = 1.0
    shrink: float = 0.5

    @property
    def name(self) -> str:
        """How reports call it."""
        return "pattern_search"

    def __post_init__(self) -> None:
        check_number(f"explorer {self.name!r}: radius", self.radius, 0, open_low=True)
        check_number(f"explorer {self.name!r}: shrink", self.shrink, 0, open_low=True)
        if self.shrink >= 1:
            raise InputError(f"explorer {self.name!r}: shrink must lie in (0, 1); got {self.shrink!r}.")

    @property
    def rule(self) -> _PatternRule:
        """The rule of one member."""
        return _PatternRule(self.radius, self.shrink)
