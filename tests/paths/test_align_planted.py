"""Planted products of permutations, signs and scales, where signs do not come from an odd activation alone."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from allroads import Network, float64
from allroads.paths.align import align
from allroads.paths.align.activations import activation_terms
from allroads.paths.align.matching import match_units, random_start
from allroads.paths.align.signs import best_signs
from allroads.paths.align.terms import inner_product, weight_terms
from allroads.pfmap.symmetries import Element, symmetries
from allroads.pfmap.symmetries.canonical import canonical


def normal(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(np.float32)


def conv(x, w):
    return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def batch_norm(x, n):
    return (x - n["mean"]) / jnp.sqrt(n["var"] + 1e-5) * n["gain"] + n["shift"]


def norm_params(size, seed=0):
    gain = normal(size, seed=seed)
    return {
        "mean": normal(size, seed=seed + 1), "var": normal(size, seed=seed + 2) ** 2 + 0.5,
        "gain": gain + np.sign(gain), "shift": normal(size, seed=seed + 3),
    }  # fmt: skip


def group_norm(x, gain, shift, groups):
    parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    centred = parts - parts.mean((1, 3), keepdims=True)
    return (centred / jnp.sqrt((centred**2).mean((1, 3), keepdims=True) + 1e-5)).reshape(x.shape) * gain + shift


def layer_norm(x, gain, shift):
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + shift


def gated(gate):
    return lambda p, x: (gate(x @ p["gate"]) * (x @ p["up"])) @ p["down"]


def softmax_pooling(p, x):
    h = x @ p["in"]
    return jnp.einsum("nt,nth->nh", jax.nn.softmax(h @ p["query"]), h @ p["value"]) @ p["out"]


def cosine_output(p, x):
    h = jax.nn.relu(x @ p["in"]) @ p["features"]
    h = h / jnp.linalg.norm(h, axis=-1, keepdims=True)
    return 10 * h @ (p["out"] / jnp.linalg.norm(p["out"], axis=0, keepdims=True))


def conv_batch_norm(p, x):
    x = jax.nn.relu(batch_norm(conv(x, p["c1"]), p["n1"]))
    return jax.nn.relu(batch_norm(conv(x, p["c2"]), p["n2"])).mean((1, 2)) @ p["out"]


def residual_batch_norm(p, x):
    stream = batch_norm(conv(x, p["c1"]), p["n1"])
    inner = jax.nn.relu(batch_norm(conv(jax.nn.relu(stream), p["c2"]), p["n2"]))
    return jax.nn.relu(stream + batch_norm(conv(inner, p["c3"]), p["n3"])).mean((1, 2)) @ p["out"]


def grouped(activation):
    return lambda p, x: activation(group_norm(x @ p["in"] + p["bias"], p["gain"], p["shift"], 4)) @ p["out"]


def conv_group_norm(p, x):
    x = jax.nn.relu(group_norm(conv(x, p["c1"]), p["g1"], p["s1"], 4))
    return jax.nn.relu(group_norm(conv(x, p["c2"]), p["g2"], p["s2"], 3)).mean((1, 2)) @ p["out"]


def pre_norm_blocks(p, x):
    x = x @ p["in"]
    for k in "12":
        x = x + jax.nn.relu(layer_norm(x, p["g" + k], p["s" + k]) @ p["up" + k]) @ p["down" + k]
    return layer_norm(x, p["g"], p["s"]) @ p["out"]


GATED = {"gate": normal(6, 10), "up": normal(6, 10, seed=1), "down": normal(10, 3)}
GROUPED = {
    "in": normal(6, 8),
    "bias": normal(8),
    "gain": normal(8, seed=1),
    "shift": normal(8, seed=2),
    "out": normal(8, 3),
}
VECTORS, IMAGES = normal(64, 6, seed=5), normal(32, 5, 5, 2, seed=5)
NETWORKS = {
    "gated by silu": (gated(jax.nn.silu), GATED, VECTORS),
    "gated by sigmoid": (gated(jax.nn.sigmoid), GATED, VECTORS),
    "bilinear": (gated(lambda x: x), GATED, VECTORS),
    "softmax pooling": (
        softmax_pooling,
        {"in": normal(6, 8), "query": normal(8), "value": normal(8, 7), "out": normal(7, 3)},
        normal(64, 5, 6),
    ),
    "cosine output": (cosine_output, {"in": normal(6, 8), "features": normal(8, 7), "out": normal(7, 3)}, VECTORS),
    "convolution and batch norm": (
        conv_batch_norm,
        {
            "c1": normal(3, 3, 2, 6), "n1": norm_params(6), "c2": normal(3, 3, 6, 7), "n2": norm_params(7),
            "out": normal(7, 3),
        },
        IMAGES,
    ),
    "residual with batch norm": (
        residual_batch_norm,
        {
            "c1": normal(3, 3, 2, 6), "n1": norm_params(6), "c2": normal(3, 3, 6, 7), "n2": norm_params(7),
            "c3": normal(3, 3, 7, 6), "n3": norm_params(6, seed=9), "out": normal(6, 3),
        },
        IMAGES,
    ),
    "group norm, relu": (grouped(jax.nn.relu), GROUPED, VECTORS),
    "group norm, linear": (grouped(lambda x: x), GROUPED, VECTORS),
    "group norm, tanh": (grouped(jnp.tanh), GROUPED, VECTORS),
    "convolution and group norm": (
        conv_group_norm,
        {
            "c1": normal(3, 3, 2, 8), "g1": normal(8), "s1": normal(8, seed=1), "c2": normal(3, 3, 8, 6),
            "g2": normal(6), "s2": normal(6, seed=1), "out": normal(6, 3),
        },
        IMAGES,
    ),
    "residual with layer norm": (
        pre_norm_blocks,
        {f"{name}{k}": normal(*shape, seed=s) for s, k in enumerate("12") for name, shape in
         (("g", (8,)), ("s", (8, )), ("up", (8, 5)), ("down", (5, 8)))}
        | {"in": normal(6, 8), "g": normal(8, seed=7), "s": normal(8, seed=8), "out": normal(8, 3)},
        VECTORS,
    ),
}  # fmt: skip


def planted(name):
    apply, params, inputs = NETWORKS[name]
    network = Network(lambda key: params, apply, name)
    params = jax.tree.map(jnp.asarray, params)
    return network, params, inputs, symmetries(network, params, inputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_random_elements_of_the_group_are_undone_by_both_methods(name):
    network, a, inputs, found = planted(name)
    assert found.refused == () and any(units.signs for units in found.units)
    size = np.linalg.norm(found.flatten(a))
    for seed, method in itertools.product(range(3), ("weights", "activations")):
        b = found.act(found.random(np.random.default_rng(seed)), a)
        result = align(network, a, b, inputs, method=method, restarts=0)
        assert result.distance <= 1e-5 * size < 0.01 * result.distance_before, (seed, method)


@pytest.mark.parametrize("name", NETWORKS)
def test_captured_arrays_change_sign_as_their_rule_says(name):
    """Captured arrays of a point, moved by an element, are those of the moved point."""
    network, a, inputs, found = planted(name)
    element = found.random(np.random.default_rng(1), spread=0.0)
    b = found.act(element, a)
    terms = activation_terms(network, found, b, a, inputs)
    assert terms
    for term in terms:
        np.testing.assert_allclose(term.moved(found, element), term.a, atol=2e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_canonical_form_is_one_for_all_points_of_an_orbit(name):
    with float64():
        apply, params, inputs = NETWORKS[name]
        params = jax.tree.map(lambda x: jnp.asarray(x, np.float64), params)
        found = symmetries(Network(lambda key: params, apply), params, np.asarray(inputs, np.float64))
        form = found.flatten(canonical(found, params))
        for seed in range(3):
            moved = found.act(found.random(np.random.default_rng(seed)), params)
            np.testing.assert_allclose(found.flatten(canonical(found, moved)), form, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_signs_are_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    ways = int(rng.integers(1, 6))
    sets = [tuple(np.flatnonzero(rng.random(ways) < 0.5).tolist()) for _ in range(rng.integers(1, 8))]
    parts = {flips: rng.normal(size=(3, 2)) for flips in sets}
    total, signs = best_signs(parts, (3, 2), ways)

    def value(signs):
        return sum(part * np.prod([signs[way] for way in flips], axis=0) for flips, part in parts.items())

    best = np.max([value(chosen) for chosen in itertools.product((1.0, -1.0), repeat=ways)], axis=0)
    np.testing.assert_allclose(total, best, atol=1e-12)
    np.testing.assert_allclose(value(signs), best, atol=1e-12)


def test_groups_are_matched_as_well_as_any_permutation_and_sign_can():
    params = {"in": normal(6, 4), "bias": normal(4), "gain": normal(4), "shift": normal(4, seed=1), "out": normal(4, 3)}
    other = jax.tree.map(lambda x: normal(*x.shape, seed=4), params)

    def two_groups(p, x):
        return group_norm(x @ p["in"] + p["bias"], p["gain"], p["shift"], 2) @ p["out"]

    found = symmetries(Network(lambda key: params, two_groups), params, VECTORS)
    terms = weight_terms(found, found.flatten(params), found.flatten(other))
    (groups,) = (k for k in found.movable if not found.units[k].within)
    (inside,) = (k for k in found.movable if found.units[k].within)
    assert found.units[groups].signs and found.units[inside].signs
    flips = [np.array(s) for s in itertools.product((1.0, -1.0), repeat=2)]
    orders = [np.array(order) for order in itertools.permutations(range(2))]
    best = max(
        inner_product(
            found,
            terms,
            Element({groups: order, inside: np.stack(inner)}, {(groups, 0): outer, (inside, 0): np.stack(inner_flips)}),
        )
        for order, outer in itertools.product(orders, flips)
        for inner in itertools.product(orders, repeat=2)
        for inner_flips in itertools.product(flips, repeat=2)
    )
    start = random_start(found, np.random.default_rng(0))
    assert inner_product(found, terms, match_units(found, terms, start, groups)) == pytest.approx(best, rel=1e-9)
    kept = match_units(found, terms, start, groups, keep_permutations=True)
    assert np.array_equal(kept.permutations[groups], start.permutations[groups])
    best = max(
        inner_product(found, terms, Element(start.permutations, {(groups, 0): outer, (inside, 0): np.stack(inner)}))
        for outer in flips
        for inner in itertools.product(flips, repeat=2)
    )
    assert inner_product(found, terms, kept) == pytest.approx(best, rel=1e-9)
