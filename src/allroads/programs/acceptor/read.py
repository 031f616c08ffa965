"""Reading of networks with one answer per sequence."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.pfmap.network import Network
from allroads.pfmap.precision import float64
from allroads.programs.acceptor.acceptor import Acceptor, table_bits
from allroads.programs.acceptor.diagram import diagram, foldings, unfolded
from allroads.programs.equivalence import Equivalence
from allroads.programs.language import Reading
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.machine import Machine
from allroads.programs.mealy.read import read as read_machine
from allroads.programs.mealy.words import words_of
from allroads.programs.subject import Subject

WORDS = 2**16
"""Most words that are asked."""

SHORTEST = 3
"""Fewest letters of a word."""

STATES = 256
"""Nodes of a diagram above which it is no program."""

PASSES = 0.99
"""Interchange accuracy from which the machine of all prefixes is taken as it is."""

CLOSE = 1e-8
"""Relative difference up to which the last outputs of the folded cell are the network's."""


def fits(subject: Subject) -> str | None:
    """Why a network and its target cannot be read as a machine with one answer; ``None`` where they can."""
    interface = subject.target.interface
    if subject.letters is None:
        return "the target has no alphabet; give it one, or the letters cannot be enumerated"
    if interface.per_position:
        return "the target asks one answer for each position"
    if interface.outputs != 1 and subject.target.loss != "cross_entropy":
        return "the target asks several numbers for a sequence"
    if interface.input_shape[0] < SHORTEST:
        return f"words of {interface.input_shape[0]} letters are too short for a machine; they are pairs or less"
    if len(subject.letters) < 2:
        return "there is one letter, so there is one word of each length"
    return subject.asks_fractions


def read(subject: Subject, seed: int) -> Reading:
    """The machine whose last output is the answer of a network to a whole sequence.

    A network that reads shorter words too, or has a cell, is asked after each prefix and read as a machine of all
    these answers. Where that machine does not pass the causal check, its answers to all words of the one length are
    taken too: they are a decision diagram, which is folded into a machine with few states. The shorter machine is
    returned, as a network may answer shorter words by chance.

    Args:
        subject: The network at a point, with its target.
        seed: Decides what is drawn.

    Returns:
        A :class:`Reading`. From the diagram alone there is no causal check, so that it says *behaves as* at most.

    References: [bryant1986] [angluin1987]
    """
    by_prefix = _by_prefixes(subject, seed)
    short = by_prefix is not None and _short(by_prefix)
    if by_prefix is not None and short and by_prefix.interchange is not None and by_prefix.interchange.value >= PASSES:
        return by_prefix
    whole = _whole(subject)
    if by_prefix is None or by_prefix.program is None:
        return whole
    if whole.program is None or (short and by_prefix.program.bits <= whole.program.bits):
        return by_prefix
    return whole


def _short(reading: Reading) -> bool:
    equal = reading.equivalence is not None and reading.equivalence.equal
    return equal and (
        reading.table_bits is None or reading.program is None or reading.program.bits < reading.table_bits
    )


def _whole(subject: Subject) -> Reading:
    """The machine of the answers to all words of the one length."""
    steps, letters = Steps(subject), len(subject.letters or [])
    length = int(subject.target.interface.input_shape[0])
    if length * math.log2(letters) > math.log2(WORDS):
        return Reading(None, why=f"there are {letters}^{length} words, more than {WORDS:,}")
    words = np.indices((letters,) * length).reshape(length, -1).T
    outputs = subject.outputs(steps.padded(words))
    labels = subject.decide(outputs)
    bits = table_bits(labels)
    margin = float(subject.margins(outputs).min())
    tie = subject.tie(outputs)
    if tie is not None:
        return Reading(None, table_bits=bits, why=tie)
    levels = diagram(labels, letters, length)
    tables = foldings(levels)
    folded = bool(tables)
    if not folded:
        nodes = sum(len(level) for level in levels)
        if nodes > STATES:
            return Reading(None, table_bits=bits, why=f"the decision diagram has {nodes:,} nodes and does not fold")
        tables = [unfolded(levels)]
    programs = [_program(steps, moves, said, length) for moves, said in tables]
    program = min(programs, key=lambda one: one.bits)
    answers = [steps.symbol([label]) for label in labels.tolist()]
    shown = [[steps.letters[i] for i in word] for word in words.tolist()]
    if any(program(word) != answer for word, answer in zip(shown, answers, strict=True)):
        raise AssertionError("the folded machine answers otherwise than the diagram")
    why = f"a machine of {program.machine.states} states, folded from" if folded else "the states are the nodes of"
    equality = Equivalence(True, "exhaustive", len(words), length, margin)
    return Reading(program, equality, None, bits, f"{why} the decision diagram of all words of {length} letters")


def _program(steps: Steps, moves: np.ndarray, said: np.ndarray, length: int) -> Acceptor:
    outputs = tuple(tuple(steps.symbol([int(o)]) for o in row) for row in said)
    return Acceptor(Machine(tuple(steps.letters), tuple(map(tuple, moves.tolist())), outputs), length)


def _by_prefixes(subject: Subject, seed: int) -> Reading | None:
    """The machine of the answers after all prefixes; ``None`` where the network cannot be asked for them."""
    streamed = streaming(subject)
    if streamed is None:
        return None
    found = read_machine(streamed, seed)
    if not isinstance(found.program, Machine):
        return None
    steps, own = Steps(subject), subject.answers(subject.known)
    words = words_of(steps, subject.known)
    symbols = [steps.symbol([int(label)]) for label in own]
    said = [found.program([found.program.alphabet[i] for i in word])[-1] for word in words]
    if said != symbols:
        return None  # the network itself answers otherwise than its cell
    reaches_all = found.equivalence is not None and found.equivalence.scope == "all lengths"
    length, letters = int(subject.target.interface.input_shape[0]), float(len(subject.letters or []))
    # The table of a machine has an answer for each prefix; that of an acceptor one for each word.
    share = letters**length / sum(letters**t for t in range(1, length + 1))
    return Reading(
        Acceptor(found.program, None if reaches_all else length),
        found.equivalence,
        found.interchange,
        None if found.table_bits is None else found.table_bits * share,
        f"asked after each prefix: {found.why}",
    )


def streaming(subject: Subject) -> Subject | None:
    """The same network with one answer after each prefix; ``None`` where it reads words of one length alone.

    A cell is folded over the word. A network without one is given each prefix as a word. Either way the last answer is
    the network's own, which is compared on examples.
    """
    network, target = subject.network, subject.target
    cell = network.cell

    def folded(params: Any, inputs: Any) -> Any:
        assert cell is not None  # or each prefix is fed
        step = cell.step
        columns = jnp.swapaxes(jnp.asarray(inputs), 0, 1)
        start = cell.initial_state(params, len(inputs))
        outputs = jax.lax.scan(lambda state, x: step(params, state, x), start, columns)[1]
        return jnp.swapaxes(outputs, 0, 1)

    def fed(params: Any, inputs: Any) -> Any:
        ends = range(1, inputs.shape[1] + 1)
        return jnp.stack([network.apply(params, inputs[:, :end]) for end in ends], axis=1)

    apply = fed if cell is None else folded
    asked = copy.copy(target)
    object.__setattr__(asked, "interface", replace(target.interface, per_position=True))
    streamed = Subject(Network(network.init, apply, cell, network.name, network.check, network.point), subject.params,
                       asked)  # fmt: skip
    few = subject.known[:64]
    try:
        with float64():
            outputs = streamed.outputs(few)
    except Exception:  # a network that is fixed to one length, which may raise anything
        return None
    own = subject.outputs(few)
    if outputs.shape != (len(few), few.shape[1], own.shape[1]):
        return None
    off = np.abs(outputs[:, -1] - own) / (1 + np.abs(own))
    return streamed if float(off.max()) <= CLOSE else None
