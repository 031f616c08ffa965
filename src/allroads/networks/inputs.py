"""How networks read what they are given, and what they refuse to read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError

LOOKUP = 16
"""Vocabulary above which a table is looked up; below it a product with one-hot tokens is quicker.

Forward and backward on one CPU thread, 16 members under vmap, ms above a layer without tokens: 10 streams of
10 symbols, 640 examples: lookup 6.3, product 3.2; 2 streams of 53 and 1,400 examples: 25 and 69; of 113: 25
and 88.
"""


@dataclass(frozen=True)
class Reader:
    """Turns numbers or tokens into features.

    Args:
        shape: The shape of what is read at a time, such as an image or one position of a sequence.
        vocabulary: Tokens run over ``0 … vocabulary−1`` and are read one-hot, side by side;
            ``None`` for real numbers, read flattened.

    Example:
        >>> Reader((2,), vocabulary=3).project(jnp.array([[0, 2]]), jnp.eye(6))
        Array([[1., 0., 0., 0., 0., 1.]], dtype=float32)
    """

    shape: tuple[int, ...]
    vocabulary: int | None = None

    @property
    def streams(self) -> int:
        """How many numbers or tokens are read at a time."""
        return math.prod(self.shape)

    @property
    def features(self) -> int:
        """How many features they make."""
        return self.streams * (self.vocabulary or 1)

    def project(self, inputs: Any, weight: Any) -> Any:
        """The features of ``inputs [..., *shape]`` times ``weight [features, width]``: ``[..., width]``."""
        if self.vocabulary is None or self.vocabulary <= LOOKUP:
            return self._read(inputs, weight.dtype) @ weight
        tokens = self._flat(inputs)
        tables = weight.reshape(self.streams, self.vocabulary, -1)
        return sum(tables[stream][tokens[..., stream]] for stream in range(self.streams))

    def project_columns(self, inputs: Any, weight: Any) -> Any:
        """The same of a batch ``[N, *shape]`` with one example a column: ``[width, N]``."""
        if self.vocabulary is None or self.vocabulary <= LOOKUP:
            return weight.T @ self._read(inputs, weight.dtype).T
        return self.project(inputs, weight).T

    def _flat(self, inputs: Any) -> Any:
        return inputs.reshape(*inputs.shape[: inputs.ndim - len(self.shape)], self.streams)

    def _read(self, inputs: Any, dtype: Any) -> Any:
        """The features as numbers, ``[..., features]``."""
        flat = self._flat(inputs)
        if self.vocabulary is None:
            return flat.astype(dtype)
        return jax.nn.one_hot(flat, self.vocabulary, dtype=dtype).reshape(*flat.shape[:-1], self.features)


def check_tokens(tokens: Any, vocabulary: int, name: str, lowest: int = 0) -> None:
    """Refuse tokens outside ``lowest … vocabulary−1``, which JAX would wrap, clamp or fill with NaN.

    Args:
        tokens: Integers that lead with the example axis. Tracers have no values yet and pass.
        vocabulary: Size of the alphabet.
        name: What reads the tokens, for the message.
        lowest: The smallest token; below 0 where negative ones count from the end.

    Raises:
        InputError: Names the first such token and its example.

    Example:
        >>> check_tokens([[0, 4], [9, 1]], 5, "network 'gru 8'")
        Traceback (most recent call last):
        allroads.errors.InputError: network 'gru 8': example 1 holds the token 9; expected 0 … 4 (a vocabulary of 5).
    """
    if isinstance(tokens, jax.core.Tracer):
        return
    tokens = np.asarray(tokens)
    wrong = np.argwhere((tokens < lowest) | (tokens >= vocabulary))
    if len(wrong):
        place = tuple(wrong[0])
        where = f"example {place[0]} holds the token" if place else "the token is"
        raise InputError(
            f"{name}: {where} {tokens[place]}; expected {lowest} … {vocabulary - 1} (a vocabulary of {vocabulary})."
        )


def token_check(vocabulary: int | None, name: str) -> Callable[[Any], None] | None:
    """``Network.check`` of a network that reads tokens; ``None`` for real inputs."""
    return None if vocabulary is None else lambda inputs: check_tokens(inputs, vocabulary, f"network {name!r}")


def checked_inputs(inputs: Any, input_shape: tuple[int, ...], vocabulary: int | None, name: str) -> Any:
    """A batch as a JAX array.

    Raises:
        InputError: If its examples do not have the network's input shape, tokens are not integers, or tokens with
            values (not tracers) are outside the vocabulary.
    """
    given, inputs = inputs, jnp.asarray(inputs)  # under a trace, constants too become tracers
    if inputs.shape[1:] != input_shape or inputs.ndim == 0:
        expected = ", ".join(["N", *map(str, input_shape)])
        raise InputError(f"network {name!r} got inputs of shape {inputs.shape}; expected [{expected}].")
    if vocabulary is not None and jnp.issubdtype(inputs.dtype, jnp.inexact):
        raise InputError(
            f"network {name!r} got inputs of dtype {inputs.dtype}; expected integer tokens 0 … "
            f"{vocabulary - 1}. Cast them to integers, or build the network with vocabulary=None to read "
            "real numbers."
        )
    if vocabulary is not None:
        check_tokens(given, vocabulary, f"network {name!r}")
    return inputs


def checked_sizes(**sizes: Any) -> None:
    """Refuse whatever is not a positive integer or a non-empty tuple of them.

    Raises:
        InputError: Naming the option.

    Example:
        >>> checked_sizes(widths=(64, 0))
        Traceback (most recent call last):
        allroads.errors.InputError: widths is (64, 0); expected positive whole numbers.
    """
    for name, value in sizes.items():
        several = isinstance(value, tuple)
        for size in value if several else (value,):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                expected = "positive whole numbers" if several else "a positive whole number"
                raise InputError(f"{name} is {value!r}; expected {expected}.")
