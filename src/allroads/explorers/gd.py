"""Gradient descent on all examples."""

from __future__ import annotations

import optax

from allroads.explorers.explorer import Explorer
from allroads.explorers.gradient import check_rates, gradient_explorer


def gd(*, learning_rate: float = 0.1) -> Explorer:
    """Full-batch gradient descent, ``θ ← θ − η ∇L(θ)``: the discretised gradient flow.

    Args:
        learning_rate: η. It is stable where η < 2 / (top Hessian eigenvalue).

    Example:
        >>> gd(learning_rate=0.5).name
        'gd'
    """
    check_rates("gd", learning_rate=learning_rate)
    return gradient_explorer("gd", optax.sgd(learning_rate))
