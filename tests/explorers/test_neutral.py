"""Neutral explorers against exact laws: enumeration, closed forms, and priors that are of one kind by construction."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from allroads import SMC, GuessAndCheck, InputError, Network, Problem, explore, progress
from allroads.explorers.explorer import TracedProblem
from allroads.explorers.neutral import invariant
from allroads.explorers.neutral.invariant import known_of
from allroads.explorers.neutral.smc import Tempering
from allroads.explorers.recording import Recording

sys.path.insert(0, str(Path(__file__).parents[1] / "points"))

from ternary import cube, functions, ternary

ENDS = Recording(records=2, checkpoints=2)
LINE = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x * w)
PLANE = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: (x @ w)[:, None])


# --- guess and check


def test_functions_at_the_first_fit_have_the_exact_law():
    """All 3⁹ points of the ternary map: the law of the function given two examples, and the number of guesses."""
    x, labels, seen = cube(2), np.array([0, 1, 1, 1]), [0, 3]
    tables = functions(2)[:, None] >> np.arange(4) & 1
    fits = (tables[:, seen] == labels[seen]).all(1)
    codes, counts = np.unique(functions(2)[fits], return_counts=True)
    run = explore(Problem(ternary(2), "bce", x[seen], labels[seen]), GuessAndCheck(), 1500, steps=120, probes=x,
        record=ENDS)  # fmt: skip
    said = (run.values[:, -1].reshape(1500, 4) > 0) @ (1 << np.arange(4))
    assert set(said) <= set(codes)  # the chance that one of all members does not fit after 120 guesses is below 1e-6
    observed = [(said == code).sum() for code in codes]
    assert chisquare(observed, counts / counts.sum() * 1500).pvalue > 1e-4
    p = fits.mean()
    assert abs(run.cost.forwards.mean() - 1 / p) < 4.5 * math.sqrt((1 - p) / 1500) / p
    assert (run.cost.gradients == 0).all() and run.status == "ok"


def test_a_bound_on_the_loss_takes_the_place_of_errors():
    """w² ≤ ¼ for a standard normal w: a truncated normal law, reached in 1 / P guesses."""
    run = explore(Problem(LINE, "mse", [[1.0]], [[0.0]]), GuessAndCheck(fit=0.25), 2000, steps=40, record=ENDS)
    w = run.ends()[:, 0]
    p = math.erf(0.5 / math.sqrt(2))
    variance = 1 - 2 * 0.5 * math.exp(-0.125) / math.sqrt(2 * math.pi) / p
    assert abs(w).max() <= 0.5 and abs((w**2).mean() / variance - 1) < 4.5 * 0.9 / math.sqrt(2000)
    assert abs(run.cost.forwards.mean() - 1 / p) < 4.5 * math.sqrt((1 - p) / 2000) / p


def test_a_guess_whose_loss_is_not_finite_does_not_end_the_search():
    root = Network(LINE.init, lambda w, x: x * jnp.sqrt(w))  # no number for half of all w
    start = np.full((64, 1), 0.5)
    run = explore(Problem(root, "bce", [[1.0]], [[0]]), GuessAndCheck(fit=1.0), 64, steps=120, start=start, record=ENDS)
    assert run.status == "ok" and (run.ends() < 0.294).all() and (run.ends() >= 0).all()  # log(1 + exp √w) ≤ 1


# --- sequential Monte Carlo


def states(explorer, problem, members, levels, seed=0):
    """The state after each level."""
    data = problem.data
    begin = jax.jit(lambda keys: explorer.init(keys, jax.vmap(problem.network.init)(keys), problem))
    step = jax.jit(lambda state: explorer.step(state, TracedProblem(problem.objective, data))[0])
    found = [begin(jax.random.split(jax.random.key(seed), members))]
    for _ in range(levels):
        found.append(step(found[-1]))
    return found


@pytest.mark.slow
def test_the_evidence_and_the_law_of_a_gaussian_posterior(seed):
    """w ~ N(0, 1)², L = ((w₁ − 1)² + (w₂ + 2)²) / 2: at β each factor is normal, and Z is a product."""
    beta = 6.0
    problem = Problem(PLANE, "mse", np.eye(2), np.array([[1.0], [-2.0]]))
    end = states(SMC(beta=beta), problem, 4096, 10, seed)[-1]
    exact = sum(-math.log1p(beta) / 2 - beta / (1 + beta) * target**2 / 2 for target in (1.0, -2.0))
    assert float(end.memory.beta) == beta
    assert abs(float(end.memory.log_evidence) - exact) < 0.15
    w, width = np.asarray(end.params), 1 / math.sqrt(1 + beta)
    assert abs(w.mean(0) - beta / (1 + beta) * np.array([1.0, -2.0])).max() < 0.2 * width
    assert abs(w.std(0) / width - 1).max() < 0.1


@pytest.mark.slow
def test_levels_end_at_what_fits_and_stay_there():
    """P(w > 2.5) for a standard normal w, by a bound on the loss (1 − w / 3.5)²."""
    problem = Problem(Network(LINE.init, lambda w, x: x * w / 3.5), "mse", [[1.0]], [[1.0]])
    bound = (1 - 2.5 / 3.5) ** 2
    found = states(SMC(fit=bound), problem, 4096, 8)
    betas = [float(state.memory.beta) for state in found]
    assert betas == sorted(betas) and betas[0] == 0 and math.isinf(betas[-1])
    w = np.asarray(found[-1].params)[:, 0]
    assert (w >= 2.5 - 1e-5).all() and (w <= 4.5 + 1e-5).all()
    exact = math.log(math.erfc(2.5 / math.sqrt(2)) / 2 - math.erfc(4.5 / math.sqrt(2)) / 2)
    assert abs(float(found[-1].memory.log_evidence) - exact) < 0.25
    assert found[-1].memory.log_evidence == found[-2].memory.log_evidence


# --- which moves leave an initialisation as it is


def norms(key):
    """Rows of norm 1, each on its own array: entries depend on each other, arrays do not."""
    return [g / jnp.linalg.norm(g) for g in jax.random.normal(key, (2, 4))]


def shared(key):
    """Two arrays of one random scale."""
    scale, first, second = jax.random.split(key, 3)
    size = jnp.exp(jax.random.normal(scale))
    return [size * jax.random.normal(first, (3,)), size * jax.random.normal(second, (3,))]


INITS = {
    "gaussian": lambda key: {"gain": jnp.ones(3), "w": jax.random.normal(key, (3, 2)) @ jnp.array([[1.0, 2], [0, 1]])},
    "independent": lambda key: jax.random.uniform(key, (4,), minval=-1.0),
    "arrays": norms,
}


@pytest.mark.parametrize("kind", [pytest.param(k, marks=[pytest.mark.slow] * (k != "gaussian")) for k in INITS])
def test_the_kind_of_an_initialisation_is_found(kind):
    found, centre = known_of(Network(INITS[kind], lambda w, x: x), None)
    assert found == kind
    if kind == "gaussian":
        assert centre["gain"].tolist() == [1, 1, 1] and not centre["w"].any()


@pytest.mark.slow
def test_what_has_no_known_moves_is_refused():
    network = Network(shared, lambda w, x: x @ w[0][:, None] + w[1].sum())
    with pytest.raises(InputError, match="no kind of prior describes its init"):
        known_of(network, None)
    with pytest.raises(InputError, match="prior='gaussian' describes its init, since mixed draws differ"):
        known_of(Network(INITS["independent"], network.apply), "gaussian")
    with pytest.raises(InputError, match="no kind of prior describes its init"):
        explore(Problem(network, "bce", np.eye(3), [0, 1, 1]), SMC(), 4, steps=1)


# --- bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GuessAndCheck(fit=-1.0), "'guess_and_check': fit: expected a finite number of 0 or more; got -1.0"),
        (lambda: SMC(fit=0.1, beta=1.0), "fit and beta exclude each other"),
        (lambda: SMC(beta=0.0), "beta: expected a finite number above 0"),
        (lambda: SMC(ess=1.0), "ess: expected a share above 0 and below 1; got 1.0"),
        (lambda: SMC(ess="half"), "ess: expected a finite number above 0; got 'half'"),
        (lambda: SMC(moves=0), "moves: expected a whole number of 1 or more"),
        (lambda: SMC(prior="normal"), "unknown prior 'normal'"),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("explorer", [GuessAndCheck(), SMC()])
def test_a_loss_that_defines_no_errors_needs_a_bound(explorer):
    with pytest.raises(InputError, match="loss 'mse' does not say which outputs are errors"):
        explore(Problem(LINE, "mse", [[1.0]], [[0.0]]), explorer, 2, steps=1)


def test_numbers_of_numpy_are_options_too():
    assert SMC(ess=np.float32(0.25)).ess == 0.25


# --- the next level


def test_a_level_has_the_effective_size_asked_for_and_no_misfit_loses_all_its_weight():
    """Where just less than half fit, half of the effective size would need any β; the weight is then e⁻³ instead."""
    zero, least = jnp.zeros(()), 0.25

    @jax.jit
    def stride(energies):
        return SMC()._stride(Tempering(None, energies, energies, zero, zero, zero, zero, zero))

    def weights(share):
        energies = jnp.where(jnp.arange(1000) < 1000 * share, 0.0, least)
        return np.where(energies > 0, np.exp(-float(stride(energies)) * least), 1.0)

    for share in (0.1, 0.4):
        some = weights(share)
        assert some.sum() ** 2 / (some**2).sum() == pytest.approx(500, abs=1)
    assert weights(0.499).min() == pytest.approx(math.exp(-3), rel=1e-3)
    assert weights(0.5).min() == 0


# --- what is said meanwhile


def test_the_test_of_an_initialisation_says_what_it_does(monkeypatch, capsys):
    def slow(init, prior):
        time.sleep(0.2)
        return "gaussian", None, 1.0

    monkeypatch.setattr(progress, "SECONDS_BEFORE", 0.01)
    monkeypatch.setattr(invariant, "_known", slow)
    known_of(LINE, None)
    assert "explore: testing which moves leave the initialisation as it is" in capsys.readouterr().err
    known_of(LINE, None, shown=False)
    assert not capsys.readouterr().err
