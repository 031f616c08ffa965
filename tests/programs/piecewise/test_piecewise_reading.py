"""Piecewise-linear programs read out of recurrent networks: planted, near misses, drifting, untrained, nearly right."""

import functools

import jax
import numpy as np
import pytest
from planted_piecewise import LAST3, PLANTED, SPREAD, S, X, absolute, clipped, running

from allroads import Target, extract
from allroads.networks.recurrent import recurrent
from allroads.programs.linear import Recurrence, compile_recurrence
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.within import within
from allroads.programs.piecewise import LANGUAGE, Piecewise, Register, Term, compile_piecewise
from allroads.programs.piecewise.machine import machine
from allroads.programs.piecewise.read import fits, read
from allroads.programs.subject import subject_of
from allroads.status import ExtractionStatus
from allroads.targets import build_target


def target_of(program, length=5, **options):
    """A target that asks what a program answers."""

    @functools.cache
    def step(state, x):
        after, said = program.step(np.array([state], np.int64).reshape(1, -1), np.array([[x]]))
        return tuple(after[0].tolist()), int(said[0])

    sizes = {"train_size": 200, "held_out_size": 100} | options
    return Target("planted", alphabet=range(program.low, program.high + 1), length=length, step=step,
                  initial_state=program.start, as_numbers=True, **sizes)  # fmt: skip


def check(program, target, scope, **options):
    found = extract(*compile_piecewise(program, length=target.interface.input_shape[0], **options), target,
                    languages=[LANGUAGE])  # fmt: skip
    assert found.program is not None, found
    assert found.program.canonical() == program.canonical(), found.program.source
    assert found.equivalence.scope == scope
    # Without registers there is one state, and nothing to exchange.
    assert found.status == (ExtractionStatus.COMPUTES if program.registers else ExtractionStatus.BEHAVES_AS)
    assert found.interchange.value == 1
    assert found.correct.equal
    return found


SMALL = {
    "the larger": (running("max", 0, -4, 4), "all lengths"),
    "the gap": (Piecewise((Register(0, X),), absolute(Term("-", (S, X))), -4, 4), "all lengths"),
    "clipped": (clipped(-3, 5, 3), "all lengths"),
    "the spread": (SPREAD, "all lengths"),
    "largest of three": (LAST3, "all lengths"),
}


def test_a_gap_to_the_number_before_the_last_comes_back():
    """No register that holds what was is updated by one that is already moved."""
    registers = (Register(0, Term("s1")), Register(0, X))
    program = Piecewise(registers, absolute(Term("-", (Term("s0"), X))), -2, 2)
    found = extract(*compile_piecewise(program, length=5), target_of(program), languages=[LANGUAGE])
    assert found.program is not None and found.program.equals(program).equal


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in ("the gap", "clipped"))) for n in SMALL]
)
def test_planted_programs_come_back(name):
    program, scope = SMALL[name]
    found = check(program, target_of(program), scope)
    assert found.interchange.stats["null"] < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("task", PLANTED)
def test_planted_tasks_come_back_in_another_basis_with_noise(task, seed):
    """Memory that is overwritten forgets the noise; a maximum that is kept drifts, and is shown up to the length."""
    target = build_target("sequence", task=task, as_numbers=True)
    kept = task in ("Max_Seen", "Min_Seen")
    check(PLANTED[task], target, "all lengths")
    check(PLANTED[task], target, "to length" if kept else "all lengths", mix=seed, noise=1e-5, seed=seed)


NEAR = {
    "starts at 1": (Piecewise((Register(1, X),), absolute(Term("-", (S, X))), -4, 4), "the gap"),
    "clipped higher": (clipped(-3, 6, 3), "clipped"),
    "never above 3": (
        Piecewise((Register(0, Term("min", (Term(3), Term("max", (S, X)))), True),), S, -4, 4),
        "the larger",
    ),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if i else ()) for i, n in enumerate(NEAR)])
def test_near_misses_are_read_as_what_they_are(name):
    program, asked = NEAR[name]
    target = target_of(SMALL[asked][0])
    found = extract(*compile_piecewise(program, length=5), target, languages=[LANGUAGE])
    assert found.program.equals(program).proved
    assert found.equivalence.equal
    assert not found.correct.equal
    assert not found.program.equals(SMALL[asked][0]).equal


def drifting(keep, length=8):
    program = running("max", 0, 0, 12)
    network, params = compile_piecewise(program, length=length)
    params = jax.tree.map(np.array, params)
    params["layers"][-1]["weight"][:, 0] *= keep
    return program, subject_of(network, params, target_of(program, length))


def test_no_length_is_proved_at_which_a_leaking_maximum_errs():
    """It keeps 0.99 of itself a position, so 12 is answered as 11.5 and less from 12 · 0.99^k < 11.5 on: k = 5."""
    program, subject = drifting(0.99)
    errs = next(k for k in range(20) if round(12 * 0.99**k) != 12)
    assert errs == 5
    steps = Steps(subject)
    shown = within(steps, machine(program, subject.letters), 8, 0, always=True)
    assert not shown.always
    assert shown.length == errs
    exact, subject = drifting(1.0)
    shown = within(Steps(subject), machine(exact, subject.letters), 8, 0)
    assert shown.length == 8
    assert shown.margin == pytest.approx(0.5, abs=1e-6)


def test_memory_that_is_overwritten_is_proved_at_all_lengths():
    """The number before replaces the one before it, so that noise on the weights does not add up."""
    gap = SMALL["the gap"][0]
    subject = subject_of(*compile_piecewise(gap, length=5, mix=1, noise=1e-4), target_of(gap))
    shown = within(Steps(subject), machine(gap, subject.letters), 5, 0, always=True)
    assert (shown.length, shown.always) == (5, True)
    assert 0.4 < shown.margin <= 0.5


def test_a_network_that_is_nearly_right_comes_with_a_counterexample():
    """Only where 20 and −20 meet, which are two of 1681 pairs, the answer is 41 and not 40."""
    gap = absolute(Term("-", (S, X)))
    odd = Term("max", (gap, Term("-", (Term("+", (gap, gap)), Term(39)))))
    program = Piecewise((Register(0, X),), odd, -20, 20)
    target = target_of(Piecewise((Register(0, X),), gap, -20, 20))
    found = extract(*compile_piecewise(program, length=5), target, languages=[LANGUAGE])
    assert found.status == ExtractionStatus.PARTIAL
    assert not found.equivalence.equal
    own, other = found.equivalence.answers
    assert program(found.equivalence.counterexample)[-1] == own != other
    assert abs(found.equivalence.counterexample[-1] - found.equivalence.counterexample[-2]) == 40


@pytest.mark.parametrize("count", [1, pytest.param(40, marks=pytest.mark.slow)])
def test_untrained_networks_give_no_program_that_they_do_not_compute(count, seed):
    """Networks with outputs near whole numbers or far from them; what is read as equal is so on fresh inputs."""
    target = target_of(SMALL["the gap"][0], length=4, train_size=100, held_out_size=20)
    rng = np.random.default_rng(seed)
    words = rng.integers(-4, 5, size=(400, 4, 1)).astype(float)
    for draw in range(count):
        network = recurrent((4, 1), 1, per_position=True, cell="elman", width=3, activation="relu", scale=1.5)
        params = jax.tree.map(np.array, network.init(jax.random.key(1000 * seed + draw)))
        if draw % 2:
            params = jax.tree.map(np.rint, params)  # whole weights answer in whole numbers
        subject = subject_of(network, params, target)
        reading = read(subject, seed)
        if reading.program is None or not reading.equivalence.equal:
            assert reading.why
            continue
        assert reading.program.follow(words)[0].tolist() == subject.answers(words).tolist()


def test_sums_are_left_to_the_language_of_sums():
    target = target_of(Piecewise((Register(0, Term("+", (S, X)), True),), S, -4, 4))
    add = Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0])
    reading = read(subject_of(*compile_recurrence(add, length=5), target), 0)
    assert reading.program is None
    assert "language linear" in reading.why


def test_what_does_not_fit_is_said():
    program = SMALL["the gap"][0]
    network, params = compile_piecewise(program, length=5)
    target = target_of(program)
    assert fits(subject_of(network, params, target)) is None
    reader = recurrent((5,), 2, vocabulary=2, per_position=True, width=2)
    tokens = Target("parity", alphabet=2, length=5, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    assert "numbers" in fits(subject_of(reader, reader.init(jax.random.key(0)), tokens))
    halves = Target("halves", inputs=target.train.inputs / 2, labels=np.asarray(target.train.labels).reshape(200, 5, 1),
                    loss="mse")  # fmt: skip
    assert "whole" in fits(subject_of(network, params, halves))
    pair = Target(
        "pair", inputs=np.arange(40).reshape(10, 2, 2) % 7, labels=np.arange(20).reshape(10, 2, 1), loss="mse"
    )
    two = recurrent((2, 2), 1, per_position=True, width=2, cell="elman")
    assert fits(subject_of(two, two.init(jax.random.key(0)), pair)) is None
