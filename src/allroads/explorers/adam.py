"""Adam, and AdamW with its decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass

import optax

from allroads.errors import InputError
from allroads.explorers.gradient import GradientExplorer


@dataclass(frozen=True, kw_only=True)
class Adam(GradientExplorer):
    """Adam: ``θ ← θ − η m̂ / (√v̂ + ε)`` with bias-corrected moments; defaults are those of the paper.

    Args:
        learning_rate: η.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        epsilon: ε, outside the root.
        weight_decay: Added to the gradient (coupled); :class:`AdamW` decouples it.
        batch_size: Examples per step; ``None``: all.

    Raises:
        InputError: On an option out of range.

    References:
        [kingma2015]

    Example:
        >>> Adam().name
        'adam'
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    batch_size: int | None = None

    def __post_init__(self) -> None:
        self.check_rates(learning_rate=self.learning_rate, beta1=self.beta1, beta2=self.beta2)
        self.check_rates(epsilon=self.epsilon, weight_decay=self.weight_decay)
        self.check_counts(batch_size=self.batch_size)
        if self.beta1 >= 1 or self.beta2 >= 1:
            raise InputError(
                f"explorer {self.name!r}: beta1 and beta2 must lie in [0, 1); got {self.beta1!r} and {self.beta2!r}."
            )

    def optimizer(self) -> optax.GradientTransformation:
        """The optax transformation of gradients into steps."""
        decay = [optax.add_decayed_weights(self.weight_decay)] if self.weight_decay else []
        return optax.chain(*decay, optax.adam(self.learning_rate, self.beta1, self.beta2, self.epsilon))


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """AdamW: Adam with the decay apart from the moments, ``θ ← θ − η (m̂ / (√v̂ + ε) + λθ)``.

    Args:
        learning_rate: η.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        epsilon: ε, outside the root.
        weight_decay: λ; the default is PyTorch's.
        batch_size: Examples per step; ``None``: all.

    Raises:
        InputError: On an option out of range.

    References:
        [loshchilov2019]

    Example:
        >>> AdamW(weight_decay=1.0).name
        'adamw'
    """

    weight_decay: float = 0.01

    def optimizer(self) -> optax.GradientTransformation:
        """The optax transformation of gradients into steps."""
        rates = self.learning_rate, self.beta1, self.beta2, self.epsilon
        return optax.adamw(*rates, weight_decay=self.weight_decay)
