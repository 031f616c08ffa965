"""A rule for one member, lifted to a population whose members know nothing of each other."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from allroads.errors import InputError
from allroads.explorers.explorer import Explorer, Info, ProblemLike, State
from allroads.pfmap.network import Params


class Rule(Protocol):
    """How one member moves: the functions of an explorer without the member axis, and the number of the step."""

    def init(self, key: Any, params: Params, problem: ProblemLike) -> State:
        """The state of one member at its start."""
        ...

    def step(self, state: State, problem: ProblemLike, index: Any) -> tuple[State, Info]:
        """One step; ``index`` counts from 0 and is the same for all members, so that ``lax.cond`` on it stays one."""
        ...


class PerMemberMemory(NamedTuple):
    """What a lifted rule remembers: ``members``, leaves ``[M, …]``, and one number of the step for all."""

    members: Any
    index: Any


class PerMember(Explorer):
    """An explorer that applies one rule to each member."""

    @property
    @abstractmethod
    def rule(self) -> Rule:
        """The rule of one member."""

    def init(self, keys: Any, population: Params, problem: ProblemLike) -> State:
        """The state at the start; see :meth:`Explorer.init`."""
        rule = self.rule
        initial = jax.vmap(lambda key, params: rule.init(key, params, problem))(keys, population)
        return State(initial.params, PerMemberMemory(initial.memory, jnp.zeros((), jnp.int32)))

    def step(self, state: State, problem: ProblemLike) -> tuple[State, Info]:
        """One step of every member; see :meth:`Explorer.step`."""
        rule, (members, index) = self.rule, state.memory

        def one(params: Params, memory: Any) -> tuple[State, Info]:
            return rule.step(State(params, memory), problem, index)

        moved, info = jax.vmap(one)(state.params, members)
        return State(moved.params, PerMemberMemory(moved.memory, index + 1)), info


@dataclass(frozen=True)
class Lifted(PerMember):
    """What :func:`per_member` gives."""

    lifted: Rule
    name: str = "per member"
    batch_size: int | None = None

    @property
    def rule(self) -> Rule:
        """The rule of one member."""
        return self.lifted


def member_rule(explorer: Explorer) -> Rule:
    """The rule that an explorer applies to each member.

    Raises:
        InputError: If its members do not move each on its own.
    """
    if not isinstance(explorer, PerMember):
        raise InputError(
            f"explorer {explorer.name!r}: expected one whose members move each on its own, such as Adam; it mixes them."
        )
    return explorer.rule


def per_member(rule: Rule, *, name: str = "per member", batch_size: int | None = None) -> Explorer:
    """An explorer that applies a rule to each member, whatever the others do.

    Args:
        rule: ``init(key, params, problem) -> State`` and ``step(state, problem, index) -> (State, Info)`` of one
            member. Equal rules give equal explorers.
        name: How reports call it.
        batch_size: Examples per evaluation of the rule; ``None``: all.

    Example:
        A rule that halves the parameters:

        >>> import jax.numpy as jnp
        >>> from allroads import Network, explore
        >>> from allroads.pfmap.problem import Problem
        >>> class Halving:
        ...     def init(self, key, params, problem):
        ...         return State(params, ())
        ...     def step(self, state, problem, index):
        ...         return State(state.params / 2, ()), Info(problem.objective.mean(state.params, problem.data))
        >>> problem = Problem(Network(lambda key: jnp.ones(1), lambda w, x: x * w), "mse", [[1.0]], [[0.0]])
        >>> explore(problem, per_member(Halving()), 2, steps=3).ends()[:, 0].tolist()
        [0.125, 0.125]
    """
    return Lifted(rule, name, batch_size)
