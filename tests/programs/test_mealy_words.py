"""Machines of networks without a cell, read from whole words: least ones, causality, interchange, no false ones."""

from __future__ import annotations

import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from allroads import Network, Target, extract
from allroads.networks.build import build
from allroads.programs.mealy import LANGUAGE, Machine
from allroads.programs.mealy.least import least_machine, prefix_answers
from allroads.status import ExtractionStatus
from allroads.targets.build import build_target

PARITY = Target("parity", alphabet=2, length=6, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
BEFORE = Target("before", alphabet=3, length=5, step=lambda s, x: (x, s), initial_state=0)


def all_words(letters, length):
    return np.indices((letters,) * length).reshape(length, -1).T


def levels_of(step, start, letters, length):
    rows = []
    for word in all_words(letters, length).tolist():
        state, row = start, []
        for x in word:
            state, answer = step(state, x)
            row.append([answer])
        rows.append(row)
    return prefix_answers(np.array(rows), letters)


@pytest.mark.parametrize("letters", [2, 3])
def test_least_machines_of_random_machines_are_theirs(letters):
    """A machine of n states is decided by its words of 2n letters, so the least one is its minimal machine."""
    rng = np.random.default_rng(letters)
    for states in (1, 2, 3, 4, 5) if letters == 2 else (2, 3):
        for _ in range(6):
            moves = rng.integers(states, size=(states, letters))
            said = rng.integers(2, size=(states, letters))
            true = Machine(tuple(range(letters)), moves, said.tolist()).canonical()
            levels = levels_of(
                lambda q, x, m=moves, s=said: (int(m[q, x]), int(s[q, x])), 0, letters, 2 * max(1, true.states)
            )
            found = least_machine(levels)
            assert Machine(true.alphabet, found.moves, found.answers[..., 0].tolist()).canonical() == true


def test_least_machines_are_right_and_no_smaller_one_is(seed):
    """Random answers: every word is answered right, and exhaustive search over smaller machines finds none."""
    rng = np.random.default_rng(seed)
    levels = [rng.integers(2, size=(2**t, 2, 1)) for t in range(3)]
    answers = np.stack([np.repeat(level.reshape(-1), 2 ** (2 - t)) for t, level in enumerate(levels)], axis=1)
    words = all_words(2, 3)
    for last in (False, True):
        found = least_machine(levels, last=last)
        assert np.array_equal(found.run(words)[..., 0], answers)
    fewer = len(found.moves) - 1
    for entries in itertools.product(range(2 * fewer), repeat=2 * fewer) if 0 < fewer <= 2 else ():
        moves, said = np.divmod(np.array(entries).reshape(fewer, 2), 2)
        state, right = np.zeros(len(words), int), True
        for t in range(3):
            right = right and np.array_equal(said[state, words[:, t]], answers[:, t])
            state = moves[state, words[:, t]]
        assert not right
    assert least_machine(levels, states=fewer) is None or fewer == 0


def shifted(params, tokens):
    """The letter before, held as an embedding at its own position and read by the next one."""
    held = jnp.tanh(jax.nn.one_hot(tokens, 3) * params)
    return jnp.concatenate([jnp.eye(3)[:1].repeat(len(tokens), 0)[:, None] * 1.0, held[:, :-1]], axis=1)


def test_a_letter_that_is_passed_on_is_computed():
    found = extract(Network(lambda key: jnp.ones(()), shifted), jnp.ones(()), BEFORE, languages=[LANGUAGE])
    assert found.status == ExtractionStatus.COMPUTES and found.correct.equal
    assert found.program == Machine.of(BEFORE.truth["machine"]).canonical()
    assert (found.equivalence.scope, found.equivalence.length) == ("to length", 5)
    assert found.equivalence.margin == pytest.approx(np.tanh(1.0) / 2)
    assert found.interchange.value == 1 and found.interchange.stats["null"] < 0.2


def counted(params, tokens):
    """Parity as the sign of a cosine of a sum over positions: there is no cloud for each state."""
    held = jnp.stack([tokens * params, 0.0 * tokens], axis=-1)
    sums = jnp.einsum("ntk,ut->nuk", held, jnp.tril(jnp.ones((tokens.shape[1],) * 2)))
    wave = jnp.cos(jnp.pi * sums[..., 0])
    return jnp.stack([wave, -wave], axis=-1)


def test_equal_answers_of_a_sum_do_not_earn_computes():
    found = extract(Network(lambda key: jnp.ones(()), counted), jnp.ones(()), PARITY, languages=[LANGUAGE])
    assert found.status == ExtractionStatus.BEHAVES_AS and found.correct.equal
    assert found.program.states == 2 and found.program.formulas == ("next: s ^ x", "output: s")
    assert found.interchange.value < 0.9


def test_answers_that_depend_on_later_letters_or_on_rounding_give_no_machine():
    backwards = Network(lambda key: jnp.ones(()), lambda p, x: counted(p, x[:, ::-1])[:, ::-1])
    found = extract(backwards, jnp.ones(()), PARITY, languages=[LANGUAGE])
    assert found.program is None and "later letters" in found.stats["why"]
    flat = Network(lambda key: jnp.ones(()), lambda p, x: jnp.zeros((*x.shape, 2)) * p)
    assert "tie" in extract(flat, jnp.ones(()), PARITY, languages=[LANGUAGE]).stats["why"]


def test_words_that_are_too_many_are_drawn(monkeypatch):
    monkeypatch.setattr(sys.modules["allroads.programs.mealy.read"], "WORDS", 2**7)
    long = Target("parity", alphabet=2, length=12, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    found = extract(Network(lambda key: jnp.ones(()), counted), jnp.ones(()), long, languages=[LANGUAGE])
    assert found.equivalence.scope == "sampled" and found.status == ExtractionStatus.NOT_PROVED
    assert found.program == Machine.of(PARITY.truth["machine"]).canonical()

    def late(params, tokens):  # the last position alone is something else
        return counted(params, tokens) * jnp.where(jnp.arange(12) == 11, -1.0, 1.0)[:, None]

    found = extract(Network(lambda key: jnp.ones(()), late), jnp.ones(()), long, languages=[LANGUAGE])
    assert found.status == ExtractionStatus.PARTIAL and len(found.equivalence.counterexample) == 12


def transformer_for(target, **options):
    return build("transformer", target.interface, **({"d_model": 16, "heads": 2, "d_mlp": 32, "layers": 1} | options))


@pytest.mark.slow
def test_a_transformer_is_read_as_what_it_computes():
    """Untrained, with large weights: the program answers every word as the network does."""
    network = transformer_for(PARITY, scale=3.0)
    params = network.init(jax.random.key(0))
    found = extract(network, params, PARITY, languages=[LANGUAGE])
    words = all_words(2, 6)
    assert found.program.run(words.tolist()) == np.asarray(network.apply(params, words)).argmax(-1).tolist()


def on_random_labels(network, target, seed, steps=150):
    """The parameters of a transformer that was trained on labels without a rule."""
    rng = np.random.default_rng(seed)
    inputs = jnp.asarray(target.full.inputs)
    labels = jnp.asarray(rng.integers(2, size=target.full.labels.shape))
    optimiser = optax.adam(5e-3)

    def loss(params):
        return optax.softmax_cross_entropy_with_integer_labels(network.apply(params, inputs), labels).mean()

    def update(carry, _):
        params, state = carry
        updates, state = optimiser.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    params = network.init(jax.random.key(seed))
    return jax.jit(lambda c: jax.lax.scan(update, c, length=steps))((params, optimiser.init(params)))[0][0]


@pytest.mark.slow
def test_no_false_program_comes_of_transformers_that_learnt_nothing():
    """Seventy-two networks: what is read is what they answer; no rule is claimed of labels without a rule."""
    target = build_target("sequence", task="Parity_All", length=5)
    words = all_words(2, 5)
    claimed = 0
    for layers, scale, norm in ((1, 1.0, False), (1, 4.0, False), (2, 1.0, True), (2, 4.0, True)):
        network = transformer_for(target, layers=layers, scale=scale, layer_norm=norm)
        for seed in range(18):
            random = seed >= 9
            params = on_random_labels(network, target, seed) if random else network.init(jax.random.key(seed))
            found = extract(network, params, target, languages=[LANGUAGE])
            if found.program is None:
                continue
            said = np.asarray(network.apply(params, words)).argmax(-1)
            assert found.program.run(words.tolist()) == said.tolist()
            assert not found.correct.equal and found.equivalence.scope == "to length"
            claims = found.status in (ExtractionStatus.COMPUTES, ExtractionStatus.BEHAVES_AS)
            # A claim is of fewer bits than the answers need, as they are all compared.
            assert not claims or found.program.bits < found.stats["table_bits"]
            assert not (claims and random)
            claimed += claims
    assert claimed <= 18
