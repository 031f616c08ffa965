"""The prequential length against closed forms, a slow learner in NumPy, and what random labels must cost."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, Problem, float64
from allroads.errors import InputError, UnknownNameError
from allroads.explorers.build import build_explorer
from allroads.networks.mlp import mlp
from allroads.points.description import prequential_length
from allroads.points.description.prequential_length import block_ends
from allroads.status import DescriptionStatus

RNG = np.random.default_rng(0)


def length(network, loss, inputs, labels, *arguments, **options):
    return prequential_length(Problem(network, loss, inputs, labels), *arguments, **options)


def silent(classes):
    """The same score for every class, whatever comes in; training does not move it."""
    return Network(lambda key: jnp.zeros(1), lambda w, x: jnp.zeros((len(x), classes)) + 0 * w)


BIAS = Network(lambda key: jnp.zeros(1), lambda w, x: jnp.broadcast_to(w, (len(x), 1)))
"""One logit for all inputs: trained to its optimum it predicts the share of ones seen so far."""


@pytest.mark.parametrize(("classes", "code"), [(2, "last"), (10, "mixture")])
def test_a_uniform_predictor_costs_log_c_a_label(classes, code):
    labels = RNG.integers(0, classes, 21)
    with float64():
        found = length(
            silent(classes), "cross_entropy", np.ones((21, 1)), labels, "gd", 2, steps=3, blocks=3, code=code, orders=2
        )
    assert found.value == pytest.approx(21 * math.log2(classes), rel=1e-13)
    assert found.stats["uniform"] == pytest.approx(21 * math.log2(classes), rel=1e-13)
    assert found.error == pytest.approx(0, abs=1e-12) and found.status == DescriptionStatus.OK
    assert found.stats["ends"] == (5, 10, 21)
    np.testing.assert_allclose(found.stats["block_bits"], np.array([5, 5, 11]) * math.log2(classes))


def test_every_output_and_every_position_is_a_label():
    bits = Network(lambda key: jnp.zeros(1), lambda w, x: jnp.zeros((len(x), 3)) + 0 * w)
    found = length(bits, "bce", np.ones((8, 1)), RNG.integers(0, 2, (8, 3)), "gd", 1, steps=0, blocks=2)
    assert found.value == pytest.approx(24, rel=1e-6)
    positions = Network(lambda key: jnp.zeros(1), lambda w, x: jnp.zeros((len(x), 5, 4)) + 0 * w)
    labels = RNG.integers(0, 4, (8, 5))
    found = length(positions, "cross_entropy", np.ones((8, 1)), labels, "gd", 1, steps=0, blocks=2)
    assert found.value == pytest.approx(8 * 5 * 2, rel=1e-6)


def test_one_block_is_the_uniform_code():
    found = length(BIAS, "bce", np.ones((9, 1)), np.ones(9), steps=5, blocks=1)
    assert found.value == 9 and found.stats["ends"] == (9,)


def test_one_logit_costs_what_the_shares_seen_so_far_say():
    labels = RNG.permutation(np.repeat([0, 1], [30, 50]))
    ends = [10, 35, 80]
    with float64():
        found = length(
            BIAS, "bce", np.ones((80, 1)), labels, build_explorer("gd", learning_rate=4.0), 2,
            steps=200, blocks=ends, code="last", orders=3,
        )  # fmt: skip
    for order, bits in zip(found.stats["order"], found.stats["bits"], strict=True):
        seen, expected = labels[order], float(ends[0])
        for end, following in itertools.pairwise(ends):
            share = sum(seen[:end]) / end
            for label in seen[end:following]:
                expected -= math.log2(share if label else 1 - share)
        np.testing.assert_allclose(bits, expected, rtol=1e-10)
    assert len({tuple(order) for order in found.stats["order"]}) == 3
    means = found.stats["bits"].mean(axis=1)
    assert found.value == pytest.approx(means.mean())
    assert found.error == pytest.approx(math.sqrt(sum((m - means.mean()) ** 2 for m in means) / 2 / 3))


def test_frequencies_alone_cost_the_code_of_krichevsky_and_trofimov():
    labels = RNG.integers(0, 3, 25)
    found = length(silent(3), "cross_entropy", np.ones((25, 1)), labels, "gd", steps=0, blocks=1)
    counts, expected = [0, 0, 0], 0.0
    for label in labels:
        expected -= math.log2((counts[label] + 0.5) / (sum(counts) + 1.5))
        counts[label] += 1
    assert found.stats["frequencies"] == pytest.approx(expected)


def test_the_mixture_has_the_mean_probability_of_its_steps_and_the_uniform_code():
    """Gradient descent on one logit, all labels 1: w ← w + η (1 − σ(w))."""
    labels, steps = np.ones(12, int), 6
    with float64():
        explorer = build_explorer("gd", learning_rate=2.0)
        found = length(BIAS, "bce", np.ones((12, 1)), labels, explorer, 1, steps=steps, blocks=[4, 12])
        last = length(BIAS, "bce", np.ones((12, 1)), labels, explorer, 1, steps=steps, blocks=[4, 12], code="last")
    w, chances = 0.0, []
    for _ in range(steps + 1):
        chances.append((1 / (1 + math.exp(-w))) ** 8)
        w += 2.0 * (1 - 1 / (1 + math.exp(-w)))
    assert found.value == pytest.approx(4 - math.log2((sum(chances) + 0.5**8) / (len(chances) + 1)), rel=1e-12)
    assert last.value == pytest.approx(4 - math.log2(chances[-1]), rel=1e-12)


INPUTS = 1.0 - 2.0 * (np.arange(128)[:, None] >> np.arange(7) & 1)
PARITY = (INPUTS[:, 0] * INPUTS[:, 3] < 0).astype(int)
LEARNER = mlp((7,), 1, widths=(32,))
SHUFFLED = np.random.default_rng(1).permutation(PARITY)


def learned(labels, code="mixture", seed=0):
    adam = build_explorer("adam", learning_rate=0.01)
    return length(
        LEARNER, "bce", INPUTS, labels, adam, 2, steps=200, blocks=[48, 128], code=code, orders=2, records=10, seed=seed
    )


@pytest.mark.slow
def test_a_parity_is_shorter_than_its_labels_shuffled(seed):
    """Margin fixed beforehand: 20 of 128 bits. By the mixture no labels cost much more than the uniform code."""
    parity, shuffled = learned(PARITY, seed=seed), learned(SHUFFLED, seed=seed)
    assert parity + 20 < min(shuffled, 128)
    assert shuffled < 128 + 2 * math.log2(11)
    overconfident = learned(SHUFFLED, "last", seed)
    assert learned(PARITY, "last", seed) + 20 < overconfident and overconfident > 140
    assert parity.error > 0


def test_the_seed_decides_the_length():
    first, again, other = (learned(PARITY, seed=seed) for seed in (3, 3, 4))
    assert (first.value, first.error) == (again.value, again.error) != (other.value, other.error)
    assert (first.stats["order"] == again.stats["order"]).all()


def test_a_run_that_diverges_says_so_and_still_has_a_length():
    wild = build_explorer("gd", learning_rate=1e38)
    inputs = RNG.normal(size=(16, 3)).astype(np.float32) * 1e10
    line = Network(lambda key: jax.random.normal(key, (3,)), lambda w, x: (x @ w)[:, None])
    found = length(line, "bce", inputs, RNG.integers(0, 2, 16), wild, 2, steps=5, blocks=2, orders=2)
    assert found.status == DescriptionStatus.DIVERGED and found.stats["diverged"] > 0 and math.isfinite(found)


def test_a_length_without_bound_is_infinite_and_not_ok():
    cliff = Network(lambda key: jnp.zeros(1), lambda w, x: jnp.where(x > 0, jnp.inf, 0.0) + 0 * w)
    inputs, labels = np.repeat([[0.0], [1.0]], [4, 4], axis=0), np.zeros(8, int)
    found = length(cliff, "bce", inputs, labels, "gd", 1, steps=0, blocks=[1, 8], code="last")
    assert found.status == DescriptionStatus.DIVERGED and math.isinf(found) and found.error is None


# --- blocks and bad input


def test_blocks_double():
    assert block_ends(128, 6) == (4, 8, 16, 32, 64, 128)
    assert block_ends(1, 1) == (1,)
    assert block_ends(5, 3) == (1, 2, 5)
    for n in range(1, 40):
        for blocks in range(1, n.bit_length() + 1):
            ends = block_ends(n, blocks)
            assert len(ends) == blocks and ends[-1] == n and ends[0] >= 1
            assert all(a < b for a, b in itertools.pairwise(ends))


DATA = np.ones((8, 1)), np.array([0, 1] * 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": 9}, "1 to 4 doubling blocks; got 9"),
        ({"blocks": 0}, "doubling blocks"),
        ({"blocks": list(range(1, 10))}, "increase from at least 1 to 8"),
        ({"blocks": [4, 4, 8]}, "increase"),
        ({"blocks": [0, 8]}, "increase"),
        ({"blocks": [4]}, "increase"),
        ({"inputs": np.ones((0, 1)), "labels": np.ones(0)}, "at least one example"),
        ({"labels": np.ones(7)}, "one label per input"),
        ({"labels": np.full(8, 0.5)}, "zeros and ones"),
        ({"weights": np.arange(8.0)}, "every label is sent once"),
        ({"labels": np.full((8, 2), 1)}, "one number per output"),
        ({"loss": "mse"}, "no length of a code"),
        ({"loss": lambda outputs, labels: outputs[:, 0]}, "no length of a code"),
        ({"loss": "cross_entropy", "labels": np.full(8, 1)}, "classes 0 … 0"),
        ({"loss": "cross_entropy", "labels": np.full(8, -1)}, "classes"),
        ({"loss": "cross_entropy", "labels": np.full(8, 0.5)}, "no whole number"),
        ({"members": 0}, "members"),
        ({"orders": 0}, "orders"),
        ({"explorer": build_explorer("sgd", batch_size=5), "blocks": 2}, "batch_size 5"),
        ({"inputs": np.full((8, 1), np.nan)}, "NaN"),
        ({"steps": -1}, "steps"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"network": BIAS, "loss": "bce", "inputs": DATA[0], "labels": DATA[1], "steps": 1, "blocks": 2} | change
    problem = {name: given.pop(name) for name in ("network", "loss", "inputs", "labels")}
    with pytest.raises(InputError, match=message):
        prequential_length(Problem(**problem, weights=given.pop("weights", None)), **given)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="'last'"):
        length(BIAS, "bce", *DATA, steps=1, code="lst")
    with pytest.raises(UnknownNameError, match="'adam'"):
        length(BIAS, "bce", *DATA, "adm", steps=1)
