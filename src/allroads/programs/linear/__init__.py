"""Integer recurrences: linear programs over whole numbers, read out of recurrent networks by impulse responses."""

from allroads.programs.language import Language
from allroads.programs.linear.compile import compile_recurrence
from allroads.programs.linear.read import fits, read
from allroads.programs.linear.recurrence import Recurrence
from allroads.programs.linear.shorten import shorten

LANGUAGE = Language("linear", Recurrence, fits, read, compile_recurrence)

__all__ = ["LANGUAGE", "Recurrence", "compile_recurrence", "shorten"]
