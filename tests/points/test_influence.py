"""Covariances of losses against their closed form on a linear model, whose posterior is Gaussian."""

import functools

import numpy as np
import pytest

from allroads import InputError, Measurement, Network, Problem
from allroads.errors import MemoryBudgetError, UnknownNameError
from allroads.explorers.samplers import SGLD
from allroads.points.influence import bayesian_influence, loss_kernel, susceptibilities, weight_covariance
from allroads.points.influence.moments import covariance, half_width
from allroads.points.influence.samples import status_of
from allroads.points.sampling import Chains
from allroads.points.sampling.diagnostics import largest_r_hat
from allroads.status import LLCStatus

LINEAR = Network(lambda key: np.zeros(3), lambda w, x: x @ w[:, None])
GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(8, 3))
LABELS = GENERATOR.normal(size=8)
OTHERS = GENERATOR.normal(size=(4, 3)), GENERATOR.normal(size=4)
BEST = np.linalg.lstsq(ROWS, LABELS, rcond=None)[0]
PROBLEM = Problem(LINEAR, "mse", ROWS, LABELS)
COUNT = len(ROWS)
NBETA, GAMMA = 20.0, 2.0
HESSIAN = 2 / COUNT * ROWS.T @ ROWS
RESIDUALS = LABELS - ROWS @ BEST
TOLERANCE = 0.05
"""Largest error, in units of the product of two standard deviations, at 20,000 draws and more."""


def posterior(free=slice(None), nbeta=NBETA):
    """Covariance of the parameters."""
    inverse = np.zeros((3, 3))
    part = np.arange(3)[free]
    inverse[np.ix_(part, part)] = np.linalg.inv((nbeta * HESSIAN + GAMMA * np.eye(3))[np.ix_(part, part)])
    return inverse


def exact_covariance(sigma, a, b):
    """Of squared errors ``(x·δ − r)²`` for δ ~ N(0, Σ), examples as pairs (rows, residuals at δ = 0)."""
    (x, r), (y, s) = a, b
    overlap = x @ sigma @ y.T
    return 2 * overlap**2 + 4 * np.outer(r, s) * overlap


def spread(sigma, a):
    return np.sqrt(np.diag(exact_covariance(sigma, a, a)))


OWN = ROWS, RESIDUALS
QUERIES = OTHERS[0], OTHERS[1] - OTHERS[0] @ BEST
COLD = 1e6


def agrees(found, error, exact, scale):
    """Everywhere within the tolerance, and inside the stated interval about as often as it says."""
    assert np.abs(found - exact).max() <= TOLERANCE * scale.max()
    assert (np.abs(found - exact) <= 1.5 * error).mean() > 0.9
    assert error.max() < 2 * TOLERANCE * scale.max()


@functools.cache
def kernel(seed):
    return loss_kernel(PROBLEM, BEST, nbeta=NBETA, localisation=GAMMA, precision=0.005, seed=seed)


@pytest.mark.slow
def test_loss_kernel_is_the_closed_form(seed):
    found, sigma = kernel(seed), posterior()
    exact = exact_covariance(sigma, OWN, OWN)
    scale = np.outer(spread(sigma, OWN), spread(sigma, OWN))
    assert found.llc.stats["trace"].size >= 20_000
    agrees(found.value, found.error, exact, scale)
    np.testing.assert_allclose(found.correlation, exact / scale, atol=TOLERANCE)
    assert np.linalg.eigvalsh(found.value).min() > -1e-12
    energy = NBETA * np.trace(HESSIAN @ sigma) / 2
    assert abs(found.llc.value / energy - 1) < 0.03
    assert found.status == found.llc.status and found.status in (LLCStatus.PRIOR_DOMINATED, LLCStatus.CONVERGED)


@pytest.mark.slow
def test_influence_of_examples_on_each_other_is_minus_the_kernel(seed):
    options = {"nbeta": NBETA, "localisation": GAMMA, "precision": 0.005, "seed": seed}
    found = bayesian_influence(PROBLEM, BEST, **options)
    np.testing.assert_array_equal(found.value, -kernel(seed).value)
    assert found.weight == NBETA / COUNT
    np.testing.assert_array_equal(found.response, found.value * NBETA / COUNT)


def test_influence_on_other_examples_is_the_closed_form(seed):
    options = {"nbeta": NBETA, "localisation": GAMMA, "precision": 0.005, "seed": seed}
    found = bayesian_influence(PROBLEM, BEST, queries=OTHERS, **options)
    sigma = posterior()
    scale = np.outer(spread(sigma, OWN), spread(sigma, QUERIES))
    agrees(found.value, found.error, -exact_covariance(sigma, OWN, QUERIES), scale)


def test_influence_at_large_nbeta_is_leaving_one_out(seed):
    probe = OTHERS[0][0]

    found = bayesian_influence(
        PROBLEM, BEST, observable=lambda w: probe @ w, nbeta=COLD, precision=0.005,
        examples=np.arange(COUNT), seed=seed,
    )  # fmt: skip
    changes = []
    for i in range(COUNT):
        rest = np.arange(COUNT) != i
        changes.append(probe @ (np.linalg.lstsq(ROWS[rest], LABELS[rest], rcond=None)[0] - BEST))
    leverage = np.diag(ROWS @ np.linalg.inv(ROWS.T @ ROWS) @ ROWS.T)
    # Leaving out is a step of finite size, longer than the infinitesimal one by 1/(1 − leverage), exactly.
    exact = -(1 - leverage) * np.array(changes)
    sigma = posterior(nbeta=COLD)
    scale = COLD / COUNT * 2 * np.abs(RESIDUALS) * np.sqrt(np.diag(ROWS @ sigma @ ROWS.T) * (probe @ sigma @ probe))
    assert found.value.shape == (COUNT, 1)
    assert (np.abs(found.response[:, 0] - exact) <= TOLERANCE * scale).all()
    assert np.abs(exact).max() > 5 * TOLERANCE * scale.max()
    assert found.status == LLCStatus.CONVERGED


@pytest.mark.parametrize("centre", [pytest.param("full", marks=pytest.mark.slow), "group"])
def test_susceptibilities_are_the_closed_form(centre, seed):
    free = np.array([True, True, False])
    found = susceptibilities(
        PROBLEM, BEST, groups={"two": free}, probes=OTHERS, centre=centre,
        nbeta=NBETA, localisation=GAMMA, precision=0.004, seed=seed,
    )  # fmt: skip
    part, whole = posterior(free), posterior()

    def mean_change(sigma):
        rows, residuals = QUERIES
        losses = np.diag(rows @ sigma @ rows.T) + residuals**2
        return losses - np.trace(HESSIAN @ sigma) / 2 - (RESIDUALS**2).mean()

    # φ = ½ δᵀHδ has no linear part, and third moments vanish: the residuals drop out.
    squares = np.einsum("za,zb->zab", *[OTHERS[0]] * 2) - HESSIAN / 2
    joint = np.einsum("ab,bc,zcd,da->z", HESSIAN, part, squares, part)
    excess = np.trace(HESSIAN @ part) / 2
    offset = excess * (mean_change(part) - mean_change(whole)) if centre == "full" else 0.0
    exact = -joint - offset
    scale = np.sqrt(np.trace(HESSIAN @ part @ HESSIAN @ part) / 2) * spread(part, QUERIES)
    assert found.value.shape == found.error.shape == (1, 4) and found.groups == ("two",)
    agrees(found.value[0], found.error[0], exact, scale)
    if centre == "full":
        assert (np.abs(offset) / found.error[0]).max() > 3  # the two conventions do differ here
    assert found.llc[0].stats["dimension"] == 2


def test_moments_of_white_noise_and_of_chains_that_disagree(seed):
    generator = np.random.default_rng([1, seed])
    inside = []
    for _ in range(200):
        x = generator.normal(size=(8, 100, 2))
        found = covariance(x, x)
        inside.append(np.abs(found.value - np.eye(2)) <= found.error)
    assert 0.9 < np.mean(inside) <= 0.99
    x = generator.normal(size=(8, 100, 2))
    np.testing.assert_allclose(covariance(x, x).value, np.cov(x.reshape(-1, 2).T, bias=True), atol=1e-14)
    apart = x + 3 * np.arange(8)[:, None, None]
    assert largest_r_hat(x) < 1.1 < largest_r_hat(apart)
    assert covariance(apart, apart).error.min() > 5 * covariance(x, x).error.max()
    assert largest_r_hat(np.zeros((8, 100, 2))) == 1.0
    assert largest_r_hat(np.broadcast_to(np.arange(8.0)[:, None, None], (8, 100, 2))) == np.inf
    assert half_width(np.ones((4, 2))).tolist() == [0.0, 0.0]


def test_a_loss_that_cannot_change_says_so():
    found = loss_kernel(
        Problem(LINEAR, "mse", np.zeros((8, 3)), np.zeros(8)), BEST, nbeta=NBETA, localisation=GAMMA, precision=0.005
    )
    assert found.status == LLCStatus.PRIOR_DOMINATED
    assert (found.value == 0).all() and (found.correlation == 0).all()


def test_the_status_is_that_of_the_chains_unless_what_they_saw_is_worse(seed):
    white = np.random.default_rng([2, seed]).normal(size=(8, 100, 3))
    apart, lost = white + 3 * np.arange(8)[:, None, None], white.copy()
    lost[3, 50, 1] = np.inf
    for status in (LLCStatus.CONVERGED, LLCStatus.NOT_AT_MINIMUM, LLCStatus.SCALE_DEPENDENT, LLCStatus.DIVERGED):
        found = Measurement(1.0, 0.1, status)
        worse = status if status == LLCStatus.DIVERGED else LLCStatus.NOT_EQUILIBRATED
        assert status_of(found, {"a": white}) == status
        assert status_of(found, {"a": white, "b": apart}) == worse
        assert status_of(found, {"a": lost}) == LLCStatus.DIVERGED


def bad(error, match, options, function=bayesian_influence):
    return pytest.param(error, match, function, options, id=match[:30])


@pytest.mark.parametrize(
    ("error", "match", "function", "options"),
    [
        bad(InputError, "not both", lambda: {"observable": lambda w: w, "queries": OTHERS}),
        bad(InputError, "queries: expected a pair", lambda: {"queries": ROWS}),
        bad(InputError, "queries: inputs and labels: got 8 inputs and 3", lambda: {"queries": (ROWS, LABELS[:3])}),
        bad(InputError, "queries: labels: NaN", lambda: {"queries": (ROWS[:1], [np.nan])}),
        bad(InputError, "examples: expected indices from 0 to 7", lambda: {"examples": [8]}),
        bad(InputError, "examples: expected indices", lambda: {"examples": [0.5]}, loss_kernel),
        bad(InputError, "localisation: expected", lambda: {"localisation": -1.0}),
        bad(InputError, "mask: expected", lambda: {"mask": {"w": True}}),
        bad(InputError, "batch_size: the data have 8", lambda: {"sampler": SGLD(batch_size=9)}),
        bad(UnknownNameError, "did you mean 'hmc'", lambda: {"sampler": "hmx"}),
        bad(UnknownNameError, "mean 'group'", lambda: {"centre": "groups", "groups": {"a": True}}, susceptibilities),
        bad(InputError, "groups: expected", lambda: {"groups": {}}, susceptibilities),
        bad(InputError, "give groups", lambda: {"groups": {"a": True}, "mask": True}, susceptibilities),
        bad(InputError, "probes: expected a pair", lambda: {"groups": {"a": True}, "probes": ROWS}, susceptibilities),
        bad(MemoryBudgetError, "numbers seen at each", lambda: {"chains": Chains(draws=10**6, memory=10**8)}),
        bad(MemoryBudgetError, "chains of 3 parameters", lambda: {"chains": Chains(memory=100)}),
    ],
)
def test_bad_input_is_refused(error, match, function, options):
    with pytest.raises(error, match=match):
        function(PROBLEM, BEST, **options())


def test_an_observable_of_a_susceptibility_is_one_number():
    with pytest.raises(InputError, match="observable: expected one number; got 3"):
        susceptibilities(PROBLEM, BEST, groups={"all": True}, observable=lambda w: w, centre="group")


def test_integer_parameters_and_an_infinite_loss_are_refused():
    with pytest.raises(InputError, match="int"):
        loss_kernel(PROBLEM, np.zeros(3, int))
    with pytest.raises(InputError, match="not finite"):
        loss_kernel(Problem(LINEAR, lambda f, y: f[:, 0] + np.inf, ROWS, LABELS), BEST)


@pytest.mark.parametrize("of", [None, np.array([True, False, True])])
def test_weight_covariance_is_the_closed_form(of, seed):
    options = {"nbeta": NBETA, "localisation": GAMMA, "precision": 0.005, "seed": seed}
    found = weight_covariance(PROBLEM, BEST, of=of, **options)
    exact = posterior() if of is None else posterior()[np.ix_([0, 2], [0, 2])]
    values, vectors = np.linalg.eigh(exact)
    assert found.vectors.shape == (len(values), 3)
    np.testing.assert_allclose(found.value, values[::-1], rtol=TOLERANCE)
    assert (np.abs(found.value - values[::-1]) <= 1.5 * found.error).all() and (found.error < 0.1 * found.value).all()
    assert found.trace == pytest.approx(np.trace(exact), rel=TOLERANCE)
    own = found.vectors if of is None else found.vectors[:, [0, 2]]
    assert (np.abs((own * vectors.T[::-1]).sum(axis=1)) > 0.99).all()
    assert np.abs(found.mean).max() < 0.05 * np.sqrt(values.max())
    if of is not None:
        assert (found.vectors[:, 1] == 0).all() and found.mean[1] == 0


@pytest.mark.slow
def test_weight_covariance_with_fewer_draws_than_weights_is_that_of_the_draws():
    wide = Network(lambda key: np.zeros(60), lambda w, x: x @ w[:, None])
    rows = np.eye(60)
    chains = Chains(count=2, draws=20, burn_in=0, ladder=False)
    problem = Problem(wide, "mse", rows, np.zeros(60))
    found = weight_covariance(problem, np.zeros(60), count=50, nbeta=1.0, localisation=100.0, chains=chains)
    assert found.value.shape == (40,) and found.vectors.shape == (40, 60)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(40), atol=1e-8)
    assert found.value[-1] < 1e-12 * found.value[0]  # 40 draws lie in 39 dimensions around their mean
    assert found.value.sum() == pytest.approx(found.trace)


def test_weight_covariance_refuses_weights_that_are_held():
    with pytest.raises(InputError, match="mask holds still"):
        weight_covariance(PROBLEM, BEST, of=np.array([True, True, False]), mask=np.array([True, False, False]))
    with pytest.raises(InputError, match="of: it leaves no parameter"):
        weight_covariance(PROBLEM, BEST, of=np.zeros(3, bool))
    with pytest.raises(InputError, match="count: expected a whole number"):
        weight_covariance(PROBLEM, BEST, count=0)


def test_wbic_is_n_times_the_mean_loss(seed):
    llc = kernel(seed).llc
    mean = float(((ROWS @ BEST - LABELS) ** 2).mean()) + llc.value / NBETA
    assert llc.stats["wbic"] == pytest.approx(COUNT * mean)
