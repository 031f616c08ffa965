"""Named position-wise programs, known truth for readers and compilers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allroads.programs.mealy.expression import Expression
from allroads.programs.sequence.lines import Count, Fetch, Formula, Line, Operand, Selector
from allroads.programs.sequence.program import SequenceProgram

E = Expression


def _formula(head: str, left: Operand, right: Operand) -> Formula:
    return Formula(E(head, E(left), E(right)))


def _lines(*lines: tuple[str, Line]) -> tuple[tuple[str, Line], ...]:
    return lines


PROGRAMS: dict[str, Callable[[int], tuple[tuple[str, Line], ...]]] = {
    "histogram": lambda a: _lines(("y", Count(Selector("x", "==", "x")))),
    "double_histogram": lambda a: _lines(
        ("seen", Count(Selector("x", "==", "x", "before"))),
        ("h", Count(Selector("x", "==", "x"))),
        ("first", Formula(E("*", E("==", E("seen"), E(0)), E("h")))),
        ("y", Count(Selector("first", "==", "h"))),
    ),
    "reverse": lambda a: _lines(
        ("r", Formula(E("-", E("-", E("n"), E(1)), E("i")))),
        ("y", Fetch(Selector("i", "==", "r"), "x")),
    ),
    "sort": lambda a: _lines(
        ("less", Count(Selector("x", "<", "x"))),
        ("same", Count(Selector("x", "==", "x", "before"))),
        ("rank", _formula("+", "less", "same")),
        ("y", Fetch(Selector("rank", "==", "i"), "x")),
    ),
    "most_frequent": lambda a: _lines(
        ("h", Count(Selector("x", "==", "x"))),
        ("score", Formula(E("-", E("*", E(a), E("h")), E("x")))),
        ("above", Count(Selector("score", ">", "score"))),
        ("y", Fetch(Selector("above", "==", 0), "x")),
    ),
    "dyck1_depth": lambda a: _lines(
        ("opened", Count(Selector("x", "==", 0, "upto"))),
        ("closed", Count(Selector("x", "==", 1, "upto"))),
        ("y", _formula("-", "opened", "closed")),
    ),
    "previous": lambda a: _lines(("y", Fetch(Selector("i", "<", "i"), "x"))),
    "first": lambda a: _lines(("y", Fetch(Selector("i", "==", 0), "x"))),
    "parity": lambda a: _lines(("ones", Count(Selector("x", "==", 1, "upto"))), ("y", _formula("%", "ones", 2))),
    "repeat_copy": lambda a: _lines(
        ("j", _formula("-", "i", 4)),
        ("y", Fetch(Selector("i", "==", "j"), "x")),
    ),
}
"""Lines of each program, given the number of letters."""


def sequence_program(name: str, *, letters: int = 2, length: int = 5, alphabet: Any = None) -> SequenceProgram:
    """One of the programs of the library.

    Args:
        name: A name in :data:`PROGRAMS`.
        letters: Number of letters 0, 1, ….
        length: Length of the longest words.
        alphabet: The letters, in place of their number.

    Raises:
        UnknownNameError: If there is no program of that name.

    Example:
        >>> sequence_program("sort", letters=3)([2, 0, 1, 0]), sequence_program("parity")([1, 0, 1, 1])
        ([0, 0, 1, 2], [1, 1, 0, 1])
    """
    from allroads.checks import check_choice

    check_choice("name", name, PROGRAMS)
    symbols = tuple(range(letters)) if alphabet is None else tuple(alphabet)
    return SequenceProgram(symbols, PROGRAMS[name](len(symbols)), length)
