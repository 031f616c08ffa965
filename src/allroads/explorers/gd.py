"""Gradient descent on all examples."""

from __future__ import annotations

from dataclasses import dataclass

import optax

from allroads.explorers.gradient import GradientExplorer


@dataclass(frozen=True, kw_only=True)
class GD(GradientExplorer):
    """Full-batch gradient descent, ``θ ← θ − η ∇L(θ)``: the discretised gradient flow.

    Args:
        learning_rate: η. It is stable where η < 2 / (top Hessian eigenvalue).

    Raises:
        InputError: On a rate out of range.

    Example:
        >>> GD(learning_rate=0.5) == GD(learning_rate=0.5), GD().name
        (True, 'gd')
    """

    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        self.check_rates(learning_rate=self.learning_rate)

    def optimizer(self) -> optax.GradientTransformation:
        """The optax transformation of gradients into steps."""
        return optax.sgd(self.learning_rate)
