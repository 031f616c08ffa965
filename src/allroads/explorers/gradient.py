"""Explorers that follow gradients: an optax transformation on the loss of a batch."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import optax

from allroads.explorers.batches import first_order, next_batch
from allroads.explorers.explorer import Info, ProblemLike, State, example_count
from allroads.explorers.per_member import PerMember
from allroads.pfmap.network import Params


class GradientMemory(NamedTuple):
    """What a gradient rule remembers: the optimiser's state, the random key, the order of the present epoch."""

    optimizer: Any
    key: Any
    order: Any


@dataclass(frozen=True)
class GradientRule:
    """One member moves by ``θ ← θ + transformation(∇L_B(θ))``.

    Args:
        transformation: Any optax transformation that ends in a descent direction. One that takes extra arguments is
            given ``index``, the number of the step from 0, the same for all members.
        batch_size: Size of the batch B; ``None``: all examples.
    """

    transformation: optax.GradientTransformation
    batch_size: int | None = None

    def init(self, key: Any, params: Params, problem: ProblemLike) -> State:
        """The state of one member at its start."""
        order = first_order(example_count(problem), self.batch_size)
        return State(params, GradientMemory(self.transformation.init(params), key, order))

    def step(self, state: State, problem: ProblemLike, index: Any) -> tuple[State, Info]:
        """One step of one member."""
        optimizer, key, order = state.memory
        data, size = problem.data, example_count(problem)
        if self.batch_size is not None:
            key, order, chosen = next_batch(key, order, index, self.batch_size)
            data, size = data.batch(chosen), self.batch_size
        loss, gradient = jax.value_and_grad(problem.objective.mean)(state.params, data)
        transformation = optax.with_extra_args_support(self.transformation)
        updates, optimizer = transformation.update(gradient, optimizer, state.params, index=index)
        params = optax.apply_updates(state.params, updates)
        return State(params, GradientMemory(optimizer, key, order)), Info(loss, gradients=1, examples=size)


class GradientExplorer(PerMember):
    """An explorer whose members follow gradients; a subclass says by which optimiser."""

    @abstractmethod
    def optimizer(self) -> optax.GradientTransformation:
        """The optax transformation of gradients into steps."""

    @property
    def rule(self) -> GradientRule:
        """The rule of one member."""
        return GradientRule(self.optimizer(), self.batch_size)


@dataclass(frozen=True)
class Optax(GradientExplorer):
    """Any optax transformation as an explorer.

    Args:
        transformation: It ends in a descent direction, as those of ``optax`` with a learning rate do. Explorers are
            equal where their transformations are the same object.
        batch_size: Examples per step; ``None``: all.
        name: How reports call it.

    Raises:
        InputError: If the batch size is not a positive whole number.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from allroads import Network
        >>> from allroads.pfmap.problem import Problem
        >>> problem = Problem(Network(lambda key: jnp.zeros(1), lambda w, x: x * w), "mse", [[1.0]], [[0.0]])
        >>> halving = Optax(optax.sgd(0.25))
        >>> state = halving.init(jax.random.split(jax.random.key(0), 2), jnp.array([[8.0], [4.0]]), problem)
        >>> state, info = halving.step(state, problem)
        >>> state.params[:, 0].tolist(), info.loss.tolist()  # w − ¼·2w
        ([4.0, 2.0], [64.0, 16.0])
    """

    transformation: optax.GradientTransformation
    batch_size: int | None = None
    name: str = "optax"

    def __post_init__(self) -> None:
        self.check_counts(batch_size=self.batch_size)

    def optimizer(self) -> optax.GradientTransformation:
        """The transformation."""
        return self.transformation
