"""Machines that answer a whole sequence once, at its end."""

from allroads.programs.acceptor.acceptor import Acceptor
from allroads.programs.acceptor.read import fits, read
from allroads.programs.language import Language

LANGUAGE = Language("acceptor", Acceptor, fits, read)

__all__ = ["LANGUAGE", "Acceptor"]
