"""Volumes against closed forms: balls, ellipsoids, normal crossings, wells, independent bits."""

import functools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from flat_calls import function_log_probability, local_volume, volume_scaling
from scipy.optimize import brentq
from scipy.special import gammainc, gammaln
from scipy.stats import ncx2

from allroads import Network
from allroads.errors import InputError, UnknownNameError
from allroads.points.volume import Box, Gaussian
from allroads.points.zoo import normal_crossings, quadratic, sum_of_powers
from allroads.status import VolumeStatus

SMALL = {"particles": 1024, "replicas": 8, "sweeps": 20}
ONE = np.ones((1, 1))


def given(truth):
    return truth.network, truth.params, truth.loss, truth.inputs, truth.labels


def log_ellipsoid(curvatures, cutoff):
    """Log-volume of ``½ Σ h w² ≤ ε``."""
    d = len(curvatures)
    return 0.5 * d * math.log(2 * math.pi * cutoff) - gammaln(d / 2 + 1) - 0.5 * np.log(curvatures).sum()


def agrees(found, truth, particles=SMALL["particles"]):
    """Within six times the error of splitting if its particles, of all replicas, were independent.

    Each halving then adds a variance of 1/N. The factor, fixed beforehand, leaves room for particles that are not. The
    stated error, of 95 %, must hold the truth when doubled.
    """
    halvings = abs(truth) / math.log(2)
    assert abs(found.value - truth) < 6 * math.sqrt(halvings / particles)
    assert abs(found.value - truth) < 2 * found.error


@pytest.mark.parametrize("scope", ["basin", "everywhere"])
def test_splitting_of_an_ellipsoid(scope, seed):
    curvatures = (400.0, 1.0, 0.25)
    truth = quadratic(curvatures, examples=3)
    found = local_volume(*given(truth), cutoff=1e-3, measure=Box(1.0), scope=scope, seed=seed, **SMALL)
    exact = log_ellipsoid(curvatures, 1e-3)
    agrees(found, exact - 3 * math.log(2))
    assert found.log_volume == pytest.approx(found.value + 3 * math.log(2), abs=1e-12)
    assert found.status == VolumeStatus.OK and found.cutoffs[-1] == 1e-3
    again = local_volume(*given(truth), cutoff=1e-3, measure=Box(1.0), scope=scope, seed=seed, **SMALL)
    assert again.value == found.value
    other = local_volume(*given(truth), cutoff=1e-3, measure=Box(1.0), scope=scope, seed=seed + 1, **SMALL)
    assert other.value != found.value


@pytest.mark.slow
def test_splitting_of_an_ellipsoid_with_a_thousandfold_range_of_axes(seed):
    curvatures = np.logspace(-3, 3, 6)
    truth = quadratic(curvatures, examples=6)
    found = local_volume(*given(truth), cutoff=1e-4, measure=Box(1.0), particles=512, seed=seed)
    agrees(found, log_ellipsoid(curvatures, 1e-4) - 6 * math.log(2), particles=512)
    assert found.status == VolumeStatus.OK


def test_volumes_of_normal_crossings_at_all_levels(seed):
    truth = normal_crossings((1, 1, 1), examples=2)
    found = local_volume(*given(truth), cutoff=1e-6, measure=Box(1.0), scope="everywhere", seed=seed, **SMALL)
    depth = -0.5 * np.log(found.cutoffs[found.cutoffs < 1])
    exact = -depth + np.log(1 + depth + depth**2 / 2)
    assert len(exact) > 4
    np.testing.assert_allclose(found.log_masses[found.cutoffs < 1], exact, atol=0.2)


@functools.cache
def plane(dimension):
    """Excess ``½ |w − w*|²``, for a network of which w are the outputs."""
    return Network(lambda key: jnp.zeros(dimension), lambda w, x: x * w)


def half_square(outputs, labels):
    return 0.5 * ((outputs - labels) ** 2).sum(-1)


def spherical(point, **options):
    return local_volume(plane(point.size), point, half_square, ONE, point[None], **options)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ray", "splitting"])
def test_normal_mass_of_a_ball_around_the_centre_and_off_it(method, seed):
    sigma, cutoff = 0.7, 0.02
    if method == "ray":
        found = spherical(np.zeros(5), cutoff=cutoff, measure=Gaussian(sigma), method=method)
        assert found.value == pytest.approx(math.log(gammainc(2.5, cutoff / sigma**2)), abs=1e-9)
    point = np.array([0.3, -0.5, 0.1, 0.0, 0.4])
    measure = Gaussian(sigma, centre="zero")
    found = spherical(point, cutoff=cutoff, measure=measure, method=method, seed=seed, **SMALL)
    exact = ncx2.logcdf(2 * cutoff / sigma**2, 5, (point**2).sum() / sigma**2)
    agrees(found, exact)


def test_rays_weigh_with_a_normal_measure_in_high_dimension():
    # ε reaches past the typical set, so the radial integral has its peak inside.
    found = spherical(np.zeros(400), cutoff=220.0, method="ray", rays=10)
    assert found.value == pytest.approx(math.log(gammainc(200, 220.0)), abs=1e-9)
    far = spherical(np.zeros(400), cutoff=1.0, method="ray", rays=10)
    exact = log_ellipsoid(np.ones(400), 1.0) - 200 * math.log(2 * math.pi)
    assert exact - 1.0 < far.value < exact and far.log_volume is None  # the density falls by e⁻¹ inside


@pytest.mark.parametrize("form", ["diagonal", "pytree", "matrix"])
def test_exactly_preconditioned_rays_of_a_stretched_ellipsoid(form):
    d = 1000 if form != "matrix" else 50
    curvatures = np.logspace(-3, 3, d)
    axes = np.sqrt(2e-4 / curvatures)
    truth = quadratic(curvatures, examples=d)
    matrix = np.diag(axes) if form == "matrix" else axes
    found = local_volume(*given(truth), cutoff=1e-4, measure=Box(1.0), method="ray", rays=20, preconditioner=matrix)
    assert found.log_volume == pytest.approx(log_ellipsoid(curvatures, 1e-4), abs=1e-6)
    assert found.status == VolumeStatus.OK and found.error < 1e-6


def test_rays_preconditioned_by_the_hessian(seed):
    curvatures = np.logspace(-2, 3, 30)
    truth = quadratic(curvatures, examples=30)
    options = {"measure": Box(3.0), "method": "ray", "rays": 400, "preconditioner": "hessian", "seed": seed}
    found = local_volume(*given(truth), cutoff=1e-4, **options)
    assert found.log_volume == pytest.approx(log_ellipsoid(curvatures, 1e-4), abs=0.1)
    assert found.status == VolumeStatus.OK


def test_plain_rays_of_a_stretched_ellipsoid_are_called_a_lower_bound(seed):
    curvatures = np.logspace(-3, 3, 100)
    truth = quadratic(curvatures, examples=100)
    found = local_volume(*given(truth), cutoff=1e-4, measure=Box(1.0), method="ray", rays=200, seed=seed)
    assert found.log_volume < log_ellipsoid(curvatures, 1e-4) - 100
    assert found.status == VolumeStatus.LOWER_BOUND
    assert found.status.remedy and found.stats["effective_rays"] < 20


def test_rays_end_at_the_wall_of_the_box_and_at_the_first_exit(seed):
    everything = spherical(np.zeros(2), cutoff=100.0, measure=Box(1.0), method="ray", rays=4000, seed=seed)
    assert everything.value == pytest.approx(0.0, abs=0.02)
    # (w² − 1)² ≤ ¼ from w = 1: up to √1.5 and down to √½; the other well is behind the first exit.
    found = local_volume(*well(), cutoff=0.25, measure=Box(3.0), method="ray", rays=4000, seed=seed)
    assert math.exp(found.log_volume) == pytest.approx(math.sqrt(1.5) - math.sqrt(0.5), rel=0.02)


def well():
    network = Network(lambda key: jnp.ones(1), lambda w, x: x * (w**2 - 1))
    return network, np.ones(1), "mse", ONE, np.zeros((1, 1))


@pytest.mark.slow
def test_one_basin_is_half_of_two(seed):
    width = math.sqrt(1.5) - math.sqrt(0.5)
    for scope, wells in (("basin", 1), ("everywhere", 2)):
        measure = Box(3.0, centre="zero")
        found = local_volume(*well(), cutoff=0.25, measure=measure, scope=scope, seed=seed, **SMALL)
        agrees(found, math.log(wells * width / 6))


def test_divergence_from_a_coin(seed):
    logit, cutoff = 0.8, 0.01
    p = 1 / (1 + math.exp(-logit))

    def excess(other):
        return p * (math.log1p(math.exp(-other)) - math.log1p(math.exp(-logit))) + (1 - p) * (
            math.log1p(math.exp(other)) - math.log1p(math.exp(logit))
        )

    width = brentq(lambda w: excess(w) - cutoff, logit, 3) - brentq(lambda w: excess(w) - cutoff, -2, logit)
    network = plane(1)
    # the labels do not matter to the divergence, even where the point is no minimum of the loss
    for label in (0, 1):
        found = local_volume(
            network,
            np.array([logit]),
            "bce",
            ONE,
            np.array([label]),
            cutoff=cutoff,
            kind="kl",
            method="ray",
            measure=Box(2.0),
            rays=2000,
            seed=seed,
        )
        assert math.exp(found.log_volume) == pytest.approx(width, rel=0.01)
    two = Network(lambda key: jnp.zeros(1), lambda w, x: jnp.concatenate([0 * x, x * w], axis=1))
    same = local_volume(
        two,
        np.array([logit]),
        "cross_entropy",
        ONE,
        np.array([1]),
        cutoff=cutoff,
        kind="kl",
        method="ray",
        measure=Box(2.0),
        rays=2000,
        seed=seed,
    )
    assert same.value == pytest.approx(found.value, abs=1e-9)


@pytest.mark.slow
def test_functions_of_independent_outputs_have_probability_two_to_the_minus_n(seed):
    network = Network(lambda key: jnp.zeros(8), lambda w, x: (x @ w)[:, None])
    found = function_log_probability(network, np.eye(8), np.array([0, 1, 1, 0, 1, 0, 0, 0]), seed=seed)
    agrees(found, -8 * math.log(2), particles=4096)
    assert found.status == VolumeStatus.OK
    classes = Network(lambda key: jnp.zeros((3, 4)), lambda w, x: x @ w)
    found = function_log_probability(classes, np.eye(3), np.array([2, 0, 3]), loss="cross_entropy", seed=seed)
    agrees(found, -3 * math.log(4), particles=4096)


@pytest.mark.slow
def test_a_function_out_of_reach_is_not_equilibrated(seed):
    line = Network(lambda key: jnp.zeros(3), lambda w, x: (x @ w[:2] + w[2])[:, None])
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * 1.0
    found = function_log_probability(line, corners, np.array([0, 1, 1, 0]), particles=512, sweeps=5, seed=seed)
    assert found.status == VolumeStatus.NOT_EQUILIBRATED
    assert not math.isnan(found.value)


@pytest.mark.slow
def test_dead_units_do_not_count_as_right(seed):
    # relu(w) is 0 half of the time: then the answer is 0, and never 1.
    relu = Network(lambda key: jnp.zeros(1), lambda w, x: jnp.maximum(x * w, 0))
    for label in (0, 1):
        found = function_log_probability(relu, ONE, np.array([label]), seed=seed, **SMALL)
        agrees(found, math.log(0.5))


SCALED = [
    (lambda: normal_crossings((1, 1), examples=2), 2, 0.05),
    (lambda: normal_crossings((1, 1, 1), examples=2), 3, 0.07),
    (lambda: normal_crossings((1, 2), prior_powers=(0, 1), examples=2), 2, 0.05),
    (lambda: sum_of_powers((2, 1), examples=2), 1, 0.05),
    (lambda: quadratic((4.0, 1.0, 0.25, 0.0), examples=4), 1, 0.05),
]


@pytest.mark.slow
@pytest.mark.parametrize(("build", "multiplicity", "within"), SCALED, ids=["pair", "triple", "prior", "powers", "flat"])
def test_exponent_of_shrinking_volumes(build, multiplicity, within, seed):
    truth = build()
    found = volume_scaling(
        *given(truth), multiplicity=multiplicity, measure=Box(1.0), log_prior=truth.log_prior, seed=seed, **SMALL
    )
    assert found.value == pytest.approx(truth.learning_coefficient, abs=within)
    assert abs(found.value - truth.learning_coefficient) < 2 * found.error
    assert found.multiplicity == multiplicity and found.status == VolumeStatus.OK


def test_multiplicity_is_selected_or_its_doubt_is_in_the_error(seed):
    truth = normal_crossings((1, 1, 1), examples=2)
    options = {"measure": Box(1.0), "particles": 1024, "sweeps": 20, "seed": seed}
    found = volume_scaling(*given(truth), **options)
    assert found.multiplicity in (None, 3)
    assert set(found.stats["weights"]) == {1, 2, 3} and found.stats["weights"][3] > 0.1
    assert abs(found.value - 0.5) < 2 * found.error
    with_one = volume_scaling(*given(truth), multiplicity=1, **options)
    assert with_one.value < 0.42  # forgetting m is not harmless


@pytest.mark.slow
def test_a_point_that_is_not_a_minimum_is_noticed(seed):
    network = Network(lambda key: jnp.ones(2), lambda w, x: x * w)
    found = volume_scaling(
        network,
        np.full(2, 0.02),
        "mse",
        ONE,
        np.zeros((1, 2)),
        cutoffs=(1e-1, 1e-4),
        multiplicity=1,
        measure=Box(1.0),
        particles=512,
        seed=seed,
    )
    assert found.status == VolumeStatus.NOT_AT_MINIMUM


DISC = (plane(2), np.zeros(2), "mse", ONE, np.zeros((1, 2)))


def with_params(params, **changes):
    network, _, loss, inputs, labels = DISC
    return lambda: local_volume(network, params, loss, inputs, labels, **({"cutoff": 0.1} | changes))


REFUSED = {
    "cutoff of zero": (with_params(np.zeros(2), cutoff=0.0), "cutoff: expected a positive number"),
    "cutoff that is no number": (with_params(np.zeros(2), cutoff=math.nan), "cutoff: expected a positive number"),
    "cutoff in the rounding": (with_params(np.full(2, 1e3), cutoff=1e-11), "rounding error"),
    "loss that is not finite": (with_params(np.full(2, 1e200)), "the loss at the point is inf"),
    "parameters that are not finite": (with_params(np.array([0.0, np.nan])), "params holds NaN"),
    "whole numbers": (with_params(np.array([0, 1])), "not a floating-point"),
    "no parameters": (with_params(()), "no array in it"),
    "divergence of no probabilities": (with_params(np.zeros(2), kind="kl"), "class scores"),
    "kind": (with_params(np.zeros(2), kind="mse"), "unknown kind"),
    "method": (with_params(np.zeros(2), method=7), "method: expected Splitting"),
    "scope": (with_params(np.zeros(2), scope="basins"), "did you mean 'basin'"),
    "one ray": (with_params(np.zeros(2), method="ray", rays=1), "rays: expected"),
    "shape of a measure": (with_params(np.zeros(2), preconditioner="hessian", scope="everywhere"), "takes none"),
    "preconditioner's name": (with_params(np.zeros(2), method="ray", preconditioner="hess"), "did you mean 'hessian'"),
    "preconditioner's shape": (with_params(np.zeros(2), method="ray", preconditioner=np.ones(3)), "got shape"),
    "singular preconditioner": (with_params(np.zeros(2), method="ray", preconditioner=np.zeros(2)), "preconditioner"),
    "measure": (with_params(np.zeros(2), measure=1.0), "measure: expected"),
    "outside of the box": (with_params(np.full(2, 2.0), measure=Box(1.0, centre="zero")), "outside of"),
    "sigma": (lambda: Gaussian(0.0), "sigma: expected"),
    "centre": (lambda: Box(1.0, centre="middle"), "centre: expected"),
    "particles": (with_params(np.zeros(2), particles=20), "at least 16 particles"),
    "sweeps": (with_params(np.zeros(2), sweeps=0), "sweeps: expected"),
    "order of cutoffs": (lambda: volume_scaling(*DISC, cutoffs=(1e-6, 1e-2)), "larger one first"),
    "multiplicity": (lambda: volume_scaling(*DISC, multiplicity=0), "multiplicity: expected"),
    "loss without answers": (lambda: function_log_probability(plane(1), ONE, ONE[0], loss="mse"), "class scores"),
    "labels": (lambda: function_log_probability(plane(1), ONE, np.array([0.5])), "labels: expected"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_by_name(name):
    call, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        call()


def test_unknown_names_carry_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        with_params(np.zeros(2), scope="basins")()
    assert caught.value.known == ["basin", "everywhere"] and caught.value.nearest == "basin"


def test_a_constant_loss_has_no_basin():
    constant = Network(lambda key: jnp.zeros(2), lambda w, x: x * 0)
    for method in ("ray", "splitting"):
        with pytest.raises(InputError, match="constant"):
            local_volume(constant, np.zeros(2), "mse", ONE, ONE, cutoff=0.1, method=method)
