"""What a sampler is: frozen options and two pure functions over a flat position, under a posterior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import jax

from allroads.checks import check_count, check_positive


class Posterior(NamedTuple):
    """The density ``exp(−energy − prior)`` of a flat position ``z [d]``, or of its parts, a pytree of arrays.

    A chain of many cheap steps moves in parts. To join the gradients of all arrays at every step, and to split the
    position again, takes as long as a gradient on a small batch.

    Attributes:
        energy: ``(z)``: ``nβ (L(z) − L₀)`` over all examples.
        batch_energy: ``(parts, key)``: the same over a random batch that the key draws; its mean over keys is
            ``energy``.
        prior: ``(parts)``: the localisation, ``γ/2 ‖w − w*‖²``.
        split: The parts of a flat position.
        join: Its inverse.
    """

    energy: Callable[[Any], Any]
    batch_energy: Callable[[Any, Any], Any]
    prior: Callable[[Any], Any]
    split: Callable[[Any], Any] = lambda z: z
    join: Callable[[Any], Any] = lambda parts: parts

    def log_density(self, z: Any) -> Any:
        """``−energy − prior`` at a flat position, unnormalised."""
        return -self.energy(z) - self.prior(self.split(z))

    def batch_gradient(self, parts: Any, key: Any) -> tuple[Any, Any]:
        """``batch_energy(parts, key)``, and the gradient of that and the prior together, in parts."""

        def both(parts: Any) -> tuple[Any, Any]:
            energy = self.batch_energy(parts, key)
            return energy + self.prior(parts), energy

        gradient, energy = jax.grad(both, has_aux=True)(parts)
        return energy, gradient


class Draw(NamedTuple):
    """What one draw reports.

    Attributes:
        energy: ``nβ (L − L₀)``: at the new position over all examples, or the mean of the batches seen on the way.
        acceptance: In 0 … 1: the Metropolis acceptance; for ``mclmc`` a number that is ¾ at the intended energy error;
            NaN for a draw that says nothing of the step size.
    """

    energy: Any
    acceptance: Any


@dataclass(frozen=True)
class Sampler(ABC):
    """A Markov chain with a given stationary density. Samplers of equal options are equal and hashable.

    Args:
        step_size: Its step. :func:`allroads.sample` and :func:`allroads.llc` count it in coordinates in which the
            stiffest direction of the posterior has width 1; an explorer counts it in the units of the parameters.
            Default: tuned to ``target_acceptance``; where that is ``None``, ``default_step_size``.

    Raises:
        InputError: If the step is not a finite number above 0.

    Attributes:
        name: What strings and reports call it.
        target_acceptance: The acceptance that a step is tuned to; ``None`` where no step is refused.
        default_step_size: The step to start from, or to keep where none is tuned.
        step_scaling: Power p of ``d^{−p}`` by which the stable step falls with the dimension.
        trajectories: Whether the number of steps per draw follows from the size of a step, as along a trajectory.
        gradients_per_step: Gradients that one of the steps of a draw evaluates.
        remembers: Whether a step depends on earlier gradients, so that the posterior may only change little by little.
    """

    step_size: float | None = None

    name: ClassVar[str]
    target_acceptance: ClassVar[float | None] = None
    default_step_size: ClassVar[float]
    step_scaling: ClassVar[float] = 0.0
    trajectories: ClassVar[bool] = False
    gradients_per_step: ClassVar[int] = 1
    remembers: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive(step_size=self.step_size)

    @property
    def stochastic(self) -> bool:
        """Whether a gradient looks at a batch; else it looks at all examples."""
        return isinstance(self, StochasticSampler)

    @abstractmethod
    def init(self, position: Any, posterior: Posterior, key: Any) -> Any:
        """The state at a flat position; it has ``.position``."""

    @abstractmethod
    def draw(self, key: Any, state: Any, posterior: Posterior, step_size: Any, steps: Any) -> tuple[Any, Draw]:
        """The state after ``steps`` steps, and its record."""

    def gradient(self, state: Any) -> Any:
        """The flat gradient of ``energy + prior`` at a state's position; ``None`` where the state does not hold it."""
        del state

    def bias(self, step_size: float) -> float:
        """Predicted relative bias of the energy; the step is in units of the stiffest direction's width."""
        del step_size
        return 0.0

    def without_options(self) -> Self:
        """The sampler with its default options: what compiled code is kept for, as the step is an argument of it."""
        return replace(self, step_size=None)


@dataclass(frozen=True)
class StochasticSampler(Sampler):
    """A sampler whose gradients look at random batches.

    Args:
        step_size: As for :class:`Sampler`.
        batch_size: Examples per gradient, drawn with replacement. Default: all, or in :func:`allroads.llc` up to 512.

    Raises:
        InputError: If an option is not a positive number.
    """

    batch_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("batch_size", self.batch_size, absent=True)

    def without_options(self) -> Self:
        """As :meth:`Sampler.without_options`."""
        return replace(self, step_size=None, batch_size=None)
