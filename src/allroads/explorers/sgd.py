"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from dataclasses import dataclass

import optax

from allroads.errors import InputError
from allroads.explorers.gradient import GradientExplorer


@dataclass(frozen=True, kw_only=True)
class SGD(GradientExplorer):
    """SGD by PyTorch's rule: ``g ← ∇L_B + λθ``, ``v ← μv + g``, ``θ ← θ − η v`` (Nesterov: ``θ ← θ − η(g + μv)``).

    Args:
        learning_rate: η.
        momentum: μ in [0, 1).
        nesterov: Look ahead along the momentum; needs ``momentum > 0``.
        weight_decay: λ, added to the gradient (coupled).
        batch_size: Examples per step, drawn by each member without replacement within an epoch; ``None``: all.

    Raises:
        InputError: On an option out of range.

    References:
        [sutskever2013]

    Example:
        >>> SGD(momentum=0.9, nesterov=True).name
        'sgd'
    """

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    batch_size: int | None = None

    def __post_init__(self) -> None:
        self.check_rates(learning_rate=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay)
        self.check_counts(batch_size=self.batch_size)
        if self.momentum >= 1 or (self.nesterov and self.momentum == 0):
            raise InputError(
                f"explorer 'sgd': momentum must lie in [0, 1), above 0 with nesterov; got {self.momentum!r}."
            )

    def optimizer(self) -> optax.GradientTransformation:
        """The optax transformation of gradients into steps."""
        parts = [optax.add_decayed_weights(self.weight_decay)] if self.weight_decay else []
        parts += [optax.trace(self.momentum, nesterov=self.nesterov)] if self.momentum else []
        return optax.chain(*parts, optax.scale(-self.learning_rate))
