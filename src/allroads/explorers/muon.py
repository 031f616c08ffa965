"""Muon: momentum orthogonalised for every weight matrix."""

from __future__ import annotations

import optax.contrib

from allroads.explorers.explorer import Explorer
from allroads.explorers.gradient import check_rates, gradient_explorer


def muon(
    *,
    learning_rate: float = 0.02,
    momentum: float = 0.95,
    nesterov: bool = True,
    newton_schulz_steps: int = 5,
    weight_decay: float = 0.0,
    adam_learning_rate: float = 1e-3,
    batch_size: int | None = None,
) -> Explorer:
    """Muon: each weight matrix moves by the orthogonal factor of its momentum; other leaves move by Adam.

    ``v ← μv + (1−μ)g`` with bias correction, ``U ← NewtonSchulz(v)`` (five steps of the quintic iteration by default),
    ``W ← W − η √max(1, columns/rows) U`` for ``W`` of shape ``[rows, columns]`` (inputs times outputs), as optax does
    it. The iteration is approximate: singular values come out between about 0.7 and 1.2.

    Args:
        learning_rate: η of the matrices.
        momentum: μ.
        nesterov: Look ahead along the momentum.
        newton_schulz_steps: Steps of the iteration.
        weight_decay: Decoupled decay of the matrices.
        adam_learning_rate: η of all other leaves.
        batch_size: Examples a step; ``None``: all.

    Raises:
        InputError: On a rate out of range.

    References:
        [jordan2024]

    Example:
        >>> muon().name
        'muon'
    """
    check_rates("muon", learning_rate=learning_rate, momentum=momentum, weight_decay=weight_decay)
    check_rates("muon", adam_learning_rate=adam_learning_rate)
    rule = optax.contrib.muon(
        learning_rate,
        beta=momentum,
        nesterov=nesterov,
        ns_steps=newton_schulz_steps,
        weight_decay=weight_decay,
        adam_learning_rate=adam_learning_rate,
    )
    return gradient_explorer("muon", rule, batch_size)
