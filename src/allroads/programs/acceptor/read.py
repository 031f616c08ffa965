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
from allroads.programs.acceptor.interchange import interchange_at_end
from allroads.programs.equivalence import Equivalence
from allroads.programs.language import Reading
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.machine import Machine
from allroads.programs.mealy.quotient import Quotient
from allroads.programs.mealy.read import read as read_machine
from allroads.programs.mealy.streams import interchange_of_positions
from allroads.programs.subject import Subject

WORDS = 2**16
"""Most words that are asked."""

SHORTEST = 3
"""Fewest letters of a word."""

STATES = 256
"""Nodes of a diagram above which it is no program."""

LONGER = 64
"""Words of twice the length on which the network is compared with its cell."""

PASSES = 0.99
"""Interchange accuracy from which the causal check is passed."""

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
    these answers. Where that machine is proved at all lengths and passes the causal check, it is returned. Otherwise
    the answers to all words of the one length are taken too: they are a decision diagram, which is folded into a
    machine with few states, as a network may answer shorter words by chance. Of the two, such as are shorter than the
    table come first, then such as pass the causal check, and of these the shorter one wins.

    Args:
        subject: The network at a point, with its target.
        seed: Decides what is drawn.

    Returns:
        A :class:`Reading`. The causal check exchanges hidden states, or what a causal network holds at the first
        positions, and compares last answers.

    References: [bryant1986] [angluin1987]
    """
    by_prefix = _by_prefixes(subject, seed)
    if by_prefix is None:
        return _whole(subject, seed)
    always = by_prefix.equivalence is not None and by_prefix.equivalence.scope == "all lengths"
    if always and not any(_rank(by_prefix)[:3]):
        return by_prefix
    return min(by_prefix, _whole(subject, seed), key=_rank)


def _rank(reading: Reading) -> tuple[bool, bool, bool, float]:
    """Whether nothing was shown, whether it is a table, whether the causal check was missed, and the bits."""
    program, equal, causal = reading.program, reading.equivalence, reading.interchange
    if program is None or equal is None or not equal.equal:
        return True, True, True, 0.0
    table = reading.table_bits is not None and program.bits >= reading.table_bits
    return False, table, causal is None or causal.value < PASSES, program.bits


def _whole(subject: Subject, seed: int) -> Reading:
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
    programs = [(_program(steps, moves, said, length), moves, said) for moves, said in tables]
    program, moves, said = min(programs, key=lambda one: one[0].bits)
    answers = [steps.symbol([label]) for label in labels.tolist()]
    shown = [[steps.letters[i] for i in word] for word in words.tolist()]
    if any(program(word) != answer for word, answer in zip(shown, answers, strict=True)):
        raise AssertionError("the folded machine answers otherwise than the diagram")
    why = f"a machine of {program.machine.states} states, folded from" if folded else "the states are the nodes of"
    equality = Equivalence(True, "exhaustive", len(words), length, margin)
    causal = None
    if program.bits < bits:
        machine = Quotient(moves, said[..., None], np.zeros((len(moves), 0)))
        if subject.network.cell is not None:
            causal = interchange_at_end(steps, machine, length, seed)
        else:
            causal = interchange_of_positions(steps, machine, length, seed, last=True)
    return Reading(program, equality, causal, bits, f"{why} the decision diagram of all words of {length} letters")


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
    words = steps.words(subject.known)
    symbols = [steps.symbol([int(label)]) for label in own]
    said = [found.program([found.program.alphabet[i] for i in word])[-1] for word in words]
    if said != symbols:
        return None  # the network itself answers otherwise than its cell
    equality = found.equivalence
    reaches_all = equality is not None and equality.scope == "all lengths"
    length, letters = int(subject.target.interface.input_shape[0]), float(len(subject.letters or []))
    if equality is not None and reaches_all and not _answers_longer(subject, steps, seed):
        equality, reaches_all = replace(equality, scope="to length", length=length), False
    # The table of a machine has an answer for each prefix; that of an acceptor one for each word.
    share = letters**length / sum(letters**t for t in range(1, length + 1))
    return Reading(
        Acceptor(found.program, None if reaches_all else length),
        equality,
        found.interchange,
        None if found.table_bits is None else found.table_bits * share,
        f"asked after each prefix: {found.why}",
    )


def _answers_longer(subject: Subject, steps: Steps, seed: int) -> bool:
    """Whether the network itself answers words of twice the length as its step does; true where it reads none."""
    length = int(subject.target.interface.input_shape[0])
    words = np.random.default_rng((seed, 2 * length)).integers(len(steps.letters), size=(LONGER, 2 * length))
    said = steps.run(np.repeat(steps.start(), LONGER, axis=0), words)[1]
    return subject.folds(steps.padded(words), said[:, -1])


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
