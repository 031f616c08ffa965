"""What every language of programs promises."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.programs.extract import extract
from allroads.programs.language import Language
from allroads.programs.program import Program
from allroads.programs.sandbox import run_source
from allroads.programs.subject import Subject
from allroads.targets.target import Target
from allroads.testing.promise import promise
from allroads.testing.targets import as_symbols

EXAMPLES = 64
"""Examples, at most, on which source is run."""


def check_language(
    language: Language, program: Program, target: Target, *, unequal: Sequence[Program] = (), **options: Any
) -> None:
    """Whether a language keeps what every language promises, on one of its programs.

    - *a program is a value*: hashable, of finite length in bits, with named parts and a normal form that is its own;
    - *equality is decided*: a program equals itself and its normal form at distance 0; it is unequal to each of
      ``unequal``, at one distance above 0 both ways, with an example on which the two answer differently;
    - *source stands alone*: it imports nothing, and run in a process of its own it answers as the program does;
    - *weights compute the program*: the compiled network answers every example as the target does, and the language
      fits it;
    - *what is compiled is read back*: the program read out of the network equals the one that went in.

    Args:
        language: The language.
        program: One of its programs.
        target: The function of the program, written without it: its domain should be enumerated.
        unequal: Programs of the language with other functions.
        **options: Options of ``language.compile``.

    Raises:
        AssertionError: At the first promise that is broken: says which, what was expected and what to do.
        InputError: If the target's domain is not enumerated.

    Example:
        >>> from allroads import Target
        >>> from allroads.programs.boolean import LANGUAGE, Formula
        >>> xor = Target("xor", inputs=[[0, 0], [0, 1], [1, 0], [1, 1]], labels=[0, 1, 1, 0], complete=True, loss="bce")
        >>> check_language(LANGUAGE, Formula.parse("x0 ^ x1", 2), xor, unequal=[Formula.parse("x0 & x1", 2)])
    """
    part = f"language {language.name!r}"
    if target.full is None:
        raise InputError("target: expected one whose domain is enumerated; give complete=True, or fewer positions.")
    _check_value(part, language, program)
    _check_equality(part, program, unequal)
    _check_source(part, program, target)
    if language.compile is not None:
        _check_compiled(part, language, program, target, options)


def _check_value(part: str, language: Language, program: Program) -> None:
    name, remedy = "a program is a value", "Make it a frozen dataclass of plain values that subclasses Program."
    own = isinstance(program, language.program)
    promise(own, part, name, f"a {language.program.__name__}", type(program).__name__, remedy)
    try:
        hash(program)
    except TypeError as error:
        promise(False, part, name, "a hash", str(error), remedy)
    finite = math.isfinite(program.bits) and program.bits > 0
    promise(finite, part, name, "a length above 0 bits", f"{program.bits}", "Count a prefix code; state it.")
    texts = isinstance(program.parts, frozenset) and all(isinstance(one, str) for one in program.parts)
    promise(texts, part, name, "parts as a frozenset of names", repr(program.parts)[:80], remedy)
    once = program.canonical()
    promise(
        once.canonical() == once,
        part,
        name,
        "the normal form of a normal form to be itself",
        f"{once.canonical()!r} from {once!r}"[:200],
        "Reduce until nothing changes, and order what has no order.",
    )


def _check_equality(part: str, program: Program, unequal: Sequence[Program]) -> None:
    name, remedy = "equality is decided", "Compare normal forms, or all examples; see the docstring of Program."
    for words, other in (("itself", program), ("its normal form", program.canonical())):
        told = program.equals(other)
        promise(told.equal, part, name, f"a program to equal {words}", str(told), remedy)
        apart = program.distance(other)
        promise(apart == 0, part, name, f"distance 0 from {words}", f"{apart:g}", remedy)
    for other in unequal:
        told = program.equals(other)
        promise(not told.equal, part, name, f"another function than {other!r}"[:200], str(told), remedy)
        there, back = program.distance(other), other.distance(program)
        promise(there == back > 0, part, name, "one distance above 0 both ways", f"{there:g} and {back:g}", remedy)
        example = told.counterexample
        differ = example is not None and program(example) != other(example)
        promise(differ, part, name, "an example on which the two answer differently", repr(example), remedy)


def _check_source(part: str, program: Program, target: Target) -> None:
    name, remedy = "source stands alone", "Write plain Python that defines program(x), with the builtins of run_source."
    tree = ast.parse(program.source)
    imports = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    promise(not imports, part, name, "no import", ", ".join(imports), remedy)
    assert target.full is not None
    some = as_symbols(target, target.full.inputs[:: max(1, len(target.full) // EXAMPLES)])
    examples = [example.tolist() if isinstance(example, np.ndarray) else example for example in some]
    expected = _as_lists(program.run(examples))
    try:
        answers: Any = run_source(program.source, examples)
    except InputError as error:
        answers = str(error)
    promise(answers == expected, part, name, f"the program's answers {expected!r}"[:200], f"{answers!r}"[:200], remedy)


def _as_lists(answers: Any) -> Any:
    """Answers as they come out of another process: tuples are lists."""
    return [_as_lists(one) for one in answers] if isinstance(answers, list | tuple) else answers


def _check_compiled(part: str, language: Language, program: Program, target: Target, options: Any) -> None:
    assert language.compile is not None and target.full is not None
    network, params = language.compile(program, **options)
    subject = Subject(network, params, target)
    reason = language.fits(subject)
    promise(reason is None, part, "weights compute the program", "fits to say None", str(reason), "Widen fits.")
    said = subject.decide(subject.outputs(target.full.inputs))
    labels = target.full.labels.argmax(-1) if subject.one_hot else target.full.labels
    wrong = np.flatnonzero((said.reshape(labels.shape) != labels).reshape(len(labels), -1).any(axis=1))
    example = target.full.inputs[wrong[0]].tolist() if len(wrong) else None
    remedy = "Compare the network's hidden states with the program's on the example."
    expected = "the answer of the target to every example"
    promise(example is None, part, "weights compute the program", expected, f"another to {example}", remedy)
    found = extract(network, params, target, languages=[language])
    same = found.program is not None and found.program.equals(program).equal
    promise(
        same,
        part,
        "what is compiled is read back",
        f"a program that equals {program!r}"[:200],
        f"{found!r}"[:300],
        "Read the weights that compile writes; see found.stats['languages'].",
    )
    shown = found.equivalence
    whole = shown is not None and (shown.proved or shown.length == target.interface.input_shape[0])
    promise(
        whole and found.correct is not None and found.correct.equal,
        part,
        "what is compiled is read back",
        "an equality that is shown over the whole domain, of a program that is correct",
        f"{shown}; of the target: {found.correct}",
        "Return a Reading whose equivalence says what was compared.",
    )
