"""Draws around a point against the Gaussian that they come from, and what they say of themselves."""

import json
import pickle
from copy import deepcopy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import allroads.points.sampling.samples as module
from allroads import InputError, Network, Problem
from allroads.errors import MeasurementError, MemoryBudgetError
from allroads.explorers.samplers import HMC, MALA, SGLD
from allroads.points.curve import llc_curve
from allroads.points.influence import bayesian_influence, loss_kernel, susceptibilities, weight_covariance
from allroads.points.llc import llc
from allroads.points.refined import refined_llc
from allroads.points.sampling import Chains, diagnose, sample
from allroads.points.sampling.diagnostics import largest_r_hat
from allroads.points.zoo import localised_learning_coefficient, quadratic
from allroads.status import LLCStatus

CURVATURES = np.array([8.0, 2.0, 0.5])
NBETA, GAMMA = 10.0, 5.0
TRUTH = quadratic(CURVATURES, examples=20)
VARIANCES = 1 / (NBETA * CURVATURES + GAMMA)
DRAWS = Chains(count=64, draws=500, burn_in=200)
"""16,000 draws: of two groups of 32 chains, the second, as it was resampled at every level."""


def divergence(found, mean, covariance):
    """KL from a Gaussian of the moments of samples ``[n, d]`` to another, in nats."""
    own, inverse = np.cov(found.T), np.linalg.inv(covariance)
    shift = found.mean(0) - mean
    return 0.5 * (np.trace(inverse @ own) + shift @ inverse @ shift - len(mean) - np.linalg.slogdet(inverse @ own)[1])


@pytest.mark.parametrize("sampler", [HMC(), MALA()], ids=lambda sampler: sampler.name)
def test_a_quadratic_is_a_gaussian(sampler):
    """Mean 0 and covariance 1/(nβh + γ).

    Of n independent draws the KL from their own moments is (d + d(d+1)/2)/(2n) on average, 5e-4 for n = 9,000; ten
    times that is allowed, and five standard errors of a mean and of a variance.
    """
    found = sample(TRUTH.problem, TRUTH.params, sampler, nbeta=NBETA, localisation=GAMMA, chains=DRAWS)
    positions = found.observed.reshape(-1, 3)
    assert positions.shape == (16_000, 3) and found.energy.shape == found.distance.shape == (32, 500)
    assert np.abs(positions.mean(0) / VARIANCES**0.5).max() < 5 / 3_000**0.5
    np.testing.assert_allclose(positions.var(0), VARIANCES, rtol=5 * (2 / 3_000) ** 0.5)
    assert divergence(positions, np.zeros(3), np.diag(VARIANCES)) < 5e-3
    np.testing.assert_allclose(found.distance.reshape(-1), (positions**2).sum(1), rtol=1e-9)
    np.testing.assert_allclose(found.energy.reshape(-1), NBETA * TRUTH.excess(positions), rtol=1e-6, atol=1e-12)
    exact = localised_learning_coefficient(CURVATURES, NBETA, GAMMA)
    assert found.value == pytest.approx(exact, rel=0.06)
    assert found.status == LLCStatus.OK and found.r_hat < 1.05 and found.ess > 3_000
    assert found.stats["examples_per_gradient"] == 20 and found.stats["gradients"] > 16_000


def test_a_point_off_the_minimum_is_drawn_to_it():
    """At w the mean is ``γ/(nβh + γ) w``: localisation pulls back; the status is of the chains, not of the point."""
    point = np.array([0.5, 0.5, 1.0])
    found = sample(TRUTH.problem, point, nbeta=NBETA, localisation=GAMMA, chains=DRAWS)
    positions = found.observed.reshape(-1, 3)
    assert divergence(positions, GAMMA * VARIANCES * point, np.diag(VARIANCES)) < 5e-3
    assert found.value < 0 and found.status == LLCStatus.OK


def test_batches_of_all_but_a_few_draws_have_the_bias_of_the_step():
    """SGLD at ε = 0.4 widens a mode of curvature h by 1/(1 − ε h/4), in its own units; here all h are alike."""
    truth = quadratic((1.0,) * 4, examples=8)
    chains = Chains(count=32, draws=500, burn_in=100, metric="none", ladder=False)
    found = sample(truth.problem, truth.params, SGLD(step_size=0.4), nbeta=100.0, localisation=1e-6, chains=chains)
    assert found.observed.var() == pytest.approx(1 / 100 / (1 - 0.1), rel=0.05)
    assert found.status == LLCStatus.NOT_EQUILIBRATED  # a bias of a ninth is predicted, and is too much
    assert found.stats["acceptance"] is None


@pytest.mark.slow
def test_an_observable_is_seen_in_place_of_positions_and_held_parameters_stay():
    observe = lambda w: {"first": w[0], "pair": w[:2]}  # noqa: E731
    options = {"nbeta": NBETA, "localisation": GAMMA, "chains": Chains(count=4, draws=40, burn_in=20), "seed": 3}
    seen = sample(TRUTH.problem, TRUTH.params, observe=observe, mask=np.array([True, False, True]), **options)
    where = sample(TRUTH.problem, TRUTH.params, mask=np.array([True, False, True]), **options)
    assert seen.observed["first"].shape == (4, 40) and seen.observed["pair"].shape == (4, 40, 2)
    np.testing.assert_array_equal(seen.observed["pair"], where.observed[..., :2])
    assert (where.observed[..., 1] == 0).all() and where.observed[..., 2].std() > 0
    assert seen.stats["dimension"] == 2
    np.testing.assert_array_equal(seen.energy, where.energy)


@pytest.mark.slow
def test_a_flat_loss_leaves_the_prior():
    flat = Problem(Network(lambda key: jnp.zeros(2), lambda w, x: 0 * x * w[0]), "mse", np.ones((4, 1)), np.zeros(4))
    found = sample(flat, np.zeros(2), nbeta=1.0, localisation=4.0, chains=DRAWS)
    np.testing.assert_allclose(found.observed.var((0, 1)), 1 / 4, rtol=5 * (2 / 3_000) ** 0.5)
    assert (found.energy == 0).all() and found.status == LLCStatus.OK


@pytest.mark.slow
def test_chains_that_do_not_move_or_leave_say_so():
    options = {"nbeta": 1e4, "localisation": 1.0, "chains": Chains(count=4, draws=40, ladder=False)}
    found = sample(TRUTH.problem, TRUTH.params, SGLD(step_size=1e-5), **options)
    assert found.status == LLCStatus.NOT_EQUILIBRATED
    with pytest.raises(MeasurementError, match="not equilibrated") as caught:
        sample(TRUTH.problem, TRUTH.params, SGLD(step_size=1e-5), throw=True, **options)
    np.testing.assert_array_equal(caught.value.result.energy, found.energy)
    quartic = Network(lambda key: jnp.zeros(2), lambda w, x: jnp.broadcast_to((w**2 + w**4).sum(), (len(x), 1)))
    problem = Problem(quartic, lambda outputs, labels: outputs[:, 0], np.zeros((4, 1)), np.zeros(4))
    chains = Chains(count=4, draws=100, ladder=False, metric="none")
    lost = sample(problem, np.zeros(2), SGLD(step_size=30.0), nbeta=10.0, chains=chains)
    assert lost.status == LLCStatus.DIVERGED


def test_positions_that_do_not_fit_are_refused_and_fewer_rounds_taken_where_they_do():
    with pytest.raises(MemoryBudgetError, match="numbers seen at each"):
        sample(TRUTH.problem, TRUTH.params, chains=Chains(draws=10**6, memory=10**7))
    with pytest.raises(InputError, match="nbeta"):
        sample(TRUTH.problem, TRUTH.params, nbeta=0.0)


def test_one_function_is_compiled_once():
    observe = lambda w: w[0]  # noqa: E731
    assert module._of_params(observe) is module._of_params(observe)


# diagnostics against the library


@pytest.mark.parametrize(
    ("chains", "draws", "correlation"), [(4, 20, 0.5), (8, 200, 0.8), (8, 400, -0.5), (128, 50, 0.9), (8, 2000, 0.99)]
)
def test_r_hat_and_effective_size_are_those_of_blackjax(chains, draws, correlation):
    """The library stays the judge; ours is kept as its operations compile anew for every number of draws."""
    from blackjax.diagnostics import effective_sample_size, potential_scale_reduction

    generator = np.random.default_rng(chains)
    noise = generator.normal(size=(chains, draws)) * np.sqrt(1 - correlation**2)
    found = [generator.normal(size=chains)]
    for t in range(1, draws):
        found.append(correlation * found[-1] + noise[:, t])
    found = np.stack(found, axis=1)
    split = found.reshape(2 * chains, draws // 2)
    ours = diagnose(found)
    assert ours.r_hat == pytest.approx(float(potential_scale_reduction(jnp.asarray(split))), rel=1e-4)
    assert largest_r_hat(found[..., None]) == pytest.approx(ours.r_hat, rel=1e-12)
    assert ours.ess == pytest.approx(float(effective_sample_size(jnp.asarray(split))), rel=0.03)


# results

QUICK = {"nbeta": NBETA, "localisation": GAMMA, "chains": Chains(count=4, draws=8, burn_in=8)}
POINT = TRUTH.params
MEASURES = {
    "sample": lambda: sample(TRUTH.problem, POINT, **QUICK),
    "llc": lambda: llc(TRUTH.problem, POINT, **QUICK),
    "llc_curve": lambda: llc_curve(TRUTH.problem, np.zeros((3, 3)), **QUICK),
    "refined_llc": lambda: refined_llc(TRUTH.problem, POINT, subsets={"few": [1, 2, 3]}, **QUICK),
    "bayesian_influence": lambda: bayesian_influence(TRUTH.problem, POINT, **QUICK),
    "loss_kernel": lambda: loss_kernel(TRUTH.problem, POINT, **QUICK),
    "weight_covariance": lambda: weight_covariance(TRUTH.problem, POINT, **QUICK),
    "susceptibilities": lambda: susceptibilities(
        TRUTH.problem, POINT, groups={"first": np.array([True, False, False])}, **QUICK
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURES)
def test_results_keep_the_protocol(name):
    found = MEASURES[name]()
    assert isinstance(found.status, LLCStatus) and isinstance(found.stats, dict)
    assert np.shape(found.value) == np.shape(found.error)
    leaves, structure = jax.tree.flatten(found)
    again = [jax.tree.unflatten(structure, leaves), pickle.loads(pickle.dumps(found)), deepcopy(found)]
    for copy in again:
        assert type(copy) is type(found) and copy.status == found.status
        np.testing.assert_array_equal(copy.value, found.value)
    assert len(repr(found)) < 400
    plain = json.loads(json.dumps(found.to_dict()))
    assert {"value", "error"} <= set(plain)
    assert "<code>" in found._repr_html_()
