"""λ and m read from volumes that are known in closed form."""

import numpy as np
import pytest

from allroads.points.volume.asymptotics import read

CUTOFFS = np.exp(-np.linspace(7, 23, 24))
DEPTHS = -np.log(CUTOFFS)
VOLUMES = {
    # Π w² ≤ ε in the unit cube: √ε times a polynomial in the depth
    "one": (np.log(np.exp(-DEPTHS / 2)), 0.5, 1),
    "two": (-DEPTHS / 2 + np.log(1 + DEPTHS / 2), 0.5, 2),
    "three": (-DEPTHS / 2 + np.log(1 + DEPTHS / 2 + DEPTHS**2 / 8), 0.5, 3),
    # w0² w1⁴ ≤ ε there: two exponents, ¼ and ½
    "next exponent": (np.log(2 * np.exp(-DEPTHS / 4) - np.exp(-DEPTHS / 2)), 0.25, 1),
}


def replicas(log_masses, deviation, seed):
    """Eight noisy copies, whose increments are independent, and their variances as splitting states them."""
    noise = np.random.default_rng(seed).standard_normal((8, log_masses.size)) * deviation
    return log_masses + noise.cumsum(1), deviation**2 * np.arange(1, log_masses.size + 1)


@pytest.mark.parametrize("name", VOLUMES)
def test_exponent_at_known_multiplicity(name, seed):
    log_masses, exponent, multiplicity = VOLUMES[name]
    found = read(CUTOFFS, *replicas(log_masses, 0.02, seed), (multiplicity,))
    assert found.value == pytest.approx(exponent, abs=0.02)
    assert abs(found.value - exponent) < 2 * found.error < 0.1
    assert found.multiplicity == multiplicity and found.weights == {multiplicity: 1.0}


@pytest.mark.parametrize("name", VOLUMES)
def test_unknown_multiplicity_is_not_made_up(name, seed):
    log_masses, exponent, multiplicity = VOLUMES[name]
    found = read(CUTOFFS, *replicas(log_masses, 0.02, seed), (1, 2, 3))
    assert found.multiplicity in (None, multiplicity)
    assert sum(found.weights.values()) == pytest.approx(1) and found.weights[multiplicity] > 0.1
    assert abs(found.value - exponent) < 0.1
    assert abs(found.value - exponent) < 2 * found.error


def test_multiplicity_is_resolved_where_the_volumes_resolve_it(seed):
    depths = np.linspace(7, 60, 40)
    log_masses = -depths / 2 + np.log(1 + depths / 2)
    found = read(np.exp(-depths), *replicas(log_masses, 2e-3, seed), (1, 2, 3))
    assert found.multiplicity == 2 and found.weights[2] > 0.95
    assert found.value == pytest.approx(0.5, abs=5e-3)


def test_largest_levels_that_do_not_follow_are_left_out(seed):
    log_masses, exponent, _ = VOLUMES["two"]
    saturated = np.maximum(log_masses, 0) + np.where(DEPTHS < 9, 0.8 * (9 - DEPTHS), 0.0) + log_masses
    found = read(CUTOFFS, *replicas(saturated, 0.01, seed), (2,))
    assert found.start >= 2
    assert found.value == pytest.approx(exponent, abs=0.02)


def test_error_covers_what_is_not_unlikely(seed):
    log_masses, _, _ = VOLUMES["three"]
    found = read(CUTOFFS, *replicas(log_masses, 0.05, seed), (1, 2, 3))
    for _, exponent, weight in found.hypotheses:
        if weight >= 0.05:
            assert abs(exponent.value - found.value) <= found.error


def test_two_levels_with_the_same_particles_below_count_once():
    """A last cutoff just below the level before, as splitting meets it: an increment of no mass and no variance."""
    masses, variances = replicas(VOLUMES["two"][0], 0.01, 0)
    once = read(CUTOFFS, masses, variances, (2,))
    again = np.concatenate([masses[:, :-1], masses[:, -1:], masses[:, -1:]], axis=1)
    cutoffs = np.append(CUTOFFS[:-1], [CUTOFFS[-1] * 1.0001, CUTOFFS[-1]])
    twice = read(cutoffs, again, np.append(variances, variances[-1]), (2,))
    assert (twice.value, twice.error) == (once.value, once.error)
