"""The protocol of explorers: two pure functions that move a population through parameter space.

``init(keys, population, problem) -> state`` and ``step(state, problem) -> (state, info)``, both over a leading member
axis. Everything that an explorer remembers, its random keys included, is in the state. A rule that is written for one
member becomes an explorer by :func:`~allroads.explorers.per_member.per_member`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.pfmap.inputs import number_of_examples
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples


class State(NamedTuple):
    """Where a population is and what its explorer remembers.

    Attributes:
        params: The present points, leaves ``[M, …]``.
        memory: The explorer's own, any pytree: momenta, random keys, the number of the step.
    """

    params: Params
    memory: Any


class Info(NamedTuple):
    """What one step saw and what it cost; a number stands for every member alike.

    Attributes:
        loss: Loss of each member as the step saw it, ``[M]``: where it stood before it moved; of a sampler, at its draw
            or on the way there.
        gradients: Gradients of a batch that a member evaluated.
        forwards: Forward passes over a batch that a member evaluated outside gradients.
        examples: Examples in such a batch, the same at every step: the cost is evaluations × examples.
    """

    loss: Any
    gradients: Any = 0
    forwards: Any = 0
    examples: Any = 0


class MeanLoss(Protocol):
    """A loss as a function of one point and some examples, such as :class:`~allroads.pfmap.objective.Objective`."""

    def mean(self, params: Params, data: Examples) -> Any:
        """The mean loss over these examples."""
        ...


class ProblemLike(Protocol):
    """What explorers ask of a problem: an :class:`allroads.Problem`, or one inside compiled code."""

    @property
    def objective(self) -> MeanLoss:
        """The loss with its penalty."""
        ...

    @property
    def data(self) -> Examples:
        """All training examples."""
        ...


@dataclass(frozen=True)
class TracedProblem:
    """A problem inside compiled code: its data are arguments there, not constants.

    Args:
        objective: The loss with its penalty.
        data: All training examples.
    """

    objective: MeanLoss
    data: Examples


class Explorer(ABC):
    """A way to move a population through parameter space.

    A subclass is a frozen dataclass of options that are checked at construction. Equal options are equal objects, so
    that a compiled run is used again.

    Attributes:
        mixes: Whether what a member does depends on the others. Such a population runs as one pack.
        continuous: Whether it moves parameters by small steps, so that they have to be floating-point numbers.
        batch_size: Examples per evaluation; ``None``: all of them.
        name: How reports call it.
    """

    mixes: ClassVar[bool] = False
    continuous: ClassVar[bool] = True
    batch_size: int | None = None

    @property
    def name(self) -> str:
        """How reports call it: the name of the class in lower case."""
        return type(self).__name__.lower()

    @abstractmethod
    def init(self, keys: Any, population: Params, problem: ProblemLike) -> State:
        """The state at the start.

        Args:
            keys: One random key per member, ``[M]``.
            population: The starting points, leaves ``[M, …]``.
            problem: What is to be minimised.
        """

    @abstractmethod
    def step(self, state: State, problem: ProblemLike) -> tuple[State, Info]:
        """The state after one step of every member, and what the step saw."""

    def check_rates(self, **rates: Any) -> None:
        """Refuse options that are not finite numbers of 0 or more.

        Raises:
            InputError: Naming the explorer and the option.
        """
        for option, value in rates.items():
            check_number(f"explorer {self.name!r}: {option}", value, 0)

    def check_counts(self, **counts: Any) -> None:
        """Refuse options that are given and are not whole numbers of 1 or more.

        Raises:
            InputError: Naming the explorer and the option.
        """
        for option, value in counts.items():
            check_count(f"explorer {self.name!r}: {option}", value, absent=True)


def check_point(explorer: Explorer, point: Params) -> None:
    """Refuse points that an explorer cannot move, before anything is compiled.

    Args:
        explorer: The explorer.
        point: One point, or its shapes.

    Raises:
        InputError: If a point holds no numbers, or whole numbers where the explorer moves by small steps.
    """
    leaves = jax.tree_util.tree_leaves_with_path(point)
    if not sum(math.prod(leaf.shape) for _, leaf in leaves):
        raise InputError(f"explorer {explorer.name!r}: the network has no parameters, so there is nothing to move.")
    for path, leaf in leaves:
        if explorer.continuous and not jnp.issubdtype(leaf.dtype, jnp.inexact):
            name = jax.tree_util.keystr(path, simple=True, separator=".") or "array"
            raise InputError(
                f"explorer {explorer.name!r}: it moves parameters by small steps, and the network's {name} is of "
                f"{leaf.dtype}. Make init draw floating-point numbers, or keep constants out of the parameters."
            )


def example_count(problem: ProblemLike) -> int:
    """Number of training examples."""
    return number_of_examples(problem.data.inputs)
