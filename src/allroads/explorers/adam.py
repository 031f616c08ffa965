"""Adam, and AdamW with its decoupled weight decay."""

from __future__ import annotations

import optax

from allroads.errors import InputError
from allroads.explorers.explorer import Explorer
from allroads.explorers.gradient import check_rates, gradient_explorer


def _check(name: str, learning_rate: float, beta1: float, beta2: float, epsilon: float, weight_decay: float) -> None:
    check_rates(name, learning_rate=learning_rate, epsilon=epsilon, weight_decay=weight_decay)
    if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
        raise InputError(f"explorer {name!r}: beta1 and beta2 must lie in [0, 1); got {beta1!r} and {beta2!r}.")


def adam(
    *,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    batch_size: int | None = None,
) -> Explorer:
    """Adam: ``θ ← θ − η m̂ / (√v̂ + ε)`` with bias-corrected moments; defaults are those of the paper.

    Args:
        learning_rate: η.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        epsilon: ε, outside the root.
        weight_decay: Added to the gradient (coupled); :func:`adamw` decouples it.
        batch_size: Examples a step; ``None``: all.

    Raises:
        InputError: On a rate out of range.

    References:
        [kingma2015]

    Example:
        >>> adam().name
        'adam'
    """
    _check("adam", learning_rate, beta1, beta2, epsilon, weight_decay)
    decay = [optax.add_decayed_weights(weight_decay)] if weight_decay else []
    return gradient_explorer("adam", optax.chain(*decay, optax.adam(learning_rate, beta1, beta2, epsilon)), batch_size)


def adamw(
    *,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.01,
    batch_size: int | None = None,
) -> Explorer:
    """AdamW: Adam with the decay apart from the moments, ``θ ← θ − η (m̂ / (√v̂ + ε) + λθ)``.

    Args:
        learning_rate: η.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        epsilon: ε, outside the root.
        weight_decay: λ; the default is PyTorch's.
        batch_size: Examples a step; ``None``: all.

    Raises:
        InputError: On a rate out of range.

    References:
        [loshchilov2019]

    Example:
        >>> adamw(weight_decay=1.0).name
        'adamw'
    """
    _check("adamw", learning_rate, beta1, beta2, epsilon, weight_decay)
    rule = optax.adamw(learning_rate, beta1, beta2, epsilon, weight_decay=weight_decay)
    return gradient_explorer("adamw", rule, batch_size)
