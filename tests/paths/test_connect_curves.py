"""Curves between two points of landscapes whose low roads are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spelled_out import barrier_of, connection_of

from allroads import InputError, Network, float64
from allroads.paths.connect.band import band
from allroads.paths.connect.layout import layout_of
from allroads.paths.connect.method import CurveObjective, Fixed
from allroads.pfmap.objective import Examples, Objective
from allroads.status import PathStatus

ONE = (jnp.ones((1, 1)), jnp.ones((1, 1)))
RING = Network(lambda key: jnp.ones(2), lambda w, x: x * (w**2).sum())
PASS = 1.5
TILT = 0.3


def landscape(height):
    """A network whose only output is a loss."""
    return Network(lambda key: jnp.ones(2), lambda w, x: 0 * x + height(w))


def itself(outputs, labels):
    return outputs[:, 0]


WELLS = landscape(lambda w: (w[0] ** 2 - 1) ** 2 + (w[1] - PASS * (1 - w[0] ** 2)) ** 2)
TILTED = landscape(lambda w: (w[0] ** 2 - 1) ** 2 + TILT * w[0] + 5 * (w[1] - PASS * (1 - w[0] ** 2)) ** 2)


def ends(dtype=None):
    return jnp.array([-1.0, 0.0], dtype), jnp.array([1.0, 0.0], dtype)


def on_ring(**options):
    with float64():
        return connection_of(RING, *ends(), "mse", *ONE, **options)


@pytest.fixture(scope="module")
def ring_band():
    return on_ring(method="neb")


def test_a_quadratic_on_the_circle_comes_near_what_a_quadratic_can_do(seed):
    # With its free point at (0, c), |γ|² − 1 = s (s c²/4 − 1) with s = 4t(1 − t): its extremes c²/4 − 1 and −1/c² are
    # equal at c² = 2 + 2√2, and no quadratic has a lower top than (2 + 2√2)⁻².
    found, best = on_ring(seed=seed), (2 + 2 * np.sqrt(2)) ** -2.0
    assert found.straight.height == pytest.approx(1.0, abs=1e-9)
    # What the noise of the random t leaves is 1.19 ± 0.04 times that.
    assert best - 1e-6 < found.height < 1.4 * best
    assert 2 < found.length < np.pi
    assert found.status == PathStatus.OK and found.kind == "bezier"


def test_more_free_points_follow_the_circle(seed):
    for options in ({"bends": 2}, {"method": "polygon", "bends": 7}, {"method": "geodesic"}):
        found = on_ring(seed=seed, **options)
        assert found.height < 1e-2, found.method
        assert found.length == pytest.approx(np.pi, rel=0.05), found.method
        assert found.distance == pytest.approx(2.0)


def test_a_short_curve_on_a_sphere_is_the_great_circle(seed):
    sphere, angle = Network(lambda key: jnp.ones(3), lambda w, x: x * (w**2).sum()), 2.0
    a, b = jnp.array([1.0, 0.0, 0.0]), jnp.array([np.cos(angle), np.sin(angle), 0.0])
    options = {"bends": 7, "steps": 1600, "seed": seed}
    with float64():
        found, plain = (connection_of(sphere, a, b, "mse", *ONE, method=m, **options) for m in ("short", "polygon"))
    assert found.height < 1e-3 * found.straight.height
    assert found.length == pytest.approx(angle, rel=0.005)
    assert plain.length > found.length  # nothing makes a polygon short that is on the sphere


def test_two_pieces_join_minima_of_linear_networks_and_are_nearly_straight_where_the_network_is_wide(seed):
    network, rng = Network(lambda key: None, lambda p, x: x @ p["in"] @ p["out"]), np.random.default_rng(seed)
    inputs, product = rng.normal(size=(64, 3)), rng.normal(size=(3, 2))

    def minimum(hidden):
        first = rng.normal(size=(3, hidden)) / np.sqrt(3)
        return {"in": jnp.asarray(first), "out": jnp.asarray(np.linalg.pinv(first) @ product)}

    def joined(hidden):
        options = {"method": "short", "batch_size": None, "steps": 1600, "seed": seed}
        with float64():
            found = connection_of(network, minimum(hidden), minimum(hidden), "mse", inputs, inputs @ product, **options)
        assert len(found.knots) == 3 and found.height < 3e-3 * found.straight.height
        return found.length / found.distance

    narrow, wide = joined(8), joined(100)
    assert 1 <= wide < 1.05 < narrow


def test_a_band_lies_on_the_circle_and_its_images_apart_as_its_knots_say(ring_band):
    assert ring_band.height < 1e-4 and ring_band.length == pytest.approx(np.pi, rel=0.01)
    control = np.asarray(ring_band.control)
    np.testing.assert_allclose(np.linalg.norm(control, axis=1), 1.0, atol=1e-3)
    pieces = np.linalg.norm(np.diff(control, axis=0), axis=1)
    np.testing.assert_allclose(pieces / pieces.sum(), np.diff(ring_band.knots), atol=1e-4)
    assert len(ring_band.knots) > 9  # images were put in


def test_images_are_pushed_across_the_band_alone():
    # On a band along the first coordinate the slope (1, 3) of a plane leaves (0, 3).
    plane = landscape(lambda w: w[0] + 3 * w[1])
    a, b = ends()
    problem = CurveObjective(Objective(plane, itself), layout_of(a, b, False, False), "polygon", 1, "outputs")
    points = jnp.stack([a, jnp.zeros(2), b])
    against = band(problem, 1).direction(
        points[1:2], Fixed(points[::2], jnp.array([0, 0.5, 1]), ()), Examples(*ONE), None
    )
    np.testing.assert_allclose(against, [[0.0, 3.0]], atol=1e-6)


def test_no_path_is_lower_than_the_pass_and_the_band_finds_it():
    # Every path from one well to the other has w₀ = 0 somewhere, where the loss is at least 1; at (0, 1.5) it is 1.
    with float64():
        band = connection_of(WELLS, *ends(), itself, *ONE, method="neb")
        curve = connection_of(WELLS, *ends(), itself, *ONE, method="polygon", bends=3)
    assert band.straight.height == pytest.approx(1 + PASS**2)
    assert 1 - 1e-3 < band.height < 1 + 1e-2
    assert curve.height > 1 - 1e-3


def test_a_tilted_pass_is_found_where_the_cubic_has_its_root():
    # Along the valley the loss is (w² − 1)² + τw, with its top where 4w³ − 4w + τ = 0.
    roots = np.roots([4.0, 0.0, -4.0, TILT])
    w = float(roots[np.abs(roots).argmin()].real)
    with float64():
        found = connection_of(TILTED, *ends(), itself, *ONE, method="neb", bends=15)
        top = found.params_at(found.ts[found.losses.argmax()])
    assert found.losses.max() == pytest.approx((w**2 - 1) ** 2 + TILT * w, abs=5e-3)
    np.testing.assert_allclose(top, [w, PASS * (1 - w**2)], atol=0.05)


@pytest.mark.parametrize("method", ["bezier", "neb"])
def test_a_scaling_symmetry_is_a_hyperbola_without_loss(method, seed):
    # w₀ w₁ = 1 from (¼, 4) to (4, ¼): no barrier, and no shorter than ∫ √(1 + u⁻⁴) du = 6.2994.
    us = np.linspace(0.25, 4, 200_001)
    arc = np.trapezoid(np.sqrt(1 + us**-4.0), us)
    product = Network(lambda key: jnp.ones(2), lambda w, x: x * w[0] * w[1])
    with float64():
        a, b = jnp.array([0.25, 4.0]), jnp.array([4.0, 0.25])
        options = {"bends": 3} if method == "bezier" else {}
        found = connection_of(product, a, b, "mse", *ONE, method=method, seed=seed, **options)
    assert found.straight.height > 10 and found.height < 1e-2
    assert found.length == pytest.approx(arc, rel=0.01)


def test_the_ends_stay_and_the_curve_is_read_where_it_is(ring_band):
    with float64():
        a, b = ends()
        np.testing.assert_array_equal(ring_band.params_at(0), a)
        np.testing.assert_array_equal(ring_band.params_at(1), b)
        path = ring_band.params_at([0.0, 0.3, 1.0])
        np.testing.assert_allclose(path[1], ring_band.params_at(0.3))
        losses = [(np.sum(np.square(ring_band.params_at(t))) - 1) ** 2 for t in ring_band.ts]
    np.testing.assert_allclose(ring_band.losses, losses, atol=1e-12)
    with pytest.raises(InputError, match="between 0 and 1"):
        ring_band.params_at(1.2)


def test_the_height_is_over_the_line_between_the_ends_on_each_data_set():
    line = Network(lambda key: jnp.ones(1), lambda w, x: x * jnp.sin(w))
    other = (jnp.full((2, 1), 2.0), jnp.zeros((2, 1)))
    with float64():
        a, b = jnp.array([0.3]), jnp.array([2.0])
        found = connection_of(line, a, b, "mse", jnp.ones((1, 1)), jnp.zeros((1, 1)), held_out=other, steps=8)
        points = np.array([float(found.params_at(t)[0]) for t in found.ts])
    for measured, scale in ((found.barrier, 1), (found.held_out, 4)):
        losses = scale * np.sin(points) ** 2
        np.testing.assert_allclose(measured.losses, losses, atol=1e-12)
        between = (1 - found.ts) * losses[0] + found.ts * losses[-1]
        assert measured.height == pytest.approx((losses - between).max()) and measured.errors is None
    assert found.held_out_height == pytest.approx(4 * found.height)


def test_the_top_is_not_missed_between_two_points_of_the_grid():
    bump = landscape(lambda w: jnp.exp(-(((w[0] - 0.123456) / 0.05) ** 2)))
    with float64():
        found = connection_of(bump, *ends(), itself, *ONE, method="polygon", steps=8, learning_rate=1e-9, points=41)
        coarse = barrier_of(bump, *ends(), itself, *ONE, points=41)
    assert found.straight.height == pytest.approx(1.0, abs=1e-3) and coarse.height < 0.95


def test_errors_are_counted_where_labels_are_classes():
    logit = Network(lambda key: jnp.ones(1), lambda w, x: x * w)
    inputs, labels = jnp.array([[1.0], [2.0], [-1.0], [-2.0]]), jnp.array([1, 1, 0, 1])
    found = connection_of(logit, -jnp.ones(1), jnp.ones(1), "bce", inputs, labels, steps=8)
    assert found.barrier.errors[0] == 0.75 and found.barrier.errors[-1] == 0.25
    straight = barrier_of(logit, -jnp.ones(1), jnp.ones(1), "bce", inputs, labels, points=3)
    # At 0 every logit is 0, which is no 1: three of four are wrong, ¼ above the mean of the ends.
    np.testing.assert_allclose(straight.errors, [0.75, 0.75, 0.25])
    assert straight.error_height == pytest.approx(0.25)
    assert barrier_of(logit, -jnp.ones(1), jnp.ones(1), "mse", inputs, labels[:, None]).errors is None


def test_equal_ends_are_degenerate_and_too_few_steps_are_told():
    with float64():
        same = connection_of(RING, ends()[0], ends()[0], "mse", *ONE, steps=8)
    assert same.status == PathStatus.DEGENERATE and same.length == 0.0 and same.height == pytest.approx(0, abs=1e-12)
    short = on_ring(method="neb", steps=16, insertions=0)
    assert short.status == PathStatus.NOT_CONVERGED and 0.1 < short.height < 1
    assert short.steps == 16 and short.gradients == 16 * 9
    slow = on_ring(learning_rate=1e-5)
    assert slow.status == PathStatus.NOT_CONVERGED and slow.height > 0.9


def test_a_loss_that_is_not_finite_on_the_way_is_a_status():
    wall = landscape(lambda w: jnp.sqrt(jnp.abs(w[0]) - 0.2))  # not a number within 0.2, nor its slope
    found = connection_of(wall, *ends(), itself, *ONE, steps=8)
    assert found.status == PathStatus.DIVERGED and found.height == np.inf
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found.control))
