"""Fourier programs: planted, grokked and memorising networks of two residues."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from descent import descended

from allroads import Target
from allroads.errors import InputError
from allroads.networks.embedding_sum import embedding_sum
from allroads.networks.mlp import mlp
from allroads.pfmap.network import Network
from allroads.programs import run_source, shared_parts
from allroads.programs.extract import extract
from allroads.programs.fourier import LANGUAGE, FourierProgram, compile_fourier
from allroads.programs.fourier.interchange import interchange
from allroads.programs.fourier.read import fits, read
from allroads.programs.fourier.restricted import restricted_and_excluded
from allroads.programs.fourier.spectrum import (
    built,
    centred,
    cross_entropy,
    explained_by_pair,
    unit_frequencies,
    waves,
)
from allroads.programs.fourier.units import last_hidden
from allroads.programs.linear import Recurrence
from allroads.programs.subject import subject_of
from allroads.targets.modular import modular


def pairs_of(p):
    return np.indices((p, p)).reshape(2, -1).T


@pytest.mark.parametrize(
    ("p", "frequencies", "polynomial", "factors"),
    [
        (23, (3, 7, 11), "a + b", (1, 1, 0)),  # 11 = (p − 1) / 2 included
        (31, (1, 4, 6, 13), "a - b", (1, -1, 0)),
        (53, tuple(range(1, 27)), "2*a + 3*b + 5", (2, 3, 5)),
        (12, (1, 3, 4), "a + b", (1, 1, 0)),  # no prime
        (31, (2,), "7*a", (7, 0, 0)),
    ],
)
def test_planted_programs_are_identified_exactly(p, frequencies, polynomial, factors):
    program = FourierProgram(p, frequencies, *factors)
    network, params = compile_fourier(program, mix=5)
    found = extract(network, params, modular(p=p, polynomial=polynomial), languages=[LANGUAGE])
    assert found.program == program
    assert (found.equivalence.scope, found.equivalence.checked) == ("exhaustive", p * p)
    assert found.correct.equal
    stats = found.equivalence.stats
    assert stats["explained"] == pytest.approx(1, abs=1e-4)
    assert stats["shares"] == pytest.approx(dict.fromkeys(program.frequencies, 1 / len(program.frequencies)), abs=1e-3)
    assert stats["restricted"] == pytest.approx(stats["loss"], abs=1e-3)
    assert stats["excluded"] == pytest.approx(math.log(p), abs=0.01)
    if 0 not in factors[:2]:
        assert stats["units"] == dict.fromkeys(program.frequencies, 9)
        assert found.status == "computes"
        assert found.interchange.value == 1
        assert found.interchange.stats["null"] <= 0.8


def test_noise_of_a_twentieth_leaves_the_program_and_one_of_a_half_does_not():
    program, target = FourierProgram(23, (3, 7, 9)), modular(p=23)
    assert read(subject_of(*compile_fourier(program, noise=0.05), target), 0).program == program
    reading = read(subject_of(*compile_fourier(program, noise=1.0), target), 0)
    assert reading.program is None
    assert "of the variance of the logits" in reading.why


def test_waves_that_nearly_tie_and_answer_wrongly_are_no_program():
    """With frequency 1 alone neighbours differ by 1 − cos(2π/31) = 0.02: little noise moves the answer."""
    network, params = compile_fourier(FourierProgram(31, (1,)), noise=0.02)
    reading = read(subject_of(network, params, modular(p=31)), 0)
    assert reading.program is None
    assert "but on [" in reading.why
    assert "pairs differ" in reading.why


def test_one_pair_moved_is_no_program():
    """A network that answers one pair otherwise: the near miss of a flipped row."""
    network, params = compile_fourier(FourierProgram(23, (3, 7, 9)))
    bump = np.zeros((23 * 23, 23), np.float32)
    bump[5 * 23 + 6, 0] = 30

    def apply(params, x):
        return network.apply(params, x) + jnp.asarray(bump)[x[:, 0] * 23 + x[:, 1]]

    reading = read(subject_of(Network(network.init, apply), params, modular(p=23)), 0)
    assert reading.program is None
    assert "but on [5, 6] the network answers 0 and not 11 (1 of 529 pairs differ)" in reading.why


def train(target, width, activation, steps, decay, mse, seed=0):
    p = target.interface.outputs
    network = embedding_sum((2,), p, vocabulary=p, width=width, activation=activation)
    rule = optax.adamw(0.01, b1=0.9, b2=0.98, weight_decay=decay)
    x, y = jnp.asarray(target.train.inputs), jnp.asarray(target.train.labels)

    def loss(params):
        logits = network.apply(params, x)
        if mse:
            return jnp.mean((logits - jax.nn.one_hot(y, p)) ** 2)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    return network, descended(loss, network.init(jax.random.key(seed)), rule, steps)


@pytest.mark.slow
def test_grokked_network_computes_a_fourier_program(seed):
    target = modular(p=31, polynomial="a - b", seed=seed)
    found = extract(*train(target, 128, "square", 500, 1.0, mse=True, seed=seed), target, languages=[LANGUAGE])
    assert found.status == "computes"
    assert found.correct.equal
    assert (found.program.a, found.program.b, found.program.c) == (1, 30, 0)
    assert found.equivalence.stats["explained"] >= 0.95
    assert found.interchange.value >= 0.99
    assert found.interchange.stats["null"] <= 0.8


def test_memorising_network_holds_no_program(seed):
    """Random labels, all learned: no factors explain the logits."""
    p = 23
    labels = np.random.default_rng(seed).integers(0, p, p * p)
    target = Target("random", inputs=pairs_of(p), labels=labels, alphabet=p, complete=True, classes=p, train_fraction=1)
    network, params = train(target, 256, "relu", 200, 0.0, mse=False, seed=seed)
    assert (np.asarray(network.apply(params, pairs_of(p))).argmax(axis=1) == labels).mean() > 0.99
    found = extract(network, params, target, languages=[LANGUAGE])
    assert (found.program, found.status) == (None, "no program")
    assert "of the variance" in found.stats["why"]


def test_untrained_networks_hold_no_program(seed):
    network, target = embedding_sum((2,), 23, vocabulary=23, width=64), modular(p=23)
    for draw in range(5):
        params = network.init(jax.random.key(1000 * seed + draw))
        assert read(subject_of(network, params, target), draw).program is None


def test_table_behaves_as_the_sum_and_computes_no_waves():
    """One hidden unit a pair: the right answers, and logits that are one-hot, but the residue cannot be exchanged."""
    p = 7
    network = mlp((2,), p, vocabulary=p, widths=(p * p,), activation="relu")
    first, second = np.zeros((2 * p, p * p), np.float32), np.zeros((p * p, p), np.float32)
    for unit, (x, y) in enumerate(pairs_of(p)):
        first[x, unit] = first[p + y, unit] = 1
        second[unit, (x + y) % p] = 5
    layers = [{"weight": first, "bias": -np.ones(p * p)}, {"weight": second, "bias": np.zeros(p)}]
    found = extract(network, {"layers": layers}, modular(p=p), languages=[LANGUAGE])
    assert found.status == "behaves as"
    assert found.interchange.value == 0
    assert found.equivalence.stats["untuned"] == p * p


def test_spectrum_of_planted_waves():
    p = 13
    x, y, z = np.indices((p, p, p))
    logits = sum(k * np.cos(2 * np.pi * k * (3 * x + 5 * y + 2 - z) / p) for k in (1, 4))
    found = waves(centred(logits + x))
    assert (found.a, found.b, found.c) == (3, 5, 2)
    assert found.amplitudes.round(9).tolist() == [1, 0, 0, 4, 0, 0]
    assert found.shares.round(9)[[0, 3]].tolist() == pytest.approx([1 / 17, 16 / 17])
    np.testing.assert_allclose(built(found, (1, 4), p), logits, atol=1e-9)
    assert explained_by_pair(logits, found) == pytest.approx(1)
    assert built(found, (), p).shape == (p, p, p)
    noise = centred(np.random.default_rng(0).normal(size=(p, p, p)))
    assert waves(noise).shares.sum() < 0.1
    assert explained_by_pair(noise, waves(noise)) < 0.75
    assert cross_entropy(1e3 * logits, (3 * x + 5 * y + 2)[:, :, 0] % p) < 1e-6


def test_frequencies_of_units():
    p = 11
    x, y = np.indices((p, p))
    units = [np.cos(2 * np.pi * 5 * x / p), np.sin(2 * np.pi * 3 * (x + y) / p), np.ones((p, p))]
    frequency, share = unit_frequencies(np.stack(units, axis=-1), 1, 1)
    assert frequency.tolist() == [5, 3, 0]
    assert share.round(9).tolist() == [1, 1, 0]
    assert unit_frequencies(np.cos(2 * np.pi * (2 * x - y) / p)[..., None], 2, -1)[0].tolist() == [1]


@pytest.mark.parametrize("columns", [False, True])
def test_last_hidden_layer_is_read_and_replaced(columns):
    """An mlp reads 32 examples and more as columns."""
    network = mlp((2,), 5, vocabulary=5, widths=(6,))
    params = network.init(jax.random.key(0))
    target = modular(p=5, seed=1)
    x = np.tile(pairs_of(5), (2 if columns else 1, 1))
    hidden, outputs_from = last_hidden(subject_of(network, params, target), x)
    layers = [{k: np.asarray(v, float) for k, v in layer.items()} for layer in params["layers"]]
    by_hand = np.maximum(np.hstack([np.eye(5)[x[:, 0]], np.eye(5)[x[:, 1]]]) @ layers[0]["weight"], 0)
    np.testing.assert_allclose(hidden, by_hand, atol=1e-12)
    np.testing.assert_allclose(outputs_from(0 * hidden + 1), np.tile(layers[1]["weight"].sum(axis=0), (len(x), 1)))


def test_interchange_moves_the_waves_of_its_units_and_nothing_else():
    """Units that are cosine and sine of two frequencies, read as they are; then units whose labels are swapped."""
    p, residues = 7, pairs_of(7).sum(axis=1) % 7
    frequency = np.array([1, 1, 3, 3])
    angles = 2 * np.pi * np.outer(np.arange(p), frequency) / p + np.array([0, np.pi / 2] * 2)
    hidden = np.cos(angles)[residues]

    def outputs_from(values):
        return values @ np.cos(angles).T

    found = interchange(hidden, outputs_from, frequency, (1, 3), residues, 0)
    assert found.value == 1
    assert interchange(hidden, outputs_from, frequency[::-1], (1, 3), residues, 0).value <= 0.5
    assert interchange(hidden, outputs_from, 0 * frequency, (1, 3), residues, 0).value == 0


def test_programs_of_one_function_and_other_frequencies_are_told_apart():
    """Same function, other program: equal for all pairs, and some frequencies apart."""
    one, two = FourierProgram(23, (3, 7, 9)), FourierProgram(23, (3, 5, -9))
    assert one.equals(two).proved
    assert one.distance(two) == two.distance(one) == 2
    assert shared_parts(one, two) == 2 / 4
    assert one.canonical() is one
    assert one.distance(FourierProgram(29, (3,))) == one.distance(Recurrence([], [], [[]], [[1]], [])) == math.inf
    different = one.equals(FourierProgram(23, (3,), c=1))
    assert (different.equal, different.counterexample, different.answers) == (False, [0, 0], (0, 1))
    assert one.bits == pytest.approx(9 + 3 + math.log2(math.comb(11, 3)) + 3 * math.log2(23))


@pytest.mark.parametrize("program", [FourierProgram(23, (3, 7, 11)), FourierProgram(113, (1,), 2, -1, 4),
                                     FourierProgram(12, (1, 2, 3, 4), 5, 0, 0)])  # fmt: skip
def test_source_runs_alone_and_answers_the_same(program):
    pairs = [tuple(pair) for pair in np.random.default_rng(0).integers(0, program.p, (60, 2)).tolist()]
    assert run_source(program.source, pairs) == program.run(pairs)


def test_what_does_not_fit_is_said():
    p = 5
    network = embedding_sum((3,), p, vocabulary=p, width=4)
    three = Target("three", alphabet=p, length=3, function=lambda x: sum(x) % p, classes=p)
    assert "two tokens" in fits(subject_of(network, network.init(jax.random.key(0)), three))
    two = embedding_sum((2,), 2, vocabulary=p, width=4)
    parity = Target("parity", inputs=pairs_of(p), labels=pairs_of(p).sum(axis=1) % 2, alphabet=p, complete=True)
    assert "scores of 5" in fits(subject_of(two, two.init(jax.random.key(0)), parity))
    letters = Target("letters", inputs=np.array(list("abcde"))[pairs_of(p)], labels=pairs_of(p).sum(axis=1) % p,
                     alphabet="abcde", complete=True)  # fmt: skip
    whole = embedding_sum((2,), p, vocabulary=p, width=4)
    assert "residues" in fits(subject_of(whole, whole.init(jax.random.key(0)), letters))
    assert fits(subject_of(whole, whole.init(jax.random.key(0)), modular(p=p))) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, (1,)), "p: expected a whole number of 2"),
        ((7, ()), "frequencies: expected"),
        ((7, (7,)), "frequencies: expected"),
        ((12, (2, 4)), "common divisor"),
        ((7, (1.5,)), "frequencies: expected whole numbers"),
        ((7, (1,), "x"), "a: expected whole numbers"),
    ],
)
def test_programs_that_cannot_be_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        FourierProgram(*arguments)


def test_examples_rivals_and_options_that_do_not_fit_are_named():
    program = FourierProgram(7, (1,))
    with pytest.raises(InputError, match="two whole numbers"):
        program([1, 2, 3])
    with pytest.raises(InputError, match="modulo 7"):
        program.equals(FourierProgram(5, (1,)))
    with pytest.raises(InputError, match="phases: expected a whole number of 3"):
        compile_fourier(program, phases=2)
    with pytest.raises(InputError, match="expected a FourierProgram"):
        compile_fourier("sum")


def test_scores_learned_by_squared_error_to_one_hot_rows_are_read(seed):
    """Labels are rows; the answer is the largest output, and the target's answer the place of the 1."""
    target = modular(p=11, polynomial="2*a + b", one_hot=True, seed=seed)
    program = FourierProgram(11, (1, 2, 4), 2, 1)
    found = extract(*compile_fourier(program, noise=0.02, seed=seed), target, languages=[LANGUAGE])
    assert (found.program, found.status, found.correct.equal) == (program, "computes", True)
    wrong = extract(*compile_fourier(FourierProgram(11, (1, 2, 4))), target, languages=[LANGUAGE])
    assert (wrong.correct.equal, wrong.correct.counterexample) == (False, [1, 0])
    assert wrong.correct.answers == (1, 2)


def test_restricted_and_excluded_loss_of_planted_waves_and_of_a_table():
    """Waves alone: restricted is the loss, excluded is chance. A table without waves: restricted is near chance."""
    p = 11
    x, y, z = np.indices((p, p, p))
    sums = (x + y)[:, :, 0] % p
    logits = 6 * np.cos(2 * np.pi * 2 * (x + y - z) / p) + 6 * np.cos(2 * np.pi * 5 * (x + y - z) / p)
    train = np.random.default_rng(0).random((p, p)) < 0.5
    restricted, excluded = restricted_and_excluded(logits, sums, (2, 5), train)
    assert restricted == pytest.approx(cross_entropy(logits, sums))
    assert excluded == pytest.approx(math.log(p))
    only_one, without_one = restricted_and_excluded(logits, sums, (2,), train)
    assert cross_entropy(logits, sums) < only_one < math.log(p)
    assert cross_entropy(logits, sums) < without_one < math.log(p)
    labels = np.random.default_rng(1).integers(0, p, (p, p))
    memorised = 20.0 * np.eye(p)[labels]
    restricted, excluded = restricted_and_excluded(memorised, labels, (2, 5), train)
    assert restricted > 0.5 * math.log(p)
    assert excluded < 0.1
