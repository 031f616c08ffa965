"""Counters: programs of whole numbers that letters raise and lower, read out of recurrent networks."""

from allroads.programs.counter.compile import compile_counter
from allroads.programs.counter.counter import Counter
from allroads.programs.counter.read import fits, read
from allroads.programs.language import Language

LANGUAGE = Language("counter", Counter, fits, read, compile_counter)

__all__ = ["LANGUAGE", "Counter", "compile_counter"]
