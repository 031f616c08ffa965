"""What the problem carries counts in every measure over chains: penalty, weights, ignored labels, checked data."""

import jax
import numpy as np
import pytest
import torch

from allroads import InputError, Network, Problem, float64
from allroads.explorers.samplers import SGLD
from allroads.points.curve import llc_curve
from allroads.points.influence import bayesian_influence, loss_kernel, susceptibilities, weight_covariance
from allroads.points.llc import llc
from allroads.points.refined import refined_llc
from allroads.points.sampling import Chains, sample
from allroads.points.zoo import localised_learning_coefficient
from allroads.status import LLCStatus

LINEAR = Network(lambda key: np.zeros(3), lambda w, x: x @ w[:, None])
GENERATOR = np.random.default_rng(0)
ROWS, LABELS = GENERATOR.normal(size=(12, 3)), GENERATOR.normal(size=12)
HESSIAN = 2 / 12 * ROWS.T @ ROWS
DECAY = 0.4
RIDGE = np.linalg.solve(HESSIAN + DECAY * np.eye(3), 2 / 12 * ROWS.T @ LABELS)
"""The minimum of the mean squared error plus ``DECAY/2 ‖w‖²``."""
NBETA, GAMMA = 50.0, 3.0
DECAYED = Problem(LINEAR, "mse", ROWS, LABELS, weight_decay=DECAY)


@pytest.mark.slow
def test_at_a_minimum_of_loss_and_weight_decay_the_coefficient_is_that_of_a_quadratic():
    """½ tr[H (H + γ/nβ)⁻¹] of H plus the penalty's own Hessian; within 5 %, some five standard errors."""
    exact = localised_learning_coefficient(np.linalg.eigvalsh(HESSIAN) + DECAY, 5.0, GAMMA)
    bare = localised_learning_coefficient(np.linalg.eigvalsh(HESSIAN), 5.0, GAMMA)
    assert exact > 1.1 * bare  # the penalty does count
    chains = Chains(count=32, draws=500, burn_in=200)
    found = llc(DECAYED, RIDGE, nbeta=5.0, localisation=GAMMA, chains=chains)
    assert found.value == pytest.approx(exact, rel=0.05)
    penalty = DECAY / 2 * RIDGE @ RIDGE
    assert found.stats["penalty"] == pytest.approx(penalty, rel=1e-12)
    assert found.stats["loss"] == pytest.approx(((ROWS @ RIDGE - LABELS) ** 2).mean() + penalty, rel=1e-12)


@pytest.mark.slow
def test_it_converges_to_half_the_dimension_and_without_the_decay_it_is_no_minimum():
    found = llc(DECAYED, RIDGE)
    assert found.status == LLCStatus.CONVERGED
    assert found.value == pytest.approx(1.5, abs=0.06) and abs(found.value - 1.5) <= 2 * found.error
    assert llc(Problem(LINEAR, "mse", ROWS, LABELS), RIDGE, nbeta=1e4).status == LLCStatus.NOT_AT_MINIMUM


@pytest.mark.slow
def test_a_penalty_of_ones_own_is_the_same_as_weight_decay():
    options = {"nbeta": NBETA, "localisation": GAMMA, "chains": Chains(count=4, draws=20, burn_in=20)}
    own = Problem(LINEAR, "mse", ROWS, LABELS, regulariser=lambda w: DECAY / 2 * (w**2).sum())
    assert llc(own, RIDGE, **options).value == pytest.approx(llc(DECAYED, RIDGE, **options).value, rel=1e-9)


def test_batches_see_the_penalty():
    """SGLD on batches of 6 of 12; 6 % for Monte Carlo, step and batches together."""
    problem = Problem(LINEAR, "mse", ROWS, ROWS @ np.ones(3), weight_decay=DECAY)
    hessian = np.linalg.eigvalsh(HESSIAN) + DECAY
    start = np.linalg.solve(HESSIAN + DECAY * np.eye(3), HESSIAN @ np.ones(3))
    chains = Chains(count=32, draws=400, burn_in=200, ladder=False)
    found = llc(problem, start, sampler=SGLD(step_size=0.01, batch_size=6), nbeta=5.0, localisation=1.0, chains=chains)
    assert found.value == pytest.approx(localised_learning_coefficient(hessian, 5.0, 1.0), rel=0.1)


@pytest.mark.slow
def test_influences_are_of_the_examples_and_not_of_the_penalty():
    """``Cov(ℓ_i, ℓ_j)`` under the posterior of loss and penalty, by the closed form for squares of Gaussians.

    The inputs are small, so that the penalty varies more than the losses do.
    """
    rows, decay = ROWS / 10, 2.0
    curvature = 2 / 12 * rows.T @ rows + decay * np.eye(3)
    best = np.linalg.solve(curvature, 2 / 12 * rows.T @ LABELS)
    problem = Problem(LINEAR, "mse", rows, LABELS, weight_decay=decay)
    found = loss_kernel(problem, best, nbeta=5.0, localisation=GAMMA, precision=0.005)
    sigma = np.linalg.inv(5.0 * curvature + GAMMA * np.eye(3))
    residuals, overlap = LABELS - rows @ best, rows @ sigma @ rows.T
    exact = 2 * overlap**2 + 4 * np.outer(residuals, residuals) * overlap
    assert np.abs(found.value - exact).max() < 0.05 * exact.diagonal().max()


@pytest.mark.slow
def test_susceptibilities_are_of_the_loss_without_the_penalty():
    """The default observable is the excess of the mean loss over that at the point."""
    least = ((ROWS @ RIDGE - LABELS) ** 2).mean()
    options = {"groups": {"two": np.array([True, True, False])}, "nbeta": NBETA, "localisation": GAMMA}
    options["chains"] = Chains(count=8, draws=50, burn_in=50)
    found = susceptibilities(DECAYED, RIDGE, **options)
    observed = susceptibilities(
        DECAYED, RIDGE, observable=lambda w: ((ROWS @ w - LABELS) ** 2).mean() - least, **options
    )
    np.testing.assert_allclose(found.value, observed.value, rtol=1e-6, atol=1e-9 * np.abs(found.value).max())


@pytest.mark.slow
def test_weights_are_as_examples_given_again():
    """Weights 1, 2, …: the same posterior as of data in which example i stands as often."""
    times = np.arange(1, 13) % 3
    often = np.repeat(np.arange(12), times)
    weighted = Problem(LINEAR, "mse", ROWS, LABELS, weights=times)
    repeated = Problem(LINEAR, "mse", ROWS[often], LABELS[often])
    best = np.linalg.lstsq(ROWS[often], LABELS[often], rcond=None)[0]
    options = {"nbeta": NBETA, "localisation": GAMMA, "chains": Chains(count=4, draws=20, burn_in=20)}
    one, other = llc(weighted, best, **options), llc(repeated, best, **options)
    assert one.stats["loss"] == pytest.approx(other.stats["loss"], rel=1e-12)
    assert one.stats["top_eigenvalue"] == pytest.approx(other.stats["top_eigenvalue"], rel=1e-6)
    part = refined_llc(weighted, best, subsets={"few": [1, 3]}, **options)["all", "few"]
    losses = times[[1, 3]] * (ROWS @ best - LABELS)[[1, 3]] ** 2
    assert part.stats["loss"] == pytest.approx(losses.sum() / times[[1, 3]].sum(), rel=1e-12)


@pytest.mark.slow
def test_ignored_labels_do_not_count_and_tensors_are_taken():
    network = Network(lambda key: {"w": jax.random.normal(key, (2, 3))}, lambda params, x: x @ params["w"])
    inputs = GENERATOR.normal(size=(6, 2))
    labels = np.array([0, 1, 2, -100, 1, -100])
    params = network.init(jax.random.key(0))
    options = {
        "nbeta": 10.0,
        "localisation": 1.0,
        "chains": Chains(count=2, draws=4, burn_in=0, ladder=False, metric="none"),
    }
    kept = labels >= 0
    ignoring = llc(Problem(network, "cross_entropy", inputs, labels, ignore=-100), params, **options)
    without = llc(Problem(network, "cross_entropy", inputs[kept], labels[kept]), params, **options)
    assert ignoring.stats["loss"] == pytest.approx(without.stats["loss"], rel=1e-6)
    tensors = Problem(network, torch.nn.CrossEntropyLoss(), torch.tensor(inputs[kept]), torch.tensor(labels[kept]))
    moved = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf), requires_grad=True), params)
    assert llc(tensors, moved, **options).value == without.value


def test_a_problem_leaves_constants_of_a_network_in_double_precision():
    """JAX keeps the NumPy arrays of a trace in its precision; what is traced in single must be forgotten."""
    scale = np.sqrt([2.0, 3.0, 5.0])
    network = Network(lambda key: np.zeros(3), lambda w, x: x @ (scale * w)[:, None])
    Problem(network, "mse", np.eye(3), np.zeros(3)).point(np.ones(3))
    with float64():
        found = jax.jit(network.apply)(np.ones(3), np.eye(3))
    np.testing.assert_allclose(np.asarray(found)[:, 0], scale, rtol=1e-15)


SHORT = {"chains": Chains(count=4, draws=4, burn_in=0)}
MEASURES = {
    "sample": lambda problem, w: sample(problem, w, **SHORT),
    "llc": lambda problem, w: llc(problem, w, **SHORT),
    "llc_curve": lambda problem, w: llc_curve(problem, w[None], **SHORT),
    "refined_llc": lambda problem, w: refined_llc(problem, w, **SHORT),
    "bayesian_influence": lambda problem, w: bayesian_influence(problem, w, **SHORT),
    "loss_kernel": lambda problem, w: loss_kernel(problem, w, **SHORT),
    "susceptibilities": lambda problem, w: susceptibilities(problem, w, groups={"a": True}, **SHORT),
    "weight_covariance": lambda problem, w: weight_covariance(problem, w, **SHORT),
}
SCORES = Network(lambda key: np.zeros(2), lambda w, x: x * w, name="scores")


def on_queries(labels):
    def measure():
        problem = Problem(SCORES, "cross_entropy", np.ones((4, 2)), [0, 1, 0, 1])
        bayesian_influence(problem, np.zeros(2), queries=(np.ones((4, 2)), labels), **SHORT)

    return measure


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 1, -1, 0], "example 2 has label -1"),
        ([0, 1, 2, 0], "example 2 has label 2"),
        ([0, 1, -100, 0], "ignore=-100"),
        ([0, 1, 1.5, 0], "no whole number"),
        ([0, 1, np.nan, 0], "NaN"),
    ],
)
def test_labels_that_cannot_be_are_refused_before_any_chain(labels, said):
    with pytest.raises(InputError, match=said):
        Problem(SCORES, "cross_entropy", np.ones((4, 2)), labels)
    with pytest.raises(InputError, match=f"queries: .*{said}"):
        on_queries(labels)()


def test_integer_classes_for_one_output_are_refused_at_once():
    with pytest.raises(InputError):
        Problem(
            Network(lambda key: np.zeros(1), lambda w, x: x @ w[:, None]),
            "cross_entropy",
            np.ones((4, 1)),
            [0, 1, 0, 1],
        )


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize(
    ("point", "said"), [(np.array([0.0, np.nan]), "NaN"), (np.zeros(5), "cannot be applied"), (np.zeros(2, int), "int")]
)
def test_a_point_of_something_else_is_refused_by_every_measure(name, point, said):
    problem = Problem(SCORES, "mse", np.ones((4, 2)), np.zeros((4, 2)))
    with pytest.raises(InputError, match=said):
        MEASURES[name](problem, point)
