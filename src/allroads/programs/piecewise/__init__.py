"""Piecewise-linear recurrences: programs of abs, min and max over numbers, read out of recurrent networks."""

from allroads.programs.language import Language
from allroads.programs.piecewise.compile import compile_piecewise
from allroads.programs.piecewise.read import fits, read
from allroads.programs.piecewise.recurrence import Piecewise, Register
from allroads.programs.piecewise.term import Term

LANGUAGE = Language("piecewise", Piecewise, fits, read, compile_piecewise)

__all__ = ["LANGUAGE", "Piecewise", "Register", "Term", "compile_piecewise"]
