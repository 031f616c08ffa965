"""The tasks of the MIPS benchmark that need finitely many states, as state machines of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allroads.targets.machines import SequenceTask, Step, fixed, memoryless, running, window

_BIT = range(2)
_FINITE = "finite-state"


def _addition(base: int) -> SequenceTask:
    def step(carry: int, digits: tuple[int, int]) -> tuple[int, int]:
        total = carry + sum(digits)
        return total // base, total % base

    return SequenceTask(
        f"add two numbers in base {base}, least significant digit first; the last carry is dropped",
        step,
        0,
        range(base),
        _FINITE,
        2,
        fixed(base),
        channels=2,
    )


def _bits(
    definition: str, step: Step, initial_state: Any, states: int, outputs: int = 2, channels: int = 1
) -> SequenceTask:
    """A task on bits whose answers are bits."""
    return SequenceTask(definition, step, initial_state, _BIT, _FINITE, states, fixed(outputs), channels=channels)


def _parity_last(k: int) -> SequenceTask:
    definition = f"sum of the last {k} bits mod 2; what was before the start counts as 0"
    return _bits(definition, window(lambda seen: sum(seen) % 2), (0,) * (k - 1), 2 ** (k - 1))


def _alternating(k: int, states: int) -> SequenceTask:
    wanted = {tuple((i + first) % 2 for i in range(k)) for first in (0, 1)}
    definition = f"1 if the last {k} bits alternate, else 0; what was before the start counts as 0"
    return _bits(definition, window(lambda seen: int(seen in wanted)), (0,) * (k - 1), states)


def _division(divisor: int) -> SequenceTask:
    def step(remainder: int, bit: int) -> tuple[int, int]:
        value = 2 * remainder + bit
        return value % divisor, value // divisor

    definition = f"quotient bits of long division by {divisor}, most significant bit first"
    return _bits(definition, step, 0, divisor)


def _addition_modulo(m: int) -> SequenceTask:
    step = running(lambda total, x: (total + x) % m)
    return SequenceTask(f"cumulative sum mod {m}", step, 0, range(m), _FINITE, m, fixed(m))


def _detector(definition: str, alphabet: range, test: Callable[[int], bool]) -> SequenceTask:
    return SequenceTask(definition, memoryless(lambda x: int(test(x))), (), alphabet, _FINITE, 1, fixed(2))


def _dithering(total: int, x: int) -> tuple[int, int]:
    return (total + x) % 15, (total + x) // 15


FINITE_TASKS: dict[str, SequenceTask] = {
    "Binary_Addition": _addition(2),
    **{f"Base_{base}_Addition": _addition(base) for base in range(3, 8)},
    "Bitwise_Xor": _bits("x1 XOR x2", memoryless(lambda x: x[0] ^ x[1]), (), 1, channels=2),
    "Bitwise_Or": _bits("x1 OR x2", memoryless(lambda x: x[0] | x[1]), (), 1, channels=2),
    "Bitwise_And": _bits("x1 AND x2", memoryless(lambda x: x[0] & x[1]), (), 1, channels=2),
    "Bitwise_Not": _bits("1 − x", memoryless(lambda x: 1 - x), (), 1),
    **{f"Parity_Last{k}": _parity_last(k) for k in (2, 3, 4)},
    "Parity_All": _bits("number of ones so far mod 2", running(lambda s, x: s ^ x), 0, 2),
    "Parity_Zeros": _bits("number of zeros so far mod 2", running(lambda s, x: s ^ (1 - x)), 0, 2),
    "Previous_Equals_Current": SequenceTask(
        "1 if the number equals the one before, else 0; before the start there is a 0",
        window(lambda seen: int(seen[0] == seen[1])),
        (0,),
        range(8),
        _FINITE,
        8,
        fixed(2),
    ),
    "Min_Seen": SequenceTask(
        "minimum so far", running(min), 9, range(10), "piecewise-linear / finite-state", 10, fixed(10)
    ),
    "Evens_Detector": _detector("1 if the number is even, else 0", range(10), lambda x: x % 2 == 0),
    "Perfect_Square_Detector": _detector(
        "1 if the number is a square, else 0", range(20), lambda x: x in (0, 1, 4, 9, 16)
    ),
    "Parity_Bits_Mod2": _bits("position mod 2: 0, 1, 0, 1, … whatever the input", lambda s, x: (1 - s, s), 0, 2),
    "Alternating_Last3": _alternating(3, 4),
    "Alternating_Last4": _alternating(4, 6),
    "Bit_Shift_Right": _bits("the bit before; 0 at first", window(lambda seen: seen[0]), (0,), 2),
    "Bit_Dot_Prod_Mod2": _bits(
        "dot product of the two prefixes mod 2", running(lambda s, x: s ^ (x[0] & x[1])), 0, 2, channels=2
    ),
    **{f"Div_{divisor}": _division(divisor) for divisor in (3, 5, 7)},
    **{f"Add_Mod_{m}": _addition_modulo(m) for m in range(3, 9)},
    "Dithering": SequenceTask(
        "floor(S_t/15) − floor(S_(t−1)/15) with S the cumulative sum",
        _dithering,
        0,
        range(16),
        _FINITE,
        15,
        fixed(2),
    ),
}
