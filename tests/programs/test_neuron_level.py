"""Neuron-level measures of networks of two residues: closed forms of analytic clocks and pizzas, and of mixtures."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, float64
from allroads.networks.embedding_sum import embedding_sum
from allroads.networks.mlp import mlp
from allroads.networks.transformer import transformer
from allroads.pfmap.jaxpr import intermediates
from allroads.pfmap.network import Network
from allroads.programs import extract
from allroads.programs.fourier import (
    LANGUAGE,
    FourierProgram,
    NeuronLevel,
    circularity,
    compile_fourier,
    distance_irrelevance,
    gradient_symmetricity,
    neuron_level,
)
from allroads.targets.modular import modular

P = 11
KEYS = (1, 3)
TURN = 2 * np.pi * np.array(KEYS) / P


def drawn(network, seed=0):
    """A point with every weight drawn, without compiling the network's own initialisation."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: (rng.normal(size=leaf.shape) / 2).astype(leaf.dtype), shapes)


def circles(p=P, turn=TURN):
    """``[p, 2 K]``: cosines of the frequencies, then sines."""
    angles = np.outer(np.arange(p), turn)
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def clock(table, x, y):
    """``Σ_k cos w_k (x + y − z)`` by products of the embeddings."""
    k = len(KEYS)
    first = x[:, :k] * y[:, :k] - x[:, k:] * y[:, k:]
    second = x[:, :k] * y[:, k:] + x[:, k:] * y[:, :k]
    return jnp.concatenate([first, second], axis=1) @ jnp.asarray(circles()).T


def pizza(table, x, y):
    """``Σ_k |⟨s, e(w_k z / 2)⟩| − |⟨s, e⊥(w_k z / 2)⟩|`` with s the sum of the embeddings."""
    k, half = len(KEYS), np.outer(TURN / 2, np.arange(P))
    s = x + y
    along = s[:, :k, None] * np.cos(half) + s[:, k:, None] * np.sin(half)
    across = -s[:, :k, None] * np.sin(half) + s[:, k:, None] * np.cos(half)
    return (jnp.abs(along) - jnp.abs(across)).sum(axis=1)


def analytic(*logits):
    """A network that looks up circles and adds some kinds of logits."""

    def apply(params, pairs):
        both = params["embed"][jnp.asarray(pairs)]
        return sum(kind(params["embed"], both[:, 0], both[:, 1]) for kind in logits)

    return Network(lambda key: {"embed": circles()}, apply), {"embed": circles()}


def right_logits(network, params):
    x, y = np.indices((P, P))
    with float64():
        outputs = np.asarray(network.apply(params, np.stack([x, y], axis=-1).reshape(-1, 2))).reshape(P, P, P)
    assert np.array_equal(outputs.argmax(axis=2), (x + y) % P)
    return np.take_along_axis(outputs, ((x + y) % P)[..., None], axis=2)[..., 0]


def test_a_clock_has_symmetricity_zero_over_all_triples_and_its_logit_is_one_constant():
    network, params = analytic(clock)
    found = gradient_symmetricity(network, params, P, triples=None)
    assert found.value == pytest.approx(0, abs=1e-9)
    assert found.error == 0 and found.stats["triples"] == P**3
    scores = right_logits(network, params)
    np.testing.assert_allclose(scores, len(KEYS), atol=1e-9)
    assert np.isnan(distance_irrelevance(scores))


def test_a_pizza_has_symmetricity_one_and_irrelevance_zero():
    network, params = analytic(pizza)
    assert gradient_symmetricity(network, params, P).value == pytest.approx(1, abs=1e-9)
    scores = right_logits(network, params)
    x, y = np.indices((P, P))
    np.testing.assert_allclose(scores, 2 * np.abs(np.cos(np.multiply.outer(x - y, TURN / 2))).sum(axis=-1), atol=1e-9)
    assert distance_irrelevance(scores) == pytest.approx(0, abs=1e-9)


def test_symmetricity_of_a_clock_is_the_cosine_of_the_distance():
    """Of one triple it is the mean over the frequencies of cos(w (x − y)), whatever z is."""
    network, params = analytic(clock)
    for triple in range(5):
        found = gradient_symmetricity(network, params, P, triples=1, seed=triple)
        picked = np.random.default_rng([triple, P]).choice(P**3, 1, replace=False)
        x, y, _ = np.unravel_index(picked[0], (P, P, P))
        assert found.value == pytest.approx(np.cos(TURN * (int(x) - int(y))).mean(), abs=1e-9)


def test_a_sample_of_triples_is_within_its_error_of_all():
    network, params = analytic(clock, pizza)
    every = gradient_symmetricity(network, params, P, triples=None).value
    assert 0.1 < every < 0.9  # between both
    some = gradient_symmetricity(network, params, P, triples=300, seed=1)
    assert abs(some.value - every) < 2 * some.error and 0 < some.error < 0.1


def test_networks_that_add_their_embeddings_have_symmetricity_one():
    network = embedding_sum((2,), P, vocabulary=P, width=16)
    assert gradient_symmetricity(network, drawn(network), P).value == pytest.approx(1, abs=1e-9)


def test_symmetricity_of_a_transformer_is_that_of_its_gradients_by_table_rows():
    """With one table and x ≠ y, the gradients at the two rows of the table are those at the two lookups."""
    network = transformer((2,), 23, vocabulary=23, d_model=8, d_mlp=12)
    params = drawn(network)
    found = gradient_symmetricity(network, params, 23, triples=12, seed=0)
    picked = np.random.default_rng([0, 23]).choice(23**3, 12, replace=False)
    with float64():
        point = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, float)), params)
        slope = jax.jit(jax.grad(lambda q, pair, z: network.apply(q, pair[None])[0, z]))
        cosines = []
        for x, y, z in zip(*np.unravel_index(picked, (23, 23, 23)), strict=True):
            assert x != y  # the seed is chosen so
            rows = np.asarray(slope(point, jnp.asarray([x, y]), z)["embed"])
            cosines.append(rows[x] @ rows[y] / np.linalg.norm(rows[x]) / np.linalg.norm(rows[y]))
    assert found.value == pytest.approx(np.mean(cosines), abs=1e-9)


@pytest.mark.parametrize("p", [7, 12])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, -1), (5, 1)])
def test_irrelevance_of_a_sum_of_independent_parts(p, a, b):
    """L = f(a x + b y) + g(a x − b y): the root of f's share of the variance, where the parts are independent."""
    x, y = np.indices((p, p))
    f, g = (np.cos(2 * np.pi * np.arange(p) / p), np.sin(2 * np.pi * np.arange(p) / p))
    for one, two, wanted in ((3.0, 4.0, 0.6), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)):
        scores = one * f[(a * x + b * y) % p] + two * g[(a * x - b * y) % p] + 100
        assert distance_irrelevance(scores, a, b) == pytest.approx(wanted, abs=1e-9)


def test_circularity_of_circles_of_noise_and_of_mixtures():
    wheel = circles() * np.array([4.0, 2.0, 3.0, 1.0])  # no two directions of one variance
    assert circularity(wheel) == pytest.approx(1, abs=1e-9)
    turned = wheel @ np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0] + 7.0
    assert circularity(turned) == pytest.approx(1, abs=1e-9)
    shares = np.array([0.75, 0.25])
    mixed = circles()[:, :2] @ np.sqrt(shares)
    assert circularity(mixed[:, None], components=1) == pytest.approx(0.75, abs=1e-9)
    noise = np.random.default_rng(0).normal(size=(101, 64))
    assert circularity(noise) < 0.3  # the largest of 50 shares of 1/50 on average


def test_neuron_level_of_the_analytic_networks_and_their_one_program():
    """The clock is read as its Fourier program, whatever lies on the level of neurons."""
    target = modular(p=P)
    both = analytic(clock, pizza)
    found = neuron_level(*both, target, triples=None)
    assert found.symmetricity == pytest.approx(gradient_symmetricity(*both, P, triples=None).value)
    assert found.irrelevance == pytest.approx(0, abs=1e-9)  # the clock's part is a constant
    flat = neuron_level(*analytic(pizza), target)
    assert flat.position == pytest.approx(0, abs=1e-9) and np.isnan(neuron_level(*analytic(clock), target).position)
    assert NeuronLevel(0.0, 0.0, 1.0, 1.0).position == 1.0
    assert extract(*analytic(clock), target, languages=[LANGUAGE]).program == FourierProgram(P, KEYS)


def test_circles_of_the_first_residue_are_read_from_the_network():
    network, params = analytic(clock)
    params = {"embed": circles() * np.array([4.0, 2.0, 3.0, 1.0])}
    found = neuron_level(network, params, modular(p=P))
    assert found.circularity == pytest.approx(1, abs=1e-9)
    thin = neuron_level(*compile_fourier(FourierProgram(P, (1,))), modular(p=P))
    assert np.isnan(thin.circularity) and thin.symmetricity == pytest.approx(1, abs=1e-6)


def test_paths_may_be_given_and_are_looked_at():
    network = mlp((2,), P, vocabulary=P, widths=(6,))
    params = drawn(network)
    with pytest.raises(InputError, match="looks up no embedding"):
        gradient_symmetricity(network, params, P)
    network, params = analytic(clock)
    with float64():
        listed = intermediates(network.apply, params, np.zeros((1, 2), int))
    path = next(one.path for one in listed if one.primitive == "gather")
    by_path = gradient_symmetricity(network, params, P, paths=[path], triples=20)
    assert by_path.value == gradient_symmetricity(network, params, P, triples=20).value
    with pytest.raises(InputError, match="no intermediate '99'"):
        gradient_symmetricity(network, params, P, paths=["99"])


def test_what_does_not_fit_is_named():
    with pytest.raises(InputError, match=r"scores: expected finite numbers \[p, p\]"):
        distance_irrelevance(np.zeros((3, 4)))
    with pytest.raises(InputError, match="a is 2, which has a common divisor with p = 4"):
        distance_irrelevance(np.eye(4), a=2)
    with pytest.raises(InputError, match="varies along 2 directions only"):
        circularity(circles()[:, [0, 2]])
    with pytest.raises(InputError, match="embedding: expected finite numbers"):
        circularity(np.full((5, 2), np.nan))
    with pytest.raises(InputError, match="expected scores"):
        gradient_symmetricity(*_drawn(2, 5), P)
    with pytest.raises(InputError, match=r"shape \(1, 2\); expected \[N, 3\]"):
        gradient_symmetricity(*_drawn(3, P), P)


def _drawn(tokens, outputs):
    network = embedding_sum((tokens,), outputs, vocabulary=P, width=4)
    return network, drawn(network)
