"""The models of the zoo: closed forms against the networks, points that are minima, volumes that shrink as λ says."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.integrate import quad
from scipy.stats import norm

from allroads import float64
from allroads.errors import InputError
from allroads.pfmap.losses import resolve_loss
from allroads.points.zoo import (
    ZOO,
    deep_linear,
    normal_crossings,
    quadratic,
    shifted_component,
    specimens,
    sum_of_powers,
    tanh_units,
    two_components,
    two_layer_linear,
)

SPECIMENS = specimens()
by_name = pytest.mark.parametrize("truth", SPECIMENS, ids=lambda truth: truth.name)


@functools.cache
def measured(truth):
    """``w -> (loss, gradient, Hessian)`` of the network on its data, in double precision; parameters flattened."""
    per_example = resolve_loss(truth.loss)
    with float64():
        unravel = ravel_pytree(truth.params)[1]

    def loss(w):
        return per_example(truth.network.apply(unravel(w), truth.inputs), truth.labels).mean()

    compiled = jax.jit(lambda w: (loss(w), jax.grad(loss)(w), jax.hessian(loss)(w)))

    def at(w):
        with float64():
            return jax.tree.map(np.asarray, compiled(ravel_pytree(w)[0]))

    return at


def near(truth, seed, size):
    """The point with noise, as NumPy in double precision; shares of mixtures stay shares."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + size * rng.uniform(-1, 1, size=np.shape(leaf)), truth.params)


@by_name
def test_excess_is_that_of_the_network_on_its_data(truth):
    at_the_point = measured(truth)(truth.params)[0]
    for seed, size in [(0, 0.4), (1, 0.4), (2, 0.05), (3, 1e-3)]:
        w = near(truth, seed, size)
        assert measured(truth)(w)[0] - at_the_point == pytest.approx(truth.excess(w), rel=1e-9, abs=1e-13)


@by_name
def test_the_point_is_a_minimum(truth):
    assert truth.excess(truth.params) == pytest.approx(0.0, abs=1e-28)
    assert min(float(truth.excess(near(truth, seed, 0.3))) for seed in range(20)) > 0
    _, gradient, hessian = measured(truth)(truth.params)
    assert np.abs(gradient).max() < 1e-13
    assert np.linalg.eigvalsh(hessian).min() > -1e-12


@by_name
def test_excess_takes_leading_axes_and_traces(truth):
    members = [near(truth, seed, 0.3) for seed in range(6)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves).reshape(2, 3, *np.shape(leaves[0])), *members)
    together = truth.excess(stacked)
    assert isinstance(together, np.ndarray) and together.shape == (2, 3)
    np.testing.assert_allclose(together.reshape(-1), [truth.excess(member) for member in members], rtol=1e-12)
    with float64():
        on_device = jax.tree.map(jnp.asarray, stacked)
        np.testing.assert_allclose(jax.jit(jax.vmap(truth.excess))(on_device), together, rtol=1e-9)


@by_name
def test_lambda_lies_between_half_the_rank_of_the_hessian_and_half_the_dimension(truth):
    curvatures = np.linalg.eigvalsh(measured(truth)(truth.params)[2])
    rank = int((curvatures > 1e-9).sum())
    assert truth.dimension == len(curvatures)
    assert truth.learning_coefficient <= truth.dimension / 2
    if truth.log_prior is None:
        assert rank / 2 <= truth.learning_coefficient
    if truth.name.startswith("quadratic"):
        np.testing.assert_allclose(np.sort(curvatures), np.sort(quadratic_spectrum(truth)), atol=1e-12)


def quadratic_spectrum(truth):
    """Read back from the closed form: K at a unit vector is half its curvature."""
    return [2 * float(truth.excess(unit)) for unit in np.eye(truth.dimension)]


@by_name
def test_a_drawn_point_has_the_structure_of_the_known_one(truth):
    drawn = jax.jit(truth.network.init)(jax.random.key(0))
    assert jax.tree.map(np.shape, drawn) == jax.tree.map(np.shape, truth.params)
    assert np.isfinite(float(truth.excess(drawn)))


def test_builders_share_their_networks_and_depend_on_the_seed():
    assert deep_linear((3, 2, 3), seed=1).network is deep_linear((3, 2, 3), 1, seed=2).network
    first, again, other = (deep_linear((3, 2, 3), seed=seed).params["layers"][0]["weight"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert {name for name, build in ZOO.items() if build().dimension > 0} == set(ZOO)


@pytest.mark.parametrize(("widths", "rank"), [((6, 4, 5, 7), 4), ((6, 4, 5, 7), 2), ((6, 4, 5, 7), 0), ((3, 3), 2)])
def test_deep_linear_layers_have_the_rank_of_their_product(widths, rank):
    truth = deep_linear(widths, rank)
    weights = [layer["weight"] for layer in truth.params["layers"]]
    assert [w.shape for w in weights] == list(itertools.pairwise(widths))
    for matrix in [*weights, np.linalg.multi_dot(weights) if len(weights) > 1 else weights[0]]:
        np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False)[:rank], 1.0)
        assert np.linalg.matrix_rank(matrix, tol=1e-12) == rank
    np.testing.assert_allclose(truth.inputs.T @ truth.inputs / len(truth.inputs), np.eye(widths[0]), atol=1e-12)


POINTS_OF_8_4_6 = [(0, 0, 0), (0, 4, 0), (3, 1, 0), (2, 2, 2), (3, 3, 2), (2, 4, 2), (4, 4, 4), (1, 3, 0)]


@pytest.mark.parametrize("ranks", POINTS_OF_8_4_6)
def test_two_layer_linear_points_have_the_ranks_they_were_asked_for(ranks):
    truth = two_layer_linear((8, 4, 6), ranks)
    first, second = (layer["weight"] for layer in truth.params["layers"])
    found = tuple(int(np.linalg.matrix_rank(matrix, tol=1e-12)) for matrix in (first, second, first @ second))
    assert found == ranks


@pytest.mark.parametrize("truth", [t for t in SPECIMENS if "8-4-8" in t.name], ids=lambda truth: truth.name)
def test_rank_of_the_hessian_at_a_two_layer_point_is_the_regular_part(truth):
    h1, h2 = (np.linalg.matrix_rank(layer["weight"], tol=1e-12) for layer in truth.params["layers"])
    curvatures = np.linalg.eigvalsh(measured(truth)(truth.params)[2])
    assert (curvatures > 1e-9).sum() == 64 - (8 - h1) * (8 - h2)


@pytest.mark.parametrize("examples", [40, 1000])
def test_mixtures_have_the_loss_of_the_population(examples):
    one, two = shifted_component(examples=examples), two_components(examples=examples)
    entropy = 0.5 * np.log(2 * np.pi * np.e)
    for truth in (one, two):
        assert measured(truth)(truth.params)[0] == pytest.approx(entropy, abs=1e-12)
    for share, first, second in [(0.3, 0.8, 0.0), (0.9, -1.0, 0.0), (0.4, 0.7, -0.9)]:

        def divergence(x, share=share, first=first, second=second):
            mixed = share * norm.pdf(x, first) + (1 - share) * norm.pdf(x, second)
            return norm.pdf(x) * (norm.logpdf(x) - np.log(mixed))

        exact = quad(divergence, -15, 15, epsabs=1e-12)[0]
        assert two.excess({"share": np.array(share), "means": np.array([first, second])}) == pytest.approx(exact)
        if second == 0:
            assert one.excess({"share": np.array(share), "mean": np.array(first)}) == pytest.approx(exact)


def test_prior_powers_make_a_log_prior():
    truth = normal_crossings((1, 2), (0, 3))
    w = np.array([[0.5, 2.0], [3.0, -2.0]])
    np.testing.assert_allclose(truth.log_prior(w), np.log([8.0, 8.0]))
    assert normal_crossings((1, 2)).log_prior is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: deep_linear((5, 5), examples=4), "at least 5 examples, got 4"),
        (lambda: deep_linear((5, 0)), "widths"),
        (lambda: tanh_units(3, examples=2), "3 units need at least 3 inputs"),
        (lambda: shifted_component(examples=10), "40 or more"),
        (lambda: two_components(share=1.0), "above 0 and below 1"),
        (lambda: quadratic(()), "spectrum"),
        (lambda: sum_of_powers((1, 0)), "powers"),
    ],
)
def test_models_that_cannot_be_built_say_why(build, message):
    with pytest.raises(InputError, match=message):
        build()


# --- volume scaling: V(ε) ~ ε^λ (−ln ε)^(m−1), uniform Monte Carlo

DRAWS = 4_000_000
TOLERANCE = 0.05
EPSILONS = np.geomspace(1e-6, 1e-3, 12)


def box(dimension):
    return lambda rng, count: rng.uniform(-1, 1, size=(count, dimension))


def tanh_box(units):
    return lambda rng, count: {name: rng.uniform(-1, 1, size=(count, units)) for name in ("inner", "outer")}


def shares(rng, count):
    return {"share": rng.uniform(-1, 1, size=count), "mean": rng.uniform(-1, 1, size=count)}


def inner_shares(rng, count):
    return {"share": rng.uniform(0.25, 0.75, size=count), "means": rng.uniform(-1, 1, size=(count, 2))}


def scalars(layers):
    return lambda rng, count: {"layers": [{"weight": w} for w in rng.uniform(-1, 1, size=(layers, count, 1, 1))]}


VOLUMES = [
    (normal_crossings((1, 1)), box(2)),
    (normal_crossings((1, 2)), box(2)),
    (normal_crossings((1, 3)), box(2)),
    (normal_crossings((1, 1, 1)), box(3)),
    (normal_crossings((1, 2), (0, 1)), box(2)),
    (normal_crossings((1, 2), (1, 1)), box(2)),
    (sum_of_powers((2, 1)), box(2)),
    (sum_of_powers((2, 2, 3)), box(3)),
    (deep_linear((1, 1, 1, 1), 0), scalars(3)),
    *((tanh_units(units, examples=8), tanh_box(units)) for units in (1, 2, 3, 4)),
    (shifted_component(examples=40), shares),
    (two_components(examples=40), inner_shares),
]


def volume_slope(excess, weights, multiplicity):
    """Exponent of ε in the volume below it, the power of its logarithm given."""
    volumes = np.array([weights[excess < epsilon].sum() for epsilon in EPSILONS])
    counts = np.array([(excess < epsilon).sum() for epsilon in EPSILONS])
    logs = np.log(volumes) - (multiplicity - 1) * np.log(-np.log(EPSILONS))
    return np.polyfit(np.log(EPSILONS), logs, 1, w=np.sqrt(counts))[0]


@pytest.mark.slow
@pytest.mark.parametrize(("truth", "draw"), VOLUMES, ids=[truth.name for truth, _ in VOLUMES])
def test_volume_shrinks_with_the_learning_coefficient(truth, draw, seed):
    rng = np.random.default_rng(seed)
    small, prior = [], []
    for _ in range(20):
        w = draw(rng, DRAWS // 20)
        excess = truth.excess(w)
        kept = excess < EPSILONS[-1]
        small.append(excess[kept])
        prior.append(np.ones(kept.sum()) if truth.log_prior is None else np.exp(truth.log_prior(w[kept])))
    small, prior = np.concatenate(small), np.concatenate(prior)
    exact, multiplicity = truth.learning_coefficient, truth.multiplicity
    assert volume_slope(small, prior, multiplicity) == pytest.approx(exact, abs=TOLERANCE)
    if multiplicity > 1:
        assert abs(volume_slope(small, prior, 1) - exact) > 0.07, "the logarithm is there"
