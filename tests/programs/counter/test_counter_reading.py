"""Counters read out of recurrent networks: planted, near misses, leaking, untrained."""

import itertools

import jax
import numpy as np
import pytest
from planted_counters import AS_MANY, BRACKETS, PLANTED, ZERO, C

from allroads import Target, extract
from allroads.networks.recurrent import recurrent
from allroads.pfmap.network import Cell, Network
from allroads.programs.counter import LANGUAGE, Counter, compile_counter
from allroads.programs.counter.index import places
from allroads.programs.counter.read import fits, read
from allroads.programs.counter.states import horizon
from allroads.programs.mealy import Machine, compile_machine
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.within import within
from allroads.programs.piecewise import Term
from allroads.programs.subject import subject_of
from allroads.status import ExtractionStatus
from allroads.targets import build_target

BITS = Target("more ones", alphabet=2, length=7, step=lambda s, x: (s + 2 * x - 1, int(s + 2 * x > 1)), initial_state=0)


def planted(task, length, **options):
    target = build_target("sequence", task=task, length=length)
    outputs = target.output_alphabet or target.interface.outputs
    return compile_counter(PLANTED[task], length=length, output_alphabet=outputs, **options), target


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("Majority_0_2", "Evens_Counter")]


@pytest.mark.parametrize("task", ["Majority_0_1", "Balanced_Parenthesis", *SLOW])
def test_planted_counters_come_back(task):
    """Noise, another basis of the hidden state, and units in another order and scale leave the program as it is."""
    (network, params), target = planted(task, 7, mix=3, noise=1e-4, seed=1)
    found = extract(network, params, target, languages=[LANGUAGE])
    assert found.program.canonical() == PLANTED[task].canonical()
    assert found.status == ExtractionStatus.COMPUTES
    assert (found.equivalence.scope, found.equivalence.length) == ("to length", 7)
    assert found.correct.equal
    assert found.interchange.value == 1
    assert found.interchange.stats["null"] < 0.8
    assert found.equivalence.margin == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("task", PLANTED)
def test_planted_counters_come_back_at_the_length_of_the_benchmark(task, seed):
    for options in ({}, {"mix": seed, "noise": 1e-4, "seed": seed}):
        (network, params), target = planted(task, 10, **options)
        found = extract(network, params, target)
        assert found.program.canonical() == PLANTED[task].canonical(), found
        assert found.status == ExtractionStatus.COMPUTES
        assert found.correct.equal


NEAR = {
    "another threshold": Counter((0, 1), [[-1], [1]], Term("<", (Term(1), C))),
    "ones count twice": Counter((0, 1), [[-1], [2]], Term("<", (ZERO, C))),
    "a latch besides": Counter((0, 1), [[-1], [1]], Term("<", (ZERO, C)), latch=Term("<", (C, Term(-2)))),
    "no latch": AS_MANY,
    "another dead answer": Counter((0, 1), [[1], [-1]], Term("==", (C, ZERO)), latch=Term("<", (C, ZERO)), dead=1),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if i else ()) for i, n in enumerate(NEAR)])
def test_near_misses_are_read_as_what_they_are(name):
    reading = read(subject_of(*compile_counter(NEAR[name], length=7, output_alphabet=2), BITS), 0)
    assert reading.program.canonical() == NEAR[name].canonical()
    assert reading.equivalence.equal


@pytest.mark.slow
def test_ties_that_go_to_the_larger_number_are_seen():
    program = Counter((0, 1, 2), np.eye(3, dtype=int), Term("-", (Term(2), Term(places(3)[1]))))
    target = build_target("sequence", task="Majority_0_2", length=7)
    found = extract(*compile_counter(program, length=7), target, languages=[LANGUAGE])
    assert found.program.equals(program).equal
    assert found.program.canonical() == program.canonical()
    assert not found.correct.equal


def test_two_programs_that_the_data_cannot_tell_apart_are_told_apart():
    """All examples are words that never close what was not opened. Both networks are right on them; they differ."""
    words = [w for w in itertools.product((0, 1), repeat=6) if min(np.cumsum([1 - 2 * x for x in w])) >= 0]
    target = Target("brackets", inputs=words, labels=[BRACKETS(w) for w in words], alphabet=2, train_fraction=1.0)
    found = [
        extract(*compile_counter(p, length=6, output_alphabet=2), target, languages=[LANGUAGE])
        for p in (BRACKETS, AS_MANY)
    ]
    assert [f.correct.equal for f in found] == [True, True]
    assert [f.program.canonical() for f in found] == [BRACKETS.canonical(), AS_MANY.canonical()]
    assert found[0].program.equals(found[1].program).counterexample == [1, 0]


def leaking(length, keep):
    """A counter of the even numbers that forgets a share of itself at each position."""
    program = PLANTED["Evens_Counter"]
    network, params = compile_counter(program, length=length)
    params = jax.tree.map(np.array, params)
    params["layers"][-1]["weight"][:, 0] *= keep
    params["layers"][-1]["bias"][0] *= keep
    target = build_target("sequence", task="Evens_Counter", length=length)
    return program, subject_of(network, params, target)


def test_boxes_prove_no_length_at_which_a_leaking_counter_errs():
    """Words of a letter of either kind are enumerated for the truth; the proof must stop before the first error."""
    program, subject = leaking(9, 0.98)
    steps = Steps(subject)
    words = np.array(list(itertools.product((0, 1), repeat=9)))
    answers = steps.run(np.repeat(steps.start(), len(words), axis=0), words)[1][..., 0]
    wrong = (answers != program.follow(words)).any(axis=0)
    assert wrong.any()
    first = int(wrong.argmax())
    found = within(steps, horizon(program, 9), 9, 0)
    assert 1 <= found.length <= first
    assert found.why
    exact, subject = leaking(9, 1.0)
    assert within(Steps(subject), horizon(exact, 9), 9, 0).length == 9


@pytest.mark.parametrize(
    ("cell", "count"),
    [("elman", 3), pytest.param("elman", 40, marks=pytest.mark.slow), pytest.param("gru", 40, marks=pytest.mark.slow)],
)
def test_untrained_networks_give_no_program_that_they_do_not_compute(cell, count, seed):
    """What is read as equal is equal on all words."""
    network = recurrent((5,), 2, vocabulary=2, per_position=True, cell=cell, width=4, scale=3.0)
    words = np.array(list(itertools.product((0, 1), repeat=5)))
    target = Target("parity", alphabet=2, length=5, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    apply, draws = jax.jit(network.apply), jax.random.split(jax.random.key(seed), count)
    step = jax.jit(network.cell.step)
    fast = Network(network.init, apply, Cell(network.cell.initial_state, step), network.name, network.check)
    programs = 0
    for key in draws:
        subject = subject_of(fast, network.init(key), target)
        reading = read(subject, seed)
        if reading.program is None:
            assert reading.why
            continue
        programs += 1
        assert reading.equivalence.equal
        assert reading.program.follow(words).tolist() == subject.answers(words).tolist()
    assert programs < count


def test_what_does_not_fit_is_said():
    network, params = compile_counter(AS_MANY, length=7, output_alphabet=2)
    assert fits(subject_of(network, params, BITS)) is None
    last = Target("last", alphabet=2, length=7, function=lambda w: w[-1])
    reader = recurrent((7,), 2, vocabulary=2, width=2)
    assert "whole sequence" in fits(subject_of(reader, reader.init(jax.random.key(0)), last))
    many = build_target("sequence", task="Max_Seen")
    numbers = recurrent((10, 1), 1, per_position=True, width=2)
    assert "letters" in fits(subject_of(numbers, numbers.init(jax.random.key(0)), many))


def test_machines_that_do_not_count_are_left_to_others():
    """The letter before is no count, and answers by the position alone count nothing."""
    delay = Machine((0, 1), ((0, 1), (0, 1)), ((0, 0), (1, 1)))
    phase = Machine((0, 1), ((1, 1), (0, 0)), ((0, 0), (1, 1)))
    for machine in (delay, phase):
        reading = read(subject_of(*compile_machine(machine, cell="relu", length=7), BITS), 0)
        assert reading.program is None
        assert reading.why
