"""Neighbour shares by draws, beside closed forms and beside a map whose shares are exact."""

from __future__ import annotations

import math
import pickle
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from allroads import InputError, Network, atlas, enumerate_map, exact_neighbour_share, neighbour_share
from allroads.atlases.neighbours import detailed_balance, neighbours_atlas
from allroads.atlases.neighbours.counted import counted
from allroads.distributions import clopper_pearson, clustered_interval
from allroads.points.prior.robustness import scale_of_moves

sys.path.insert(0, str(Path(__file__).parents[1] / "points"))

from ternary import cube, one_weight, ternary

ONE = np.array([[1.0], [2.0]])


def normal(key):
    return jax.random.normal(key, (1,))


UNIT = Network(normal, lambda w, x: x @ w)
RING = Network(normal, lambda w, x: (x @ w) ** 2 - 1)
"""Its program is whether the weight is within 1 of 0."""


def holds(found, truth):
    return found.stats["low"] <= truth <= found.stats["high"]


def leaves_ring(sigma):
    """Probability that a normal weight within 1 of 0 is beyond 1 after an additive move."""

    def beyond(w):
        return norm.pdf(w) * (norm.sf((1 - w) / sigma) + norm.cdf((-1 - w) / sigma))

    return quad(beyond, -1, 1)[0], quad(lambda w: 2 * norm.pdf(w) - 2 * beyond(w), 1, 9)[0]


@pytest.fixture(scope="module")
def grid():
    return enumerate_map(ternary(2), (-1, 0, 1), cube(2), progress=False)


@pytest.fixture(scope="module")
def drawn(seed):
    return neighbour_share(ternary(2), 20_000, cube(2), move=one_weight, moves=4, seed=seed, progress=False)


def test_the_sign_of_a_weight_changes_as_often_as_an_arctangent_says(seed):
    """Additive moves are in units of a root mean square over draws of init, which is 1 but for chance."""
    scale = float(scale_of_moves(UNIT, 1.0))
    assert abs(scale - 1) < 0.1
    for sigma in (1.0, 0.2):
        found = neighbour_share(UNIT, 16_384, ONE, sigma, moves=1, seed=seed, progress=False)
        low, high = clopper_pearson(found.flow[found.source != found.target].sum() * 16_384, 16_384, 0.9999)
        assert low < math.atan(sigma * scale) / math.pi < high


@pytest.mark.slow
def test_reversible_moves_change_a_sign_as_an_arcsine_says_and_pass_the_test_of_balance(seed):
    found = neighbour_share(UNIT, 16_384, ONE, 0.5, move="reversible", moves=1, seed=seed, progress=False)
    low, high = clopper_pearson(found.flow[found.source != found.target].sum() * 16_384, 16_384, 0.9999)
    assert low < math.asin(0.5) / math.pi < high
    inputs = np.array([[1.0], [1.0]])
    found = neighbour_share(RING, 40_960, inputs, 0.7, move="reversible", moves=1, seed=seed, progress=False)
    assert found.balance.value >= 1e-3 and found.status.value == "ok"


def test_additive_moves_of_a_normal_weight_are_not_reversible_and_say_so(seed):
    """The weight spreads: more moves leave the ring than enter it."""
    out, back = leaves_ring(float(scale_of_moves(RING, 1.0)))
    found = neighbour_share(RING, 40_960, np.array([[1.0], [1.0]]), 1.0, moves=1, seed=seed, progress=False)
    for p, q, flow in (("00", "11", out), ("11", "00", back)):
        place = found.programs.index(p), found.programs.index(q)
        low, high = clopper_pearson(found.matrix("boundary")[place] * 40_960, 40_960, 0.9999)
        assert low < flow < high
    assert out - back > 0.02 and found.balance.value < 1e-3 and found.status.value == "not reversible"
    assert found.status.sound


def test_shares_of_a_map_that_is_enumerated_come_out(grid, drawn):
    """Intervals of 95 % hold the exact share for nearly all pairs that were moved often; the mean comes out."""
    exact = exact_neighbour_share(grid)
    truth = exact.matrix()
    place = np.array([grid.programs.index(program) for program in drawn.programs])
    at = truth[place[drawn.source], place[drawn.target]]
    assert (at > 0).all()  # no move that cannot be made
    often = at * drawn.tried[drawn.source] > 20
    inside = (drawn.low <= at) & (at <= drawn.high)
    assert often.sum() > 100 and inside[often].mean() > 0.85
    assert abs(drawn.value - exact.value) < 2 * drawn.error
    assert abs(drawn.null - exact.null) < 2 * drawn.null.error
    assert np.abs(drawn.frequency - grid.frequency[place]).max() < 0.02
    assert drawn.balance.value >= 1e-3
    assert (drawn.evolvability <= exact.evolvability[place]).all()


def test_moves_of_one_start_are_different_moves(drawn):
    """Four moves per start say more than one, and less than four starts do."""
    one = 1.96 * math.sqrt(drawn.value * (1 - drawn.value) / 20_000)
    assert 0.5 * one < drawn.error < 0.8 * one


def test_boundaries_are_frequencies_times_shares(drawn):
    assert drawn.flow == pytest.approx(drawn.frequency[drawn.source] * drawn.share, abs=1e-15)
    assert drawn.flow.sum() == pytest.approx(1, abs=1e-12)
    assert (drawn.low <= drawn.share).all() and (drawn.share <= drawn.high).all()
    assert (drawn.flow_low <= drawn.flow).all() and (drawn.flow <= drawn.flow_high).all()


def test_a_share_of_an_edge_is_a_whole_number_of_its_trials(drawn):
    for quantity, rows in drawn.edges().group_by("quantity"):
        hits = (rows["value"] * rows["tried"]).to_numpy()
        np.testing.assert_allclose(hits, np.rint(hits), atol=1e-6, err_msg=str(quantity))
    boundary = drawn.edges().filter(pl.col("quantity") == "boundary")
    assert boundary["tried"].unique().to_list() == [drawn.tried.sum()]


def test_moves_of_one_start_are_no_independent_draws():
    """All moves of a start agree, so that sixteen of them say no more than one."""
    before = np.zeros(100, int)
    after = np.repeat((np.arange(100) < 30).astype(int)[:, None], 16, axis=1)
    found = counted(("a", "b"), before, after, 0, {"exact": False})
    low, high = clopper_pearson(30, 100)
    there = found.between("a", "b")
    assert (there.stats["low"], there.stats["high"]) == pytest.approx((low, high), abs=1e-12)


def test_intervals_are_those_of_the_moves_of_each_start():
    """Every start of program a, with how many of its eight moves end in b."""
    generator = np.random.default_rng(3)
    ends = (generator.random((60, 8)) < generator.beta(1, 3, (60, 1))).astype(int)
    found = counted(("a", "b"), np.zeros(60, int), ends, 0, {"exact": False}).between("a", "b")
    hits = ends.sum(1)
    low, high = clustered_interval(hits.sum(), (hits**2).sum(), 60, 8)
    assert found.value == ends.mean() and (found.stats["low"], found.stats["high"]) == (low, high)


def test_an_interval_by_clusters_lies_between_those_of_clusters_and_of_trials():
    generator = np.random.default_rng(0)
    for size in (2, 8):
        rate = generator.beta(1, 3, (200, 1))
        hits = (generator.random((200, size)) < rate).sum(1)
        low, high = clustered_interval(hits.sum(), (hits**2).sum(), 200, size)
        mean = hits.sum() / (200 * size)
        narrow, wide = clopper_pearson(hits.sum(), 200 * size), clopper_pearson(mean * 200, 200)
        assert wide[0] <= low <= narrow[0] <= mean <= narrow[1] <= high <= wide[1]


def test_an_interval_by_clusters_holds_the_truth(seed):
    """2,000 samples of 40 clusters of 6 trials: 93 % hold it and more; without regard to clusters less than 91 %."""
    generator = np.random.default_rng(seed)
    rate = generator.beta(0.5, 4.5, (2000, 40, 1))
    hits = (generator.random((2000, 40, 6)) < rate).sum(2)
    low, high = clustered_interval(hits.sum(1), (hits**2).sum(1), np.full(2000, 40), 6)
    assert ((low <= 0.1) & (high >= 0.1)).mean() > 0.93
    low, high = clustered_interval(hits.sum(1), hits.sum(1), np.full(2000, 240), 1)
    assert ((low <= 0.1) & (high >= 0.1)).mean() < 0.91


def test_what_no_move_joined_has_a_bound(drawn):
    pairs = set(zip(drawn.source.tolist(), drawn.target.tolist(), strict=True))
    p, q = next((p, q) for p in range(16) for q in range(16) if (p, q) not in pairs)
    found = drawn.between(drawn.programs[p], drawn.programs[q])
    assert found.value == 0 and found.stats["high"] == clopper_pearson(0, int(drawn.starts[p]))[1]


def test_labels_of_ones_own_and_points_of_ones_own():
    population = jnp.linspace(-3, 3, 100)[:, None]

    def label(w):
        return [None if abs(x) > 2 else "left" if x < 0 else "right" for x in w[:, 0].tolist()]

    def shift(key, w):
        return w + 1.0

    found = neighbour_share(UNIT, population, label, move=shift, moves=2, progress=False)
    truth = {p: label(population).count(None if p == "none" else p) for p in found.programs}
    assert dict(zip(found.programs, found.starts.tolist(), strict=True)) == truth
    assert found.between("right", "left").value == 0 and found.between("right", "none").value > 0
    assert found.status.value == "not reversible"
    atlas = neighbours_atlas(found)
    assert set(atlas.names) == {"left", "right", "none"} and "custom" in atlas.conventions["boundary"]


def test_a_seed_decides_everything_and_blocks_nothing(monkeypatch):
    first = neighbour_share(UNIT, 700, ONE, moves=3, seed=5, progress=False)
    assert (neighbour_share(UNIT, 700, ONE, moves=3, seed=6, progress=False).flow != first.flow).any()
    monkeypatch.setattr("allroads.atlases.neighbours.by_moves.BLOCK", 64)
    again = pickle.loads(pickle.dumps(neighbour_share(UNIT, 700, ONE, moves=3, seed=5, progress=False)))
    assert (again.flow == first.flow).all() and again.programs == first.programs and again.balance == first.balance


def test_a_budget_ends_between_blocks():
    found = neighbour_share(UNIT, 10**6, ONE, budget=1e-6, progress=False)
    assert found.stats["ended"] == "budget" and 0 < found.stats["starts"] < 10**6
    assert found.status.value == "cut short" and found.status.sound
    short = atlas(found)
    assert short.status.value == "cut short" and short.stats["ended"] == "budget" and "cut short" in str(short)
    whole = atlas(neighbour_share(UNIT, 256, ONE, progress=False))
    assert whole.status.value == "ok" and "ended" not in whole.stats


def test_an_interrupt_keeps_what_was_moved():
    """From the third block of labels on the user asks to stop; before the first is done there is nothing to keep."""
    calls = []

    def label(w):
        calls.append(len(w))
        if len(calls) > stop:
            raise KeyboardInterrupt
        return ["a"] * len(w)

    stop = 4
    found = neighbour_share(UNIT, 1000, label, moves=1, progress=False)
    assert found.stats["ended"] == "interrupted" and found.stats["starts"] == 2 * 64
    stop = 0
    with pytest.raises(KeyboardInterrupt):
        neighbour_share(UNIT, 1000, label, moves=1, progress=False)


def test_nearly_every_start_with_a_program_of_its_own_is_said():
    network = Network(lambda key: jax.random.normal(key, (64,)), lambda w, x: x @ w)
    inputs = np.random.default_rng(0).normal(size=(64, 64))
    found = neighbour_share(network, 200, inputs, moves=1, progress=False)
    assert found.status.value == "too few changes" and len(found.programs) > 200


def test_points_whose_outputs_are_not_finite_are_left_out():
    network = Network(lambda key: jax.random.bernoulli(key, 0.5, (1,)).astype(float), lambda w, x: x[:, 0] / w)
    found = neighbour_share(network, 400, ONE, move=lambda key, w: w * 0, moves=1, progress=False)
    assert 100 < found.stats["not_finite"] < 300 and found.between("11", "none").value == 1
    with pytest.raises(InputError, match="all of them are not finite"):
        neighbour_share(network, jnp.zeros((4, 1)), ONE, move=lambda key, w: w, progress=False)


def test_balance_of_a_table_is_a_test_of_the_stated_size(seed):
    """Under the null the p-value is at most 0.05 in about 5 % of 400 tables; 3 % to 8 % is 99.9 %."""
    generator = np.random.default_rng(seed)
    found = []
    for table in range(400):
        ends = generator.integers(0, 4, (150, 2))
        found.append(detailed_balance(ends[:, 0], ends[:, 1], seed=table, draws=199).value <= 0.05)
    assert 0.01 < np.mean(found) < 0.095


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": 3}, "expected Network"),
        ({"starts": 0}, "whole number of 1"),
        ({"starts": True}, "got bool"),
        ({"starts": "many"}, "got str"),
        ({"starts": {"w": np.zeros((3, 1))}}, "got dict"),
        ({"starts": np.zeros((3, 2))}, r"\[members, …\] before"),
        ({"starts": np.zeros(())}, r"\[members, …\] before"),
        ({"starts": np.zeros((0, 1))}, r"\[members, …\] before"),
        ({"labels": np.ones((1, 1))}, "two or more inputs"),
        ({"labels": "ab"}, "inputs"),
        ({"labels": lambda w: [1]}, "got 1 labels"),
        ({"labels": lambda w: [[1]] * len(w)}, "cannot be compared"),
        ({"labels": lambda w: [1] * len(w), "answers": "signs"}, "need none"),
        ({"sigma": 0}, "above 0"),
        ({"sigma": -1.0}, "above 0"),
        ({"sigma": float("nan")}, "finite"),
        ({"sigma": 2.0, "move": "reversible"}, "up to 1"),
        ({"sigma": 0.1, "move": lambda key, w: w}, "its own size"),
        ({"move": "additve"}, "did you mean 'additive'"),
        ({"moves": 0}, "whole number of 1"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed: expected a whole number of 9223372036854775807 or less"),
        ({"budget": 0}, "budget"),
    ],
)
def test_what_cannot_be_moved_is_refused(change, message):
    given = {"network": UNIT, "starts": 64, "labels": ONE, "progress": False} | change
    with pytest.raises(InputError, match=message):
        neighbour_share(given.pop("network"), given.pop("starts"), given.pop("labels"), **given)
