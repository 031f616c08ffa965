"""The 62 sequence tasks of the MIPS benchmark, as state machines of our own."""

from __future__ import annotations

import numpy as np

from allroads.targets.machines import SequenceTask, fixed, memoryless, running, window
from allroads.targets.mips_finite import FINITE_TASKS

_DIGITS = range(100)
_SIGNED = range(-100, 100)
_FORCES = range(-10, 11)
_LINEAR = "integer-linear"
_PIECEWISE = "piecewise-linear"


def _sum_last(k: int) -> SequenceTask:
    return SequenceTask(
        f"sum of the last {k} numbers; what was before the start counts as 0",
        window(sum),
        (0,) * (k - 1),
        _DIGITS,
        _LINEAR,
        100 ** (k - 1),
        length=20 if k >= 5 else 10,
    )


def _previous(k: int) -> SequenceTask:
    return SequenceTask(
        f"the number {k} positions before; 0 where there is none",
        window(lambda seen: seen[0]),
        (0,) * k,
        _DIGITS,
        "integer-linear (delay line)",
        100**k,
        length=20 if k == 5 else 10,
    )


def _majority(symbols: int) -> SequenceTask:
    def step(counts: tuple[int, ...], x: int) -> tuple[tuple[int, ...], int]:
        new = tuple(c + (i == x) for i, c in enumerate(counts))
        return tuple(c - min(new) for c in new), new.index(max(new))

    return SequenceTask(
        "most frequent number so far; ties go to the smaller number",
        step,
        (0,) * symbols,
        range(symbols),
        "counter + argmax",
        None,
        fixed(symbols),
    )


def _palindrome(seen: tuple[int, ...], x: int) -> tuple[tuple[int, ...], int]:
    new = (*seen, x)
    return new, int(new == new[::-1])


def _palindrome_sampler(rng: np.random.Generator, count: int, length: int) -> np.ndarray:
    """A random palindrome of random length 2 … T, then random bits."""
    bits = rng.integers(2, size=(count, length))
    for row, size in zip(bits, rng.integers(2, length + 1, size=count), strict=True):
        row[size - size // 2 : size] = row[: size // 2][::-1]
    return bits


def _parenthesis(depth: int, x: int) -> tuple[int, int]:
    """Depth −1 is the dead state: once below 0, never balanced again."""
    new = depth if depth < 0 else depth + (1 if x == 0 else -1)
    return new, int(new == 0)


def _newton(state: tuple[int, int], force: int) -> tuple[tuple[int, int], int]:
    speed, place = state[0] + force, state[1] + state[0] + force
    return (speed, place), place


def _spring(state: tuple[int, int], x: int) -> tuple[tuple[int, int], int]:
    return _newton(state, x - state[1])


def _magnetic(
    state: tuple[int, int, int, int], force: tuple[int, int]
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    vx, vy, px, py = state
    vx, vy = vx + force[0] - vy, vy + force[1] + vx
    px, py = px + vx, py + vy
    return (vx, vy, px, py), (px, py)


MIPS_TASKS: dict[str, SequenceTask] = {
    **FINITE_TASKS,
    "Evens_Counter": SequenceTask(
        "number of even numbers so far",
        running(lambda count, x: count + (x % 2 == 0)),
        0,
        range(10),
        "counter",
        None,
        lambda length: length + 1,
    ),
    "Sum_All": SequenceTask("cumulative sum", running(lambda s, x: s + x), 0, _DIGITS, _LINEAR, None),
    **{f"Sum_Last{k}": _sum_last(k) for k in range(2, 8)},
    "Current_Number": SequenceTask("the number itself", memoryless(lambda x: x), (), _DIGITS, _LINEAR, 1),
    **{f"Prev{k}": _previous(k) for k in range(1, 6)},
    "Diff_Last2": SequenceTask(
        "the number minus the one before, 0 before the start",
        window(lambda seen: seen[1] - seen[0]),
        (0,),
        _SIGNED,
        _LINEAR,
        200,
    ),
    "Abs_Diff": SequenceTask(
        "distance to the number before, 0 before the start",
        window(lambda seen: abs(seen[1] - seen[0])),
        (0,),
        _SIGNED,
        _PIECEWISE,
        200,
    ),
    "Abs_Current": SequenceTask("absolute value", memoryless(abs), (), _SIGNED, _PIECEWISE, 1),
    "Diff_Abs_Values": SequenceTask(
        "absolute value minus that of the number before, 0 before the start",
        lambda before, x: (abs(x), abs(x) - before),
        0,
        _SIGNED,
        _PIECEWISE,
        101,
    ),
    "Max_Seen": SequenceTask("maximum so far", running(max), 0, _DIGITS, "piecewise-linear / finite-state", 100),
    **{f"Majority_0_{k}": _majority(k + 1) for k in (1, 2, 3)},
    "Bit_Palindrome": SequenceTask(
        "1 if the prefix is a palindrome, else 0",
        _palindrome,
        (),
        range(2),
        "full history",
        None,
        fixed(2),
        sampler=_palindrome_sampler,
    ),
    "Balanced_Parenthesis": SequenceTask(
        "0 opens, 1 closes; 1 if the prefix is balanced, 0 for ever once a bracket closes nothing",
        _parenthesis,
        0,
        range(2),
        "counter",
        None,
        fixed(2),
    ),
    "Newton_Freebody": SequenceTask(
        "place under a force: double cumulative sum", _newton, (0, 0), _FORCES, _LINEAR, None
    ),
    "Newton_Gravity": SequenceTask(
        "place under a force minus 1: double cumulative sum of x − 1",
        lambda state, x: _newton(state, x - 1),
        (0, 0),
        _FORCES,
        "integer-affine",
        None,
    ),
    "Newton_Spring": SequenceTask(
        "place on a spring: a = x − p, v += a, p += v", _spring, (0, 0), _FORCES, _LINEAR, None
    ),
    "Newton_Magnetic": SequenceTask(
        "place in a magnetic field: a = F + (−v_y, v_x), v += a, p += v",
        _magnetic,
        (0, 0, 0, 0),
        _FORCES,
        _LINEAR,
        None,
        channels=2,
    ),
}
