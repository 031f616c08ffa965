"""Integer recurrences: normal forms, equality for all lengths, lengths, parts and source."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allroads.errors import InputError
from allroads.programs import run_source, shared_parts
from allroads.programs.linear import Recurrence, shorten
from allroads.programs.linear.realise import coordinates, hermite, markov, realise
from allroads.programs.linear.recurrence import gamma, of_space
from allroads.programs.linear.shorten import shifted
from allroads.programs.linear.source import write
from allroads.programs.linear.transfer import transfer

SUM = Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0])
LAST2 = Recurrence(a=[[0]], b=[[1]], c=[[1]], d=[[1]], start=[0])
FREEBODY = Recurrence(a=[[1, 1], [0, 1]], b=[[1], [1]], c=[[1, 1]], d=[[1]], start=[0, 0])
MAGNETIC = Recurrence(
    a=[[1, -1, 0, 0], [1, 1, 0, 0], [1, -1, 1, 0], [1, 1, 0, 1]],
    b=[[1, 0], [0, 1], [1, 0], [0, 1]],
    c=[[1, -1, 1, 0], [1, 1, 0, 1]],
    d=[[1, 0], [0, 1]],
    start=[0, 0, 0, 0],
)


def drawn(rng, states=None, inputs=None, outputs=None):
    n = rng.integers(0, 4) if states is None else states
    d, c = rng.integers(1, 3, size=2) if inputs is None else (inputs, outputs)
    shapes = {"a": (n, n), "b": (n, d), "c": (c, n), "d": (c, d), "start": (n,)}
    return Recurrence(**{name: rng.integers(-2, 3, size=shape).tolist() for name, shape in shapes.items()})


def rebased(program, rng):
    """The same recurrence in another integer basis, with a state added that no answer reads and one that never is."""
    n = program.states
    change = back = np.eye(n, dtype=int)
    for _ in range(3 * n if n > 1 else 0):
        i, j = rng.choice(n, size=2, replace=False)
        step = np.eye(n, dtype=int)
        step[i, j] = rng.choice([-1, 1])
        change, back = step @ change, back @ (2 * np.eye(n, dtype=int) - step)
    a, b, c, start = (
        np.array(part, dtype=int).reshape(shape)
        for part, shape in (
            (program.a, (n, n)),
            (program.b, (n, program.inputs)),
            (program.c, (program.outputs, n)),
            (program.start, (n,)),
        )
    )
    a, b, c, start = change @ a @ back, change @ b, c @ back, change @ start
    a = np.block([[a, rng.integers(-1, 2, (n, 1)) * 0, np.ones((n, 1), int)],
                  [np.ones((1, n), int), np.full((1, 1), 2), np.zeros((1, 1), int)],
                  [np.zeros((1, n), int), np.zeros((1, 1), int), np.ones((1, 1), int)]])  # fmt: skip
    b = np.vstack([b, np.ones((1, program.inputs), int), np.zeros((1, program.inputs), int)])
    c = np.hstack([c, np.zeros((program.outputs, 1), int), np.ones((program.outputs, 1), int)])
    return Recurrence(a.tolist(), b.tolist(), c.tolist(), program.d, [*start.tolist(), 3, 0])


def test_normal_form_is_the_same_in_every_basis(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        program = drawn(rng)
        other = rebased(program, rng)
        assert program.canonical() == other.canonical() == program.canonical().canonical()
        assert program.equals(other).proved
        assert program.canonical().states <= program.states
        assert (program.distance(other), shared_parts(program, other)) == (0, 1)


def test_normal_form_and_short_form_answer_the_same(seed):
    rng = np.random.default_rng(seed)
    for _ in range(12):
        program = drawn(rng)
        x = rng.integers(-3, 4, size=(2, 6, program.inputs))
        for form in (program.canonical(), shorten(program), shifted(program.canonical()), of_space(program.space)):
            assert [form(row) for row in x] == [program(row) for row in x]
            assert program.equals(form).proved
        assert shorten(program).bits <= program.canonical().bits


def test_inequality_has_a_shortest_counterexample(seed):
    rng = np.random.default_rng(seed)
    for _ in range(30):
        one, two = drawn(rng, 1, 1, 1), drawn(rng, 1, 1, 1)
        found = one.equals(two)
        shortest = next(
            (length for length in range(1, 5) for x in itertools.product((-1, 0, 1), repeat=length)
             if one(list(x)) != two(list(x))), None)  # fmt: skip
        assert found.equal == (shortest is None)
        if not found.equal:
            assert len(found.counterexample) == shortest
            assert (one(found.counterexample), two(found.counterexample)) == found.answers
            assert found.answers[0] != found.answers[1]


def test_one_coefficient_apart_is_seen_however_late():
    """Delay lines that differ at lag 7 alone agree on everything shorter."""
    line = [[int(j == i + 1) for j in range(7)] for i in range(7)]
    late = {"a": line, "b": [[0]] * 6 + [[1]], "d": [[0]], "start": [0] * 7}
    seven, none = Recurrence(c=[[1, 0, 0, 0, 0, 0, 0]], **late), Recurrence(c=[[0] * 7], **late)
    found = seven.equals(none)
    assert not found.equal
    assert found.counterexample == [1, 0, 0, 0, 0, 0, 0, 0]
    assert found.answers == ([0] * 7 + [1], [0] * 8)


def test_distance_counts_coefficients_of_the_transfer_function():
    """Sum of the last 2 is 1 + z, of the last three 1 + z + z², of all 1 / (1 − z)."""
    last3 = Recurrence(a=[[0, 1], [0, 0]], b=[[1], [1]], c=[[1, 0]], d=[[1]], start=[0, 0])
    assert LAST2.distance(last3) == last3.distance(LAST2) == 1
    assert LAST2.distance(SUM) == 2  # z above is gone, −z below is new
    assert shared_parts(LAST2, last3) == 3 / 4
    assert SUM.distance(MAGNETIC) == math.inf
    assert len(MAGNETIC.parts) == 18
    assert {"y0/x0 above z^0: 1", "y0/x0 below z^1: -1"} <= SUM.parts


def test_bits_are_those_of_the_code():
    """Gamma code by hand: sizes 2, 2, 2 take 3 bits each; 1, 1, 1, 1 take 3 bits each; the 0 takes one."""
    assert SUM.bits == 9 + 12 + 1
    assert [gamma(k) for k in (1, 2, 3, 4, 8)] == [1, 3, 3, 5, 7]
    codes = [2 * abs(z) + (z <= 0) for z in range(-50, 51)]
    assert sorted(codes) == list(range(1, 102))  # a bijection, so the code can be read
    assert sum(2.0 ** -gamma(k) for k in range(1, 2**16)) < 1  # Kraft


def test_source_runs_alone_and_answers_the_same(seed):
    rng = np.random.default_rng(seed)
    for program in (SUM, LAST2, FREEBODY, MAGNETIC, drawn(rng, 3, 1, 2), drawn(rng, 3, 2, 1), drawn(rng, 0, 1, 1)):
        x = rng.integers(-9, 10, size=(3, 7, program.inputs))
        examples = [[tuple(p) if program.inputs > 1 else p[0] for p in row] for row in x.tolist()]
        said = run_source(program.source, examples)
        assert [[tuple(p) if program.outputs > 1 else p for p in row] for row in said] == program.run(examples)


def test_sources_of_known_recurrences_are_short():
    assert "s = s + u\n        y.append(s)" in SUM.source
    assert "y.append(s + u)\n        s = u" in LAST2.source
    assert "b = b + u\n        a = b + a\n        y.append(a)" in shorten(FREEBODY).source
    gravity = Recurrence(a=[[1, 1, 0], [0, 1, 1], [0, 0, 1]], b=[[2], [1], [0]], c=[[1, 0, 0]], d=[[1]],
                         start=[-1, -2, -1])  # fmt: skip
    assert gravity([0, 0, 5]) == [-1, -3, -1]
    assert write(gravity.space).count("= ") == 5  # two states and y start, two updates: the third state is a constant


def test_many_inputs_at_once_and_large_numbers_are_exact(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, size=(5, 90, 2))
    answers = MAGNETIC.answer(x)
    assert answers.dtype == object  # the field grows as √2^t, beyond 2^53 in the bound
    assert [[tuple(p) for p in row] for row in answers.tolist()] == MAGNETIC.run(x)
    assert SUM.answer(x[..., :1]).dtype == np.int64
    assert SUM.answer_states(x[..., :1])[:, :, 0].tolist() == SUM.answer(x[..., :1])[:, :, 0].tolist()
    answers, states = FREEBODY.follow(x[:, :3, :1], np.array([[2, 1]] * 5))
    assert answers[0, 0, 0] == 3 + x[0, 0, 0]
    assert states.shape == (5, 3, 2)
    assert SUM([]) == []


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=4), st.lists(st.integers(-3, 3), max_size=3))
@settings(max_examples=60, deadline=None)
def test_transfer_function_gives_its_series_back(above, below):
    """Long division of P by Q = 1 + …, then P and Q from the series: equal as fractions, in lowest terms."""
    full = [1, *below]
    series = []
    for k in range(24):
        value = (above[k] if k < len(above) else 0) - sum(
            full[j] * series[k - j] for j in range(1, min(k, len(below)) + 1)
        )
        series.append(value)
    top, bottom = transfer(series)
    again = []
    for k in range(24):
        fed_back = sum(bottom[j] * again[k - j] for j in range(1, min(k, len(bottom) - 1) + 1))
        again.append((top[k] if k < len(top) else 0) - fed_back)
    assert again == series
    assert max(len(top), len(bottom)) <= max(len(above), len(full))


def test_hermite_form_of_a_lattice():
    basis, rest = hermite([[4, 0, 7], [0, 6, 8], [2, 3, 9], [6, 9, 0]], 2)
    assert [row[:2] for row in basis] == [[2, 3], [0, 6]]
    assert [row[:2] for row in rest] == [[0, 0], [0, 0]]
    assert coordinates([[2, 3], [0, 6]], [4, 0]) == [2, -1]
    assert coordinates([[2, 3], [0, 6]], [1, 0]) is None


def test_no_realisation_of_what_follows_no_short_recurrence():
    squares_at = [int(math.isqrt(k) ** 2 == k) for k in range(20)]  # a lacunary series is not rational
    assert realise([[[h]] for h in squares_at], [[0]] * 20) is None
    assert realise([[[1]]], [[0]]) is None
    found = realise([[[k + 1]] for k in range(8)], [[0]] * 8)
    assert len(found.start) == 2
    assert markov(found, 8)[0] == [[[k + 1]] for k in range(8)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": [[0.5]]}, "a of a recurrence: expected 1 rows of 1 whole numbers"),
        ({"b": [[1], [1]]}, "b of a recurrence"),
        ({"c": [[1, 2]]}, "c of a recurrence"),
        ({"d": []}, "d of a recurrence: expected rows of whole numbers"),
        ({"start": ["x"]}, "start of a recurrence"),
    ],
)
def test_matrices_that_do_not_fit_are_named(change, message):
    with pytest.raises(InputError, match=message.replace("(", "\\(")):
        Recurrence(**({"a": [[1]], "b": [[1]], "c": [[1]], "d": [[1]], "start": [0]} | change))


def test_examples_and_rivals_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="2 channels expects"):
        MAGNETIC([1, 2, 3])
    with pytest.raises(InputError, match="whole numbers"):
        SUM([0.5])
    with pytest.raises(InputError, match="expected a recurrence of 1 inputs"):
        SUM.equals(MAGNETIC)
