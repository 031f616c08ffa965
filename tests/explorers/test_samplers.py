"""Samplers as explorers: a population at equilibrium has the variance of the posterior."""

from __future__ import annotations

import numpy as np
import pytest

from allroads import InputError, Network, Problem, explore
from allroads.explorers.build import build_explorer
from allroads.explorers.recording import Recording

H = np.array([1.0, 4.0])
NBETA, GAMMA = 25.0, 5.0


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("hmc", {"step_size": 0.08, "steps": 12}, 0.15),
        ("mala", {"step_size": 0.15, "steps": 20}, 0.15),
        ("sgld", {"step_size": 0.001, "steps": 40}, 0.15),
        ("sgld", {"step_size": 0.001, "steps": 40, "batch_size": 2}, 0.15),
        ("rmsprop_sgld", {"step_size": 0.01, "steps": 40}, 0.3),
        ("sgnht", {"step_size": 0.01, "steps": 60}, 0.2),
        ("mclmc", {"step_size": 0.02, "steps": 60}, 0.3),
    ],
)
def test_the_variance_is_that_of_the_posterior(kind, options, tolerance, seed):
    """``1/(nβ h + γ)`` on ``½ Σ h w²``; 512 members, so 6 % of sampling error a variance."""
    network = Network(lambda key: np.zeros(2, np.float32), lambda w, x: x * 0 + w)
    loss = lambda outputs, labels: (H * outputs**2).sum(1) / 2  # noqa: E731
    explorer = build_explorer(kind, nbeta=NBETA, localisation=GAMMA, **options)
    problem = Problem(network, loss, np.ones((4, 2)), np.zeros((4, 2)))
    run = explore(problem, explorer, 512, steps=30, record=Recording(records=2), seed=seed)
    assert np.asarray(run.ends()).var(0) == pytest.approx(1 / (NBETA * H + GAMMA), rel=tolerance)
    per_step = 2 if kind == "mclmc" else 1  # the integrator of McLachlan evaluates two
    assert (run.cost.gradients == 30 * options["steps"] * per_step).all()


def test_what_a_sampler_cannot_take_is_named():
    with pytest.raises(InputError, match="nbeta is missing"):
        build_explorer("hmc")
    with pytest.raises(InputError, match="needs the loss of all examples"):
        build_explorer("mala", nbeta=1.0, batch_size=4)
    with pytest.raises(InputError, match="steps"):
        build_explorer("hmc", nbeta=1.0, steps=0)
    with pytest.raises(InputError, match="step_size"):
        build_explorer("sgld", nbeta=1.0, step_size=-1.0)
