"""Samplers as explorers of a network's parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from allroads.errors import InputError
from allroads.explorers.explorer import Explorer, Info, ProblemLike, State, example_count
from allroads.explorers.per_member import PerMember
from allroads.explorers.samplers.protocol import Posterior, Sampler, StochasticSampler
from allroads.pfmap.network import Params


@dataclass(frozen=True)
class SamplerExplorer(PerMember):
    """An explorer that samples ``exp(−nβ L(w) − γ/2 ‖w − w₀‖²)`` around the point w₀ that it starts from.

    Args:
        sampler: Its step size is in the units of the parameters. Default of that: the sampler's own, which is meant for
            a posterior of width 1.
        nbeta: nβ: the factor of the mean loss; ``n / ln n`` for n examples is usual. No default: it decides what is
            sampled.
        localisation: γ. Default 1.
        steps: Steps of the sampler per step of the explorer, with one gradient each, of ``MCLMC`` two. Default 1; an
            HMC trajectory has that many.

    Raises:
        InputError: If nβ is missing, or a number is negative or not finite.

    Example:
        A loss of ``w²/2`` at nβ = 100 has posterior variance 1/(100 + γ):

        >>> import numpy as np
        >>> from allroads import Network, explore
        >>> from allroads.pfmap.problem import Problem
        >>> from allroads.explorers.samplers import HMC
        >>> network = Network(lambda key: jnp.zeros(1), lambda w, x: w * jnp.ones_like(x))
        >>> problem = Problem(network, lambda f, y: f[:, 0]**2 / 2, np.ones((4, 1)), np.zeros((4, 1)))
        >>> hmc = SamplerExplorer(HMC(step_size=0.05), nbeta=100.0, localisation=0.0, steps=8)
        >>> run = explore(problem, hmc, 256, steps=40)
        >>> bool(abs(run.ends().var() * 100 - 1) < 0.3)
        True
    """

    sampler: Sampler
    nbeta: float | None = None
    localisation: float = 1.0
    steps: int = 1

    def __post_init__(self) -> None:
        if self.nbeta is None:
            raise InputError(f"explorer {self.name!r}: nbeta is missing; n / ln n for n examples is usual.")
        self.check_rates(nbeta=self.nbeta, localisation=self.localisation)
        self.check_counts(steps=self.steps)

    @property
    def step_size(self) -> float:
        """That of the sampler."""
        return self.sampler.default_step_size if self.sampler.step_size is None else self.sampler.step_size

    @property
    def batch_size(self) -> int | None:  # type: ignore[override]  # the sampler's, no option of its own
        """That of the sampler; ``None`` for all examples."""
        return self.sampler.batch_size if isinstance(self.sampler, StochasticSampler) else None

    @property
    def name(self) -> str:
        """That of the sampler."""
        return self.sampler.name

    @property
    def rule(self) -> _SamplerRule:
        """The rule of one member."""
        return _SamplerRule(self)


def explorer_builder(kind: type[Sampler]) -> Callable[..., Explorer]:
    """What builds the explorer of one sampler from plain options, as configuration files give them.

    Example:
        >>> from allroads.explorers.samplers import SGLD
        >>> explorer_builder(SGLD)(nbeta=10.0, batch_size=4).batch_size
        4
    """

    def build(
        *,
        nbeta: float | None = None,
        localisation: float = 1.0,
        step_size: float | None = None,
        steps: int = 1,
        batch_size: int | None = None,
    ) -> Explorer:
        return SamplerExplorer(
            build_sampler(kind, step_size=step_size, batch_size=batch_size),
            nbeta=nbeta,
            localisation=localisation,
            steps=steps,
        )

    build.__name__, build.__doc__ = kind.name, kind.__doc__
    return build


def build_sampler(kind: type[Sampler], *, step_size: float | None = None, batch_size: int | None = None) -> Sampler:
    """A sampler from plain options.

    Raises:
        InputError: If a batch is asked of a sampler that needs all examples, or a number is not positive.

    Example:
        >>> from allroads.explorers.samplers import HMC
        >>> build_sampler(HMC, step_size=0.1)
        HMC(step_size=0.1)
    """
    if issubclass(kind, StochasticSampler):
        return kind(step_size=step_size, batch_size=batch_size)
    if batch_size is not None:
        raise InputError(
            f"batch_size: sampler {kind.name!r} needs the loss of all examples. Leave it out, or take 'sgld'."
        )
    return kind(step_size=step_size)


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
        gradients = options.steps * options.sampler.gradients_per_step
        info = Info(draw.energy / options.nbeta, gradients=gradients, examples=size)
        return State(law.split(chain.position), _SamplerMemory(start, chain, key)), info

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
