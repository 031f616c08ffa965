"""The posterior over functions against enumeration, closed forms and itself by two methods; what it refuses."""

from __future__ import annotations

import importlib
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ternary import cube, functions, ternary

from allroads import SMC, InputError, Network, function_posterior, function_prior
from allroads.errors import TooFewSamplesError
from allroads.networks.mlp import mlp
from allroads.points.prior import FunctionPosterior, populations, tally
from allroads.points.prior.draws import BATCH, CHUNK
from allroads.points.prior.populations import Populations
from allroads.points.prior.tally import Tally

BITS = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
UNIT = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w)
SCORES = Network(lambda key: jax.random.normal(key, (3,)), lambda w, x: x[:, :1] * 0 + w)
DIVERGENCE, NATS = 0.007, 0.1
"""The figures that were fixed beforehand: bits, nats."""


def divergence(p, q):
    """Jensen–Shannon divergence in bits."""
    middle = (p + q) / 2
    return sum(float((a[a > 0] * np.log2(a[a > 0] / middle[a > 0])).sum()) / 2 for a in (p, q))


def dense(found: FunctionPosterior):
    """Probabilities by the code of the truth table."""
    bits = len(found.rows)
    p = np.zeros(1 << bits)
    for k in range(found.distinct):
        p[found.truth_table(k) @ (1 << np.arange(bits))] = found.probabilities[k]
    return p


def exact(bits, weights):
    """log of the mean weight of all points of the ternary map, and the law of functions; weights by function."""
    all_points = functions(bits)
    w = weights(all_points[:, None] >> np.arange(1 << bits) & 1)
    p = np.bincount(all_points, w, minlength=1 << (1 << bits))
    return math.log(w.mean()), p / p.sum()


# --- exact laws


@pytest.fixture(scope="module")
def ternary_posteriors():
    """Both methods on the ternary map of two bits, given the answers 0 and 1 to the inputs 0 and 3."""
    given = ternary(2), cube(2)[[0, 3]], [0, 1], cube(2)
    return [
        function_posterior(*given, samples=100_000, progress=False),
        function_posterior(*given, method="smc", samples=4096, progress=False),
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_functions_and_evidence_are_those_of_the_enumeration(ternary_posteriors, which):
    found = ternary_posteriors[which]
    log_p, p = exact(2, lambda tables: ((tables[:, 0] == 0) & (tables[:, 3] == 1)).astype(float))
    assert abs(found.value - log_p) < min(NATS, 2.3 * found.error)  # 2.3 · 95 % is 4.5 standard deviations
    assert divergence(dense(found), p) < DIVERGENCE
    assert found.probabilities.sum() == pytest.approx(1) and (np.diff(found.probabilities) <= 0).all()
    one = found.probability([0, 1, 1, 1])
    assert abs(one.value - p[0b1110]) < 2.3 * one.error and one.value == dense(found)[0b1110]
    never = found.probability([1, 0, 0, 0])
    assert never.value == never.stats["low"] == 0 and 0 < never.stats["high"] < 0.01


def test_a_sample_by_rejection_is_worth_the_draws_that_fit(ternary_posteriors):
    found = ternary_posteriors[0]
    assert found.effective == found.log_evidence.stats["fitting"] and found.stats["forwards"] == 100_000
    assert found.value == pytest.approx(math.log(found.effective / 100_000))
    again = function_prior(ternary(2), cube(2), 100_000, progress=False)
    same = function_posterior(ternary(2), cube(2)[[0, 3]], [0, 1], cube(2), prior=again)
    assert (same.probabilities == found.probabilities).all() and same.value == found.value


@pytest.mark.slow
@pytest.mark.parametrize("table", [0b0110, 0b1001])
def test_the_probability_of_the_rarest_functions_of_the_enumeration(table):
    """Exclusive or and its complement: 54 points of 19,683 each, or one in 365."""
    log_p, _ = exact(2, lambda tables: (tables @ (1 << np.arange(4)) == table).astype(float))
    found = function_posterior(
        ternary(2), cube(2), table >> np.arange(4) & 1, method="smc", samples=32_768, progress=False
    )
    assert found.distinct == 1 and abs(found.value - log_p) < NATS


def test_random_training_sets_weigh_functions_by_the_share_that_they_fit():
    """Given two of four answers of AND, drawn at random: C(c, 2) / 6 for a function with c right."""
    labels = np.array([0, 0, 0, 1])

    def weights(tables):
        c = (tables == labels).sum(1)
        return c * (c - 1) / 12

    log_p, p = exact(2, weights)
    found = function_posterior(ternary(2), cube(2), labels, examples=2, samples=100_000, progress=False)
    assert abs(found.value - log_p) < min(NATS, 2.3 * found.error)  # 2.3 · 95 % is 4.5 standard deviations
    assert divergence(dense(found), p) < DIVERGENCE
    assert found.effective < found.log_evidence.stats["fitting"] and found.stats["examples"] == 2


@pytest.mark.parametrize("method", ["rejection", pytest.param("smc", marks=pytest.mark.slow)])
def test_classes_are_answers_too(method):
    """Three independent scores, the same on all inputs: each class with probability ⅓."""
    probes = np.arange(3.0)[:, None]
    samples = CHUNK if method == "rejection" else 4096
    found = function_posterior(SCORES, probes[:1], [2], probes, method=method, samples=samples, progress=False)
    assert abs(found.value + math.log(3)) < NATS and found.distinct == 1 and found.answers(0).tolist() == [2, 2, 2]


def test_inputs_need_not_be_among_the_probes():
    """A perceptron that is 1 on (1, 1) has both weights above 0 with probability ½, one of them with ¼ each."""
    found = function_posterior(UNIT, BITS[3:], [1], BITS[:3], samples=4 * CHUNK, progress=False)
    assert found.answers(0).shape == (3,) and abs(found.value - math.log(0.5)) < 0.05
    expected = {(0, 1, 1): 0.5, (0, 1, 0): 0.25, (0, 0, 1): 0.25}
    for answers, p in expected.items():
        one = found.probability(answers)
        assert abs(one - p) < 4.5 * math.sqrt(p * (1 - p) / found.effective)
    assert found.distinct == 3 and found.rows is None


@pytest.mark.slow
def test_both_methods_agree_on_a_trained_kind_of_network():
    network, x = mlp((3,), 1, widths=(8,), init="lecun", bias="normal"), cube(3)
    labels, seen = np.array([0, 0, 0, 1, 0, 1, 1, 1]), [1, 2, 4, 7]
    brute = function_posterior(network, x[seen], labels[seen], x, samples=500_000, progress=False)
    smc = function_posterior(network, x[seen], labels[seen], x, method=SMC(moves=30), progress=False)
    assert abs(brute.value - smc.value) < NATS and divergence(dense(brute), dense(smc)) < DIVERGENCE
    assert smc.stats["log_evidences"].shape == (8,) and smc.effective > 1000


@pytest.mark.slow
def test_functions_that_are_too_long_are_told_apart_by_digests():
    """One weight decides 1,025 answers: both functions, one of which fits."""
    shift = Network(lambda key: jax.random.normal(key, ()), lambda w, x: x[:, 0] + w)
    x = np.zeros((1025, 1))
    with pytest.raises(InputError, match=r"digests \(hashes\) of their answers are kept"):
        function_posterior(shift, x[:1], [1], x, samples=CHUNK, progress=False)
    found = function_posterior(shift, x[:1], [1], x, method="smc", samples=2048, progress=False)
    assert found.distinct == 1 and not found.exact and abs(found.value - math.log(0.5)) < NATS


# --- effective numbers


def made_up(shares, log_evidences):
    table = Tally(1, 1).table()
    several = len(shares)
    return Populations(np.array(shares), table, np.array(log_evidences), np.ones(several), np.ones(several), 0, 0, None)


def test_populations_are_worth_as_many_draws_as_they_agree_like(seed):
    """Shares of 500 independent draws of four functions, whatever the number of members."""
    p, generator = np.array([0.4, 0.3, 0.2, 0.1]), np.random.default_rng(seed)
    found = [
        made_up(generator.multinomial(500, p, size=16) / 500, np.zeros(16)).effective(10_000) / (16 * 500)
        for _ in range(100)
    ]
    assert 0.85 < 1 / np.mean(1 / np.array(found)) < 1.15
    assert made_up([[1.0, 0], [0, 1.0]] * 4, np.zeros(8)).effective(1000) < 8
    assert made_up([[1.0], [1.0]] * 4, np.zeros(8)).effective(1000) == pytest.approx(8000)
    lone = made_up([[0.5, 0.5], [0.1, 0.9], [0.2, 0.8]], [0.0, -40.0, -40.0])
    assert lone.effective(1000) < 2  # one population decides, and leaving it out changes everything


# --- refusals


@pytest.mark.parametrize(("error", "status"), [(0.4, "ok"), (0.6, "unsettled")])
def test_populations_that_differ_are_not_called_ok(monkeypatch, error, status):
    module = importlib.import_module("allroads.points.prior.function_posterior")
    monkeypatch.setattr(module, "pooled", lambda logs: (np.array([-1.0]), np.array([error])))
    found = function_posterior(UNIT, BITS[3:], [1], BITS, method="smc", samples=2048, progress=False)
    assert found.status.value == found.log_evidence.status.value == status


def test_where_no_network_fits_the_bound_is_said():
    with pytest.raises(
        TooFewSamplesError, match=r"no sampled network fits: none of 8,192, so P\(S\) is at most"
    ) as told:
        function_posterior(UNIT, BITS[:1], [1], BITS, samples=CHUNK, progress=False)  # the output at 0 is 0
    assert told.value.bound == pytest.approx(1 - 0.025 ** (1 / CHUNK)) and "method='smc'" in str(told.value)
    again = pickle.loads(pickle.dumps(told.value))
    assert (str(again), again.effective, again.bound) == (str(told.value), 0.0, told.value.bound)


@pytest.mark.slow
def test_where_no_population_fits_the_least_misfit_is_said(monkeypatch):
    monkeypatch.setattr(populations, "LEVELS", 3)
    with pytest.raises(
        TooFewSamplesError,
        match="0 of 8 populations of 32 members had come to their end and fit when 3 levels",
    ) as told:
        function_posterior(UNIT, BITS[[0, 3]], [1, 1], BITS, method="smc", samples=256, progress=False)
    assert "least misfit of a member was 1 training errors" in str(told.value) and math.isnan(told.value.bound)


def test_few_draws_are_refused_and_not_printed():
    with pytest.raises(TooFewSamplesError, match=r"sampled networks fit, worth \d+.0 draws from the posterior"):
        function_posterior(UNIT, BITS[[1, 3]], [1, 0], BITS, samples=200, progress=False)


def test_a_budget_ends_with_what_there_is():
    """One batch of 128 is drawn: enough where all fit, as the output at (0, 0) is 0, and refused where half do."""
    found = function_posterior(UNIT, BITS[:1], [0], BITS, samples=10**9, budget=1e-6, progress=False)
    assert found.stats["ended"] == "budget" and found.stats["drawn"] == BATCH
    with pytest.raises(TooFewSamplesError, match="of 128 sampled networks fit"):
        function_posterior(UNIT, BITS[3:], [1], BITS, samples=10**9, budget=1e-6, progress=False)
    with pytest.raises(TooFewSamplesError, match=r"fit when the budget ended; .* Take a larger budget"):
        function_posterior(UNIT, BITS[3:], [1], BITS, method="smc", samples=256, budget=1e-6, progress=False)


def test_an_interrupt_keeps_the_populations_that_came_to_their_end(monkeypatch):
    """The key is pressed during a level of the third population, or of the second, which leaves too few."""
    usual, at = populations._run, []

    def pressed(state, step, data, least, budget, what):
        def stepped(state, data):
            if what in at:
                raise KeyboardInterrupt
            return step(state, data)

        return usual(state, stepped, data, least, budget, what)

    monkeypatch.setattr(populations, "_run", pressed)
    given = {"method": SMC(moves=2), "samples": 2048, "progress": False}
    at.append("population 3 of 8")
    found = function_posterior(UNIT, BITS[3:], [1], BITS, **given)
    assert found.stats["ended"] == "interrupted" and len(found.stats["log_evidences"]) == 2
    assert abs(found.value - math.log(0.5)) < 0.3 and found.probabilities.sum() == pytest.approx(1)
    at.append("population 2 of 8")
    with pytest.raises(TooFewSamplesError, match=r"1 of 1 populations of 256 members .* when it was interrupted"):
        function_posterior(UNIT, BITS[3:], [1], BITS, **given)


@pytest.mark.parametrize("nth", range(1, 5))
def test_an_interrupt_while_functions_are_counted_loses_and_doubles_none(monkeypatch, nth):
    """The key is pressed while rows are sorted or merged; what was counted is then a whole number of pieces."""
    usual, calls = tally._summed, []

    def pressed(tables):
        calls.append(1)
        if len(calls) == nth:
            raise KeyboardInterrupt
        return usual(tables)

    monkeypatch.setattr(tally, "PENDING", CHUNK)
    monkeypatch.setattr(tally, "_summed", pressed)
    found = function_posterior(UNIT, BITS[3:], [1], BITS, samples=8 * CHUNK, progress=False)
    assert found.stats["ended"] == "interrupted" and found.stats["drawn"] < 8 * CHUNK
    fresh = function_posterior(UNIT, BITS[3:], [1], BITS, samples=found.stats["drawn"], progress=False)
    assert fresh.effective == found.effective and (fresh.probabilities == found.probabilities).all()


PRIOR = {"prior": 3}


@pytest.mark.parametrize(
    ("inputs", "labels", "options", "message"),
    [
        (BITS[3:], [2], {}, "labels: expected whole numbers from 0 to 1, as outputs are read as signs; got 2"),
        (BITS[3:], [-1], {}, "labels: expected whole numbers from 0 to 1"),
        (BITS[3:], [1, 0], {}, r"labels: shape \[2\] for 1 inputs; expected \[1\]"),
        (BITS[3:], [math.nan], {}, "labels: NaN or infinite"),
        (BITS[[3, 1, 3]], [1, 0, 0], {}, "labels: inputs 0 and 2 are equal and their labels differ"),
        (BITS[3:], [1], {"seed": "a"}, "seed: expected a whole number of 0 or more; got 'a'"),
        (np.ones((1, 3)), [1], {}, r"probes: each has shape \[2\], and each input \[3\]"),
        (BITS[3:], [1], {"method": "smk"}, "unknown method 'smk': did you mean 'smc'"),
        (BITS[3:], [1], {"method": SMC(beta=1.0)}, "method: fit and beta of SMC have no place here"),
        (BITS[3:], [1], {"method": "smc", "samples": 64}, "samples: 64 in 8 populations; expected 16 or more in each"),
        (BITS[3:], [1], {"method": "smc", "examples": 1}, "prior= and examples= are for method='rejection'"),
        (BITS[3:], [1], {"replicas": 3}, "replicas: expected a whole number of 4 or more; got 3"),
        (BITS[3:], [1], {"examples": 2}, "examples: a training set of 2 of 1 inputs"),
        (BITS[3:], [1], {"samples": 0}, "samples: expected a whole number of 1 or more"),
        (BITS[3:], [1], {"budget": -1.0}, "budget: expected a finite number above 0"),
        (BITS[3:], [1], PRIOR, r"prior: expected FunctionPrior\(…\); got 3"),
    ],
)
def test_what_cannot_be_used_is_refused(inputs, labels, options, message):
    with pytest.raises(InputError, match=message):
        function_posterior(UNIT, inputs, labels, BITS, progress=False, **options)


def test_one_input_without_probes_tells_no_functions_apart():
    with pytest.raises(InputError, match="probes: one input tells no more than two functions apart; give probes="):
        function_posterior(UNIT, BITS[3:], [1])


def test_a_prior_of_something_else_is_refused():
    prior = function_prior(UNIT, BITS, 64, progress=False)
    with pytest.raises(InputError, match="prior: it has inputs"):
        function_posterior(UNIT, BITS[3:], [1], BITS[::-1], prior=prior)
    with pytest.raises(InputError, match="prior: some inputs are not among the probes"):
        function_posterior(UNIT, 2 * BITS[3:], [1], BITS, prior=prior)
    with pytest.raises(InputError, match="prior= has its draws already; leave samples= out"):
        function_posterior(UNIT, BITS[3:], [1], BITS, prior=prior, samples=10)


def test_draws_that_are_not_finite_are_said():
    root = Network(lambda key: jax.random.normal(key, ()), lambda w, x: x[:, 0] + jnp.sqrt(w) + 1)
    found = function_posterior(root, np.zeros((1, 1)), [1], np.zeros((2, 1)), samples=CHUNK, progress=False)
    assert found.status == "diverged" and abs(found.value - math.log(0.5)) < NATS  # P(S) is a share of all draws
