"""Mealy machines: tables and formulas, read out of sequence networks, proved for all lengths, written into weights."""

from allroads.programs.language import Language
from allroads.programs.mealy.compile import compile_machine
from allroads.programs.mealy.machine import Machine
from allroads.programs.mealy.read import fits, read

LANGUAGE = Language("mealy", Machine, fits, read, compile_machine)

__all__ = ["LANGUAGE", "Machine", "compile_machine"]
