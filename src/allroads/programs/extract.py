"""Extraction: the program that a network computes, with its proof and its causal check."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.pfmap.arrays import as_point
from allroads.pfmap.jaxpr import steps_seen
from allroads.pfmap.network import Network
from allroads.pfmap.precision import float64
from allroads.programs.equivalence import Equivalence
from allroads.programs.language import Language, Reading, languages
from allroads.programs.program import Program
from allroads.programs.subject import Subject, subject_of
from allroads.progress import progress as watched
from allroads.results import Measurement, Result
from allroads.status import ExtractionStatus
from allroads.targets.symbols import decoded
from allroads.targets.target import Target

INTERCHANGE = 0.99
"""Interchange accuracy from which a network is said to compute a program, and not only to answer as it does."""


HINT = (
    "the network seems to read its letters one after another, and its trace gives no step of it; where it has one, "
    "name it by dataclasses.replace(network, cell=Cell(initial_state, step))"
)
"""What is said of a network whose step is wanted and was not found."""

NOTHING = "the causal check tests nothing, as the exchange of wrong states passes it too"
"""What is said of a machine of one state, for example."""


@dataclass(frozen=True, repr=False)
class Extraction(Result):
    """The program of a network.

    Args:
        program: The program; ``None`` where none was found.
        equivalence: Of the network and the program: its scope says *exhaustive*, *all lengths*, *to length* or
            *sampled*.
        correct: Of the program and the target: a network may compute another function than it was to learn.
        interchange: Interchange-intervention accuracy, with its null; ``None`` where none was made.
        status: ``computes`` asks for a proof and for the causal check; ``behaves as`` for a proof alone. A check that
            the exchange of wrong states passes too, as where there is one, tests nothing: it earns ``behaves as``.
        stats: ``seconds``, the length of the plain table in bits, and what each language said. ``hint`` says how to
            name the step of a network that reads letter by letter and gives none in its trace; empty for others.

    Example:
        >>> Extraction(None, None, None, None, ExtractionStatus.NO_PROGRAM, {"why": "the network memorises"})
        Extraction(no program: the network memorises)
    """

    program: Program | None
    equivalence: Equivalence | None
    correct: Equivalence | None
    interchange: Measurement | None
    status: ExtractionStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """Length of the program in bits; NaN without one."""
        return float("nan") if self.program is None else self.program.bits

    @property
    def error(self) -> float | None:
        """None: a length is exact."""
        return None

    def __repr__(self) -> str:
        if self.program is None:
            return f"Extraction({self.status.value}: {self.stats.get('why', '')})"
        causal = "" if self.interchange is None else f", interchange {self.interchange.value:.3f}"
        hint = f"; {self.stats['hint']}" if self.stats.get("hint") else ""
        return (
            f"Extraction({self.status.value}: {self.program.language}, {self.program.bits:.0f} bits, "
            f"{self.equivalence}{causal}; target: {self.correct}{hint})\n{self.program.source}"
        )


def extract(
    network: Network,
    params: Any,
    target: Target,
    *,
    languages: Sequence[Language] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Extraction:
    """The program that a network computes, read out of its weights and hidden states.

    The languages are tried by what the network and the target are: a sequence network over an alphabet as a machine, as
    counters or as sums over positions, a recurrent one over numbers as a recurrence. A network of bits is tried as a
    formula, one of two residues or elements by its frequencies or characters. No task is known by its name. Programs
    that are proved come first, then those shown up to a length, then those shown on samples. Of these, such as pass the
    causal check come first, and of these the shortest wins.

    Args:
        network: The network.
        params: The point.
        target: What the network was to learn. It says how inputs and outputs are read; its function decides
            ``correct`` and nothing else.
        languages: Languages to try; default all that are built in.
        seed: Decides everything random.
        progress: Whether a call that takes long says on the standard error what it does.

    Returns:
        An :class:`Extraction`. ``program.source`` is stand-alone Python that defines ``program(x)``.

    Raises:
        InputError: If weights are not finite, the network does not fit the target, or a target's function fails.

    When it fails: a network that computes no short program gives the status ``no program`` and never a wrong one.

    References: [michaud2024]

    Example:
        >>> from allroads import Target
        >>> from allroads.programs import compile_program
        >>> from allroads.programs.boolean import Formula
        >>> xor = Target("xor", inputs=[[0, 0], [0, 1], [1, 0], [1, 1]], labels=[0, 1, 1, 0], complete=True, loss="bce")
        >>> network, params = compile_program(Formula.parse("x0 ^ x1", 2))
        >>> found = extract(network, params, xor)
        >>> found.status.value, str(found.equivalence)
        ('computes', 'equal on all 4 inputs')
    """
    began = time.perf_counter()
    check_count("seed", seed, 0)
    subject = subject_of(network, params, target)
    said: dict[str, str] = {}
    readings: list[tuple[str, Reading]] = []
    with watched("extract", progress) as say:
        for language in _known(languages):
            say(f"reading as {language.name}")
            unfit = subject.unreadable or language.fits(subject)
            reading = None if unfit else language.read(subject, seed)
            said[language.name] = unfit or (reading.why if reading is not None else "")
            if reading is not None:
                readings.append((language.name, reading))
    readings.sort(key=lambda pair: _rank(pair[1], subject.target))
    best = readings[0][1] if readings else Reading(None, why="no language fits the network and its target")
    why = best.why
    if best.program is None and len(readings) > 1:
        why = "; ".join(f"{name}: {reading.why}" for name, reading in readings)
    if best.interchange is not None and best.interchange.value >= INTERCHANGE and _tests_nothing(best.interchange):
        why = f"{why}; {NOTHING}" if why else NOTHING
    stats = {"seconds": time.perf_counter() - began, "table_bits": best.table_bits, "languages": said, "why": why}
    if subject.unreadable is not None:
        stats["why"] = subject.unreadable
    elif not readings:
        stats["why"] = "; ".join(f"{name}: {why}" for name, why in said.items())
    correct = None if best.program is None else against_target(best.program, subject)
    status = _status(best, readings, subject)
    hint = _hint(best, subject)
    stats |= {"hint": hint, "why": "; ".join(text for text in (str(stats["why"]), hint) if text)}
    return Extraction(best.program, best.equivalence, correct, best.interchange, status, stats)


def _known(given: Sequence[Language] | None) -> Sequence[Language]:
    if given is None:
        return languages()
    for language in given:
        if not isinstance(language, Language):
            raise InputError(f"languages: expected languages of allroads.programs; got {language!r}.")
    return given


def _rank(reading: Reading, target: Target) -> tuple[int, bool, float]:
    """What was shown, whether the causal check was passed, and the length in bits: the smallest wins.

    A target of one answer per sequence asks words of one length alone, so that all words up to it are its domain.
    """
    if reading.program is None or reading.equivalence is None:
        return 4, True, 0.0
    if not reading.equivalence.equal:
        return 3, True, 0.0
    whole = reading.equivalence.proved or (not target.interface.per_position and _covers(reading.equivalence, target))
    shown = 0 if whole else 1 + (reading.equivalence.scope == "sampled")
    causal = reading.interchange
    passes = causal is not None and causal.value >= INTERCHANGE and not _tests_nothing(causal)
    return shown, not passes, reading.program.bits


def _status(best: Reading, readings: Sequence[Any], subject: Subject) -> ExtractionStatus:
    if subject.unreadable is not None:
        return ExtractionStatus.NO_PROGRAM
    if not readings:
        return ExtractionStatus.NOT_APPLICABLE
    if best.program is None or best.equivalence is None:
        return ExtractionStatus.NO_PROGRAM
    if not best.equivalence.equal:
        return ExtractionStatus.PARTIAL
    if best.table_bits is not None and best.program.bits >= best.table_bits:
        return ExtractionStatus.TABLE
    if not _covers(best.equivalence, subject.target):
        return ExtractionStatus.NOT_PROVED
    if best.interchange is None or best.interchange.value < INTERCHANGE or _tests_nothing(best.interchange):
        return ExtractionStatus.BEHAVES_AS
    return ExtractionStatus.COMPUTES


def _hint(best: Reading, subject: Subject) -> str:
    """How to name the cell of a network that reads letter by letter and has none; else empty."""
    network, always = subject.network, best.equivalence is not None and best.equivalence.scope == "all lengths"
    if network.cell is not None or subject.target.alphabet is None or always:
        return ""
    with float64():
        found = steps_seen(network, as_point(subject.params, network=network), subject.known[:2])
    return HINT if found else ""


def _tests_nothing(interchange: Measurement) -> bool:
    """Whether an exchange of wrong states of a machine passes as well, as where there is one.

    Other parts are dealt anew for their null. With one part that changes nothing, and the exchange is a test all the
    same.
    """
    return "states" in interchange.stats and interchange.stats["null"] >= INTERCHANGE


def _covers(equivalence: Equivalence, target: Target) -> bool:
    """Whether an equality holds on all that the target asks: everywhere, or up to the length of its sequences."""
    shape = target.interface.input_shape
    reaches = equivalence.length is not None and len(shape) > 0 and equivalence.length >= shape[0]
    return equivalence.proved or (equivalence.scope == "to length" and reaches)


def against_target(program: Program, subject: Subject) -> Equivalence:
    """Whether a program answers the examples of its target as the target does.

    The examples are the whole domain where it is known, else those at hand.
    """
    target, inputs = subject.target, subject.known
    sides = [target.full] if target.full is not None else [target.train, target.held_out]
    labels = np.concatenate([side.labels for side in sides if side is not None])
    labels = labels.argmax(axis=1) if subject.one_hot else labels
    scope = "sampled" if target.full is None else "exhaustive"
    tokens = target.interface.vocabulary is not None
    examples = decoded(inputs, target.alphabet if tokens else None)[0]
    for example, label in zip(examples, labels, strict=True):
        answer = program(example)
        if not _same(answer, label, target.output_alphabet):
            shown = (answer, _plain(np.asarray(label)))
            return Equivalence(False, scope, len(inputs), counterexample=_plain(example), answers=shown)
    return Equivalence(True, scope, len(inputs))


def _plain(example: Any) -> Any:
    """An example or an answer as lists of symbols or numbers, whole ones as integers, and one channel as none."""
    if not isinstance(example, np.ndarray):
        return example
    rows = example[:, 0] if example.ndim == 2 and example.shape[1] == 1 else example
    if np.array_equal(rows, np.rint(rows)):
        rows = rows.astype(int)
    return rows.tolist()


def _same(answer: Any, label: np.ndarray, symbols: tuple[Any, ...] | None) -> bool:
    if symbols is not None:
        answer = [symbols.index(a) for a in answer] if isinstance(answer, list) else symbols.index(answer)
    return np.array_equal(np.asarray(answer).reshape(label.shape), label)
