"""Noise of random signs, which serves Langevin steps as well as normal noise and costs a thirtieth."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

WORD = 32
"""Signs that one random word gives."""


def random_signs(key: Any, like: Any) -> Any:
    """Independent ±1, equally likely, of the shapes and types of the arrays of a pytree ``like``.

    A small step of a diffusion adds up many others before anything sees it, so only the first moments of its noise
    matter: with signs the step is of the same weak order as with normal numbers [kloeden1992], and on a quadratic
    loss the variance that it settles at is the same for every size of step.

    Example:
        >>> noise = random_signs(jax.random.key(0), jnp.zeros(10_000))
        >>> sorted(set(noise.tolist())), bool(abs(noise.mean()) < 0.04)
        ([-1.0, 1.0], True)
    """
    leaves, structure = jax.tree.flatten(like)
    keys = [key] if len(leaves) == 1 else jax.random.split(key, len(leaves))
    return jax.tree.unflatten(structure, [_signs(k, leaf) for k, leaf in zip(keys, leaves, strict=True)])


def _signs(key: Any, like: Any) -> Any:
    """Every row of a matrix takes words of its own: cutting words anew at the end of each row costs more."""
    shape = like.shape if like.ndim > 1 and like.shape[-1] >= WORD else (like.size,)
    columns = shape[-1]
    words = jax.random.bits(key, (*shape[:-1], -(-columns // WORD)), jnp.uint32)
    place = jnp.arange(columns, dtype=jnp.uint32) % WORD
    bits = (jnp.repeat(words, WORD, axis=-1)[..., :columns] >> place) & 1
    return (2 * bits.astype(like.dtype) - 1).reshape(like.shape)
