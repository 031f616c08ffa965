"""Robustness of the function at a point against closed forms, and what is refused."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from allroads.errors import InputError, MeasurementError
from allroads.pfmap.network import Network
from allroads.points.prior import point_robustness

LINE = Network(lambda key: jnp.ones(2), lambda w, x: x @ w[:, None])
AXES = np.array([[1.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize("move", [0.3, 1.0])
def test_two_signs_survive_with_the_product_of_their_chances(move):
    """Weights (3, 1) have the root mean square √5: the signs hold with Φ(3/σ) Φ(1/σ), σ = move √5."""
    found = point_robustness(LINE, jnp.array([3.0, 1.0]), AXES, move=move, moves=20_000)
    sigma = move * np.sqrt(5)
    assert found.stats["low"] <= norm.cdf(3 / sigma) * norm.cdf(1 / sigma) <= found.stats["high"]
    assert found.error < 0.01 and found.stats["kept"] == round(found.value * 20_000)


def test_answers_that_share_a_weight_survive_together():
    """Two inputs whose outputs have the correlation .6: an orthant of the normal distribution."""
    inputs = np.array([[1.0, 0.0], [0.6, 0.8]])
    found = point_robustness(LINE, jnp.array([1.0, 1.0]), inputs, move=1.0, moves=20_000)
    wanted = multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]]).cdf(inputs @ [1.0, 1.0])
    assert abs(found.value - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / 20_000)


def test_a_scale_that_changes_no_sign_and_an_array_of_zeros_play_no_part():
    params = {"a": jnp.array([3.0, 1.0]), "b": jnp.zeros(2)}
    network = Network(lambda key: params, lambda p, x: x @ (p["a"] + p["b"])[:, None])
    one = point_robustness(network, params, AXES, move=0.5, moves=2000)
    many = point_robustness(network, {"a": 8 * params["a"], "b": params["b"]}, AXES, move=0.5, moves=2000)
    assert one.value == many.value and 0.5 < one.value < 1


def test_classes_are_read_by_the_largest_score_and_numbers_by_the_nearest():
    classes = Network(lambda key: jnp.ones(1), lambda w, x: jnp.concatenate([x * w, jnp.zeros_like(x)], axis=-1))
    found = point_robustness(classes, jnp.ones(1), np.ones((2, 1)), move=1.0, moves=20_000, loss="cross_entropy")
    assert abs(found.value - norm.cdf(1)) < 0.011
    line = Network(lambda key: jnp.ones(1), lambda w, x: x * w)
    number = point_robustness(line, jnp.ones(1), np.ones((2, 1)), move=1.0, moves=20_000, loss="mse")
    assert abs(number.value - (norm.cdf(0.5) - norm.cdf(-0.5))) < 0.015


def test_what_has_no_robustness_is_named():
    with pytest.raises(InputError, match="all are zero"):
        point_robustness(LINE, jnp.zeros(2), AXES)
    with pytest.raises(InputError, match="move"):
        point_robustness(LINE, jnp.ones(2), AXES, move=0.0)
    broken = point_robustness(LINE, jnp.array([jnp.nan, 1.0]), AXES)
    assert broken.status.value == "diverged" and np.isnan(broken.value)
    with pytest.raises(MeasurementError):
        point_robustness(LINE, jnp.array([jnp.nan, 1.0]), AXES, throw=True)
