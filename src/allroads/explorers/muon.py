"""Muon: momentum orthogonalised for every weight matrix."""

from __future__ import annotations

from dataclasses import dataclass

import optax
import optax.contrib

from allroads.errors import InputError
from allroads.explorers.gradient import GradientExplorer


@dataclass(frozen=True, kw_only=True)
class Muon(GradientExplorer):
    """Muon: each weight matrix moves by the orthogonal factor of its momentum; other leaves move by Adam.

    ``v ← μv + (1−μ)g`` with bias correction, ``U ← NewtonSchulz(v)`` (five steps of the quintic iteration by default),
    ``W ← W − η √max(1, columns/rows) U`` for ``W`` of shape ``[rows, columns]`` (inputs times outputs), as optax does
    it. The iteration is approximate: singular values come out between about 0.7 and 1.2.

    Args:
        learning_rate: η of the matrices.
        momentum: μ in [0, 1).
        nesterov: Look ahead along the momentum.
        newton_schulz_steps: Steps of the iteration.
        weight_decay: Decoupled decay of the matrices.
        adam_learning_rate: η of all other leaves.
        batch_size: Examples per step; ``None``: all.

    Raises:
        InputError: On an option out of range.

    References:
        [jordan2024]

    Example:
        >>> Muon().name
        'muon'
    """

    learning_rate: float = 0.02
    momentum: float = 0.95
    nesterov: bool = True
    newton_schulz_steps: int = 5
    weight_decay: float = 0.0
    adam_learning_rate: float = 1e-3
    batch_size: int | None = None

    def __post_init__(self) -> None:
        self.check_rates(learning_rate=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay)
        self.check_rates(adam_learning_rate=self.adam_learning_rate)
        self.check_counts(newton_schulz_steps=self.newton_schulz_steps, batch_size=self.batch_size)
        if self.momentum >= 1:
            raise InputError(f"explorer 'muon': momentum must lie in [0, 1); got {self.momentum!r}.")

    def optimizer(self) -> optax.GradientTransformation:
        """The optax transformation of gradients into steps."""
        rule: optax.GradientTransformation = optax.contrib.muon(
            self.learning_rate,
            beta=self.momentum,
            nesterov=self.nesterov,
            ns_steps=self.newton_schulz_steps,
            weight_decay=self.weight_decay,
            adam_learning_rate=self.adam_learning_rate,
        )
        return rule
