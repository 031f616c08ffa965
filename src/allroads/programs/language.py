"""A language of programs: how its programs are read out of networks and written into weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from allroads.pfmap.network import Network, Params
from allroads.programs.equivalence import Equivalence
from allroads.programs.program import Program
from allroads.programs.subject import Subject
from allroads.results import Measurement


@dataclass(frozen=True)
class Reading:
    """What one language says of a network.

    Args:
        program: The program; ``None`` where the language has none that the network computes.
        equivalence: Of the network and the program.
        interchange: Share of interventions between hidden states and program states after which the network answers as
            the program does, with its null in ``stats["null"]``; ``None`` where the language makes no such check.
        table_bits: Length in bits of the plain table of the same function; ``None`` where there is no finite one.
        why: One sentence that says why there is no program, or what the reading rests on.
    """

    program: Program | None
    equivalence: Equivalence | None = None
    interchange: Measurement | None = None
    table_bits: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Language:
    """A language of programs; a folder of its own holds one.

    Args:
        name: Its name.
        program: The class of its programs.
        fits: ``fits(subject) -> None`` where a network's structure and target allow a program of the language, or the
            reason why not.
        read: ``read(subject, seed) -> Reading``.
        compile: ``compile(program, **options) -> (network, params)``; ``None`` where programs are not compiled.
    """

    name: str
    program: type[Program]
    fits: Callable[[Subject], str | None]
    read: Callable[[Subject, int], Reading]
    compile: Callable[..., tuple[Network, Params]] | None = None

    def __repr__(self) -> str:
        return f"Language({self.name!r})"


def languages() -> tuple[Language, ...]:
    """The languages that are built in, in the order in which extraction tries them."""
    from importlib import import_module

    return tuple(import_module(f"allroads.programs.{name}").LANGUAGE for name in BUILT_IN)


BUILT_IN = ("boolean", "linear", "piecewise", "mealy", "counter", "acceptor", "sequence", "fourier", "groups")
"""Folders of the languages that are built in."""


def language_of(program: Any) -> Language | None:
    """The language that a program belongs to."""
    return next((language for language in languages() if isinstance(program, language.program)), None)
