"""Samplers as explorers of a network's parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from allroads.errors import InputError
from allroads.explorers.explorer import Info, ProblemLike, State, example_count
from allroads.explorers.per_member import PerMember
from allroads.explorers.samplers.protocol import Posterior, Sampler
from allroads.pfmap.network import Params


@dataclass(frozen=True)
class SamplerExplorer(PerMember):
    """An explorer that samples ``exp(−nβ L(w) − γ/2 ‖w − w₀‖²)`` around the point w₀ that it starts from.

    Args:
        sampler: One of ``SAMPLERS``.
        nbeta: nβ: what the mean loss is multiplied by; ``n / log n`` for n examples is usual. No default: it decides
            what is sampled.
        localisation: γ. Default 1.
        step_size: As the sampler counts it, in the units of the parameters. Default: the sampler's own, which is meant
            for a posterior of width 1.
        steps: Gradients per step of the explorer. Default 1; an HMC trajectory has that many.
        batch_size: Examples that a gradient looks at; only for samplers that look at batches. Default: all.

    Raises:
        InputError: If a number is negative or not finite, or a batch is asked of a sampler that needs all examples.

    Example:
        A loss of ``w²/2`` at nβ = 100 has posterior variance 1/(100 + γ):

        >>> import numpy as np
        >>> from allroads import Network, explore
        >>> from allroads.pfmap.problem import Problem
        >>> from allroads.explorers.samplers import HMC
        >>> network = Network(lambda key: jnp.zeros(1), lambda w, x: w * jnp.ones_like(x))
        >>> problem = Problem(network, lambda f, y: f[:, 0]**2 / 2, np.ones((4, 1)), np.zeros((4, 1)))
        >>> hmc = SamplerExplorer(HMC, nbeta=100.0, localisation=0.0, step_size=0.05, steps=8)
        >>> run = explore(problem, hmc, 256, steps=40)
        >>> bool(abs(run.ends().var() * 100 - 1) < 0.3)
        True
    """

    sampler: Sampler
    nbeta: float | None = None
    localisation: float = 1.0
    step_size: float | None = None
    steps: int = 1
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.nbeta is None:
            raise InputError(f"explorer {self.name!r}: nbeta is missing; n / log n for n examples is usual.")
        if self.step_size is None:
            object.__setattr__(self, "step_size", self.sampler.step_size)
        self.check_rates(nbeta=self.nbeta, localisation=self.localisation, step_size=self.step_size)
        self.check_counts(steps=self.steps, batch_size=self.batch_size)
        if self.batch_size is not None and not self.sampler.stochastic:
            raise InputError(
                f"explorer {self.name!r} needs the loss of all examples: leave batch_size out, or take 'sgld'."
            )

    @property
    def name(self) -> str:
        """That of the sampler."""
        return self.sampler.name

    @property
    def rule(self) -> _SamplerRule:
        """The rule of one member."""
        return _SamplerRule(self)


class _SamplerMemory(NamedTuple):
    """Where the chain began, flat; its own state; the random key."""

    start: Any
    chain: Any
    key: Any


@dataclass(frozen=True)
class _SamplerRule:
    """One chain of a sampler."""

    options: SamplerExplorer

    def init(self, key: Any, params: Params, problem: ProblemLike) -> State:
        start, _ = ravel_pytree(params)
        law = self._posterior(problem, start, params)
        _, init_key, _ = jax.random.split(key, 3)  # the third part draws the first step
        return State(params, _SamplerMemory(start, self.options.sampler.init(start, law, init_key), key))

    def step(self, state: State, problem: ProblemLike, index: Any) -> tuple[State, Info]:
        options, (start, chain, key) = self.options, state.memory
        key, _, draw_key = jax.random.split(key, 3)
        law = self._posterior(problem, start, state.params)
        chain, draw = options.sampler.draw(draw_key, chain, law, options.step_size, options.steps)
        size = options.batch_size or example_count(problem)
        info = Info(draw.energy / options.nbeta, gradients=options.steps, examples=size)
        return State(law.parted(chain.position), _SamplerMemory(start, chain, key)), info

    def _posterior(self, problem: ProblemLike, start: Any, params: Params) -> Posterior:
        nbeta, localisation, batch_size = self.options.nbeta, self.options.localisation, self.options.batch_size
        _, unravel = ravel_pytree(params)

        def energy(z: Any) -> Any:
            return nbeta * problem.objective.mean(unravel(z), problem.data)

        def batch_energy(params: Params, key: Any) -> Any:
            if batch_size is None:
                return nbeta * problem.objective.mean(params, problem.data)
            chosen = jax.random.randint(key, (batch_size,), 0, example_count(problem))
            return nbeta * problem.objective.mean(params, problem.data.batch(chosen))

        def prior(params: Params) -> Any:
            squares = jax.tree.map(lambda w, at: jnp.sum((w - at) ** 2), params, unravel(start))
            return localisation / 2 * sum(jax.tree.leaves(squares))

        return Posterior(energy, batch_energy, prior, unravel, lambda params: ravel_pytree(params)[0])
