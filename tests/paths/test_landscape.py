"""Planes of the loss: closed forms, a theorem on rescaling, singular values, and random walks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, MeasurementError, Network, Problem, float64, loss_plane, path_plane, random_plane
from allroads.errors import UnknownNameError
from allroads.networks.convolutional import convolutional
from allroads.networks.mlp import mlp
from allroads.networks.recurrent import recurrent
from allroads.networks.transformer import transformer
from allroads.paths.landscape import filters, normalised_direction, walk_shares
from allroads.status import PathStatus

RNG = np.random.default_rng(0)
SCALES = np.array([1.0, 3.0, 0.5, 2.0, 0.25])
BOWL = Network(lambda key: {"a": jnp.zeros(2), "b": jnp.zeros((3, 1))}, lambda p, x: x * _flat(p))
"""Output i is w_i s_i on the one input s, so that the loss is (1/5) Σ s_i² w_i²: a quadratic form."""
QUADRATIC = Problem(BOWL, "mse", SCALES[None], np.zeros((1, 5)))
quiet = {"progress": False}


def _flat(p):
    return jnp.concatenate([p["a"], p["b"][:, 0]])


def point(flat):
    return {"a": np.asarray(flat[:2]), "b": np.asarray(flat[2:])[:, None]}


def test_a_quadratic_loss_has_its_closed_form_on_the_plane_through_three_points():
    a, b, c = RNG.normal(size=(3, 5))
    with float64():
        found = loss_plane(QUADRATIC, point(a), point(b), point(c), points=7, **quiet)
        back = [np.asarray(_flat(found.params_at(*mark))) for mark in found.marks]
    np.testing.assert_allclose(back, [a, b, c], atol=1e-12)
    u, v = (np.asarray(_flat(axis)) for axis in found.axes)
    np.testing.assert_allclose([u @ u, v @ v, u @ v], [1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(found.marks[0], 0, atol=1e-12)
    apart = [np.linalg.norm(found.marks[i] - found.marks[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(apart, found.stats["sides"], rtol=1e-12)
    form = np.diag(SCALES**2) / 5
    for i, y in enumerate(found.ys):
        for j, x in enumerate(found.xs):
            w = a + x * u + y * v
            assert found.losses[i, j] == pytest.approx(w @ form @ w, rel=1e-12)
    np.testing.assert_allclose(found.mark_losses, [w @ form @ w for w in (a, b, c)], rtol=1e-12)
    assert found.status == PathStatus.OK and found.stats["evaluations"] == 7 * 7 + 3
    assert found.xs[0] < found.marks[:, 0].min() and found.ys[-1] > found.marks[:, 1].max()


@pytest.mark.parametrize(
    ("third", "text"),
    [
        (lambda a, b: 0.3 * a + 0.7 * b, "lie on one line"),
        (lambda a, b: a, "lie on one line"),
        (lambda a, b: {"a": a["a"]}, "not of one architecture"),
        (lambda a, b: jax.tree.map(lambda x: x * np.nan, a), "NaN or infinity"),
    ],
)
def test_three_points_that_span_no_plane_are_refused(third, text):
    a, b = (point(flat) for flat in RNG.normal(size=(2, 5)))
    c = third(a, b) if "line" not in text else third(*(_flat(p) for p in (a, b)))
    with pytest.raises(InputError, match=text):
        loss_plane(QUADRATIC, a, b, c if isinstance(c, dict) else point(c), **quiet)


def test_options_of_planes_are_checked():
    a, b, c = (point(flat) for flat in RNG.normal(size=(3, 5)))
    with pytest.raises(InputError, match="points"):
        loss_plane(QUADRATIC, a, b, c, points=1)
    with pytest.raises(InputError, match="margin"):
        loss_plane(QUADRATIC, a, b, c, margin=-0.1)
    for names in (("a", "b", "a"), ("a", "b"), ("a", ["b"], "c"), None):
        with pytest.raises(InputError, match="names"):
            loss_plane(QUADRATIC, a, b, c, names=names)
    with pytest.raises(InputError, match="the same"):
        loss_plane(QUADRATIC, *[point(np.zeros(5))] * 3)
    with pytest.raises(InputError, match="span"):
        random_plane(QUADRATIC, a, span=0.0)
    with pytest.raises(UnknownNameError, match="vectors"):
        random_plane(QUADRATIC, a, vectors="fix")
    with pytest.raises(InputError, match="no parameter moves"):
        random_plane(QUADRATIC, point([1.0, 1.0, 0.0, 0.0, 0.0]))
    with pytest.raises(InputError, match=r"on one line.*loss_plane"):
        random_plane(QUADRATIC, point([1.0, 1.0, 0.0, 0.0, 0.0]), vectors="own")


def test_losses_that_are_not_finite_have_a_status():
    steep = Network(lambda key: jnp.zeros((1, 2)), lambda w, x: jnp.exp(x @ w.T))
    problem = Problem(steep, "mse", np.eye(2) * 60, np.zeros(2))
    ends = [np.array([[0.0, 0.0]]), np.array([[1.5, 0.0]]), np.array([[0.0, -1.0]])]
    found = loss_plane(problem, *ends, points=5, **quiet)
    assert found.status == PathStatus.DIVERGED and 0 < found.stats["not_finite"] < 25
    assert np.isfinite([found.stats["lowest"], found.stats["highest"]]).all()
    with pytest.raises(MeasurementError):
        loss_plane(problem, *ends, points=5, throw=True, **quiet)


def norms_of_filters(leaf, axes):
    """Norms over all axes but those of the units."""
    other = tuple(d for d in range(leaf.ndim) if d not in axes)
    return np.sqrt((np.asarray(leaf, float) ** 2).sum(other))


def heads(p, x):
    inner = jnp.einsum("nd,hdk->nhk", x, p["in"])
    return jnp.einsum("nhk,hko->no", jax.nn.relu(inner), p["out"])


def images(order):
    def apply(w, x):
        found = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", order, "NHWC"))
        return found.mean((1, 2))

    return apply


STORED = {
    "in, out": (lambda w, x: x @ w, (3, 4), np.ones((2, 3)), (1,)),
    "out, in": (lambda w, x: x @ w.T, (4, 3), np.ones((2, 3)), (0,)),
    "scaled": (lambda w, x: x @ (w / 2.0).T, (4, 3), np.ones((2, 3)), (0,)),
    "weights first": (lambda w, x: (w @ x.T).T, (4, 3), np.ones((2, 3)), (0,)),
    "kernel of HWIO": (images("HWIO"), (3, 3, 2, 5), np.ones((2, 4, 4, 2)), (3,)),
    "kernel of OIHW": (images("OIHW"), (5, 2, 3, 3), np.ones((2, 4, 4, 2)), (0,)),
    "heads": (lambda w, x: jnp.einsum("nd,hdk->nhk", x, w).reshape(2, -1), (2, 3, 4), np.ones((2, 3)), (0, 2)),
    "in parts": (lambda w, x: jnp.concatenate([x @ w[:, :1], x @ w[:, 1:]], 1), (3, 4), np.ones((2, 3)), (1,)),
}


@pytest.mark.parametrize("name", STORED)
def test_filters_are_the_weights_that_feed_one_unit_however_they_are_stored(name):
    apply, shape, inputs, axes = STORED[name]
    weights = RNG.normal(size=shape)
    (found,) = filters(Network(lambda key: weights, apply), weights, inputs)
    assert found.shape == shape
    expected = np.arange(int(np.prod([shape[d] for d in axes]))).reshape(
        [n if d in axes else 1 for d, n in enumerate(shape)]
    )
    np.testing.assert_array_equal(found, np.broadcast_to(expected, shape))
    drawn = normalised_direction(weights, [found], np.random.default_rng(1))
    np.testing.assert_allclose(norms_of_filters(drawn, axes), norms_of_filters(weights, axes), rtol=1e-12)
    assert np.abs(drawn - weights).max() > 0.1


def test_leaves_in_which_no_filters_are_seen_are_one_filter():
    tied = Network(lambda key: None, lambda w, x: x @ w @ w)
    looked_up = Network(lambda key: None, lambda w, x: w[x])
    weights = RNG.normal(size=(3, 3))
    assert filters(looked_up, weights, np.array([0, 2])) == [None]
    (found,) = filters(tied, weights, np.ones((2, 3)))  # both uses contract the rows: they agree
    assert found.tolist() == [[0, 1, 2]] * 3
    turned = Network(lambda key: None, lambda w, x: x @ w @ w.T)
    assert filters(turned, weights, np.ones((2, 3))) == [None]
    drawn = normalised_direction(weights, [None], np.random.default_rng(0))
    assert np.linalg.norm(drawn) == pytest.approx(np.linalg.norm(weights), rel=1e-12)


def drawn_point(network):
    """A point without the time that compiling ``init`` takes."""
    rng, shapes = np.random.default_rng(5), jax.eval_shape(network.init, jax.random.key(0))
    return jax.tree.map(lambda shape: rng.normal(size=shape.shape), shapes)


@pytest.mark.parametrize(
    ("network", "inputs", "whole"),
    [
        (mlp((3,), 2, widths=(4, 5)), np.ones((2, 3)), 0),
        (convolutional((4, 4), 3, channels=(2, 3)), np.ones((2, 4, 4)), 0),
        (recurrent((3,), 2, vocabulary=4, cell="gru", width=5), np.zeros((2, 3), int), 0),
        (transformer((3,), 2, vocabulary=4, d_model=8, d_mlp=16, heads=2), np.zeros((2, 3), int), None),
    ],
    ids=lambda given: getattr(given, "name", None),
)
def test_built_in_networks_show_their_filters(network, inputs, whole):
    params = drawn_point(network)
    leaves = jax.tree.leaves(params)
    found = filters(network, params, inputs)
    seen = [of for of, leaf in zip(found, leaves, strict=True) if leaf.ndim > 1 and of is not None]
    matrices = sum(leaf.ndim > 1 for leaf in leaves)
    assert len(seen) >= (matrices - whole if whole is not None else 4)
    assert all(of is None for of, leaf in zip(found, leaves, strict=True) if leaf.ndim == 1)


TASK = (RNG.normal(size=(20, 3)), RNG.integers(2, size=20))


@functools.cache
def relu():
    network = mlp((3,), 2, widths=(4, 5), activation="relu", bias="normal")
    return network, Problem(network, "cross_entropy", *TASK)


def rescaled(params, factors):
    """Hidden layers times factors, the layer after them divided; factors are numbers, or one per unit."""
    layers = [dict(layer) for layer in params["layers"]]
    for k, factor in enumerate(factors):
        layers[k] = {"weight": layers[k]["weight"] * factor, "bias": layers[k]["bias"] * factor}
        divided = np.asarray(factor)[..., None] if np.ndim(factor) else factor
        layers[k + 1] = {**layers[k + 1], "weight": layers[k + 1]["weight"] / divided}
    return {"layers": layers}


def test_the_filter_normalised_picture_does_not_see_how_layers_are_scaled():
    network, problem = relu()
    with float64():
        params = drawn_point(network)
        moved = rescaled(params, (7.0, 0.3))
        one, other = (random_plane(problem, p, points=5, seed=3, **quiet) for p in (params, moved))
        np.testing.assert_allclose(other.losses, one.losses, rtol=1e-11)
        assert one.stats["filters"] == 4 + 5 + 2 and one.stats["whole"] == ()
        assert not np.allclose(one.stats["lengths"], other.stats["lengths"], rtol=0.1)
        units = random_plane(problem, rescaled(params, (np.array([9.0, 1.0, 0.1, 1.0]),)), points=5, seed=3, **quiet)
        own = random_plane(problem, params, points=5, seed=3, vectors="own", **quiet)
    middle = (2, 2)
    assert units.losses[middle] == pytest.approx(one.losses[middle], rel=1e-11)
    assert np.abs(units.losses - one.losses).max() > 1e-3  # single units: the function is the same, the picture is not
    assert one.losses[middle] == pytest.approx(own.losses[middle]) and np.abs(own.losses - one.losses).max() > 1e-3


def test_one_seed_gives_one_picture_and_biases_stay():
    network, problem = relu()
    params = drawn_point(network)
    one, same, other = (random_plane(problem, params, points=3, seed=seed, **quiet) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.losses, same.losses)
    assert not np.allclose(one.losses, other.losses)
    assert all((np.asarray(layer["bias"]) == 0).all() for axis in one.axes for layer in axis["layers"])
    cosine = np.dot(*(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(axis)]) for axis in one.axes))
    assert one.stats["cosine"] == pytest.approx(cosine / np.prod(one.stats["lengths"]), abs=1e-5)
    assert one.losses[1, 1] == one.mark_losses[0] == pytest.approx(float(problem.mean(problem.point(params))), rel=1e-5)


def test_a_path_has_the_components_of_its_singular_values():
    flat = np.cumsum(RNG.normal(size=(9, 5)), axis=0) + 4.0
    path = {"a": flat[:, :2], "b": flat[:, 2:, None]}
    with float64():
        found = path_plane(QUADRATIC, path, points=5, **quiet)
    centred = flat - flat.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(found.shares[:5], sizes**2 / (sizes**2).sum(), rtol=1e-10)
    np.testing.assert_allclose(found.shares[5:], 0, atol=1e-12)
    signs = np.sign(left[-1, :2])
    np.testing.assert_allclose(found.coordinates, left[:, :2] * sizes[:2] * signs, atol=1e-10)
    np.testing.assert_allclose([_flat(axis) for axis in found.plane.axes], right[:2] * signs[:, None], atol=1e-10)
    np.testing.assert_allclose(found.distances, np.linalg.norm(centred - centred @ right[:2].T @ right[:2], axis=1))
    np.testing.assert_allclose(found.path_losses, (flat**2 * SCALES**2).mean(axis=1), rtol=1e-12)
    assert found.explained == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum())
    back = found.plane.params_at(*found.coordinates[4])
    assert np.linalg.norm(_flat(back) - flat[4]) == pytest.approx(found.distances[4], rel=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 7, 60])
def test_shares_of_a_walk_with_equal_steps_are_in_closed_form(steps):
    k = np.arange(1, steps + 1)
    exact = 6 / (steps * (steps + 2) * 4 * np.sin(np.pi * k / (2 * (steps + 1))) ** 2)
    np.testing.assert_allclose(walk_shares(np.full(steps, 0.3)), exact, rtol=1e-10)
    assert walk_shares(np.full(steps, 2.0)).sum() == pytest.approx(1)


def test_shares_of_a_long_walk_are_those_of_antognini_and_sohl_dickstein():
    k = np.arange(1, 6)
    np.testing.assert_allclose(walk_shares(np.ones(600))[:5], 6 / (np.pi * k) ** 2, rtol=5e-3)


def test_a_random_walk_explains_what_the_null_says(seed):
    rng = np.random.default_rng(seed)
    lengths = np.geomspace(1, 1000, 24)
    steps = rng.normal(size=(24, 20_000))
    walk = np.cumsum(steps / np.linalg.norm(steps, axis=1, keepdims=True) * lengths[:, None], axis=0)
    flat = Network(lambda key: jnp.zeros(20_000), lambda w, x: x * w.sum())
    problem = Problem(flat, "mse", np.ones((1, 1)), np.zeros((1, 1)))
    with float64():
        found = path_plane(problem, np.concatenate([np.zeros((1, 20_000)), walk]), points=2, **quiet)
    np.testing.assert_allclose(found.walk_shares, walk_shares(lengths))
    np.testing.assert_allclose(found.shares[:4], found.walk_shares[:4], atol=0.02)
    assert abs(found.walk_explained - walk_shares(np.ones(24))[:2].sum()) > 0.05  # the lengths of the steps do count


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (np.zeros((2, 5)), "at least 3 checkpoints"),
        (np.linspace(0, 1, 6)[:, None] * np.arange(5.0), "on one line"),
        (np.zeros((4, 5)), "on one line"),
        (np.full((4, 5), np.nan), "NaN or infinity"),
    ],
)
def test_paths_without_a_plane_are_refused(path, text):
    with pytest.raises(InputError, match=text):
        path_plane(QUADRATIC, {"a": path[:, :2], "b": path[:, 2:, None]}, **quiet)


@pytest.mark.parametrize("lengths", [[], [0.0, 0.0], [1.0, -1.0], [np.inf], [[1.0]]])
def test_lengths_that_are_none_are_refused(lengths):
    with pytest.raises(InputError, match="lengths"):
        walk_shares(lengths)
