"""Noise of random signs, which serves Langevin steps as well as normal noise and costs a thirtieth."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

WORD = 32
"""Signs that one random word gives."""


def signs(key: Any, like: Any) -> Any:
    """Independent ±1, equally likely, of the shape and type of a flat array ``like [d]``.

    A small step of a diffusion adds up many others before anything sees it, so only the first moments of its noise
    matter: with signs the step is of the same weak order as with normal numbers [kloeden1992], and on a quadratic
    loss the variance that it settles at is the same for every size of step.

    Example:
        >>> noise = signs(jax.random.key(0), jnp.zeros(10_000))
        >>> sorted(set(noise.tolist())), bool(abs(noise.mean()) < 0.04)
        ([-1.0, 1.0], True)
    """
    words = jax.random.bits(key, (-(-like.size // WORD),), jnp.uint32)
    bits = (words[:, None] >> jnp.arange(WORD, dtype=jnp.uint32)) & 1
    return 2 * bits.reshape(-1)[: like.size].astype(like.dtype) - 1
