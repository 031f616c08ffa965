"""Position-wise programs of select and aggregate, read out of sequence networks, written into transformers."""

from allroads.programs.language import Language
from allroads.programs.sequence.compile import compile_sequence
from allroads.programs.sequence.library import sequence_program
from allroads.programs.sequence.program import SequenceProgram
from allroads.programs.sequence.read import fits, read

LANGUAGE = Language("sequence", SequenceProgram, fits, read, compile_sequence)

__all__ = ["LANGUAGE", "SequenceProgram", "compile_sequence", "sequence_program"]
