"""Spectra against closed forms and against explicit matrices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flat_calls import kernel_spectrum, spectrum, top_eigenvalue
from jax.flatten_util import ravel_pytree

from allroads import Network, ParameterFunctionMap, float64
from allroads.networks.mlp import mlp
from allroads.pfmap.losses import resolve_loss
from allroads.points.zoo import deep_linear, localised_learning_coefficient, quadratic
from allroads.status import SpectrumStatus

METHODS = pytest.mark.parametrize("method", ["dense", "matrix_free"])
RNG = np.random.default_rng(7)
LABELS = {
    "mse": RNG.normal(size=(40, 3)),
    "cross_entropy": RNG.integers(0, 3, size=40),
}
INPUTS = RNG.normal(size=(40, 5))
NET = mlp((5,), 3, widths=(8,), activation="tanh")  # 75 parameters


def linear(inputs, outputs):
    return Network(lambda key: jnp.zeros((inputs, outputs)), lambda w, x: x @ w, name="linear")


def point(seed=0, net=NET):
    return net.init(jax.random.key(seed))


def explicit(params, loss, inputs, labels, net=NET):
    """Hessian, Gauss–Newton and empirical Fisher matrix, each by its definition, from whole Jacobians."""
    matrices = by_definition(net, loss)(params, jnp.asarray(inputs), jnp.asarray(labels))
    return {kind: np.asarray(matrix) for kind, matrix in matrices.items()}


@functools.cache
def by_definition(net, loss):
    per_example = resolve_loss(loss)

    def matrices(params, inputs, labels):
        flat, unravel = ravel_pytree(params)

        def losses(w):
            return per_example(net.apply(unravel(w), inputs), labels)

        gradients = jax.jacobian(losses)(flat)
        outputs = net.apply(params, inputs)
        jacobian = jax.jacobian(lambda w: net.apply(unravel(w), inputs))(flat).reshape(outputs.size, -1)
        curvature = jax.hessian(lambda f: per_example(f.reshape(outputs.shape), labels).mean())(outputs.reshape(-1))
        return {
            "hessian": jax.hessian(lambda w: losses(w).mean())(flat),
            "gauss_newton": jacobian.T @ curvature @ jacobian,
            "fisher": gradients.T @ gradients / len(inputs),
        }

    return jax.jit(matrices)


@METHODS
def test_eigenpairs_are_those_of_the_explicit_matrices(method):
    loss = "cross_entropy"
    with float64():
        params, labels = point(), LABELS[loss]
        for kind, matrix in explicit(params, loss, INPUTS, labels).items():
            truth = np.linalg.eigvalsh(matrix)[::-1]
            bottom = 2 if kind == "hessian" else 0  # those of the others are 0 with many near it
            found = spectrum(NET, params, loss, INPUTS, labels, matrix=kind, method=method, top=6, bottom=bottom)
            assert found.status == SpectrumStatus.OK and (found.method, found.matrix) == (method, kind)
            np.testing.assert_allclose(found.eigenvalues, truth[:6], rtol=1e-8)
            np.testing.assert_allclose(found.smallest_eigenvalues, truth[::-1][:bottom], atol=1e-8 * truth[0])
            vectors = jax.vmap(lambda tree: ravel_pytree(tree)[0])(found.eigenvectors)
            assert vectors.dtype == np.float64
            np.testing.assert_allclose(vectors @ vectors.T, np.eye(6), atol=1e-10)
            apart = np.linalg.norm(matrix @ vectors.T - vectors.T * found.eigenvalues, axis=0)
            assert apart.max() <= 1e-8 * truth[0]
            np.testing.assert_allclose(found.residuals, apart, atol=1e-9 * truth[0])
            np.testing.assert_allclose(found.norm, np.abs(truth).max(), rtol=0.02)


def test_what_is_made_dense_is_exact():
    with float64():
        params = point()
        matrix = explicit(params, "mse", INPUTS, LABELS["mse"])["gauss_newton"]
        values = np.linalg.eigvalsh(matrix)
        found = spectrum(NET, params, "mse", INPUTS, LABELS["mse"], matrix="gauss_newton", nbeta=50.0, localisation=2.0)
        assert found.method == "dense" and found.shift == 0.04
        assert found.trace == pytest.approx(values.sum(), rel=1e-10) and found.trace.error is None
        assert found.log_determinant == pytest.approx(np.log(values + 0.04).sum(), rel=1e-9)
        assert found.effective_dimension == pytest.approx(0.5 * (values / (values + 0.04)).sum(), rel=1e-9)
        assert found.log_determinant.error is None and found.effective_dimension.error is None
        np.testing.assert_allclose(found.density.nodes, values, atol=1e-12)
        np.testing.assert_array_equal(found.density.weights, np.full(75, 1 / 75))
        outputs = NET.apply(params, jnp.asarray(INPUTS))
        assert found.loss == pytest.approx(float(((outputs - LABELS["mse"]) ** 2).mean()), rel=1e-12)


@METHODS
def test_linear_regression(method):
    """H = (2/C) XᵀX/n ⊗ 1_C, whatever the labels and the point."""
    inputs, net = RNG.normal(size=(50, 40)), linear(40, 2)
    curvatures = np.repeat(np.linalg.eigvalsh(inputs.T @ inputs / 50)[::-1], 2)
    with float64():
        weights = jnp.asarray(RNG.normal(size=(40, 2)))
        for kind in ("hessian", "gauss_newton"):
            found = spectrum(net, weights, "mse", inputs, RNG.normal(size=(50, 2)), matrix=kind, method=method, top=9)
            assert found.status == SpectrumStatus.OK
            np.testing.assert_allclose(found.eigenvalues, curvatures[:9], rtol=1e-8)
            assert found.eigenvectors.shape == (9, 40, 2)


@METHODS
def test_two_layer_linear_network_at_zero(method, seed):
    """Only ∂²L/∂W₁∂W₂ is there: eigenvalues ±(2/C) σ(XᵀY/n), each once a hidden unit, the rest 0."""
    net = Network(lambda key: None, lambda p, x: x @ p["first"] @ p["second"])
    labels = INPUTS @ RNG.normal(size=(5, 3))
    curvatures = np.repeat(2 / 3 * np.linalg.svd(INPUTS.T @ labels / 40)[1], 9)  # 9 hidden units
    with float64():
        zero = {"first": jnp.zeros((5, 9)), "second": jnp.zeros((9, 3))}
        found = spectrum(net, zero, "mse", INPUTS, labels, method=method, top=20, bottom=12, seed=seed)
        np.testing.assert_allclose(found.eigenvalues, curvatures[:20], rtol=1e-8)
        np.testing.assert_allclose(found.smallest_eigenvalues, -curvatures[:12], rtol=1e-8)
        for quantity in (found.log_determinant, found.effective_dimension):
            assert np.isnan(quantity) and quantity.status == SpectrumStatus.INDEFINITE
        assert abs(found.trace) <= max(1e-10, 5 * (found.trace.error or 0.0))


@METHODS
def test_deep_linear_network_with_orthogonal_layers(method, seed):
    """Each curvature is 2L/w, once for each of the w² entries of the product, or 0."""
    width, layers, nbeta = 12, 3, 500.0
    truth = deep_linear((width,) * (layers + 1), examples=60)
    stiff = 2 * layers / width
    with float64():
        arguments = (truth.network, truth.params, truth.loss, truth.inputs, truth.labels)
        found = spectrum(*arguments, method=method, nbeta=nbeta, top=14, seed=seed, probes=64)
        assert found.status == SpectrumStatus.OK
        np.testing.assert_allclose(found.eigenvalues, np.full(14, stiff), rtol=1e-8)
        assert float(top_eigenvalue(*arguments, seed=seed)) == pytest.approx(stiff, rel=1e-6)
        curvatures = np.repeat([stiff, 0.0], [width**2, (layers - 1) * width**2])
        shift = 1 / nbeta
        for quantity, exact in (
            (found.trace, 2 * layers * width),
            (found.log_determinant, np.log(curvatures + shift).sum()),
            (found.effective_dimension, localised_learning_coefficient(curvatures, nbeta, 1.0)),
        ):
            assert quantity.status == SpectrumStatus.OK
            assert abs(quantity - exact) <= (1e-8 * abs(exact) if method == "dense" else 5 * quantity.error)
            assert abs(quantity - exact) <= 0.05 * abs(exact)
        assert found.density.below(stiff / 2) == pytest.approx(1 - 1 / layers, abs=1e-6 if method == "dense" else 0.03)


def test_effective_dimension_is_the_localised_learning_coefficient_of_a_quadratic():
    curvatures = np.geomspace(1e-6, 10.0, 30)
    truth = quadratic(tuple(curvatures))
    with float64():
        for nbeta, localisation in ((10.0, 1.0), (1e5, 3.0), (100.0, 0.0)):
            found = spectrum(
                truth.network,
                truth.params,
                truth.loss,
                truth.inputs,
                truth.labels,
                nbeta=nbeta,
                localisation=localisation,
            )
            exact = localised_learning_coefficient(curvatures, nbeta, localisation)
            assert found.effective_dimension == pytest.approx(exact, rel=1e-8)
            exact = np.log(curvatures + localisation / nbeta).sum()
            assert found.log_determinant == pytest.approx(exact, rel=1e-8)


def test_default_shift_is_that_of_n_over_log_n():
    with float64():
        found = spectrum(NET, point(), "mse", INPUTS, LABELS["mse"], localisation=2.0)
    assert found.shift == pytest.approx(2.0 * np.log(40) / 40)


@pytest.mark.slow
def test_fisher_is_gauss_newton_where_labels_are_drawn_as_the_network_says():
    """Each input once with each label at a point where all classes are equally likely."""
    inputs = np.repeat(INPUTS, 3, axis=0)
    labels = np.tile(np.arange(3), 40)
    with float64():
        params = point()
        params["layers"][-1] = jax.tree.map(jnp.zeros_like, params["layers"][-1])
        fisher, gauss_newton = (
            spectrum(NET, params, "cross_entropy", inputs, labels, matrix=kind, top=75)
            for kind in ("fisher", "gauss_newton")
        )
        np.testing.assert_allclose(fisher.eigenvalues, gauss_newton.eigenvalues, atol=1e-12)
        assert fisher.norm > 0.1


@METHODS
def test_kernel_has_the_nonzero_eigenvalues_of_the_gauss_newton_matrix(method, seed):
    """For ``mse`` G = (2/NC) JᵀJ; K = J Jᵀ."""
    with float64():
        params = point()
        kernel = kernel_spectrum(NET, params, INPUTS, method=method, top=20, seed=seed)
        curvature = spectrum(NET, params, "mse", INPUTS, LABELS["mse"], matrix="gauss_newton", top=20)
        assert kernel.status == SpectrumStatus.OK and kernel.method == method
        np.testing.assert_allclose(kernel.eigenvalues, curvature.eigenvalues * 40 * 3 / 2, rtol=1e-8)
        explicit_kernel = np.asarray(ParameterFunctionMap(NET, INPUTS).kernel(params))
        vectors = kernel.eigenvectors.reshape(20, -1)
        assert kernel.eigenvectors.shape == (20, 40, 3)
        apart = np.linalg.norm(explicit_kernel @ vectors.T - vectors.T * kernel.eigenvalues, axis=0)
        assert apart.max() < 1e-8 * kernel.norm
        exact = np.trace(explicit_kernel)
        assert abs(kernel.trace - exact) <= (1e-9 * exact if method == "dense" else 5 * kernel.trace.error)
        assert kernel.density.weights.sum() == pytest.approx(1.0)


def test_single_precision_is_right_to_single_precision():
    params = point()
    with float64():
        double = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), params)
        truth = np.linalg.eigvalsh(explicit(double, "mse", INPUTS, LABELS["mse"])["hessian"])
    found = spectrum(NET, params, "mse", INPUTS, LABELS["mse"], method="matrix_free", top=3)
    assert found.status == SpectrumStatus.OK
    np.testing.assert_allclose(found.eigenvalues, truth[:-4:-1], rtol=1e-5)
    assert jax.tree.leaves(found.eigenvectors)[0].dtype == np.float32


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton", "fisher"])
def test_top_eigenvalue_is_the_largest_with_its_sign(kind, seed):
    with float64():
        for start in range(3):
            params = point(start)
            truth = np.linalg.eigvalsh(explicit(params, "mse", INPUTS, LABELS["mse"])[kind])[-1]
            found = top_eigenvalue(NET, params, "mse", INPUTS, LABELS["mse"], matrix=kind, seed=seed)
            assert (
                abs(found - truth) <= 1e-4 * truth and found.error <= 2e-3 * truth and found.status == SpectrumStatus.OK
            )


def test_top_eigenvalue_of_a_maximum_is_negative(seed):
    """−½ (w₀² + … + 100 w₉₉²) has curvatures −1 … −100, of which −1 is the largest."""
    stiffness = jnp.arange(1.0, 101.0)
    hill = Network(lambda key: jnp.zeros(100), lambda w, x: x * (stiffness * w**2).sum() / 2)
    with float64():
        data = jnp.ones((1, 1)), jnp.zeros(1)
        found = top_eigenvalue(hill, jnp.zeros(100), lambda f, y: -f[:, 0], *data, seed=seed)
    assert found == pytest.approx(-1.0, abs=0.1) and abs(found + 1.0) <= found.error + 1e-6
