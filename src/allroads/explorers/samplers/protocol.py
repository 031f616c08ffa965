"""What a sampler is: two pure functions over a flat position, under a posterior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax


class Posterior(NamedTuple):
    """The law ``exp(−energy(z) − prior(z))`` of a flat position ``z [d]``.

    Attributes:
        energy: ``nβ (L(z) − L₀)`` over all examples.
        batch_energy: ``(z, key)``: the same over a random batch that the key draws; its mean over keys is ``energy``.
        prior: What localises, ``γ/2 ‖w − w*‖²``.
    """

    energy: Callable[[Any], Any]
    batch_energy: Callable[[Any, Any], Any]
    prior: Callable[[Any], Any]

    def log_density(self, z: Any) -> Any:
        """``−energy − prior``, unnormalised."""
        return -self.energy(z) - self.prior(z)

    def batch_slope(self, z: Any, key: Any) -> tuple[Any, Any]:
        """``batch_energy(z, key)``, and the gradient of that and the prior together."""

        def both(z: Any) -> tuple[Any, Any]:
            energy = self.batch_energy(z, key)
            return energy + self.prior(z), energy

        slope, energy = jax.grad(both, has_aux=True)(z)
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
