import jax.numpy as jnp
import numpy as np
import pytest
from spelled_out import barrier_of

from allroads import InputError, Network, agreement, float64, inpca
from allroads.paths.agreement import answers
from allroads.paths.inpca import bhattacharyya
from allroads.status import PathStatus

RNG = np.random.default_rng(0)


def linear():
    return Network(lambda key: jnp.zeros((3, 2)), lambda w, x: x @ w)


def test_barrier_of_a_convex_problem_is_zero():
    x, y = RNG.normal(size=(10, 3)), RNG.normal(size=(10, 2))
    with float64():
        found = barrier_of(linear(), RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2)), "mse", x, y)
    assert found.height == pytest.approx(0.0, abs=1e-12) and found.status == PathStatus.OK
    assert (found.losses <= (1 - found.ts) * found.losses[0] + found.ts * found.losses[-1] + 1e-12).all()


def test_barrier_between_swapped_hidden_units_has_its_closed_form():
    # f = Σ_i v_i w_i x with (v, w) = ((2, 0), (2, 0)) against its swap: half way both are 1, so f = 2 instead of 4.
    network = Network(lambda key: None, lambda p, x: x * (p["v"] * p["w"]).sum())
    a = {"v": jnp.array([2.0, 0.0]), "w": jnp.array([2.0, 0.0])}
    b = {"v": jnp.array([0.0, 2.0]), "w": jnp.array([0.0, 2.0])}
    found = barrier_of(network, a, b, "mse", jnp.ones((1, 1)), jnp.full((1, 1), 4.0))
    # f(t) = 4[(1−t)² + t²]: loss (8t − 8t²)² has its top, 4, at t = ½.
    assert found.height == pytest.approx(4.0, rel=1e-6)
    np.testing.assert_allclose(found.losses, (8 * found.ts - 8 * found.ts**2) ** 2, atol=1e-5)


def test_barrier_counts_above_the_line_between_the_ends():
    network = Network(lambda key: None, lambda p, x: x * p)
    found = barrier_of(
        network, jnp.zeros(1), jnp.full(1, np.pi), lambda f, y: (f + jnp.sin(f))[:, 0], jnp.ones((1, 1)), jnp.zeros(1)
    )
    assert found.height == pytest.approx(1.0, abs=1e-6)


def test_infinite_loss_on_the_segment_is_a_status():
    network = Network(lambda key: None, lambda p, x: x * p)
    found = barrier_of(
        network, -jnp.ones(1), jnp.ones(1), lambda f, y: 1 / f[:, 0] ** 2, jnp.ones((1, 1)), jnp.zeros(1)
    )
    assert found.status == PathStatus.DIVERGED and found.height == float("inf")


def test_ends_of_two_architectures_are_refused():
    with pytest.raises(InputError, match="one architecture"):
        barrier_of(linear(), jnp.zeros((3, 2)), jnp.zeros((2, 2)), "mse", np.ones((1, 3)), np.ones((1, 2)))
    with pytest.raises(InputError, match="points: expected a whole number of 2 or more"):
        barrier_of(linear(), jnp.zeros((3, 2)), jnp.zeros((3, 2)), "mse", np.ones((1, 3)), np.ones((1, 2)), points=1)


def test_agreement_counts_whole_examples():
    a = np.array([[[2.0, 1.0], [0.0, 3.0]], [[1.0, 2.0], [5.0, 0.0]]])
    b = a.copy()
    b[1, 0] = [2.0, 1.0]
    assert agreement(a, a, "cross_entropy") == 1.0
    assert agreement(a, b, "cross_entropy") == 0.5
    assert answers([[0.6], [-3.4]], "mse").tolist() == [[1], [-3]]
    with pytest.raises(InputError, match="same inputs"):
        agreement(a, b[:1], "bce")


def test_bhattacharyya_against_a_plain_loop_and_its_limits():
    p, q = RNG.dirichlet(np.ones(4), size=(3, 5)), RNG.dirichlet(np.ones(4), size=(2, 5))
    slow = [[-np.mean([np.log(np.sqrt(a[n] * b[n]).sum()) for n in range(5)]) for b in q] for a in p]
    np.testing.assert_allclose(bhattacharyya(p, q), slow, rtol=1e-12)
    np.testing.assert_allclose(np.diag(bhattacharyya(p, p)), 0, atol=1e-12)
    apart = bhattacharyya([[[1.0, 0.0]]], [[[0.0, 1.0]]])
    assert apart[0, 0] == 100.0


def test_geodesic_from_ignorance_to_truth_has_the_known_length():
    # The angle between the uniform distribution on ten classes and a sure one is arccos(1/√10).
    uniform, sure = np.full((1, 1, 10), 0.1), np.eye(10)[None, :1]
    assert np.exp(-bhattacharyya(uniform, sure)[0, 0]) == pytest.approx(1 / np.sqrt(10), rel=1e-12)


def test_inpca_of_squared_distances_is_principal_components():
    points = RNG.normal(size=(20, 3)) * [5, 2, 1]
    squared = ((points[:, None] - points) ** 2).sum(-1)
    found = inpca(squared, dimensions=3)
    apart = ((found.coordinates[:, None] - found.coordinates) ** 2).sum(-1)
    np.testing.assert_allclose(apart, squared, atol=1e-9)
    centred = points - points.mean(0)
    np.testing.assert_allclose(found.eigenvalues[:3], np.linalg.svd(centred)[1] ** 2, rtol=1e-9)
    assert found.explained_stress[-1] == pytest.approx(1.0, abs=1e-6)
    assert (np.diff(found.explained_stress) > 0).all()


def test_inpca_keeps_minkowski_distances_with_a_time_like_axis():
    # Points of the plane with squared distance dx² − dy².
    points = RNG.normal(size=(12, 2)) * [3, 2]
    apart = points[:, None] - points
    found = inpca(apart[..., 0] ** 2 - apart[..., 1] ** 2, dimensions=2)
    signs = np.sign(found.eigenvalues[:2])
    assert sorted(signs) == [-1, 1]
    between = found.coordinates[:, None] - found.coordinates
    np.testing.assert_allclose((signs * between**2).sum(-1), apart[..., 0] ** 2 - apart[..., 1] ** 2, atol=1e-9)


def test_inpca_refuses_what_is_no_distance_matrix():
    with pytest.raises(InputError, match="square"):
        inpca(np.zeros((2, 3)))
    with pytest.raises(InputError, match="symmetric"):
        inpca(np.array([[0.0, 1.0], [2.0, 0.0]]))
    assert inpca(np.zeros((4, 4))).coordinates.shape == (4, 3)
