"""Information between labels and factors, beside closed forms, counting and averages over orders."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from attribution_tables import runs_of

from allroads import AttributionOptions, attribute
from allroads.studies.attribution.design import Design
from allroads.studies.attribution.information import information, subsets
from allroads.studies.attribution.label_null import permuted_information
from allroads.studies.attribution.label_world import label_world
from allroads.studies.attribution.shapley import dividends, shapley

FEW = AttributionOptions(resamples=199)


def entropy_of(labels):
    counts = np.array(list(Counter(labels).values())) / len(labels)
    return -(counts * np.log2(counts)).sum()


def counted_information(table, labels, factors):
    """H(label) − H(label | levels), by going through the runs."""
    groups: dict[tuple, list] = {}
    for index, label in enumerate(labels):
        groups.setdefault(tuple(table[factor][index] for factor in factors), []).append(label)
    return entropy_of(labels) - sum(len(g) / len(labels) * entropy_of(g) for g in groups.values())


def random_shares(rng, shape, labels):
    return rng.dirichlet(np.full(labels, 0.5), size=shape)


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.5), (0.1, 0.9), (0.0, 1.0), (0.2, 0.3)])
def test_two_bernoulli_cells_have_the_divergence_of_jensen_and_shannon(p, q):
    def h(x):
        return -sum(part * math.log2(part) for part in (x, 1 - x) if part)

    found = information(np.array([[[p, 1 - p], [q, 1 - q]]]))[0]
    assert found.tolist() == [0.0, pytest.approx(h((p + q) / 2) - (h(p) + h(q)) / 2, abs=1e-12)]


def test_information_is_that_of_counting_for_every_set_of_factors():
    rng = np.random.default_rng(0)
    table = runs_of((2, 3, 2), 7)
    labels = rng.integers(5, size=84)
    shares = np.eye(5)[labels].reshape(2, 3, 2, 7, 5).mean(axis=3)
    expected = [counted_information(table, labels, ["abc"[axis] for axis in chosen]) for chosen in subsets(3)]
    np.testing.assert_allclose(information(shares[None])[0], expected, atol=1e-12)


def test_shapley_values_are_averages_over_all_orders_within_the_bounds_of_the_chain_rule():
    values = information(random_shares(np.random.default_rng(1), (4, 2, 3, 2), 6))
    place = {chosen: index for index, chosen in enumerate(subsets(3))}
    expected = np.zeros((4, 3))
    for order in itertools.permutations(range(3)):
        for step, factor in enumerate(order):
            with_, without = tuple(sorted(order[: step + 1])), tuple(sorted(order[:step]))
            expected[:, factor] += (values[:, place[with_]] - values[:, place[without]]) / 6
    found = shapley(values, 3)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), values[:, -1])
    for factor in range(3):
        others = place[tuple(other for other in range(3) if other != factor)]
        assert (values[:, place[(factor,)]] <= found[:, factor] + 1e-12).all()
        assert (found[:, factor] <= values[:, -1] - values[:, others] + 1e-12).all()


def test_dividends_sum_to_the_whole_and_give_the_shapley_values():
    values = information(random_shares(np.random.default_rng(2), (3, 2, 2, 2), 4))
    parts = dividends(values, 3)
    np.testing.assert_allclose(parts.sum(axis=1), values[:, -1])
    shared = [sum(parts[:, i] / len(s) for i, s in enumerate(subsets(3)) if factor in s) for factor in range(3)]
    np.testing.assert_allclose(shapley(values, 3), np.stack(shared, axis=1), atol=1e-12)


def test_a_label_that_is_one_factor_gives_it_everything():
    table = runs_of((4, 3), 6)
    found = attribute(table | {"f": [f"program {a}" for a in table["a"]]}, "f", ["a", "b"], FEW)
    assert found.kind == "labels" and found.value == pytest.approx(2) and found.error == pytest.approx(0, abs=1e-9)
    a, b = found.row("a"), found.row("b")
    assert (a["share"], a["share_low"], a["share_high"]) == pytest.approx((1, 1, 1))
    assert (b["share"], b["share_low"], b["share_high"]) == pytest.approx((0, 0, 0), abs=1e-9)
    assert a["information"] == pytest.approx(2) and a["given_others"] == pytest.approx(2)
    assert a["p_any"] == 0.005 and b["p_any"] == 1.0 and found.status == "ok"


@pytest.mark.parametrize("factors", ["ab", "abc"])
def test_a_parity_is_shared_equally(factors):
    table = runs_of((2,) * len(factors), 8)
    label = sum(table[name] for name in factors) % 2
    found = attribute(table | {"f": label}, "f", list(factors), FEW, kind="labels")
    assert found.columns["share"][: len(factors)] == pytest.approx(np.full(len(factors), 1 / len(factors)))
    assert found.row(" × ".join(factors))["information"] == pytest.approx(1)
    assert found.row("a")["information"] == pytest.approx(0, abs=1e-12)
    assert found.row("a")["given_others"] == pytest.approx(1)


def test_without_an_effect_the_correction_takes_off_what_counting_adds():
    """Twenty labels, 16 runs per cell: a correction by the number of labels leaves more than half of it."""
    shares = 1 / np.arange(1, 21)
    shares /= shares.sum()
    plain, corrected, by_labels = [], [], []
    for index in range(20):
        rng = np.random.default_rng([3, index])
        counts = rng.multinomial(16, shares, size=(3, 4))
        world = label_world(counts, Design((3, 4), 16, 2), 99, rng)
        plain.append(world.counted[-1])
        corrected.append(world.corrected[-1])
        new = (counts.sum(axis=(0, 1)) > 0).sum() - 1 - ((counts > 0).sum(axis=-1) - 1).sum()
        by_labels.append(plain[-1] + new / (2 * counts.sum() * math.log(2)))
    assert np.mean(plain) > 0.6 and np.mean(by_labels) > 0.3 and abs(np.mean(corrected)) < 0.1


def test_with_an_effect_the_correction_is_right_where_permutations_take_off_too_much():
    rng = np.random.default_rng(7)
    logits = np.log(1 / np.arange(1, 21)) + 2.5 * rng.normal(size=(3, 1, 20)) + 1.5 * rng.normal(size=(1, 4, 20))
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    truth = information(shares[None])[0, -1]
    errors, permuted = [], []
    for index in range(20):
        rng = np.random.default_rng([4, index])
        counts = rng.multinomial(16, shares)
        world = label_world(counts, Design((3, 4), 16, 2), 99, rng)
        errors.append(world.corrected[-1] - truth)
        codes = np.stack([np.repeat(np.arange(20), row) for row in counts.reshape(-1, 20)]).reshape(3, 4, 16)
        permuted.append(world.counted[-1] - permuted_information(codes, 20, None, 30, rng).mean() - truth)
    assert abs(np.mean(errors)) < 0.06 and np.mean(permuted) < -0.2


def test_independent_labels_have_no_share_and_rarely_a_small_p():
    table, small, held = runs_of((2, 3), 10), [], 0
    for index in range(40):
        rng = np.random.default_rng([5, index])
        labels = rng.choice(4, p=[0.5, 0.3, 0.1, 0.1], size=60)
        found = attribute(table | {"f": labels}, "f", ["a", "b"], AttributionOptions(resamples=99), kind="labels")
        small += [found.row(name)["p_any"] <= 0.05 for name in "ab"]
        held += found.stats["value_low"] == 0 and found.row("a")["shapley_low"] == 0
        if found.status == "no effect":
            assert np.isnan(found.columns["share"]).all()
    assert np.mean(small) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 80) and held >= 36


@pytest.mark.slow
def test_intervals_of_shares_hold_the_truth_in_92_to_98_of_100_tables(seed):
    rng = np.random.default_rng(6)
    logits = np.log([0.4, 0.3, 0.2, 0.1]) + 0.8 * rng.normal(size=(3, 1, 4)) + 0.6 * rng.normal(size=(1, 4, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    values = information(shares[None])
    truth = shapley(values, 2)[0] / values[0, -1]
    table, held = runs_of((3, 4), 24), 0
    for index in range(500):
        counts = np.random.default_rng([7, seed, index]).multinomial(24, shares).reshape(-1, 4)
        labels = np.concatenate([np.repeat(np.arange(4), row) for row in counts])
        row = attribute(table | {"f": labels}, "f", ["a", "b"], FEW, kind="labels", seed=index).row("a")
        held += row["share_low"] <= truth[0] <= row["share_high"]
    assert 0.92 * 500 <= held <= 0.98 * 500, held


def test_labels_may_be_anything_that_can_be_hashed():
    table = runs_of((2, 2), 6)
    kinds = {
        "text": [f"f{a}" for a in table["a"]],
        "tuples": [(int(a), "x") for a in table["a"]],
        "lists": [[int(a), 1] for a in table["a"]],
        "bytes": [bytes([a]) for a in table["a"].tolist()],
    }
    for name, labels in kinds.items():
        found = attribute(table | {name: labels}, name, ["a", "b"], AttributionOptions(resamples=99))
        assert (found.kind, found.value) == ("labels", pytest.approx(1))


def test_labels_that_are_mostly_new_are_called_unreliable():
    rng = np.random.default_rng(8)
    table = runs_of((2, 2), 10) | {"f": [f"f{n}" for n in rng.integers(40, size=40)]}
    found = attribute(table, "f", ["a", "b"], FEW)
    assert found.status == "too many labels" and not found.status.sound and found.stats["unseen"] > 0.5
