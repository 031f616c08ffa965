"""An entry of the zoo: a named program, with the target that defines its function independently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from allroads.programs.program import Program
from allroads.targets.target import Target


@dataclass(frozen=True)
class Entry:
    """A program under a name.

    Args:
        name: Its name: small letters, digits and hyphens.
        language: The language of the program.
        summary: What it computes, in one line.
        make: ``make() -> (program, target)``. The target's function is written on its own and not by the program.
        options: Options of :func:`~allroads.programs.compile.compile_program`.
    """

    name: str
    language: str
    summary: str
    make: Callable[[], tuple[Program, Target]]
    options: Mapping[str, Any] = field(default_factory=dict)
