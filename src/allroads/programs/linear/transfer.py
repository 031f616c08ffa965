"""The transfer function of a recurrence: a rational function of the delay for each output and input."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def transfer(sequence: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Numerator P and denominator Q with ``Σ h_k z^k = P(z) / Q(z)`` in lowest terms and Q(0) = 1.

    By Fatou's lemma both have whole coefficients where all h_k are whole. The denominator is the connection polynomial
    that the Berlekamp–Massey algorithm finds.

    Args:
        sequence: h_0, h_1, …, at least twice as many as there are states.

    References: [massey1969]

    Example:
        The running sum is 1 / (1 − z), and the sum of the last two numbers 1 + z:

        >>> transfer([1, 1, 1, 1, 1, 1]), transfer([1, 1, 0, 0, 0, 0])
        (((1,), (1, -1)), ((1, 1), (1,)))
    """
    below, states = _connection(sequence)
    above = [sum(below[j] * sequence[k - j] for j in range(min(k, len(below) - 1) + 1)) for k in range(states)]
    return _trimmed(above), _trimmed(below)


def _connection(sequence: Sequence[int]) -> tuple[list[Fraction], int]:
    """Coefficients 1, q_1, … with ``Σ q_j h_(k−j) = 0`` for all k from the length on, and that length."""
    current, before = [Fraction(1)], [Fraction(1)]
    length, gap, last = 0, 1, Fraction(1)
    for k, value in enumerate(sequence):
        off = value + sum(
            (current[j] * sequence[k - j] for j in range(1, min(len(current) - 1, k) + 1)), start=Fraction(0)
        )
        if not off:
            gap += 1
            continue
        shifted = [Fraction(0)] * gap + [off / last * value for value in before]
        wide = max(len(current), len(shifted))
        fixed = [
            (current[j] if j < len(current) else Fraction(0)) - (shifted[j] if j < len(shifted) else Fraction(0))
            for j in range(wide)
        ]
        if 2 * length <= k:
            length, before, last, gap = k + 1 - length, current, off, 1
        else:
            gap += 1
        current = fixed
    return current, length


def _trimmed(polynomial: Sequence[Fraction | int]) -> tuple[int, ...]:
    found = [int(value) for value in polynomial]
    while found and not found[-1]:
        found.pop()
    return tuple(found)
