"""Fourier programs: arithmetic modulo p, read out of networks of two residues by their frequencies."""

from allroads.programs.fourier.compile import compile_fourier
from allroads.programs.fourier.fourier_program import FourierProgram
from allroads.programs.fourier.read import fits, read
from allroads.programs.language import Language

LANGUAGE = Language("fourier", FourierProgram, fits, read, compile_fourier)

__all__ = ["LANGUAGE", "FourierProgram", "compile_fourier"]
