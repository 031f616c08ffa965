"""Fourier programs of the zoo: arithmetic modulo p by a few frequencies."""

from __future__ import annotations

from functools import partial

from allroads.programs.fourier.fourier_program import FourierProgram
from allroads.programs.ground_truth.entry import Entry
from allroads.targets.modular import modular
from allroads.targets.target import Target

WAVES: dict[str, tuple[int, tuple[int, ...], int, int, int]] = {
    "add-mod-7-waves": (7, (1,), 1, 1, 0),
    "add-mod-11-waves": (11, (2, 5), 1, 1, 0),
    "add-mod-12-waves": (12, (1, 4), 1, 1, 0),
    "add-mod-23-waves": (23, (3, 7, 11), 1, 1, 0),
    "add-mod-23-other-waves": (23, (1, 5, 8), 1, 1, 0),
    "add-mod-53-waves": (53, (4, 17, 22, 25), 1, 1, 0),
    "add-mod-97-waves": (97, (5, 19, 31, 40), 1, 1, 0),
    "subtract-mod-13-waves": (13, (1, 4), 1, -1, 0),
    "affine-mod-17-waves": (17, (2, 3, 7), 2, 3, 5),
}
"""Name to p, the frequencies, and the factors a, b and c of ``a x + b y + c``."""


def _polynomial(a: int, b: int, c: int) -> str:
    """``a x + b y + c`` as text.

    Example:
        >>> _polynomial(1, -1, 0), _polynomial(2, 3, 5)
        ('a - b', '2 * a + 3 * b + 5')
    """
    first, second = ("" if abs(factor) == 1 else f"{abs(factor)} * " for factor in (a, b))
    return f"{first}a {'-' if b < 0 else '+'} {second}b" + (f" + {c}" if c else "")


def _made(name: str) -> tuple[FourierProgram, Target]:
    p, frequencies, a, b, c = WAVES[name]
    return FourierProgram(p, frequencies, a, b, c), modular(p=p, polynomial=_polynomial(a, b, c), name=name)


def waves() -> list[Entry]:
    """The Fourier programs, compiled into embedding-sum networks with squares."""
    found = []
    for name, (p, frequencies, a, b, c) in WAVES.items():
        line = f"{_polynomial(a, b, c)} modulo {p}, by the frequencies {', '.join(map(str, frequencies))}"
        found.append(Entry(name, "fourier", line, partial(_made, name)))
    return found
