"""Words as positions in an alphabet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allroads.errors import InputError


def letters_of(word: Any, index: Mapping[Any, int]) -> list[int]:
    """Positions in the alphabet of the letters of a word; rows of numbers stand for letters too.

    Args:
        word: A sequence of letters, or an array ``[T]`` or ``[T, channels]``. A row of one number is that number.
        index: The position of each letter: a symbol, or a tuple of symbols where a position has several channels.

    Returns:
        One position for each letter.

    Raises:
        InputError: If a letter is not in the alphabet.

    Example:
        >>> letters_of("())", {"(": 0, ")": 1}), letters_of([[0.0, 1.0], [0.0, 0.0]], {(0, 0): 0, (0, 1): 1})
        ([0, 1, 1], [1, 0])
    """
    found = []
    for letter in word.tolist() if hasattr(word, "tolist") else word:
        key = tuple(letter) if isinstance(letter, list) else letter
        if isinstance(key, tuple) and key not in index and len(key) == 1:
            key = key[0]
        if key not in index:
            raise InputError(f"{letter!r} is not in the alphabet {tuple(index)[:12]!r}.")
        found.append(index[key])
    return found
