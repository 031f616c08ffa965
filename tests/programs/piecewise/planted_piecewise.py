"""Piecewise-linear programs for the tasks that need them, written by hand from the tasks' definitions."""

from allroads.programs.piecewise import Piecewise, Register, Term

X, S, ZERO = Term("x"), Term("s"), Term(0)


def absolute(term):
    return Term("abs", (term,))


def running(head, start, low, high):
    """The largest or smallest so far."""
    return Piecewise((Register(start, Term(head, (S, X)), True),), S, low, high)


def clipped(low, high, reach):
    """The sum so far, kept between two numbers."""
    kept = Term("max", (Term(low), Term("min", (Term(high), Term("+", (S, X))))))
    return Piecewise((Register(0, kept, True),), S, -reach, reach)


PLANTED = {
    "Abs_Current": Piecewise((), absolute(X), -100, 99),
    "Abs_Diff": Piecewise((Register(0, X),), absolute(Term("-", (S, X))), -100, 99),
    "Diff_Abs_Values": Piecewise((Register(0, absolute(X)),), Term("-", (absolute(X), S)), -100, 99),
    "Max_Seen": running("max", 0, 0, 99),
    "Min_Seen": running("min", 9, 0, 9),
}
SPREAD = Piecewise(
    (Register(0, Term("max", (Term("s0"), X)), True), Register(0, Term("min", (Term("s1"), X)), True)),
    Term("-", (Term("s0"), Term("s1"))),
    -4,
    4,
)
LAST3 = Piecewise(
    (Register(0, Term("s1")), Register(0, X)), Term("max", (X, Term("max", (Term("s0"), Term("s1"))))), -4, 4
)
