"""λ̂ within a budget, after an interrupt, and on a subset of many examples."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Problem, llc, llc_curve, refined_llc
from allroads.pfmap.precision import float64
from allroads.points.llc.comparison import OF_STATUS, comparison
from allroads.points.sampling import Chains
from allroads.points.sampling.free_parameters import free_parameters
from allroads.points.sampling.geometry import measure_local_geometry
from allroads.points.sampling.plan import make_plan
from allroads.points.sampling.run import Run
from allroads.points.sampling.subset import choose_subset, subset_error
from allroads.points.zoo import localised_learning_coefficient, quadratic, two_layer_linear
from allroads.status import LLCStatus

QUADRATIC = quadratic((4.0, 1.0, 0.5), examples=20)


def asked(**options):
    return llc(QUADRATIC.problem, QUADRATIC.params, **({"precision": 0.1, "progress": False} | options))


def test_a_budget_with_room_for_all_changes_nothing(seed):
    free, roomy = asked(seed=seed), asked(seed=seed, budget=1e5)
    assert free.value == roomy.value and free.error == roomy.error and free.status == roomy.status
    assert free.stats["ended"] == roomy.stats["ended"] == "precision"


def test_a_budget_without_room_for_levels_starts_at_the_point(seed):
    found = asked(seed=seed, budget=1e-3)
    assert found.stats["ended"] == "budget" and found.stats["localisation_anneal"] == ()
    assert found.status in {LLCStatus.OK, LLCStatus.NOT_EQUILIBRATED}
    assert found.stats["chains"] if "chains" in found.stats else len(found.stats["trace"]) >= 4


@pytest.mark.slow
def test_a_budget_is_held_and_used(seed):
    """Once compiled, five seconds are five seconds, give or take a round; the error says what they were good for."""
    truth = two_layer_linear((6, 5, 7), (1, 4, 1), examples=500)
    endless = Chains(max_draws=10**6)
    options = {"precision": 1e-4, "chains": endless, "progress": False, "seed": seed, "budget": 5.0}
    llc(truth.problem, truth.params, **options)
    began = time.monotonic()
    found = llc(truth.problem, truth.params, **options)
    assert time.monotonic() - began < 10 and found.stats["ended"] == "budget"
    assert found.status == LLCStatus.NOT_EQUILIBRATED or abs(found.value - 15) < max(2 * found.error, 1.5)


def test_an_interrupt_returns_what_is_there_and_a_second_one_ends_the_call(monkeypatch, seed):
    usual, calls = Run.round, []

    def interrupted(at):
        def round_(self, observe=None, extra=None):
            calls.append(1)
            if len(calls) in at:
                raise KeyboardInterrupt
            return usual(self, observe=observe, extra=extra)

        return round_

    monkeypatch.setattr(Run, "round", interrupted({3}))
    found = asked(seed=seed)
    assert found.stats["ended"] == "interrupted" and np.isfinite(found.value)
    assert found.status in {LLCStatus.OK, LLCStatus.NOT_EQUILIBRATED}
    calls.clear()
    monkeypatch.setattr(Run, "round", interrupted({3, 4}))
    with pytest.raises(KeyboardInterrupt):
        asked(seed=seed)


def test_an_interrupt_while_measuring_keeps_what_was_measured(monkeypatch, seed):
    whole = asked(seed=seed, precision=0.01)
    usual, calls = Run.round, []

    def round_(self, observe=None, extra=None):
        calls.append(1)
        return usual(self, observe=observe, extra=extra)

    monkeypatch.setattr(Run, "round", round_)
    asked(seed=seed, precision=0.01)
    last = len(calls)
    calls.clear()

    def stopped(self, observe=None, extra=None):
        calls.append(1)
        if len(calls) == last:
            raise KeyboardInterrupt
        return usual(self, observe=observe, extra=extra)

    monkeypatch.setattr(Run, "round", stopped)
    found = asked(seed=seed, precision=0.01)
    assert found.stats["ended"] == "interrupted" and found.stats["temperature_anneal"]
    assert found.value == pytest.approx(whole.value, rel=0.1)


@pytest.mark.parametrize("budget", [0, -1.0, float("nan"), "a minute"])
def test_a_budget_that_is_none_is_refused(budget):
    for call in (
        lambda: asked(budget=budget),
        lambda: llc_curve(QUADRATIC.problem, jnp.stack([QUADRATIC.params] * 2), budget=budget),
        lambda: refined_llc(QUADRATIC.problem, QUADRATIC.params, budget=budget),
    ):
        with pytest.raises(InputError, match="budget"):
            call()


# subsets


def noisy_line(examples):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(examples, 3)) * [2.0, 1.0, 0.5]
    labels = inputs @ np.ones((3, 1)) + rng.normal(size=(examples, 1))
    network = Network(lambda key: [jnp.zeros((3, 1))], lambda w, x: x @ w[0])
    return Problem(network, "mse", inputs, labels), np.linalg.lstsq(inputs, labels, rcond=None)[0]


def test_the_tilt_makes_the_gradient_that_of_all_examples():
    problem, point = noisy_line(300)
    with float64():
        rows, leaves = choose_subset(300, 40, 0), [jnp.asarray(point)[None]]
        free = free_parameters(leaves, stacked=True)
        geometry = measure_local_geometry(
            problem.objective, free, leaves, problem.data, rotated=False, seed=0, rows=rows
        )

        def loss(w, chosen):
            return problem.objective.losses([w], problem.data.batch(chosen)).mean()

        every = np.arange(300)
        difference = jax.grad(loss)(leaves[0][0], every) - jax.grad(loss)(leaves[0][0], rows)
    assert np.linalg.norm(difference) > 0.05
    assert np.asarray(geometry.tilt[0])[0] == pytest.approx(np.asarray(difference))
    assert geometry.losses[0] == pytest.approx(float(problem.mean([jnp.asarray(point)])))


def test_a_regression_on_a_subset_has_the_mean_energy_of_all(seed):
    """½ Σ nβh/(nβh + γ); the subset's own minimum lies elsewhere, so that without the tilt the mean would be off."""
    problem, point = noisy_line(3000)
    chains = Chains(count=32, draws=120, burn_in=60, ladder=False, examples=200)
    found = llc(problem, [point], nbeta=3000.0, localisation=1.0, chains=chains, seed=seed, progress=False)
    curvatures = np.linalg.eigvalsh(2 * problem.inputs.T @ problem.inputs / 3000)
    assert found.value == pytest.approx(localised_learning_coefficient(curvatures, 3000.0, 1.0), rel=0.08)
    assert found.stats["examples"] == 3000 and found.stats["examples_per_gradient"] == 200
    assert 0 < found.stats["error_parts"]["subset"] < 0.3 and abs(found.stats["slope"]) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("examples", [1_000, 30_000])
def test_many_examples_cost_as_few_do(examples, seed):
    truth = two_layer_linear((6, 5, 7), (1, 4, 1), examples=examples)
    found = llc(truth.problem, truth.params, precision=0.02, progress=False, seed=seed)
    assert abs(found.value - 15) < max(found.error, 1.2)
    assert found.stats["examples_per_gradient"] == min(examples, 1024)
    assert found.stats["gradients"] < 400_000


def test_a_subset_that_misses_a_direction_says_so(seed):
    """Input 1 is 0 in all examples but the last: on a subset without it, its weight is free."""
    inputs = np.ones((500, 2)) * [1.0, 0.0]
    inputs[-1, 1] = 30.0
    assert 499 not in choose_subset(500, 20, 0)
    network = Network(lambda key: [jnp.zeros((2, 1))], lambda w, x: x @ w[0])
    problem = Problem(network, "mse", inputs, np.zeros((500, 1)))
    chains = Chains(count=8, draws=64, burn_in=64, ladder=False, examples=20)
    found = llc(problem, [np.zeros((2, 1))], nbeta=500.0, localisation=0.1, chains=chains, progress=False, seed=0)
    assert found.stats["error_parts"]["subset"] > 0.5 * found.value
    assert found.status == LLCStatus.NOT_EQUILIBRATED


def test_subset_error_of_no_numbers_is_infinite():
    assert subset_error(np.array([1.0, np.nan]), np.ones(2)) == float("inf")


@pytest.mark.parametrize(("given", "said"), [(0, "examples"), (21, "the data have 20"), (2.5, "examples")])
def test_subsets_that_cannot_be_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        asked(chains=Chains(examples=given))


def test_a_stochastic_sampler_takes_batches_of_all():
    assert make_plan(100, 100_000, "sgld", outputs=1).examples is None
    assert make_plan(100, 100_000, outputs=1).examples == 1024
    assert make_plan(100, 100_000).examples is None  # measures of single examples see them all


# words


def test_every_status_says_what_its_number_may_be_compared_with():
    assert set(OF_STATUS) == set(LLCStatus)
    stats = {"nbeta": 46.2, "localisation": 0.8, "examples": 256}
    for status in LLCStatus:
        text = comparison(3.0, 0.1, status, stats)
        assert status.value in text and "λ̂ = 3 ± 0.1" in text and "nβ = 46.2" in text
    assert "same nβ" in comparison(3.0, 0.1, LLCStatus.NOT_AT_MINIMUM, stats)
    assert "same nβ" not in comparison(3.0, 0.1, LLCStatus.CONVERGED, stats)
    assert asked().comparison().startswith("λ̂ = 1.")
