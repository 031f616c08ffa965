"""Stochastic gradient descent with momentum."""

from __future__ import annotations

import optax

from allroads.errors import InputError
from allroads.explorers.explorer import Explorer
from allroads.explorers.gradient import check_rates, gradient_explorer


def sgd(
    *,
    learning_rate: float = 0.1,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    batch_size: int | None = None,
) -> Explorer:
    """SGD by PyTorch's rule: ``g ← ∇L_B + λθ``, ``v ← μv + g``, ``θ ← θ − η v`` (Nesterov: ``θ ← θ − η(g + μv)``).

    Args:
        learning_rate: η.
        momentum: μ in [0, 1).
        nesterov: Look ahead along the momentum; needs ``momentum > 0``.
        weight_decay: λ, added to the gradient (coupled).
        batch_size: Examples a step, drawn by each member without replacement within an epoch; ``None``: all.

    Raises:
        InputError: On a rate out of range.

    References:
        [sutskever2013]

    Example:
        >>> sgd(momentum=0.9, nesterov=True).name
        'sgd'
    """
    check_rates("sgd", learning_rate=learning_rate, momentum=momentum, weight_decay=weight_decay)
    if momentum >= 1 or (nesterov and momentum == 0):
        raise InputError(f"explorer 'sgd': momentum must lie in [0, 1), above 0 with nesterov; got {momentum!r}.")
    parts = [optax.add_decayed_weights(weight_decay)] if weight_decay else []
    parts += [optax.trace(momentum, nesterov=nesterov)] if momentum else []
    return gradient_explorer("sgd", optax.chain(*parts, optax.scale(-learning_rate)), batch_size)
