"""Keys, packing, counting and estimates of the prior over functions."""

import collections
import itertools
import math
from fractions import Fraction

import jax
import numpy as np
import pytest
from scipy.stats import binom

from allroads.distributions.entropy import _chao, _jackknife
from allroads.points.prior import clopper_pearson, collision, entropy, missing_mass, tally
from allroads.points.prior.answers import Answers
from allroads.points.prior.tally import Tally
from allroads.points.prior.threefry import blocks, key_of
from allroads.status import PriorStatus

# --- keys


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # the generator's published answers
        ((0x0, 0x0), (0x0, 0x0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_cipher_gives_its_published_answers(counter, key, words):
    found = blocks(np.array(key, np.uint32), *(np.array([word], np.uint32) for word in counter))
    assert tuple(int(word[0]) for word in found) == words


def test_draws_are_those_of_jax_without_the_partitionable_layout():
    with jax.threefry_partitionable(False):
        mine, theirs = key_of(5), jax.random.key(5, impl="threefry2x32")
        for shape in ((6,), (3, 4)):
            assert (jax.random.bits(mine, shape) == jax.random.bits(theirs, shape)).all()
        assert (jax.random.normal(mine, (8,)) == jax.random.normal(theirs, (8,))).all()
        pairs = ((jax.random.split(key, 3), jax.random.fold_in(key, 9)) for key in (mine, theirs))
        for own, other in zip(*pairs, strict=True):
            assert (jax.random.key_data(own) == jax.random.key_data(other)).all()


@pytest.mark.slow
def test_draws_of_many_keys_are_those_of_each_and_seeds_differ():
    keys = jax.random.split(key_of(1), 4)
    together = jax.vmap(lambda key: jax.random.bits(key, (5,)))(keys)
    for key, row in zip(keys, together, strict=True):
        assert (jax.random.bits(key, (5,)) == row).all()
    data = [tuple(jax.random.key_data(key_of(seed)).tolist()) for seed in (0, 1, 2**32, 2**63 + 7)]
    assert data == [(0, 0), (0, 1), (1, 0), (2**31, 7)]


# --- packing


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("signs", (5,)), ("signs", (33, 2)), ("signs", (64, 1)), ("classes", (7, 5)), ("classes", (3, 4, 2))],
)
def test_what_was_packed_is_read(kind, shape):
    answers = Answers(kind, shape)
    outputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    outputs.ravel()[0] = 0.0
    said = outputs.argmax(-1) if kind == "classes" else (outputs > 0).astype(int)
    code = answers.codes(np.asarray(answers.pack(outputs))[None])[0]
    assert (answers.read(code) == said).all() and (answers.code(said) == code).all()
    assert answers.bits == said.size * {2: 1, 4: 2, 5: 3}.get(shape[-1] if kind == "classes" else 2)


# --- counting


def test_rows_are_counted_exactly_through_many_merges(monkeypatch):
    monkeypatch.setattr(tally, "PENDING", 50)
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 6, (3000, 2)).astype(np.uint64) + np.uint64(2**63)
    weights = generator.integers(0, 9, 3000)
    counted = Tally(2, 2)
    for start in range(0, 3000, 37):
        part = slice(start, min(start + 37, 3000))
        numbers = np.arange(3000)[part]
        counted.add(rows[part], numbers, np.stack([np.ones(len(numbers), int), weights[part]], axis=1))
    table = counted.table()
    expected = collections.Counter(map(tuple, rows.tolist()))
    assert dict(zip(map(tuple, table.codes.tolist()), table.sums[:, 0].tolist(), strict=True)) == expected
    for row, first, weight in zip(table.codes, table.first, table.sums[:, 1], strict=True):
        at = np.flatnonzero((rows == row).all(1))
        assert first == at[0] and weight == weights[at].sum()


# --- estimates


@pytest.mark.parametrize(("count", "samples"), [(0, 12), (3, 12), (12, 12), (1, 5000)])
def test_the_exact_interval_ends_where_the_tails_are_a_fortieth(count, samples):
    low, high = clopper_pearson(count, samples)
    if count:
        assert binom.sf(count - 1, samples, low) == pytest.approx(0.025)
    if count < samples:
        assert binom.cdf(count, samples, high) == pytest.approx(0.025)
    assert low <= count / samples <= high


def test_the_collision_probability_is_unbiased():
    """Over all 3⁴ outcomes of four draws from (½, 3/10, 1/5), in whole numbers."""
    p, mean = (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)), 0.0
    for outcome in itertools.product(range(3), repeat=4):
        counts = np.bincount(outcome)
        mean += math.prod(float(p[x]) for x in outcome) * collision(counts[counts > 0]).value
    assert mean == pytest.approx(float(sum(x * x for x in p)))


def zipf(functions):
    p = 1 / np.arange(1, functions + 1)
    return p / p.sum()


CASES = {
    "zipf": (zipf(1000), 5000),
    "even": (np.full(200, 1 / 200), 1000),
    "atom": (np.r_[0.5, np.full(500, 1e-3)], 3000),
    "rare": (np.r_[0.5, np.full(5000, 1e-4)], 1000),
}
"""Distributions and numbers of draws; the last is too small for an entropy."""


@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_known_distributions(case, seed):
    """200 sets of draws: each 95 % interval misses in 28 of 200 at most, as 5 % does in 1 of 10⁶ runs."""
    p, samples = CASES[case]
    generator, missed = np.random.default_rng(seed), collections.Counter()
    for _ in range(200):
        counts = generator.multinomial(samples, p)
        unseen, counts = p[counts == 0].sum(), counts[counts > 0]
        same, bits, mass = collision(counts), entropy(counts), missing_mass(counts)
        missed["collision"] += not same.stats["low"] <= p @ p <= same.stats["high"]
        missed["missing"] += abs(mass - unseen) > mass.error
        missed["entropy"] += abs(bits + p @ np.log2(p)) > bits.error
        assert bits.status == (PriorStatus.UNDERSAMPLED if case == "rare" else PriorStatus.OK)
        assert case == "rare" or bits.error < 0.5
    del missed["entropy" if case == "rare" else ""]
    assert max(missed.values()) <= 28, missed


def test_the_entropy_is_the_published_formula():
    counts = np.array([7, 4, 2, 2, 1, 1, 1])
    n, once, twice = counts.sum(), 3, 2
    seen = sum(x / n * sum(1 / k for k in range(x, n)) for x in counts)
    rate = 2 * twice / ((n - 1) * once + 2 * twice)
    rest = -math.log(rate) - sum((1 - rate) ** r / r for r in range(1, n))
    expected = seen + once / n * (1 - rate) ** (1 - n) * rest
    assert _chao(*np.unique(counts, return_counts=True)) == pytest.approx(expected / math.log(2), rel=1e-9)
    many = np.r_[np.full(40_000, 1), np.full(1, 2), 60_000]  # a rate near 0: the sum of the tail is long
    n, once, twice = int(many.sum()), 40_000, 1
    rate = 2 * twice / ((n - 1) * once + 2 * twice)
    r = np.arange(n, n + 5_000_000)
    tail = (np.exp(np.log1p(-rate) * (r - n + 1)) / r).sum()
    cut = math.log(1 / (rate * r[-1])) - 0.5772157  # Σ beyond, E₁ at a small argument
    seen = 60_000 / n * sum(1 / k for k in range(60_000, n)) + 40_000 / n * sum(1 / k for k in range(1, n))
    seen += 2 / n * sum(1 / k for k in range(2, n))
    assert _chao(*np.unique(many, return_counts=True)) == pytest.approx(
        (seen + once / n * (tail + cut)) / math.log(2), rel=1e-2
    )


def test_the_sampling_error_is_the_jackknife_by_its_definition():
    counts = np.array([40, 9, 3, 3, 2, 2, 1, 1, 1])
    values = []
    for place in np.repeat(np.arange(len(counts)), counts):
        left = counts - (np.arange(len(counts)) == place)
        values.append(_chao(*np.unique(left[left > 0], return_counts=True)))
    n = counts.sum()
    expected = math.sqrt((n - 1) / n * ((np.array(values) - np.mean(values)) ** 2).sum())
    assert _jackknife(*np.unique(counts, return_counts=True)) == pytest.approx(expected)


def test_a_hundred_functions_without_a_second_draw_have_no_effective_number():
    none = collision(np.ones(100, int))
    assert none.status == PriorStatus.UNDERSAMPLED and none.value == 0 and none.stats["high"] > 0
    assert entropy(np.ones(100, int)).status == PriorStatus.UNDERSAMPLED
    assert collision(np.ones(1, int)).status == entropy(np.ones(1, int)).status == PriorStatus.UNDERSAMPLED
