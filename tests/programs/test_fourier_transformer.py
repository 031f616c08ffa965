"""Fourier programs of transformers: the hidden layer that is exchanged, planted waves and tables, and a trained one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from descent import descended

from allroads import extract, from_torch
from allroads.networks.embedding_sum import embedding_sum
from allroads.networks.transformer import transformer
from allroads.programs.fourier import LANGUAGE, FourierProgram, compile_fourier
from allroads.programs.fourier.sources import INPUTS, affine_sources
from allroads.programs.fourier.units import last_hidden
from allroads.programs.subject import subject_of
from allroads.targets.modular import modular


def pairs_of(p):
    return np.indices((p, p)).reshape(2, -1).T


def drawn(network, seed=0):
    """A point with every weight drawn, without compiling the network's own initialisation."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: (rng.normal(size=leaf.shape) / 2).astype(leaf.dtype), shapes)


def two_lookups(table, up, bias, scores, activation):
    """A transformer whose MLP reads ``table[x]`` and ``table[y]``, and whose hidden units give the scores.

    The stream holds ``table[y]``, then ``table[x] + table[y]`` by attention to both with weight one, then the scores.
    """
    p, d = table.shape
    width = 2 * d + p
    network = transformer((2,), p, vocabulary=p, d_model=width, heads=1, d_mlp=len(scores), attention_rate=0.0,
                          activation=activation)  # fmt: skip
    none, moved = np.zeros((width, width)), np.zeros((width, width))
    moved[:d, d : 2 * d] = np.eye(d)
    reads, gives = np.zeros((width, len(scores))), np.zeros((len(scores), width))
    reads[:d], reads[d : 2 * d], gives[:, 2 * d :] = up[1] - up[0], up[0], scores
    block = {"query": none, "key": none, "value": np.eye(width), "out": moved}
    block |= {"up": {"weight": reads, "bias": bias}, "down": {"weight": gives, "bias": np.zeros(width)}}
    readout = {"weight": np.eye(width)[:, 2 * d :], "bias": np.zeros(p)}
    embed = np.hstack([table, np.zeros((p, d + p))])
    return network, {"embed": embed, "position": np.zeros((2, width)), "blocks": [block], "readout": readout}


def planted(program):
    """The units of ``compile_fourier`` behind attention: each reads one wave of x and one of y, and is squared."""
    angles = 2 * np.pi * np.outer(np.arange(program.p), program.frequencies) / program.p
    table = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    written = jax.tree.map(lambda leaf: np.asarray(leaf, float), compile_fourier(program)[1])
    up = [np.linalg.lstsq(table, waves, rcond=None)[0] for waves in written["embed"]]
    return two_lookups(table, up, np.zeros(up[0].shape[1]), written["readout"]["weight"], "square")


@pytest.mark.parametrize("program", [FourierProgram(11, (2, 5)), FourierProgram(13, (1, 4), 1, -1)])
def test_planted_waves_are_identified_and_exchanged_unit_by_unit(program):
    network, params = planted(program)
    target = modular(p=program.p, polynomial="a + b" if program.b == 1 else "a - b")
    found = extract(network, params, target, languages=[LANGUAGE])
    assert found.program == program and found.status == "computes" and found.correct.equal
    stats = found.equivalence.stats
    assert stats["explained"] == pytest.approx(1, abs=1e-4)
    assert stats["units"] == dict.fromkeys(program.frequencies, 9)
    assert found.interchange.value == 1 and found.interchange.stats["null"] <= 0.8


def test_small_noise_leaves_the_planted_program_and_large_noise_leaves_none():
    program, target = FourierProgram(13, (1, 4)), modular(p=13)
    network, params = planted(program)
    rng = np.random.default_rng(0)
    for noise, wanted in ((0.02, program), (1.0, None)):
        moved = jax.tree.map(lambda leaf, noise=noise: leaf + noise * rng.normal(size=leaf.shape), params)
        assert extract(network, moved, target, languages=[LANGUAGE]).program == wanted


def test_a_table_in_a_transformer_behaves_as_the_sum_and_holds_no_waves():
    """One hidden unit a pair: no frequency can be exchanged."""
    p = 7
    up, scores = np.zeros((2, p, p * p)), np.zeros((p * p, p))
    for unit, (x, y) in enumerate(pairs_of(p)):
        up[0, x, unit] = up[1, y, unit] = 1
        scores[unit, (x + y) % p] = 5
    network, params = two_lookups(np.eye(p), up, -np.ones(p * p), scores, "relu")
    found = extract(network, params, modular(p=p), languages=[LANGUAGE])
    assert found.status == "behaves as" and found.correct.equal
    assert found.interchange.value == 0
    assert found.equivalence.stats["untuned"] == p * p


@pytest.mark.parametrize("layers", [1, 2])
def test_the_layer_is_the_last_hidden_one_and_outputs_follow_from_it(layers):
    network = transformer((2,), 5, vocabulary=5, layers=layers, d_model=8, d_mlp=12)
    params = drawn(network)
    subject = subject_of(network, params, modular(p=5))
    hidden, outputs_from = last_hidden(subject, pairs_of(5))
    assert hidden.shape == (25, 12) and hidden.min() == 0 and hidden.max() > 0
    own = outputs_from(hidden)
    np.testing.assert_allclose(own, subject.outputs(pairs_of(5)), atol=1e-12)
    down, readout = params["blocks"][-1]["down"]["weight"], params["readout"]["weight"]
    change = np.random.default_rng(0).normal(size=hidden.shape)
    by_hand = own + change @ (np.asarray(down, float) @ np.asarray(readout, float))
    np.testing.assert_allclose(outputs_from(hidden + change), by_hand, atol=1e-9)


def test_behind_a_layer_norm_the_layer_is_the_stream():
    network = transformer((2,), 5, vocabulary=5, d_model=8, d_mlp=12, layer_norm=True)
    subject = subject_of(network, drawn(network), modular(p=5))
    assert last_hidden(subject, pairs_of(5))[0].shape == (25, 8)


def test_networks_without_a_stream_keep_their_layer():
    for activation in ("relu", "square", "gelu", "identity"):
        network = embedding_sum((2,), 5, vocabulary=5, width=6, activation=activation)
        params = drawn(network)
        hidden, _ = last_hidden(subject_of(network, params, modular(p=5)), pairs_of(5))
        tables = np.asarray(params["embed"], float)
        summed = tables[0][pairs_of(5)[:, 0]] + tables[1][pairs_of(5)[:, 1]]
        by_hand = {"relu": np.maximum(summed, 0), "square": summed**2, "identity": summed,
                   "gelu": np.asarray(jax.nn.gelu(summed, approximate=False))}  # fmt: skip
        np.testing.assert_allclose(hidden, by_hand[activation], atol=1e-6)


def test_sources_of_sums_products_and_layers():
    """A stream of three layers; masks, shifts and products with weights add none, and products of values do."""

    def apply(w, x):
        first = jnp.tanh(x @ w["a"])
        second = jnp.where(w["mask"] > 0, x, 0.0) * first
        return 2.0 * x[:, ::-1] + (first - second) / w["s"] + w["b"]

    params = {"a": jnp.eye(3), "mask": jnp.ones(3), "s": jnp.asarray(2.0), "b": jnp.ones(3)}
    found = affine_sources(apply, params, jnp.ones((4, 3)))
    last = found[max(found, key=int)]
    assert INPUTS in last and len(last) == 3
    assert sum(layers == frozenset() for layers in found.values()) >= 1  # what hangs on parameters alone


@pytest.mark.slow
def test_a_planted_transformer_in_pytorch_is_read_alike():
    torch = pytest.importorskip("torch")
    from allroads.networks.torch.transformer import torch_transformer

    program = FourierProgram(11, (2, 5))
    options = {"vocabulary": 11, "heads": 1, "attention_rate": 0.0, "activation": "square"}
    module = torch_transformer(planted(program)[1], **options).float()
    found = extract(*from_torch(module, torch.zeros(2, 2, dtype=torch.long)), modular(p=11), languages=[LANGUAGE])
    assert found.program == program and found.status == "computes" and found.interchange.value == 1


@pytest.mark.slow
def test_a_trained_transformer_computes_a_fourier_program():
    p = 23
    target = modular(p=p, train_fraction=0.8)
    network = transformer((2,), p, vocabulary=p, d_model=32, d_mlp=128)
    x, y = jnp.asarray(target.train.inputs), jnp.asarray(target.train.labels)
    rule = optax.adamw(optax.linear_schedule(4e-3, 1e-4, 1500), b1=0.9, b2=0.98, weight_decay=2.0)

    def loss(params):
        scores = network.apply(params, x)
        apart = scores - jnp.take_along_axis(scores, y[:, None], axis=1)
        return jax.nn.softplus(jax.nn.logsumexp(jnp.where(jax.nn.one_hot(y, p) > 0, -jnp.inf, apart), axis=1)).mean()

    params = descended(loss, network.init(jax.random.key(0)), rule, 1500)
    found = extract(network, params, target, languages=[LANGUAGE])
    assert found.status == "computes" and found.correct.equal
    assert found.equivalence.stats["explained"] >= 0.95
    assert found.interchange.value >= 0.99 and found.interchange.stats["null"] <= 0.8
    assert 0 <= found.equivalence.stats["distance_irrelevance"] <= 1
