"""Networks with one answer per sequence: diagrams, foldings, prefixes, and what they are not read as."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Target, extract, run_source
from allroads.networks.build import build
from allroads.pfmap.network import Cell
from allroads.programs.acceptor import LANGUAGE, Acceptor
from allroads.programs.acceptor.acceptor import table_bits
from allroads.programs.acceptor.diagram import diagram, foldings, unfolded
from allroads.programs.mealy import Machine
from allroads.status import ExtractionStatus

ODD = Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0)))


def all_words(letters, length):
    return np.indices((letters,) * length).reshape(length, -1).T


def answered(moves, said, words):
    state = np.zeros(len(words), int)
    for letters in words.T:
        answer = said[state, letters]
        state = moves[state, letters]
    return answer


FUNCTIONS = {
    "parity": (2, 7, lambda w: w.sum(axis=1) % 2, 2),
    "sum mod 3": (3, 5, lambda w: w.sum(axis=1) % 3, 3),
    "first is last": (2, 6, lambda w: (w[:, 0] == w[:, -1]).astype(int), 3),
    "binary mod 5": (2, 8, lambda w: (w @ 2 ** np.arange(8)[::-1]) % 5, 5),
    "101 was read": (2, 8, lambda w: ((w[:, :-2] == 1) & (w[:, 1:-1] == 0) & (w[:, 2:] == 1)).any(1).astype(int), 4),
    "000 was not": (2, 7, lambda w: 1 - ((w[:, :-2] + w[:, 1:-1] + w[:, 2:]) == 0).any(1).astype(int), 4),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_diagrams_fold_into_small_machines(name):
    """States: the numbers of remainders; of the first letter, two and the start."""
    letters, length, function, states = FUNCTIONS[name]
    words = all_words(letters, length)
    labels = function(words)
    levels = diagram(labels, letters, length)
    tables = foldings(levels)
    assert len(tables[0][0]) <= states
    for moves, said in (*tables, unfolded(levels)):
        assert np.array_equal(answered(moves, said, words), labels)


def test_diagrams_are_reduced(seed):
    """Levels of a random function have as many nodes as it has residual functions, counted directly."""
    labels = np.random.default_rng(seed).integers(2, size=3**4)
    levels = diagram(labels, 3, 4)
    for depth, level in enumerate(levels):
        assert len(level) == len({tuple(row) for row in labels.reshape(3**depth, -1).tolist()})
    assert np.array_equal(answered(*unfolded(levels), all_words(3, 4)), labels)


def test_acceptors_are_compared_at_their_length():
    last = Machine((0, 1), ((0, 0),), ((0, 1),))
    assert Acceptor(ODD, 1).equals(Acceptor(last, 1)).proved
    apart = Acceptor(ODD, 4).equals(Acceptor(last, 4))
    assert not apart.equal and len(apart.counterexample) == 4
    word = apart.counterexample
    assert apart.answers == (ODD(word)[-1], last(word)[-1]) and apart.answers[0] != apart.answers[1]
    # Equal at even lengths alone: a clock that counts the letters.
    clock = Machine((0, 1), ((1, 1), (0, 0)), ((1, 1), (0, 0)))
    zero = Machine((0, 1), ((0, 0),), ((0, 0),))
    assert (
        Acceptor(clock, 4).equals(Acceptor(zero, 4)).proved and not Acceptor(clock, 3).equals(Acceptor(zero, 3)).equal
    )
    assert not Acceptor(clock).equals(Acceptor(zero)).equal
    assert Acceptor(ODD, 2).distance(Acceptor(ODD, 3)) == float("inf") and Acceptor(ODD).distance(Acceptor(ODD)) == 0
    words = [list(w) for w in itertools.product((0, 1), repeat=4)]
    assert run_source(Acceptor(ODD, 4).source, words) == [sum(w) % 2 for w in words]
    for bad in (lambda: Acceptor("odd"), lambda: Acceptor(ODD, 0), lambda: Acceptor(ODD).equals(ODD),
                lambda: Acceptor(ODD).equals(Acceptor(ODD, 3))):  # fmt: skip
        with pytest.raises(InputError):
            bad()


def test_acceptors_are_compared_letter_by_letter_and_not_beyond_what_was_searched():
    """The last letter, with the letters in another order; parity against it, whose first difference is known."""
    last = Machine((0, 1), ((0, 0),), ((0, 1),))
    turned = Machine((1, 0), ((0, 0),), ((1, 0),))
    same = Acceptor(last, 3).equals(Acceptor(turned, 3))
    assert (same.equal, same.scope, same.checked, same.length) == (True, "exhaustive", 8, 3)
    apart = Acceptor(ODD).equals(Acceptor(last))
    assert (apart.scope, apart.counterexample, apart.answers) == ("all lengths", [1, 0], (1, 0))
    with pytest.raises(InputError, match="other letters"):
        Acceptor(last, 3).equals(Acceptor(Machine((0, 2), ((0, 0),), ((0, 1),)), 3))
    assert table_bits(np.arange(4)) == 4 * 2 and table_bits(np.zeros(8)) == 8


PARITY = Target("parity", alphabet=2, length=6, function=lambda word: sum(word) % 2)


def test_a_recurrent_network_is_asked_after_each_prefix():
    """A compiled machine that answers at the end alone: proved at all lengths, with the causal check."""
    from allroads.programs import compile_program

    network, params = compile_program(ODD, length=6, cell="relu")
    last = Network(network.init, lambda p, x: network.apply(p, x)[:, -1], network.cell)
    found = extract(last, params, PARITY, languages=[LANGUAGE])
    assert found.status == ExtractionStatus.COMPUTES and found.equivalence.scope == "all lengths"
    assert found.program == Acceptor(ODD, None) and found.correct.equal
    assert found.program.source.endswith("return ys[-1]")


def wave(params, tokens):
    score = jnp.cos(jnp.pi * tokens.sum(axis=1) * params)
    return jnp.stack([score, -score], axis=1)


def test_a_network_of_one_length_is_folded():
    def of_six(params, tokens):
        if tokens.shape[1] != 6:
            raise ValueError("six letters")
        return wave(params, tokens)

    found = extract(Network(lambda key: jnp.ones(()), of_six), jnp.ones(()), PARITY, languages=[LANGUAGE])
    assert found.status == ExtractionStatus.BEHAVES_AS and found.equivalence.scope == "exhaustive"
    assert found.program.length == 6 and found.program.machine.canonical() == ODD
    found = extract(Network(lambda key: jnp.ones(()), wave), jnp.ones(()), PARITY, languages=[LANGUAGE])
    assert found.program.machine.canonical() == ODD and found.equivalence.scope == "to length"
    assert found.status == ExtractionStatus.BEHAVES_AS


def test_the_margin_is_the_smallest_and_the_table_has_a_bit_for_each_word():
    """Word k of 64 has scores ± (2 + k), of which half the difference is the margin: 2 at the word of zeros."""
    place = 2 ** np.arange(6)[::-1]

    def graded(params, tokens):
        if tokens.shape[1] != 6:
            raise ValueError("six letters")
        score = params * (2.0 + tokens @ place) * (1 - 2.0 * (tokens.sum(axis=1) % 2))
        return jnp.stack([score, -score], axis=1)

    found = extract(Network(lambda key: jnp.ones(()), graded), jnp.ones(()), PARITY, languages=[LANGUAGE])
    assert found.program.machine.canonical() == ODD and found.equivalence.margin == pytest.approx(2)
    assert found.stats["table_bits"] == 64
    streamed = extract(Network(lambda key: jnp.ones(()), wave), jnp.ones(()), PARITY, languages=[LANGUAGE])
    assert streamed.stats["table_bits"] == pytest.approx(64) and streamed.program.length == 6


def test_a_cell_whose_last_output_is_another_is_not_asked():
    """The cell counts, the network answers by the first letter: the cell's machine would be a false program."""
    step = Cell(
        lambda p, n: jnp.zeros((n, 1)),
        lambda p, s, x: ((s + x[:, None]) % 2, jnp.concatenate([1 - s, s], axis=1) * p),
    )
    first = Network(lambda key: jnp.ones(()), lambda p, x: jax.nn.one_hot(x[:, 0], 2) * p, step)
    found = extract(first, jnp.ones(()), PARITY, languages=[LANGUAGE])
    words = [list(w) for w in itertools.product((0, 1), repeat=6)]
    assert found.program.run(words) == [w[0] for w in words] and found.equivalence.scope == "exhaustive"


def test_what_does_not_fit_is_said():
    network = Network(lambda key: jnp.ones(()), wave)
    pair = Target("pair", alphabet=2, length=2, function=lambda word: sum(word) % 2)
    assert "too short" in extract(network, jnp.ones(()), pair, languages=[LANGUAGE]).stats["why"]
    bits = Target("bits", inputs=all_words(2, 3), labels=all_words(2, 3).sum(1) % 2, complete=True)
    assert "no alphabet" in extract(network, jnp.ones(()), bits, languages=[LANGUAGE]).stats["why"]
    long = Target("long", alphabet=4, length=12, function=lambda word: sum(word) % 2, train_size=50, held_out_size=50)

    def of_twelve(params, tokens):
        return wave(params, tokens.reshape(-1, 12))

    found = extract(Network(lambda key: jnp.ones(()), of_twelve), jnp.ones(()), long, languages=[LANGUAGE])
    assert found.program is None and "4^12 words" in found.stats["why"]


def test_random_functions_are_tables_and_ties_are_nothing():
    labels = np.random.default_rng(0).integers(2, size=64)
    place = 2 ** np.arange(6)[::-1]

    def table(params, tokens):
        return params[tokens.reshape(-1, 6) @ place]

    params = jax.nn.one_hot(jnp.asarray(labels), 2) * 1.0
    found = extract(Network(lambda key: params, table), params, PARITY, languages=[LANGUAGE])
    assert found.status == ExtractionStatus.TABLE and found.program.bits >= 64
    words = [list(w) for w in itertools.product((0, 1), repeat=6)]
    assert found.program.run(words) == labels.tolist()
    found = extract(Network(lambda key: params, table), 0 * params, PARITY, languages=[LANGUAGE])
    assert found.program is None and "tie" in found.stats["why"]


def test_a_network_that_counts_its_letters_too_passes_no_causal_check():
    """Parity of six letters alone: the answer at other counts is turned, so that mean hidden states answer wrongly."""

    def step(params, state, x):
        odd, count = state[:, 0], state[:, 1] + 1
        odd = jnp.abs(odd - x)
        said = jnp.where(jnp.abs(count - 6) < 0.5, odd, (count % 2 + odd * (count > 2)) % 2) - 0.5
        return jnp.stack([odd, count], axis=1), params * jnp.stack([-said, said], axis=1)

    cell = Cell(lambda params, batch: jnp.zeros((batch, 2)), step)

    def apply(params, tokens):
        state = cell.initial_state(params, len(tokens))
        for position in range(tokens.shape[1]):
            state, output = step(params, state, tokens[:, position])
        return output

    found = extract(Network(lambda key: jnp.ones(()), apply, cell), jnp.ones(()), PARITY, languages=[LANGUAGE])
    assert found.program.machine.canonical() == ODD and found.equivalence.scope == "exhaustive"
    assert found.interchange.value < 0.9 and found.status == ExtractionStatus.BEHAVES_AS


def test_what_a_transformer_holds_of_a_prefix_is_exchanged():
    """Attention to the first letter: the keys and values of a prefix are those of its first letter, and no more."""
    from allroads.programs.sequence import compile_sequence, sequence_program

    network, params = compile_sequence(sequence_program("first", letters=2, length=7), output_alphabet=[0, 1])
    last = Network(network.init, lambda p, x: network.apply(p, x)[:, -1])
    first = Target("first", alphabet=2, length=7, function=lambda word: word[0])
    found = extract(last, params, first, languages=[LANGUAGE])
    assert found.correct.equal and found.program.machine.states == 3
    assert found.interchange.value == 1 and found.interchange.stats["null"] < 0.9
    assert found.status == ExtractionStatus.COMPUTES


@pytest.mark.slow
def test_a_transformer_that_answers_at_the_end_is_read_as_what_it_is():
    network = build("transformer", PARITY.interface, d_model=8, heads=1, d_mlp=16, scale=3.0)
    params = network.init(jax.random.key(1))
    found = extract(network, params, PARITY, languages=[LANGUAGE])
    words = all_words(2, 6)
    assert found.program.run(words.tolist()) == np.asarray(network.apply(params, words)).argmax(-1).tolist()
    assert found.interchange is None or found.interchange.value < 0.99
    assert found.status != ExtractionStatus.COMPUTES
