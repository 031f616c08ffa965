import itertools
import math
import pickle
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ternary import cube, ternary, truth

from allroads import InputError, MeasurementError, Network, PriorStatus, float64, function_prior
from allroads.networks.mlp import mlp
from allroads.points.prior import draws
from allroads.points.prior.draws import CHUNK

BITS = (np.arange(4)[:, None] >> np.arange(2) & 1).astype(float)
UNIT = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w)
SHIFT = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x[:, 0] * 0 + w)


def code(answers):
    return int(np.asarray(answers).ravel() @ (1 << np.arange(np.size(answers))))


# --- known distributions


@pytest.mark.parametrize("n", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_a_perceptron_without_bias_answers_one_equally_often_on_each_number_of_inputs(n, seed):
    """[mingard2019]: P(t ones) = 2^−n for t < 2^n, and 0 for 2^n."""
    network = Network(lambda key: jax.random.normal(key, (n,)), lambda w, x: x @ w)
    inputs = np.arange(1 << n)[:, None] >> np.arange(n) & 1
    samples = 2 * CHUNK
    prior = function_prior(network, inputs, samples, seed=seed, progress=False)
    ones = np.array([prior.answers(k).sum() for k in range(prior.distinct)])
    found = np.bincount(ones, prior.counts, minlength=2**n + 1) / samples
    p = 2.0**-n
    assert np.abs(found[:-1] - p).max() < 4.5 * math.sqrt(p * (1 - p) / samples) and found[-1] == 0
    assert prior.samples == samples and prior.status == PriorStatus.OK


@pytest.fixture(scope="module")
def enumerated():
    return truth(2)


@pytest.fixture(scope="module")
def drawn(seed):
    return function_prior(ternary(2), cube(2), 5 * CHUNK, seed=seed, progress=False)


def test_the_enumerated_map_has_the_sizes_that_are_known(enumerated):
    _, counts, robustness = enumerated
    share = counts / 3**9
    assert len(counts) == 16 and sorted(counts)[-2:] == [2726, 7465] and min(counts) == 54
    assert share @ robustness == pytest.approx(0.549, abs=5e-4) and share @ share == pytest.approx(0.182, abs=5e-4)


def test_every_function_of_an_enumerable_map_comes_as_often_as_it_has_points(enumerated, drawn):
    codes, counts, _ = enumerated
    share = dict(zip(codes, counts / 3**9, strict=True))
    found = {code(drawn.answers(k)): drawn.counts[k] / drawn.samples for k in range(drawn.distinct)}
    assert set(found) == set(share)
    for f, p in share.items():
        assert abs(found[f] - p) < 4.5 * math.sqrt(p * (1 - p) / drawn.samples)
    assert (np.diff(drawn.counts) <= 0).all()


def test_entropy_collisions_and_effective_number_of_that_map(enumerated, drawn):
    p = enumerated[1] / 3**9
    assert abs(drawn.entropy + p @ np.log2(p)) < 1.8 * drawn.entropy.error < 0.1  # 1.8 · 95 % is 99.95 %
    same = drawn.collision
    assert abs(same - p @ p) < 1.8 * same.error and same.stats["low"] < same.value < same.stats["high"]
    assert drawn.value == drawn.effective.value == pytest.approx(1 / same.value)
    assert drawn.effective.stats["low"] == pytest.approx(1 / same.stats["high"])
    assert drawn.missing.value == 0 and drawn.missing.error == pytest.approx(3 / drawn.samples)


def test_the_probability_of_a_function_that_never_came_has_a_bound(drawn):
    parity = [1, 0, 0, 0, 0, 0, 0, 1]
    prior = function_prior(UNIT, BITS, CHUNK, progress=False)
    never = prior.probability([1, 0, 0, 0])  # at the input 0 the output is 0
    assert (never.value, never.stats["count"], never.stats["low"]) == (0, 0, 0)
    assert never.stats["high"] == pytest.approx(1 - 0.025 ** (1 / CHUNK), rel=1e-6) and never.error > 0
    with pytest.raises(InputError, match=r"answers: expected whole numbers from 0 to 1 of shape \[4\]"):
        prior.probability(parity)
    with pytest.raises(InputError, match="answers: expected whole numbers from 0 to 1"):
        prior.probability([0, 0, 2, 0])


# --- how outputs are read


def test_classes_are_the_largest_outputs(seed):
    """Three independent normal scores that are the same on both inputs: each class with probability ⅓."""
    network = Network(lambda key: jax.random.normal(key, (3,)), lambda w, x: x[:, :1] * 0 + w)
    prior = function_prior(network, np.ones((2, 1)), CHUNK, seed=seed, progress=False)
    assert prior.stats["answers"] == "classes" and prior.distinct == 3
    assert {tuple(prior.answers(k)) for k in range(3)} == {(0, 0), (1, 1), (2, 2)}
    assert abs(prior.probability([2, 2]) - 1 / 3) < 4.5 * math.sqrt(2 / 9 / CHUNK)
    signs = function_prior(network, np.ones((2, 1)), CHUNK, answers="signs", seed=seed, progress=False)
    assert signs.distinct == 8 and signs.answers(0).shape == (2, 3)


@pytest.mark.slow
def test_functions_that_are_too_long_are_told_apart_by_digests(seed):
    prior = function_prior(SHIFT, np.zeros((1025, 1)), CHUNK, seed=seed, progress=False)
    assert not prior.exact and prior.distinct == 2 and prior.codes.shape == (2, 2)
    assert abs(prior.probability(np.ones(1025)) - 0.5) < 4.5 * math.sqrt(0.25 / CHUNK)
    with pytest.raises(InputError, match="a function has 1025 bits here, above 1024"):
        prior.answers(0)
    assert function_prior(SHIFT, np.zeros((1024, 1)), 64, progress=False).exact


def test_a_truth_table_has_its_rows_in_order_whatever_the_order_of_the_inputs():
    order = np.array([2, 0, 3, 1])
    prior = function_prior(UNIT, BITS[order], CHUNK, progress=False)
    for k in range(prior.distinct):
        assert (prior.truth_table(k)[order] == prior.answers(k)).all()
        assert (np.asarray(UNIT.apply(prior.params(UNIT, k), BITS)) > 0).astype(int).tolist() == list(
            prior.truth_table(k)
        )
    some = function_prior(UNIT, BITS[1:], 64, progress=False)
    with pytest.raises(InputError, match="a truth table needs one sign per input"):
        some.truth_table(0)


def test_networks_whose_outputs_are_not_finite_are_left_out_and_counted():
    """sqrt(w) is no number for half of all w; every other network answers 1."""
    network = Network(SHIFT.init, lambda w, x: x[:, 0] + jnp.sqrt(w) + 1)
    prior = function_prior(network, np.zeros((2, 1)), CHUNK, progress=False)
    assert prior.status == PriorStatus.DIVERGED and prior.distinct == 1 and prior.answers(0).tolist() == [1, 1]
    assert abs(prior.stats["not_finite"] / CHUNK - 0.5) < 4.5 * math.sqrt(0.25 / CHUNK)
    assert prior.samples == CHUNK - prior.stats["not_finite"]
    with pytest.raises(MeasurementError):
        function_prior(network, np.zeros((2, 1)), 64, throw=True, progress=False)
    never = function_prior(Network(SHIFT.init, lambda w, x: x[:, 0] * w / 0), np.zeros((2, 1)), 64, progress=False)
    assert never.samples == never.distinct == 0 and math.isnan(never.value)
    assert math.isnan(never.probability([0, 0])) and never.status == PriorStatus.DIVERGED


# --- draws


def test_a_call_that_is_resumed_gives_what_one_call_gives():
    network = ternary(2)
    whole = function_prior(network, cube(2), CHUNK + 700, seed=3, progress=False)
    part = function_prior(network, cube(2), 300, seed=3, progress=False)
    for samples in (5000, CHUNK + 700, CHUNK + 700):
        part = pickle.loads(pickle.dumps(part))
        part = function_prior(network, cube(2), samples, seed=3, resume=part, progress=False)
    for name in ("counts", "codes", "first"):
        assert (getattr(part, name) == getattr(whole, name)).all()
    assert part.samples == whole.samples == CHUNK + 700 and part.value == whole.value and part.entropy == whole.entropy
    assert (function_prior(network, cube(2), 300, seed=4, progress=False).first != part.first[:16]).any()


def test_draws_do_not_depend_on_the_size_of_a_batch(monkeypatch):
    found = []
    for batch in (64, 8):
        monkeypatch.setattr(draws, "BATCH", batch)
        found.append(function_prior(UNIT, BITS, 1000, progress=False))
    assert (found[0].codes == found[1].codes).all() and (found[0].first == found[1].first).all()


@pytest.mark.slow
def test_draws_in_double_precision_are_draws_of_the_same_distribution():
    with float64():
        prior = function_prior(UNIT, BITS, CHUNK, progress=False)
    p = prior.probability([0, 0, 0, 0])
    assert prior.stats["precision"] == "float64" and abs(p - 0.25) < 4.5 * math.sqrt(3 / 16 / CHUNK)
    with pytest.raises(InputError, match="resume: it has precision 'float64', and this call 'float32'"):
        function_prior(UNIT, BITS, 2 * CHUNK, resume=prior, progress=False)


def test_draws_of_another_network_are_not_continued():
    """Both networks have the same inputs, answers and outputs, and nothing else in common."""
    other = Network(lambda key: jax.random.normal(key, (2,)) - 1, lambda w, x: x @ w, name="shifted")
    prior = function_prior(UNIT, BITS, 300, progress=False)
    with pytest.raises(InputError, match=r"resume: .* of its first draws are not what network 'shifted' gives"):
        function_prior(other, BITS, 400, resume=prior, progress=False)


def test_a_slow_network_does_not_overrun_its_budget():
    """A batch takes 0.2 s, so that 8,192 draws take 13 s: the budget of 1 s ends long before."""

    def slow(outputs):
        time.sleep(0.2)
        return outputs

    def apply(w, x):
        outputs = x @ w
        shape = jax.ShapeDtypeStruct(outputs.shape, outputs.dtype)
        return jax.pure_callback(slow, shape, outputs, vmap_method="expand_dims")

    prior = function_prior(Network(UNIT.init, apply), BITS, 10**6, budget=1.0, progress=False)
    assert prior.stats["ended"] == "budget" and draws.BATCH <= prior.samples < CHUNK // 2


def test_a_budget_ends_between_batches_and_what_was_drawn_counts():
    prior = function_prior(UNIT, BITS, 10**9, budget=1e-6, progress=False)
    assert prior.samples == draws.BATCH and prior.stats["ended"] == "budget" and prior.status == PriorStatus.OK
    more = function_prior(UNIT, BITS, draws.BATCH, resume=prior, progress=False)
    assert more.stats["ended"] is None and (more.counts == prior.counts).all()


def test_more_functions_than_draws_is_said():
    """Answers on 40 inputs are 40 fair coins, independent: 2^40 functions, each draw another."""
    coins = Network(lambda key: jax.random.normal(key, (40,)), lambda w, x: x[:, 0] * w)
    prior = function_prior(coins, np.ones((40, 1)), 2000, progress=False)
    assert prior.status == PriorStatus.UNDERSAMPLED and prior.distinct == 2000 and prior.missing.value == 1
    assert prior.effective.stats["low"] > 2e5 and prior.collision.value == 0


# --- bad input


def outputs(f):
    return Network(lambda key: jax.random.normal(key, (2,)), f)


@pytest.mark.parametrize(
    ("network", "inputs", "options", "message"),
    [
        (UNIT, BITS[:1], {}, "inputs: one input tells no more than two functions apart"),
        (UNIT, BITS, {"samples": 0}, "samples: expected a whole number of 1 or more; got 0"),
        (UNIT, BITS, {"samples": 1.5}, "samples: expected a whole number"),
        (UNIT, BITS, {"seed": 2**63}, "seed: expected a whole number of 9223372036854775807 or less"),
        (UNIT, BITS, {"budget": 0.0}, "budget: expected a finite number above 0"),
        (UNIT, BITS, {"answers": "sign"}, "unknown answers 'sign': did you mean 'signs'"),
        (UNIT, BITS, {"answers": "classes"}, "have one number per answer, so no largest one"),
        (UNIT, np.full((2, 2), np.nan), {}, "NaN or infinite in 2 of 2 examples"),
        (outputs(lambda w, x: x @ w + 1j), BITS, {}, "outputs are complex64; a sign or a largest one needs real"),
        (outputs(lambda w, x: (x @ w) > 0), BITS, {}, "outputs are bool"),
        (outputs(lambda w, x: (x @ w).sum()), BITS, {}, r"outputs have shape \[\]; expected \[4, …\]"),
        (outputs(lambda w, x: x[:3] @ w), BITS, {}, r"outputs have shape \[3\]; expected \[4, …\]"),
        (UNIT, BITS, {"resume": 3}, r"resume: expected FunctionPrior\(…\); got 3"),
    ],
)
def test_what_cannot_be_used_is_refused(network, inputs, options, message):
    with pytest.raises(InputError, match=message):
        function_prior(network, inputs, **{"samples": 10} | options, progress=False)


def test_results_of_other_draws_are_not_resumed():
    prior = function_prior(UNIT, BITS, 200, progress=False)
    for options, message in (
        ({"samples": 100}, "it holds 200 draws already, above samples=100"),
        ({"samples": 300, "seed": 1}, "resume: it has seed 0, and this call 1"),
    ):
        with pytest.raises(InputError, match=message):
            function_prior(UNIT, BITS, resume=prior, progress=False, **options)
    with pytest.raises(InputError, match="resume: it has inputs"):
        function_prior(UNIT, BITS[::-1], 300, resume=prior, progress=False)
    with pytest.raises(InputError, match=f"k: expected a function from 0 to {prior.distinct - 1}; got 99"):
        prior.answers(99)


# --- published figures


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "published"), [("normal", (0.368, 0.362)), ("fan_in", (0.137, 0.134))])
def test_constants_of_the_map_on_seven_bits(rule, published, seed):
    """(7,40,40,1) ReLU: P(0) and P(1) of 10⁵ published draws, under two rules of the bias."""
    plain = mlp((7,), 1, widths=(40, 40), init="lecun", bias="normal")

    def init(key):
        layers = plain.init(key)["layers"]
        return {"layers": [a | {"bias": a["bias"] / math.sqrt(len(a["weight"]))} for a in layers]}

    network = plain if rule == "normal" else Network(init, plain.apply)
    inputs = np.array(list(itertools.product((0.0, 1.0), repeat=7)))
    prior = function_prior(network, inputs, 4 * CHUNK, seed=seed, progress=False)
    for bit, p in enumerate(published):
        found = prior.probability(np.full(128, bit))
        assert abs(found - p) < 4.5 * math.sqrt(p * (1 - p) * (1 / 4 / CHUNK + 1e-5)) + 5e-4
