"""Chains in single precision where it changes nothing, in double where it would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, Problem, llc
from allroads.pfmap.precision import float64
from allroads.points.sampling import Chains
from allroads.points.sampling.free_parameters import free_parameters
from allroads.points.sampling.geometry import measure_local_geometry
from allroads.points.sampling.plan import MANY
from allroads.points.sampling.single import in_single_precision

CURVATURES = np.geomspace(0.1, 10.0, MANY + 1, dtype=np.float32)
SHORT = {"nbeta": 10.0, "localisation": 1.0, "progress": False}


def bowl(height=0.0):
    """``height + ½ Σ h_i w_i²``, on two examples that see one half of it each."""
    network = Network(lambda key: jnp.zeros(len(CURVATURES)), lambda w, x: x * (w**2 * CURVATURES / 2).sum() + height)
    return Problem(network, lambda outputs, labels: outputs[:, 0] - labels[:, 0], np.ones((2, 1)), np.zeros((2, 1)))


def rounding(problem, nbeta):
    with float64():
        leaves = [np.zeros((1, len(CURVATURES)))]
        free = free_parameters(leaves[0][0])
        geometry = measure_local_geometry(
            problem.objective, free, leaves, problem.data, rotated=True, seed=0, quick=True
        )
        return in_single_precision(problem, free, geometry, np.array([nbeta]), np.ones(1), seed=0)


def test_a_large_network_runs_in_single_precision_and_finds_the_closed_form(seed):
    found = llc(bowl(), np.zeros(len(CURVATURES)), chains=Chains(count=4, draws=24, ladder=False), seed=seed, **SHORT)
    exact = (10 * CURVATURES / (10 * CURVATURES + 1)).sum() / 2
    assert found.stats["precision"] == "float32"
    assert found.value == pytest.approx(exact, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("height", "chains"), [(1e4, {}), (0.0, {"dtype": "float64"})])
def test_a_loss_that_is_rounded_or_a_wish_keeps_double_precision(height, chains):
    chains = Chains(count=4, draws=4, burn_in=0, ladder=False, **chains)
    found = llc(bowl(height), np.zeros(len(CURVATURES)), chains=chains, **SHORT)
    assert found.stats["precision"] == "float64"


def test_the_error_is_that_of_the_loss_at_the_point_at_least():
    """Eight units of 2⁻²³ of nβL* = 10⁵; at L* = 0 sums of a thousand numbers are good to six digits."""
    assert 0.09 < rounding(bowl(1e4), 10.0)[1][0] < 1.0
    single, error = rounding(bowl(), 10.0)
    assert error[0] < 1e-5
    assert {leaf.dtype.name for leaf in jax.tree.leaves((single.leaves, single.baseline, single.metric))} == {"float32"}


@pytest.mark.slow
def test_a_network_that_closes_over_doubles_of_numpy_stays_in_double_precision():
    doubles = np.asarray(CURVATURES, np.float64)
    network = Network(lambda key: jnp.zeros(len(doubles)), lambda w, x: x * (w**2 * doubles / 2).sum())
    chains = Chains(count=4, draws=4, burn_in=0, ladder=False)
    problem = Problem(network, "mse", np.ones((2, 1)), np.zeros((2, 1)))
    assert llc(problem, np.zeros(len(doubles)), chains=chains, **SHORT).stats["precision"] == "float64"
