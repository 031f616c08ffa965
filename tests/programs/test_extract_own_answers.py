"""Programs are held against the network's own answers: ties, cells, shorter words, and the examples beside one."""

from __future__ import annotations

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, Target, extract
from allroads.pfmap.network import Cell
from allroads.programs import acceptor, counter, linear, mealy, piecewise
from allroads.programs.boolean import LANGUAGE as BOOLEAN
from allroads.programs.mealy import Machine, compile_machine
from allroads.programs.subject import subject_of
from allroads.status import ExtractionStatus

ONE = jnp.ones(())
PARITY = Target("parity", alphabet=2, length=6, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
CUBE = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
MAJORITY = Target("majority", inputs=CUBE, labels=(CUBE.sum(axis=1) > 1).astype(int), complete=True, loss="bce")
RARE = [1, 1, 0, 1, 0, 0, 1, 0]


def network(apply, cell=None):
    return Network(lambda key: ONE, apply, cell)


def scores(p, odd):
    """Scores of an answer that is 0 or 1."""
    return jnp.stack([1.0 - odd, 0.0 + odd], axis=-1) * p


def flipped(odd, x):
    """Another answer at the end of one word alone."""
    rare = (x == jnp.array(RARE)).all(axis=1)
    return odd.at[:, -1].set(jnp.where(rare, 1 - odd[:, -1], odd[:, -1]))


COUNTING = Cell(lambda p, n: jnp.zeros((n,)), lambda p, s, x: ((s + x) % 2, scores(p, (s + x) % 2)))


def test_an_acceptor_is_held_against_the_network_and_not_its_cell_alone():
    """A cell that is named, and answers otherwise than the network on one word of 256."""
    target = Target("odd", alphabet=2, length=8, function=lambda w: sum(w) % 2)
    own = network(lambda p, x: scores(p, flipped(jnp.cumsum(x, axis=1) % 2, x)[:, -1]), COUNTING)
    found = extract(own, ONE, target, languages=[acceptor.LANGUAGE])
    words = [list(w) for w in itertools.product((0, 1), repeat=8)]
    answers = [sum(w) % 2 if w != RARE else 1 - sum(w) % 2 for w in words]
    assert found.program is None or found.program.run(words) == answers


def test_counters_are_held_against_the_network_and_not_its_cell_alone():
    """2,048 words, of which the network answers one otherwise than its cell."""
    rare = [*RARE, 1, 0, 0]

    def apply(p, x):
        total = jnp.cumsum(2 * x - 1, axis=1)
        odd = (x == jnp.array(rare)).all(axis=1)[:, None] & (jnp.arange(11) == 10)
        return scores(p, jnp.where(odd, total <= 0, total > 0))

    cell = Cell(
        lambda p, n: jnp.zeros((n,)), lambda p, s, x: (s + 2 * x - 1, scores(p, jnp.where(s + 2 * x - 1 > 0, 1, 0)))
    )
    target = Target(
        "more ones", alphabet=2, length=11, step=lambda s, x: (s + 2 * x - 1, int(s + 2 * x > 1)), initial_state=0
    )
    plain = network(lambda p, x: scores(p, jnp.cumsum(2 * x - 1, axis=1) > 0), cell)
    assert extract(plain, ONE, target, languages=[counter.LANGUAGE]).equivalence.scope == "to length"
    assert extract(network(apply, cell), ONE, target, languages=[counter.LANGUAGE]).program is None


def test_a_network_that_reads_the_length_of_the_word_is_not_equal_on_shorter_ones():
    turned = network(lambda p, x: scores(p, (jnp.cumsum(x, axis=1) + (x.shape[1] != 6)) % 2))
    plain = network(lambda p, x: scores(p, jnp.cumsum(x, axis=1) % 2))
    for language in (mealy.LANGUAGE, None):
        languages = None if language is None else [language]
        found = extract(turned, ONE, PARITY, languages=languages)
        assert found.equivalence.equal and found.equivalence.scope == "exhaustive"
        assert extract(plain, ONE, PARITY, languages=languages).equivalence.scope == "to length"


@pytest.mark.parametrize("target", [MAJORITY, PARITY], ids=lambda target: target.name)
def test_an_answer_that_depends_on_the_examples_beside_it_gives_no_program(target):
    if target is MAJORITY:
        apply = lambda p, x: p * (x - x.mean(axis=0)).sum(axis=1, keepdims=True) - 0.2  # noqa: E731
    else:
        apply = lambda p, x: scores(p, x - x.mean(axis=0))  # noqa: E731
    found = extract(network(apply), ONE, target)
    assert found.status == ExtractionStatus.NO_PROGRAM and found.program is None
    assert "beside it in a batch" in found.stats["why"]


@pytest.mark.parametrize("size", [1.0, 1e-6])
def test_a_small_dependence_on_the_examples_beside_it_is_seen(size):
    """The first row is 0 and gives −0.2 alone; beside the others the mean of 1.5 moves it by as much as is given."""
    apply = lambda p, x: p * (x - size * x.mean(axis=0)).sum(axis=1, keepdims=True) - 0.2  # noqa: E731
    found = extract(network(apply), ONE, MAJORITY)
    assert found.status == ExtractionStatus.NO_PROGRAM and "beside it in a batch" in found.stats["why"]


def test_ties_up_to_rounding_give_no_program():
    """0.1 + 0.2 − 0.3 is not 0 in double precision, and is 0 in another order."""
    boolean = network(lambda p, x: (0.1 * p * x[:, :1] + 0.2 * x[:, 1:2]) - 0.3 * x[:, 2:] - (x.sum(1) < 3)[:, None])
    found = extract(boolean, ONE, MAJORITY, languages=[BOOLEAN])
    assert found.program is None and "tie" in found.stats["why"]

    def step(p, s, x):
        s = (s + x) % 2
        both = s * x * 1.0
        return s, jnp.stack([0.3 * both + 0.1 * (1 - s), 0.1 * p * both + 0.2 * both + 0.1 * s * (1 - x)], axis=-1)

    def folded(p, x):
        return jax.lax.scan(lambda s, c: step(p, s, c), jnp.zeros(len(x), int), jnp.asarray(x).T)[1].swapaxes(0, 1)

    found = extract(network(folded), ONE, PARITY, languages=[mealy.LANGUAGE])
    assert found.program is None and "tie" in found.stats["why"]


def test_margins_and_ties_are_those_worked_out_by_hand():
    """Half the gap of two scores, the size of a logit, the way to the nearest half; of several the least."""
    words = {"alphabet": 3, "length": 2, "step": lambda s, x: (s, x), "initial_state": 0}
    scored = subject_of(network(lambda p, x: jax.nn.one_hot(x, 3) * p), ONE, Target("scores", **words))
    assert scored.margins(np.array([[1.0, 4.0, 2.5]])).tolist() == [0.75]
    near = np.array([[0.0, 1e-4, -9.0]])  # half the gap is 5e-5: above 1e-9, and below 1e-9 of 10^6
    assert scored.tie(near) is None and "tie" in scored.tie(near + 1e6)
    assert scored.tie(np.array([[[0.0, 1.0, 2.0], [3.0, 3.0, 0.0]]])) and "not finite" in scored.tie(near * np.nan)
    logit = subject_of(network(lambda p, x: x[:, :1] * p), ONE, MAJORITY)
    assert logit.margins(np.array([[-0.25], [3.0]])).tolist() == [0.25, 3.0]
    pair = Target("pair", inputs=CUBE, labels=CUBE[:, :2], loss="mse", complete=True)
    numbers = subject_of(network(lambda p, x: x[:, :2] * p), ONE, pair)
    np.testing.assert_allclose(numbers.margins(np.array([[0.875, 2.25], [-1.0, 0.5]])), [0.25, 0.0])
    assert numbers.tie(np.array([[0.875, 2.25]])) is None and "tie" in numbers.tie(np.array([[1.0, 0.5]]))


def test_how_outputs_are_read_hangs_on_all_labels():
    """One-hot rows over the tokens are scores, other rows numbers; a fraction among held-out labels counts."""
    own = network(lambda p, x: jax.nn.one_hot(x[:, 0], 2) * p)
    for rows, scores_read in (([[1, 0], [0, 1]], True), ([[1, 1], [0, 1]], False), ([[2, 1], [0, 1]], False)):
        target = Target("rows", inputs=[[0], [1]], labels=rows, loss="mse", alphabet=2, complete=True)
        assert subject_of(own, ONE, target).one_hot == scores_read
    number = network(lambda p, x: x[:, :1] * p)
    inputs = np.arange(40.0)[:, None]
    labels = 2 + inputs[:, 0] % 2
    for more in (4.0, 0.5):
        held_out = Target("late", inputs=inputs, labels=labels, loss="mse", train_fraction=0.5).held_out.inputs
        moved = labels + more * np.isin(inputs, held_out)[:, 0]
        late = Target("late", inputs=inputs, labels=moved, loss="mse", train_fraction=0.5)
        assert (late.train.labels == np.rint(late.train.labels)).all()
        assert (subject_of(number, ONE, late).asks_fractions is None) == (more == 4)


def test_numbers_half_way_between_whole_ones_give_no_recurrence():
    """Rounding to even answers 0, 2 and 4 alike, so that the sum looks right."""
    target = Target(
        "sum", alphabet=(0, 2, 4), as_numbers=True, length=5, step=lambda s, x: (s + x, s + x), initial_state=0
    )

    def folded(p, x):
        columns = jnp.swapaxes(jnp.asarray(x), 0, 1)
        return jax.lax.scan(lambda s, c: (s + c, (s + c) * p + 0.5), columns[0] * 0.0, columns)[1].swapaxes(0, 1)

    found = extract(network(folded), ONE, target, languages=[linear.LANGUAGE])
    assert found.program is None and "tie" in found.stats["why"]


def test_a_step_that_is_not_what_the_network_does_with_longer_words_proves_no_length():
    plain, params = compile_machine(Machine.of(PARITY.truth["machine"]), length=6)

    def folded(p, x):
        start, columns = plain.cell.initial_state(p, len(x)), jnp.asarray(x).T
        return jax.lax.scan(lambda s, c: plain.cell.step(p, s, c), start, columns)[1].swapaxes(0, 1)

    assert extract(network(folded, plain.cell), params, PARITY).equivalence.scope == "all lengths"
    turned = network(lambda p, x: folded(p, x) * (1.0 if x.shape[1] < 9 else -1.0), plain.cell)
    found = extract(turned, params, PARITY)
    assert found.equivalence.scope == "to length" and "longer words otherwise" in found.stats["why"]


def test_a_network_that_answers_shorter_words_otherwise_than_its_step_is_shown_at_one_length():
    plain, params = compile_machine(Machine.of(PARITY.truth["machine"]), length=6)

    def folded(p, x):
        start, columns = plain.cell.initial_state(p, len(x)), jnp.asarray(x).T
        said = jax.lax.scan(lambda s, c: plain.cell.step(p, s, c), start, columns)[1].swapaxes(0, 1)
        return said * (1.0 if x.shape[1] >= 5 else -1.0)

    found = extract(network(folded, plain.cell), params, PARITY, languages=[mealy.LANGUAGE])
    assert found.equivalence.equal and found.equivalence.scope == "exhaustive"
    assert "shorter words otherwise" in found.equivalence.stats["why"]


def test_a_constant_passes_no_causal_check():
    """Exchanged hidden states change no answer of a network that has one."""
    own = Cell(lambda p, n: jnp.zeros((n,)), lambda p, s, x: ((s + x) % 2, scores(p, s * 0.0)))
    always = extract(network(lambda p, x: scores(p, x * 0.0), own), ONE, PARITY, languages=[mealy.LANGUAGE])
    assert always.program([1, 0]) == [0, 0] and always.interchange is None
    assert always.status == ExtractionStatus.BEHAVES_AS


@pytest.mark.parametrize("language", [linear.LANGUAGE, piecewise.LANGUAGE])
def test_a_recurrence_that_the_network_leaves_with_longer_words_is_not_shown_there(language):
    """Differences, or the largest number so far; 3 is added from the thirteenth position on, where a word has one."""
    sums = language is linear.LANGUAGE
    target = Target("numbers", alphabet=4, as_numbers=True, length=6, initial_state=0, loss="mse",
                    step=lambda s, x: (x, x - s) if sums else (max(s, x),) * 2)  # fmt: skip

    def step(p, state, x):
        return (x, x - p * state) if sums else (jnp.maximum(state, x),) * 2

    def apply(late, p, x):
        said = jax.lax.scan(lambda s, c: step(p, s, c), jnp.zeros((len(x), 1)), jnp.swapaxes(jnp.asarray(x), 0, 1))[1]
        return jnp.swapaxes(said, 0, 1) + late * (jnp.arange(x.shape[1]) >= 9)[None, :, None]

    cell = Cell(lambda p, n: jnp.zeros((n, 1)), step)
    for late, scope in ((0.0, "all lengths"), (3.0, "exhaustive" if sums else "to length")):
        found = extract(network(partial(apply, late), cell), ONE, target, languages=[language])
        assert found.equivalence.equal and found.equivalence.scope == scope
        assert late == 0 or (found.equivalence.stats["to"] if sums else found.equivalence.length) == 6


def test_outputs_that_are_not_finite_on_few_words_are_said_to_be_so():
    target = Target("parity", alphabet=2, length=13, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)

    def apply(p, x):
        full = (x[:, :12].sum(axis=1) == 12)[:, None, None]  # 2 of 8,192 words, the last ones
        return jnp.where(full, jnp.nan, scores(p, jnp.cumsum(x, axis=1) % 2))

    found = extract(network(apply), ONE, target, languages=[mealy.LANGUAGE])
    assert found.program is None and "not finite" in found.stats["why"]


def test_the_counterexample_to_a_target_is_shown_in_its_own_numbers():
    """A network that sums, and a target that starts at 1."""
    target = Target("sum", alphabet=3, as_numbers=True, length=3, step=lambda s, x: (s + x, s + x), initial_state=1)
    own = network(lambda p, x: jax.lax.scan(lambda s, c: (s + c * p,) * 2, x[:, 0] * 0.0, jnp.swapaxes(x, 0, 1))[1])
    summed = Network(own.init, lambda p, x: jnp.swapaxes(own.apply(p, jnp.asarray(x)), 0, 1))
    found = extract(summed, ONE, target, languages=[linear.LANGUAGE])
    assert found.program is not None and not found.correct.equal
    assert str(found.correct) == "different: [0, 0, 0] gives [0, 0, 0] and [1, 1, 1]"
    always = extract(network(lambda p, x: 0 * x[:, :1] - p), ONE, MAJORITY, languages=[BOOLEAN])
    assert str(always.correct) == "different: [0, 1, 1] gives 0 and 1"


def test_an_acceptor_is_no_longer_than_what_is_asked_of_it():
    """A network of one length answers shorter words by chance; the two states of parity are all that is asked."""
    odd = Target("odd", alphabet=3, length=6, function=lambda w: sum(w) % 2)
    own = network(lambda p, x: scores(p, x.sum(axis=1) % 2 if x.shape[1] > 3 else x[:, 0] * 0))
    found = extract(own, ONE, odd)
    assert found.program.language == "acceptor" and found.program.machine.states == 2
    assert found.status == ExtractionStatus.BEHAVES_AS and found.correct.equal


def test_each_language_says_why_it_has_no_program():
    target = Target("pairs", alphabet=5, length=2, function=lambda w: (w[0] * w[0] + w[1]) % 5, classes=5)
    table = np.random.default_rng(0).normal(size=(5, 5, 5))
    found = extract(network(lambda p, x: jnp.asarray(table)[x[:, 0], x[:, 1]] * p), ONE, target)
    assert found.program is None
    assert "fourier: " in found.stats["why"] and "groups: the network composes in no group" in found.stats["why"]
