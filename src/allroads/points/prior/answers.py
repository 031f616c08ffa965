"""How outputs are read as answers, and how the answers of one function are packed into words."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from allroads.checks import check_choice
from allroads.errors import InputError

KINDS = ("signs", "classes")
EXACT_BITS = 1024
"""Bits of one function up to which its answers themselves identify it; above, a digest of 128 bits does."""
_WORD = 32


@dataclass(frozen=True)
class Answers:
    """How the outputs of one network say which function it computes.

    Args:
        kind: ``"signs"``: 1 where an output is above 0, else 0. ``"classes"``: the index of the largest output along
            the last axis, the first of equal ones.
        outputs: Shape of the outputs ``[N, …, C]``.
    """

    kind: str
    outputs: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the answers."""
        return self.outputs[:-1] if self.kind == "classes" else self.outputs

    @property
    def bits_each(self) -> int:
        """Bits of one answer."""
        return (self.outputs[-1] - 1).bit_length() if self.kind == "classes" else 1

    @property
    def bits(self) -> int:
        """Bits of one function."""
        return math.prod(self.shape) * self.bits_each

    @property
    def words(self) -> int:
        """Words of 32 bits of one function, an even number."""
        return 2 * -(-self.bits // (2 * _WORD))

    @property
    def exact(self) -> bool:
        """Whether functions are told apart by their answers, and not by a digest."""
        return self.bits <= EXACT_BITS

    def pack(self, outputs: Any) -> Any:
        """Outputs of one network as words ``[words]``; traceable."""
        if self.kind == "classes":
            said = outputs.argmax(-1).astype(jnp.uint32)[..., None]
            bits = said >> jnp.arange(self.bits_each, dtype=jnp.uint32) & jnp.uint32(1)
        else:
            bits = (outputs > 0).astype(jnp.uint32)
        padded = jnp.pad(bits.ravel(), (0, self.words * _WORD - self.bits)).reshape(self.words, _WORD)
        powers = jnp.uint32(1) << jnp.arange(_WORD, dtype=jnp.uint32)
        return (padded * powers).sum(-1, dtype=jnp.uint32)

    def codes(self, words: np.ndarray) -> np.ndarray:
        """What functions are counted by: ``[M, words]`` of 32 bits to ``[M, K]`` of 64, digests where not exact."""
        if self.exact:
            exact: np.ndarray = np.ascontiguousarray(words).view(np.uint64)
            return exact
        digests = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in words]
        return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)

    def code(self, said: Any) -> np.ndarray:
        """The code ``[K]`` of the function that gives these answers.

        Raises:
            InputError: If they are not answers on these inputs.
        """
        code: np.ndarray = self.codes(self.packed(said)[None])[0]
        return code

    def packed(self, said: Any) -> np.ndarray:
        """The words ``[words]`` of the function that gives these answers, as :meth:`pack` makes them of outputs.

        Raises:
            InputError: If they are not answers on these inputs.
        """
        given = np.asarray(said)
        most = self.outputs[-1] if self.kind == "classes" else 2
        if given.size != math.prod(self.shape) or not np.isin(given, np.arange(most)).all():
            raise InputError(
                f"answers: expected whole numbers from 0 to {most - 1} of shape {list(self.shape)}; "
                f"got an array of shape {list(given.shape)}."
            )
        bits = given.astype(np.uint64).reshape(-1, 1) >> np.arange(self.bits_each, dtype=np.uint64) & np.uint64(1)
        packed = np.packbits(bits.astype(bool).ravel(), bitorder="little")
        raw = np.zeros(self.words * _WORD // 8, np.uint8)
        raw[: packed.size] = packed
        words: np.ndarray = raw.view(np.uint32)
        return words

    def read(self, code: np.ndarray) -> np.ndarray:
        """The answers of a code.

        Raises:
            InputError: If the code is a digest.
        """
        if not self.exact:
            raise InputError(
                f"answers: a function has {self.bits} bits here, above {EXACT_BITS}, so its digest was kept and not "
                "its answers. Draw its parameters by prior.params(network, k) and apply the network."
            )
        answers: np.ndarray = self.read_all(code[None])[0]
        return answers

    def read_all(self, codes: np.ndarray) -> np.ndarray:
        """The answers ``[M, …]`` of codes ``[M, K]`` that are no digests."""
        packed = np.ascontiguousarray(codes).view(np.uint8).reshape(len(codes), -1)
        bits = np.unpackbits(packed, axis=1, bitorder="little")[:, : self.bits]
        each = bits.reshape(len(codes), -1, self.bits_each).astype(np.int64) << np.arange(self.bits_each)
        answers: np.ndarray = each.sum(-1).reshape(len(codes), *self.shape)
        return answers


def answers_of(outputs: Any, kind: str | None, examples: int) -> Answers:
    """How outputs of this shape and type are read.

    Args:
        outputs: Has ``shape`` and ``dtype``.
        kind: ``"signs"``, ``"classes"``, or ``None``: classes where the last of several axes is longer than 1.
        examples: Number of inputs N.

    Raises:
        InputError: If the outputs do not lead with the inputs, are no real numbers, or have no classes to tell apart.
        UnknownNameError: If there is no such kind.

    Example:
        >>> answers_of(np.zeros((4, 1)), None, 4).kind, answers_of(np.zeros((4, 3)), None, 4).bits
        ('signs', 8)
    """
    if kind is not None:
        check_choice("answers", kind, KINDS)
    shape = tuple(outputs.shape)
    if not shape or shape[0] != examples or 0 in shape:
        raise InputError(f"outputs have shape {list(shape)}; expected [{examples}, …], one or more for each input.")
    if not (jnp.issubdtype(outputs.dtype, jnp.floating) or jnp.issubdtype(outputs.dtype, jnp.integer)):
        raise InputError(
            f"outputs are {outputs.dtype}; a sign or a largest one needs real numbers. Return logits from apply."
        )
    several = len(shape) > 1 and shape[-1] > 1
    if kind == "classes" and not several:
        raise InputError(
            f"answers: outputs of shape {list(shape)} have one number per answer, so no largest one. Use 'signs'."
        )
    return Answers(kind or ("classes" if several else "signs"), shape)
