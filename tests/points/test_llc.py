"""λ̂ against closed forms, quadrature and exact coefficients; every status reached on purpose; bad input named."""

from __future__ import annotations

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Problem, llc
from allroads.errors import MemoryBudgetError, UnknownNameError
from allroads.explorers.samplers import HMC, MALA, MCLMC, SGLD, SGNHT, RMSPropSGLD, build_sampler
from allroads.points.sampling import Chains, diagnose
from allroads.points.zoo import localised_learning_coefficient, normal_crossings, quadratic, two_layer_linear
from allroads.status import LLCStatus

CURVATURES = (4.0, 1.0, 0.5, 0.25, 0.1, 0.02)
QUADRATIC = quadratic(CURVATURES, examples=250)
FEW = {"count": 16, "draws": 400, "burn_in": 200}
NO_LADDER = Chains(**FEW, ladder=False)


def asked(truth, **options):
    return llc(truth.problem, truth.params, **options)


def on_weights(function, start):
    """A network whose loss is a function of its weights alone."""
    network = Network(lambda key: jnp.asarray(start), lambda w, x: jnp.broadcast_to(function(w), (len(x), 1)))
    return Problem(network, lambda outputs, labels: outputs[:, 0], np.zeros((4, 1)), np.zeros(4)), np.asarray(
        start, float
    )


# right


@pytest.mark.parametrize(("sampler", "bias"), [(HMC(), 0), ("mala", 0), (MCLMC(), 0.03)])
def test_the_quadratic_at_finite_localisation(sampler, bias, seed):
    """½ Σ nβh/(nβh + γ), within 4 % for Monte Carlo (4 standard errors of some 3,000 draws of a λ of 1.7)."""
    exact = localised_learning_coefficient(CURVATURES, 20.0, 1.0)
    found = asked(QUADRATIC, sampler=sampler, nbeta=20.0, localisation=1.0, chains=NO_LADDER, seed=seed)
    assert found.value == pytest.approx(exact, rel=0.06 + bias)
    assert found.stats["nbeta"] == 20.0 and found.stats["prior_distance"] == pytest.approx(math.sqrt(6))


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [SGLD, RMSPropSGLD, SGNHT])
def test_samplers_on_batches_find_the_quadratic(sampler, seed):
    exact = localised_learning_coefficient(CURVATURES, 20.0, 1.0)
    chains = replace(NO_LADDER, metric="none", draws=600)
    options = {"nbeta": 20.0, "localisation": 1.0, "chains": chains, "seed": seed}
    found = asked(QUADRATIC, sampler=sampler(batch_size=200), **options)
    assert found.value == pytest.approx(exact, rel=0.12)


@pytest.mark.slow
def test_a_sampler_that_remembers_gradients_anneals_by_every_level():
    """It divides by their mean square: where levels were skipped, λ̂ was above 10⁵ here, where λ = 7."""
    found = asked(two_layer_linear((9, 2, 7), (2, 0, 0)), sampler=RMSPropSGLD())
    assert found.value == pytest.approx(7, rel=0.1)


def test_the_predicted_discretisation_bias_of_langevin_steps_is_what_is_seen(seed):
    """On equal curvatures, a mode's energy is inflated by 1/(1 − ε/4): 1/3 more at ε = 1."""
    truth = quadratic((1.0,) * 8, examples=10)
    chains = replace(NO_LADDER, metric="none")
    found = asked(truth, sampler=SGLD(step_size=1.0), nbeta=100.0, localisation=1e-6, chains=chains, seed=seed)
    assert found.value == pytest.approx(4 / (1 - 1 / 4), rel=0.05)
    assert found.stats["error_parts"]["discretisation"] == pytest.approx(found.value / 3, rel=0.01)
    assert found.status == LLCStatus.NOT_EQUILIBRATED


@pytest.mark.slow
def test_a_crossing_of_valleys_against_quadrature(seed):
    """⟨nβ w₀²w₁⁴⟩ by two-dimensional quadrature in log w; chains must enter valleys a hundredth as wide as long."""
    truth, nbeta, gamma = normal_crossings((1, 2), examples=2), 1e8, 30.0
    u = np.linspace(-25, 1, 1200)
    w0, w1 = np.meshgrid(np.exp(u), np.exp(u), indexing="ij")
    energy = nbeta * w0**2 * w1**4
    density = np.exp(-energy - gamma / 2 * (w0**2 + w1**2)) * w0 * w1
    exact = (density * energy).sum() / density.sum()
    found = asked(truth, nbeta=nbeta, localisation=gamma, seed=seed)
    assert found.value == pytest.approx(exact, abs=0.02)
    assert exact == pytest.approx(0.25, abs=0.03)
    assert found.stats["population"] and len(found.stats["trace"]) == 32  # of 64 chains, the cooled ones


@pytest.mark.slow
def test_the_point_matters_and_not_only_the_function(seed):
    """One function, the zero map; λ is 14 at the origin and 16 where the second layer has full rank."""
    for ranks, exact in (((0, 0, 0), 14.0), ((0, 4, 0), 16.0)):
        found = asked(two_layer_linear((8, 4, 8), ranks, examples=50), seed=seed)
        assert found.status == LLCStatus.CONVERGED
        assert found.value == pytest.approx(exact, rel=0.05)
        assert abs(found.value - exact) <= 2 * found.error
        assert not found.stats["population"] and len(found.stats["trace"]) == 32


@pytest.mark.slow
def test_a_mask_restricts_the_model(seed):
    """Two of six directions free: λ = 1; by booleans, by one boolean an array, by a function of the path."""
    free = np.array([True, True, False, False, False, False])
    (leaf,) = jax.tree.leaves(QUADRATIC.params)
    mask = jax.tree.map(lambda _: free, QUADRATIC.params)
    options = {"nbeta": 1e4, "localisation": 1e-3, "seed": seed}
    found = asked(QUADRATIC, mask=mask, chains=NO_LADDER, **options)
    assert found.value == pytest.approx(1.0, abs=0.08) and found.stats["dimension"] == 2
    whole = asked(QUADRATIC, mask=lambda path: True, chains=replace(NO_LADDER, draws=8, burn_in=0), **options)
    assert whole.stats["dimension"] == leaf.size


def test_the_seed_decides_everything():
    options = {"nbeta": 20.0, "localisation": 1.0, "chains": NO_LADDER}
    first, again, other = (asked(QUADRATIC, seed=seed, **options) for seed in (1, 1, 2))
    assert first.value == again.value != other.value


# statuses on purpose


@pytest.mark.slow
def test_scale_dependent(seed):
    """``Σ w⁴ + w²/100`` over eight directions: of fourth order (λ = 2) when warm, of second (λ = 4) when cold."""
    valleys = on_weights(lambda w: jnp.sum(w**4 + w**2 / 100), [0.0] * 8)
    # So many chains that the means of the levels, of which the status is made, are known to half a per cent.
    chains = Chains(count=1024, draws=100, burn_in=200)
    found = llc(*valleys, nbeta=3e4, localisation=0.1, chains=chains, seed=seed)
    assert found.status == LLCStatus.SCALE_DEPENDENT
    w = np.linspace(-2, 2, 200_001)
    energy = 3e4 * (w**4 + w**2 / 100)
    density = np.exp(-energy - 0.05 * w**2)
    assert found.value == pytest.approx(8 * (density * energy).sum() / density.sum(), rel=0.05)


@pytest.mark.slow
def test_not_at_a_minimum(seed):
    bowl = on_weights(lambda w: jnp.sum((w - 1.0) ** 2), [0.0, 0.0, 0.0])
    found = llc(*bowl, nbeta=100.0, chains=Chains(**FEW), seed=seed)
    assert found.status == LLCStatus.NOT_AT_MINIMUM
    assert found.value < 0


def test_not_equilibrated(seed):
    chains = Chains(count=4, draws=40, ladder=False)
    found = asked(QUADRATIC, sampler=SGLD(step_size=1e-5), nbeta=1e4, localisation=1.0, chains=chains, seed=seed)
    assert found.status == LLCStatus.NOT_EQUILIBRATED


def test_diverged(seed):
    quartic = on_weights(lambda w: jnp.sum(w**2 + w**4), [0.0, 0.0])
    chains = Chains(draws=100, ladder=False, metric="none")
    found = llc(*quartic, sampler=SGLD(step_size=30.0), nbeta=10.0, chains=chains, seed=seed)
    assert found.status == LLCStatus.DIVERGED
    assert found.status.remedy


@pytest.mark.parametrize("function", [lambda w: 0.0 * w[0], lambda w: jnp.maximum(w[0] - 1e3, 0.0)])
def test_a_constant_loss_and_dead_units_are_prior_dominated(function, seed):
    found = llc(*on_weights(function, [0.0, 0.0]), chains=Chains(draws=50), seed=seed)
    assert found.status == LLCStatus.PRIOR_DOMINATED
    assert abs(found.value) < 1e-12


def test_strong_localisation_is_prior_dominated(seed):
    """At γ as large as nβh the prior holds every direction: λ̂ is half of λ and falls with γ."""
    truth = quadratic((1.0,) * 8, examples=10)
    found = asked(truth, nbeta=1e4, localisation=1e4, chains=Chains(**FEW), seed=seed)
    assert found.status == LLCStatus.PRIOR_DOMINATED
    assert found.value == pytest.approx(2.0, rel=0.05)


# bad input


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda: {"params": np.zeros(6, int)}, InputError, "int"),
        (lambda: {"params": np.full(6, np.nan)}, InputError, "NaN"),
        (lambda: {"params": {}}, InputError, "no array"),
        (lambda: {"problem": with_loss(lambda f, y: f[:, 0] / 0.0)}, InputError, "not finite at the point"),
        (lambda: {"sampler": "hcm"}, UnknownNameError, "did you mean 'hmc'"),
        (lambda: {"sampler": HMC}, InputError, r"HMC\(step_size"),
        (lambda: {"sampler": HMC(step_size=0.0)}, InputError, "step_size"),
        (lambda: {"sampler": SGLD(batch_size=5)}, InputError, "4 examples"),
        (lambda: {"sampler": SGLD(batch_size=0)}, InputError, "batch_size"),
        (lambda: {"sampler": build_sampler(MALA, batch_size=2)}, InputError, "all examples"),
        (lambda: {"mask": np.array([True, False])}, InputError, "mask"),
        (lambda: {"mask": np.zeros(6, bool)}, InputError, "no parameter free"),
        (lambda: {"mask": {"w": True}}, InputError, "pytree like params"),
        (lambda: {"nbeta": -1.0}, InputError, "nbeta"),
        (lambda: {"localisation": 0.0}, InputError, "localisation"),
        (lambda: {"precision": -1.0}, InputError, "precision"),
        (lambda: {"chains": 8}, InputError, r"chains: expected Chains\(…\)"),
        (lambda: {"chains": Chains(count=5)}, InputError, "even"),
        (lambda: {"chains": Chains(count=2)}, InputError, "4 or more"),
        (lambda: {"chains": Chains(draws=1.5)}, InputError, "draws"),
        (lambda: {"chains": Chains(metric="kfac")}, UnknownNameError, "metric"),
        (lambda: {"chains": Chains(dtype="float16")}, UnknownNameError, "dtype"),
        (lambda: {"chains": Chains(memory=100)}, MemoryBudgetError, "need about"),
    ],
)
def test_bad_input_is_named(change, error, said):
    problem, params = on_weights(lambda w: jnp.sum(w**2), np.zeros(6))
    with np.errstate(all="ignore"), pytest.raises(error, match=said):
        llc(**{"problem": problem, "params": params} | change())


def with_loss(loss):
    return replace(on_weights(lambda w: jnp.sum(w**2), np.zeros(6))[0], loss=loss)


# diagnostics


def test_ess_of_an_autoregression(seed):
    """Correlation ρ a step leaves (1 − ρ)/(1 + ρ) of the draws."""
    rng, rho = np.random.default_rng(seed), 0.8
    noise = rng.normal(size=(8, 20_000)) * math.sqrt(1 - rho**2)
    chains = np.empty_like(noise)
    chains[:, 0] = rng.normal(size=8)
    for t in range(1, noise.shape[1]):
        chains[:, t] = rho * chains[:, t - 1] + noise[:, t]
    found = diagnose(chains)
    assert found.ess == pytest.approx(chains.size * (1 - rho) / (1 + rho), rel=0.1)
    assert found.standard_error == pytest.approx(1 / math.sqrt(found.ess), rel=0.05)


def test_diagnostics_agree_with_blackjax(seed):
    from blackjax.diagnostics import effective_sample_size, potential_scale_reduction

    chains = np.cumsum(np.random.default_rng([1, seed]).normal(size=(6, 400)), axis=1) * 0.02
    chains += np.random.default_rng([2, seed]).normal(size=chains.shape)
    split = chains.reshape(12, 200)
    found = diagnose(chains)
    assert found.r_hat == pytest.approx(float(potential_scale_reduction(jnp.asarray(split))), rel=1e-3)
    assert found.ess == pytest.approx(float(effective_sample_size(jnp.asarray(split))), rel=0.15)


def test_chains_that_disagree_or_drift_show_in_r_hat(seed):
    rng = np.random.default_rng([3, seed])
    apart = rng.normal(size=(4, 2000)) + np.arange(4)[:, None]
    drifting = rng.normal(size=(4, 2000)) + np.linspace(0, 3, 2000)
    assert diagnose(apart).r_hat > 1.3 and diagnose(drifting).r_hat > 1.2
    assert diagnose(drifting).drift == pytest.approx(2.0, abs=0.4)


@pytest.mark.parametrize(
    ("draws", "burn_in", "warmed"),
    [(50, 50, 50), (53, 50, 55), (40, 0, 0), (30, 45, 45)],
)
def test_as_many_draws_are_measured_as_were_asked_for(draws, burn_in, warmed):
    """In rounds of at most 20 with these parameters; where no round divides both, the burn-in says what it took."""
    problem, start = on_weights(lambda w: (w**2).sum(), np.zeros(1001))
    chains = Chains(count=2, draws=draws, burn_in=burn_in, ladder=False, metric="none")
    stats = llc(problem, start, nbeta=10.0, localisation=1.0, sampler="mala", chains=chains).stats
    assert stats["trace"].shape == (2, draws)
    assert stats["warmup"].shape == (2, warmed)
