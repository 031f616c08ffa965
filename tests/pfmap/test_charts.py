import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads.errors import InputError, UnknownNameError
from allroads.pfmap.charts import CHARTS, to_chart
from allroads.pfmap.precision import float64

SCORES = np.random.default_rng(0).normal(size=(5, 3, 4)) * 3


def test_outputs_are_the_values_themselves():
    np.testing.assert_array_equal(to_chart(SCORES, "outputs"), SCORES)


def test_probabilities_are_the_softmax_and_sum_to_one():
    expected = np.exp(SCORES) / np.exp(SCORES).sum(-1, keepdims=True)
    np.testing.assert_allclose(to_chart(SCORES, "probabilities"), expected, rtol=1e-13)
    np.testing.assert_allclose(to_chart(SCORES, "probabilities").sum(-1), 1, rtol=1e-14)


def test_known_probabilities_come_back_from_their_logs():
    known = np.random.default_rng(1).dirichlet(np.ones(6), size=10)
    np.testing.assert_allclose(to_chart(np.log(known) + 7.0, "probabilities"), known, rtol=1e-12)
    np.testing.assert_allclose(to_chart(np.log(known) - 7.0, "sphere") ** 2, known, rtol=1e-12)


def test_sphere_has_unit_norm():
    np.testing.assert_allclose(np.linalg.norm(to_chart(SCORES, "sphere"), axis=-1), 1, rtol=1e-14)


@pytest.mark.parametrize("chart", ["probabilities", "sphere"])
def test_one_output_is_a_logit(chart):
    p = np.array([[0.1], [0.5], [0.875]])
    expected = np.concatenate([1 - p, p], axis=1) ** (0.5 if chart == "sphere" else 1.0)
    np.testing.assert_allclose(to_chart(np.log(p / (1 - p)), chart), expected, rtol=1e-13)


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("columns", [1, 3])
def test_extreme_logits_have_finite_values_and_gradients(chart, columns):
    logits = jnp.asarray([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]])[:, :columns]
    jacobian = jax.jacobian(lambda f: to_chart(f, chart))(logits)
    assert jnp.isfinite(to_chart(logits, chart)).all()
    assert jnp.isfinite(jacobian).all()


def test_gradient_of_the_sphere_is_that_of_the_root_of_the_softmax():
    with float64():
        logits = jnp.asarray(SCORES[0])
        ours = jax.jacobian(lambda f: to_chart(f, "sphere"))(logits)
        plain = jax.jacobian(lambda f: jnp.sqrt(jax.nn.softmax(f)))(logits)
        np.testing.assert_allclose(ours, plain, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("chart", CHARTS)
def test_numpy_stays_numpy_and_jax_stays_jax_with_equal_numbers(chart):
    with float64():
        from_numpy, from_jax = (
            to_chart(SCORES, chart),
            jax.jit(lambda f: to_chart(f, chart))(jnp.asarray(SCORES)),
        )
    assert isinstance(from_numpy, np.ndarray)
    assert isinstance(from_jax, jax.Array)
    np.testing.assert_allclose(from_numpy, from_jax, rtol=1e-13)


def test_integers_are_read_as_floats():
    np.testing.assert_allclose(to_chart(np.array([[0, 0]]), "probabilities"), 0.5)


def test_unknown_chart_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'sphere'"):
        to_chart(SCORES, "spheer")


@pytest.mark.parametrize("values", [np.float64(1.0), np.zeros((3, 0))])
def test_values_without_an_output_axis_are_refused(values):
    with pytest.raises(InputError, match=r"expected \[\.\.\., C\]"):
        to_chart(values, "probabilities")
