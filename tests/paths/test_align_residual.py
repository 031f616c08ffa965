"""Matching where a residual stream ties layers together: planted symmetries, and all permutations of a tiny one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from allroads import Network
from allroads.paths.align import align
from allroads.paths.align.matching import greedy_start, match, random_start
from allroads.paths.align.terms import inner_product, weight_terms
from allroads.pfmap.symmetries import Element, symmetries
from allroads.pfmap.symmetries.scales import balanced_scales

IMAGES = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype(np.float32)


def conv(x, w):
    return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def residual_network(width, blocks, groups=0):
    """A stem, residual blocks and mean pooling; with a norm over groups of channels, or without any."""

    def norm(x, gain):
        if not groups:
            return x
        parts = x.reshape(*x.shape[:-1], groups, -1)
        centred = parts - parts.mean((1, 2, 4), keepdims=True)
        return (centred / jnp.sqrt((centred**2).mean((1, 2, 4), keepdims=True) + 1e-5)).reshape(x.shape) * gain

    def init(key):
        shapes = {"stem": (3, 3, 1, width), "out": (width, 3)}
        shapes |= {f"{name}{k}": (3, 3, width, width) for k in range(blocks) for name in ("first", "second")}
        if groups:
            shapes |= {f"gain{k}": (width,) for k in range(blocks)}
        keys = jax.random.split(key, len(shapes))
        drawn = {n: jax.random.normal(k, s) for k, (n, s) in zip(keys, shapes.items(), strict=True)}
        return {name: w / np.sqrt(max(np.prod(w.shape[:-1]), 1)) for name, w in drawn.items()}

    def apply(p, x):
        x = jax.nn.relu(conv(x, p["stem"]))
        for k in range(blocks):
            inner = jax.nn.relu(norm(conv(x, p[f"first{k}"]), p.get(f"gain{k}", 1.0)))
            x = jax.nn.relu(x + conv(inner, p[f"second{k}"]))
        return x.mean((1, 2)) @ p["out"]

    return Network(init, apply)


@pytest.mark.parametrize(("width", "blocks", "groups"), [(16, 2, 0), (16, 2, 1)])
def test_planted_symmetries_are_undone_from_random_starts_too(width, blocks, groups, seed):
    network = residual_network(width, blocks, groups)
    a = network.init(jax.random.key(seed))
    found = symmetries(network, a, IMAGES)
    assert len(found.movable) == 1 + blocks  # the stream, and the inside of each block
    b = found.act(found.random(np.random.default_rng([1, seed])), a)
    result = align(network, a, b, IMAGES, restarts=0)
    assert result.distance <= 1e-5 * np.linalg.norm(found.flatten(a)) < 0.01 * result.distance_before
    even = [balanced_scales(found, found.flatten(point))[0] for point in (a, b)]
    terms, rng = weight_terms(found, *even), np.random.default_rng([2, seed])
    ends = [match(found, terms, random_start(found, rng), rng) for _ in range(5)]
    whole = float((even[0] ** 2).sum())  # the inner product of a point with itself
    assert max(inner_product(found, terms, end) for end in ends) == pytest.approx(whole, rel=1e-6)


def test_matching_reaches_the_best_of_all_permutations_of_a_tiny_network():
    network = residual_network(4, 1)
    reached = []
    for seed in range(4):
        a, b = (network.init(jax.random.key(2 * seed + end)) for end in (0, 1))
        found = symmetries(network, a, IMAGES)
        even = [balanced_scales(found, found.flatten(point))[0] for point in (a, b)]
        terms, rng = weight_terms(found, *even), np.random.default_rng(0)
        orders = [np.array(order) for order in itertools.permutations(range(4))]
        best = max(
            inner_product(found, terms, Element(dict(zip(found.movable, pair, strict=True))))
            for pair in itertools.product(orders, repeat=2)
        )
        starts = [greedy_start(found, terms), *(random_start(found, rng) for _ in range(4))]
        ends = [inner_product(found, terms, match(found, terms, start, rng)) for start in starts]
        assert max(ends) <= best + 1e-9
        assert inner_product(found, terms, Element()) < ends[0]
        reached.append(max(ends) / best)
    assert reached == pytest.approx([1.0] * 4, rel=1e-9)
