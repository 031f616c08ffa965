"""What a sampler is: two pure functions over a flat position, under a posterior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax


class Posterior(NamedTuple):
    """The law ``exp(−energy − prior)`` of a flat position ``z [d]``, or of its parts, a pytree of arrays.

    A chain whose steps are many and cheap walks in parts: to join the gradients of all arrays at every step, and to
    part the position again, takes as long as a gradient on a small batch.

    Attributes:
        energy: ``(z)``: ``nβ (L(z) − L₀)`` over all examples.
        batch_energy: ``(parts, key)``: the same over a random batch that the key draws; its mean over keys is
            ``energy``.
        prior: ``(parts)``: what localises, ``γ/2 ‖w − w*‖²``.
        parted: The parts of a flat position.
        joined: Its inverse.
    """

    energy: Callable[[Any], Any]
    batch_energy: Callable[[Any, Any], Any]
    prior: Callable[[Any], Any]
    parted: Callable[[Any], Any] = lambda z: z
    joined: Callable[[Any], Any] = lambda parts: parts

    def log_density(self, z: Any) -> Any:
        """``−energy − prior`` at a flat position, unnormalised."""
        return -self.energy(z) - self.prior(self.parted(z))

    def batch_slope(self, parts: Any, key: Any) -> tuple[Any, Any]:
        """``batch_energy(parts, key)``, and the gradient of that and the prior together, in parts."""

        def both(parts: Any) -> tuple[Any, Any]:
            energy = self.batch_energy(parts, key)
            return energy + self.prior(parts), energy

        slope, energy = jax.grad(both, has_aux=True)(parts)
        return energy, slope


class Draw(NamedTuple):
    """What one draw reports.

    Attributes:
        energy: ``nβ (L − L₀)``: at the new position over all examples, or the mean of the batches seen on the way.
        quality: In 0 … 1: the Metropolis acceptance, or for ``mclmc`` a number that is ¾ at the intended energy error;
            NaN for a draw that says nothing of the step size.
    """

    energy: Any
    quality: Any


@dataclass(frozen=True)
class Sampler:
    """A way to sample.

    Args:
        name: How it is called.
        init: ``init(position, posterior, key) -> state``; the state has ``.position``.
        draw: ``draw(key, state, posterior, step_size, steps) -> (state, Draw)``: ``steps`` gradients, then a record.
        stochastic: Looks at batches; else at all examples.
        target: The quality that a step size is tuned to; ``None`` where no step is refused and ``step_size`` stays.
        step_size: The step to start from, in units of the widest stable one or of the width of the posterior.
    """

    name: str
    init: Callable[[Any, Posterior, Any], Any]
    draw: Callable[[Any, Any, Posterior, Any, Any], tuple[Any, Draw]]
    stochastic: bool
    target: float | None
    step_size: float
