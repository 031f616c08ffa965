"""Boolean formulas: AND, OR, XOR and NOT over inputs of two values."""

from allroads.programs.boolean.compile import compile_formula
from allroads.programs.boolean.exact import exact_formula, exact_sizes
from allroads.programs.boolean.formula import Formula
from allroads.programs.boolean.interchange import interchange
from allroads.programs.boolean.minimise import minimise
from allroads.programs.boolean.read import fits, read
from allroads.programs.boolean.robustness import robustness
from allroads.programs.boolean.units import circuit_of_units
from allroads.programs.boolean.verify import verify
from allroads.programs.language import Language

__all__ = [
    "LANGUAGE",
    "Formula",
    "circuit_of_units",
    "compile_formula",
    "exact_formula",
    "exact_sizes",
    "interchange",
    "minimise",
    "robustness",
    "verify",
]

LANGUAGE = Language("boolean", Formula, fits, read, compile_formula)
