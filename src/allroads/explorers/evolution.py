"""Evolution: selection by the loss, which mixes members, and Gaussian mutation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import Explorer, Info, ProblemLike, State, example_count
from allroads.explorers.late import blackjax
from allroads.pfmap.network import Params


@dataclass(frozen=True, kw_only=True)
class Evolution(Explorer):
    """Members are resampled in proportion to ``exp(−β L(θ))``, then each is moved by Gaussian noise of variance σ².

    This is the interacting particle system of a Feynman–Kac model: no gradient is taken. In a large population at a
    quadratic loss ``h w²/2``, the variance of ``w`` goes by ``v ← 1/(1/v + βh) + σ²`` per step. Resampling is
    systematic: a member of share p of the weights has ``⌊Mp⌋`` or ``⌈Mp⌉`` offspring. A member whose loss is not finite
    has none. Mutations are drawn by each member's own key, the resampling by that of the first.

    Args:
        selection: β, in the inverse unit of the loss.
        mutation: σ, in the unit of the parameters.

    Raises:
        InputError: On an option out of range.

    When it fails: in many dimensions nearly all mutations are for the worse; β then must be large and σ small.

    References:
        [delmoral2004, kitagawa1996]

    Example:
        Of two losses the population keeps the smaller:

        >>> from allroads import Network, explore
        >>> from allroads.pfmap.problem import Problem
        >>> problem = Problem(Network(lambda key: jnp.zeros(1), lambda w, x: x * w), "mse", [[1.0]], [[0.0]])
        >>> start = jnp.array([[3.0], [0.5], [3.0], [3.0]])
        >>> run = explore(problem, Evolution(selection=10.0, mutation=0.0), 4, steps=1, start=start)
        >>> run.ends()[:, 0].tolist()
        [0.5, 0.5, 0.5, 0.5]
    """

    selection: float = 1.0
    mutation: float = 0.01

    mixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check_rates(selection=self.selection, mutation=self.mutation)

    def init(self, keys: Any, population: Params, problem: ProblemLike) -> State:
        """The state at the start; see :meth:`Explorer.init`."""
        return State(population, keys)

    def step(self, state: State, problem: ProblemLike) -> tuple[State, Info]:
        """Selection and mutation; see :meth:`Explorer.step`."""
        split = jax.vmap(lambda key: jax.random.split(key, 3))(state.memory)
        losses = jax.vmap(lambda params: problem.objective.mean(params, problem.data))(state.params)
        scores = jnp.where(jnp.isfinite(losses), -self.selection * losses, -jnp.inf)
        scores = jnp.where(jnp.isfinite(scores).any(), scores, 0.0)  # where no member is finite, all stay
        systematic = blackjax("smc.resampling").systematic
        parents = systematic(split[0, 1], jax.nn.softmax(scores), len(losses))
        chosen = jax.tree.map(lambda leaf: leaf[parents], state.params)
        moved = jax.vmap(self._mutated)(split[:, 2], chosen)
        return State(moved, split[:, 0]), Info(losses, forwards=1, examples=example_count(problem))

    def _mutated(self, key: Any, params: Params) -> Params:
        leaves, structure = jax.tree.flatten(params)
        keys = jax.random.split(key, len(leaves))
        noise = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
        return jax.tree.unflatten(structure, [w + self.mutation * e for w, e in zip(leaves, noise, strict=True)])
