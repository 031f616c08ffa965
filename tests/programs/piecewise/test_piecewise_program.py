"""Piecewise-linear programs: semantics, source, normal form, equality, distance, terms and circuits."""

import itertools

import numpy as np
import pytest
from planted_piecewise import LAST3, PLANTED, SPREAD, ZERO, S, X, absolute, clipped, running

from allroads import InputError, float64, run_source
from allroads.programs.piecewise import Piecewise, Register, Term, compile_piecewise
from allroads.programs.piecewise.term import VALUES, tidy
from allroads.targets.evaluate import fold
from allroads.targets.mips import MIPS_TASKS


def folded(task, word):
    return fold(MIPS_TASKS[task].step, MIPS_TASKS[task].initial_state)(word)


@pytest.mark.parametrize("task", PLANTED)
def test_programs_source_and_compiled_networks_do_what_the_tasks_ask(task):
    program, rng = PLANTED[task], np.random.default_rng(0)
    words = rng.integers(program.low, program.high + 1, size=(20, 6))
    wanted = [folded(task, word) for word in words.tolist()]
    assert [program(word) for word in words] == wanted
    assert run_source(program.source, words.tolist()) == wanted
    assert program.follow(words[..., None])[0].tolist() == wanted
    assert [program.canonical()(word) for word in words] == wanted
    assert program.canonical().canonical() == program.canonical()
    network, params = compile_piecewise(program, length=6)
    assert network.apply(params, words[..., None].astype(float))[..., 0].tolist() == wanted
    network, params = compile_piecewise(program, length=6, mix=2)
    with float64():
        mixed = network.apply(params, words[..., None].astype(float))[..., 0]
    np.testing.assert_allclose(mixed, wanted, atol=1e-9)


def test_programs_of_two_registers_and_of_windows():
    words = np.random.default_rng(1).integers(-4, 5, size=(30, 7))
    for program, own in (
        (SPREAD, lambda w, t: max(0, *w[: t + 1]) - min(0, *w[: t + 1])),
        (LAST3, lambda w, t: max([*([0, 0] if t < 2 else []), *w[max(0, t - 2) : t + 1]])),
    ):
        wanted = [[own(word, t) for t in range(7)] for word in words.tolist()]
        assert program.follow(words[..., None])[0].tolist() == wanted
        assert run_source(program.source, words.tolist()) == wanted
        network, params = compile_piecewise(program, length=7)
        assert network.apply(params, words[..., None].astype(float))[..., 0].tolist() == wanted


def random_term(rng, leaves):
    if leaves == 1:
        return Term(rng.choice(["x", "s"])) if rng.random() < 0.7 else Term(int(rng.integers(-3, 4)))
    cut = int(rng.integers(1, leaves))
    head = str(rng.choice(["+", "-", "min", "max", "<", "==", "!="]))
    made = Term(head, (random_term(rng, cut), random_term(rng, leaves - cut)))
    return absolute(made) if rng.random() < 0.2 else made


def test_terms_are_worth_what_python_says_and_tidying_and_circuits_keep_that():
    rng = np.random.default_rng(0)
    x, s = (grid.ravel() for grid in np.meshgrid(np.arange(-4, 5), np.arange(-4, 5)))
    for _ in range(150):
        term = random_term(rng, int(rng.integers(1, 6)))
        values = np.broadcast_to(term.values({"x": x, "s": s}), x.shape)
        python = [eval(str(term), {"x": int(a), "s": int(b)}) for a, b in zip(x, s, strict=True)]
        assert values.tolist() == python, str(term)
        assert [term.at({"x": int(a), "s": int(b)}) for a, b in zip(x, s, strict=True)] == python
        tidied = tidy(term)
        assert np.broadcast_to(tidied.values({"x": x, "s": s}), x.shape).tolist() == python, (str(term), str(tidied))
        assert tidy(tidied) == tidied
    assert set(VALUES) == {"+", "-", "min", "max", "abs", "<", "==", "!="}


def test_circuits_of_random_terms_are_exact():
    rng = np.random.default_rng(3)
    words = rng.integers(-4, 5, size=(64, 4, 1))
    for _ in range(8):
        update = Term("max", (Term(-5), Term("min", (Term(5), random_term(rng, 4)))))
        program = Piecewise((Register(int(rng.integers(-2, 3)), update),), random_term(rng, 4), -4, 4)
        network, params = compile_piecewise(program, length=4)
        said = np.asarray(network.apply(params, words.astype(float)))[..., 0]
        assert said.tolist() == program.follow(words)[0].tolist(), program.source


def brute(a, b, length):
    """Length of the shortest sequence on which two programs differ; ``None`` where there is none up to a length."""
    low, high = max(a.low, b.low), min(a.high, b.high)
    words = np.array(list(itertools.product(range(low, high + 1), repeat=length)))[..., None]
    wrong = (a.follow(words)[0] != b.follow(words)[0]).any(axis=0)
    return int(wrong.argmax()) + 1 if wrong.any() else None


def test_equality_is_decided_as_the_search_of_all_sequences_says():
    programs = [
        running("max", 0, -2, 2),
        running("max", -2, -2, 2),
        running("max", -1, -2, 2),
        running("min", 0, -2, 2),
        Piecewise((Register(0, X),), absolute(Term("-", (S, X))), -2, 2),
        Piecewise((Register(1, X),), absolute(Term("-", (S, X))), -2, 2),
        Piecewise((), absolute(X), -2, 2),
        clipped(-2, 2, 2),
        clipped(-2, 3, 2),
        Piecewise((), Term("max", (X, Term("-", (ZERO, X)))), -2, 2),
    ]
    for a, b in itertools.product(programs, programs):
        found, shortest = a.equals(b), brute(a, b, 5)
        assert found.scope == "all lengths"
        assert found.equal == (shortest is None)
        assert (a.distance(b) == 0) == (a.canonical() == b.canonical())
        assert a.distance(b) == b.distance(a)
        if not found.equal:
            assert len(found.counterexample) == shortest
            assert found.answers == (a(found.counterexample), b(found.counterexample))


def test_equality_of_sums_without_a_bound_says_how_far_it_was_looked():
    """They differ where the sum passes 10⁶, which no short sequence reaches."""
    sum_of = Piecewise((Register(0, Term("+", (S, absolute(X))), True),), S, -3, 3)
    capped = Piecewise((Register(0, Term("min", (Term(10**6), Term("+", (S, absolute(X))))), True),), S, -3, 3)
    found = sum_of.equals(capped)
    assert found.equal
    assert found.scope == "to length"
    assert found.length >= 50


@pytest.mark.parametrize(
    ("registers", "output", "match"),
    [
        ((), S, "it has the variables"),
        ((Register(0, Term("y")),), S, "it has the variables"),
        ((Register(0, X, True), Register(0, Term("s0"))), Term("s0"), "cannot read one that is"),
    ],
)
def test_bad_programs_are_refused(registers, output, match):
    with pytest.raises(InputError, match=match):
        Piecewise(registers, output, 0, 9)


def test_bad_input_is_refused():
    program = PLANTED["Max_Seen"]
    with pytest.raises(InputError, match="expected whole numbers"):
        program([0.5])
    with pytest.raises(InputError, match="expected a range"):
        Piecewise((), X, 3, 2)
    with pytest.raises(InputError, match="expected a Piecewise"):
        program.equals(Piecewise((), Term("x0"), 0, 9, channels=2))
    with pytest.raises(InputError, match="no number in common"):
        program.equals(Piecewise((), X, 200, 300))
    with pytest.raises(InputError, match="expected a Piecewise"):
        compile_piecewise("max")


def test_length_in_bits_is_that_of_the_code():
    """With one register two variables: nodes weigh 4 each for these, a number and five operations, 1 for comparisons.

    35 in all. Gamma codes of 1 + n: 0 has 1 bit, 1 has 3; a number that is not 0 has one more for its sign.
    """
    node = np.log2(35 / 4)
    gap = Piecewise((Register(0, X),), absolute(Term("-", (S, X))), -9, 9)
    assert gap.bits == pytest.approx(3 + (1 + 1 + node) + 4 * node, abs=1e-9)
    alone = Piecewise((), Term("max", (X, Term(-1))), -9, 9)
    assert alone.bits == pytest.approx(1 + 3 * np.log2(31 / 4) + 4, abs=1e-9)


def test_edit_distance_counts_each_change():
    """A start that differs counts 1, a leaf for a leaf 1; registers and operands are matched in the best order."""
    largest = running("max", 0, -4, 4)
    assert largest.distance(running("max", 1, -4, 4)) == 1 + 0
    other = Piecewise((Register(0, X),), Term("-", (X, Term("+", (S, Term(1))))), -4, 4)
    assert other.distance(Piecewise((Register(0, X),), Term("-", (X, Term("+", (S, Term(2))))), -4, 4)) == 1
    assert other.distance(Piecewise((Register(5, X),), Term("-", (X, Term("+", (S, Term(1))))), -4, 4)) == 1
    assert SPREAD.distance(SPREAD) == 0
    low = Register(0, Term("min", (Term("s0"), X)), True)
    high = Register(0, Term("max", (Term("s1"), X)), True)
    assert SPREAD.distance(Piecewise((low, high), Term("-", (Term("s1"), Term("s0"))), -4, 4)) == 0


def test_ranges_are_compared_where_they_overlap():
    """They differ at −3 and 3 alone: outside the range of one, at an end of the range of both."""
    plain, bent = Piecewise((), X, -9, 9), Term("max", (Term("min", (X, Term(2))), Term(-3)))
    inside = Piecewise((), bent, -3, 2).equals(plain)
    assert inside.proved and inside.stats["range"] == [-3, 2]
    found = Piecewise((), bent, -3, 3).equals(plain)
    assert (found.equal, found.counterexample, found.answers) == (False, [3], ([2], [3]))
