"""Symbols, and the tokens that stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.targets.checks import integer


def read_alphabet(what: str, alphabet: Any) -> tuple[Any, ...]:
    """The symbols of an alphabet; an integer v stands for ``0 … v − 1``.

    Raises:
        InputError: If there is no symbol, or one occurs twice, or one is not hashable.

    Example:
        >>> read_alphabet("brackets", "()"), read_alphabet("bits", 2)
        (('(', ')'), (0, 1))
    """
    if isinstance(alphabet, int | np.integer):
        return tuple(range(integer(what, alphabet, 1)))
    try:
        symbols = tuple(s.item() if isinstance(s, np.generic) else s for s in alphabet)
        distinct = len(set(symbols))
    except TypeError as error:
        raise InputError(f"{what}: expected a number of symbols or a list of numbers or texts ({error}).") from error
    if not symbols or distinct < len(symbols):
        raise InputError(f"{what}: {symbols!r} must hold at least one symbol and none twice.")
    return symbols


def encode(where: str, symbols: Sequence[Any], sequences: Any) -> np.ndarray:
    """Tokens (positions in ``symbols``) of nested lists or an array of symbols, the same shape.

    Raises:
        InputError: If a symbol is not in the alphabet.

    Example:
        >>> encode("brackets", "()", [["(", ")"], [")", ")"]]).tolist()
        [[0, 1], [1, 1]]
    """
    index = {symbol: i for i, symbol in enumerate(symbols)}
    try:
        array = np.asarray(sequences)
        tokens = [index[symbol] for symbol in array.ravel().tolist()]
    except KeyError as error:
        raise InputError(
            f"{where}: {error.args[0]!r} is not in the alphabet {_short(symbols)}; add it or remove it."
        ) from error
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: expected symbols in rows of one length ({error}).") from error
    return np.array(tokens, dtype=np.int64).reshape(array.shape)


def decoded(inputs: np.ndarray, symbols: tuple[Any, ...] | None) -> tuple[Any, np.ndarray]:
    """The examples one by one, and as one array; tokens as the symbols they stand for."""
    if symbols is None:
        return inputs, inputs
    if inputs.ndim == 2:
        return [[symbols[t] for t in row] for row in inputs.tolist()], np.array(symbols)[inputs]
    examples = [[tuple(symbols[t] for t in position) for position in row] for row in inputs.tolist()]
    return examples, np.array(symbols)[inputs]


def encode_answer(where: str, symbols: tuple[Any, ...], answer: Any) -> Any:
    """The class of an answer; of a list or array of answers, the list of their classes."""
    if isinstance(answer, list | np.ndarray):
        return [encode_answer(where, symbols, a) for a in answer]
    try:
        return symbols.index(answer)
    except ValueError:
        raise InputError(f"{where}: the answer {answer!r} is not in output_alphabet {symbols!r}; add it.") from None


def symbol_values(tokens: np.ndarray, symbols: tuple[Any, ...]) -> np.ndarray:
    """The symbols themselves, ``[N, T, D]``."""
    values: np.ndarray = np.array(symbols, dtype=np.float64)[tokens]
    return values[..., None] if tokens.ndim == 2 else values


def _short(symbols: Sequence[Any]) -> str:
    shown = ", ".join(repr(s) for s in symbols[:12])
    return f"({shown}{', …' if len(symbols) > 12 else ''})"
