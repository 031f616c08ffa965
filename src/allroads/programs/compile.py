"""Compilation: weights that compute a program."""

from __future__ import annotations

from typing import Any

from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.programs.language import language_of
from allroads.programs.program import Program


def compile_program(program: Program, **options: Any) -> tuple[Network, Params]:
    """A network and a point at which it computes a program, by construction.

    Formulas become ReLU networks of their gates. Machines, counters and recurrences become recurrent networks, and
    position-wise programs become transformers. Fourier and group programs become embedding-sum networks. Acceptors have
    no compiler.

    Args:
        program: The program.
        **options: Options of the language's compiler: see ``compile.py`` in its folder.

    Returns:
        ``(network, params)``.

    Raises:
        InputError: If it is no program, or its language has no compiler.

    Example:
        >>> from allroads.programs.boolean import Formula
        >>> network, params = compile_program(Formula.parse("x0 & ~x1", 2))
        >>> (network.apply(params, [[1.0, 0.0], [1.0, 1.0]])[:, 0] > 0).tolist()
        [True, False]
    """
    language = language_of(program)
    if language is None:
        raise InputError(f"program: expected a program of allroads.programs; got {program!r}.")
    if language.compile is None:
        raise InputError(f"programs of the language {language.name!r} have no compiler.")
    return language.compile(program, **options)
