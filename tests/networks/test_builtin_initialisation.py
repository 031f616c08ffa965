import jax
import numpy as np
import pytest
from scipy import stats

from allroads.errors import InputError, UnknownNameError
from allroads.networks.embedding_sum import embedding_sum
from allroads.networks.initialisation import Initialisation
from allroads.networks.mlp import mlp
from allroads.networks.recurrent import recurrent
from allroads.networks.transformer import transformer


def assert_normal(draw, variance):
    """n s²/σ² of n normal draws with known mean 0 follows χ²_n; two-sided at one in a million."""
    draw = np.asarray(draw, float).ravel()
    low, high = stats.chi2.ppf([5e-7, 1 - 5e-7], draw.size)
    assert low < (draw**2).sum() / variance < high
    assert stats.kstest(draw / np.sqrt(variance), "norm").pvalue > 1e-6


@pytest.mark.parametrize("scale", [1.0, 0.3])
@pytest.mark.parametrize(
    ("rule", "variance"), [("lecun", 1 / 40), ("he", 2 / 40), ("glorot", 2 / 110), ("normal", 1.0)]
)
def test_weights_have_the_variance_of_their_rule(rule, variance, scale, seed):
    params = mlp((40,), 5, widths=(70,), init=rule, scale=scale).init(jax.random.key(seed))
    assert_normal(params["layers"][0]["weight"], scale**2 * variance)


def test_normal_biases_have_the_variance_asked_for(seed):
    params = mlp((2,), 5, widths=(3000,), bias="normal", bias_scale=0.2).init(jax.random.key(seed))
    assert_normal(params["layers"][0]["bias"], 0.2**2)


def test_uniform_biases_fill_their_interval(seed):
    params = mlp((16,), 5, widths=(3000,), bias="uniform_fan_in", bias_scale=2.0).init(jax.random.key(seed))
    bias = np.asarray(params["layers"][0]["bias"], float)
    assert np.abs(bias).max() <= 0.5 * (1 + 1e-6)
    assert stats.kstest(bias, stats.uniform(-0.5, 1.0).cdf).pvalue > 1e-6


def test_zero_and_absent_biases():
    zero, none = (mlp((2,), 1, bias=b).init(jax.random.key(0))["layers"] for b in ("zero", "none"))
    assert all((layer["bias"] == 0).all() for layer in zero)
    assert all("bias" not in layer for layer in none)


@pytest.mark.parametrize("width", [128, 500])
def test_the_grokking_rule(width, seed):
    params = embedding_sum((2,), 53, vocabulary=53, width=width, scale=0.7).init(jax.random.key(seed))
    variance = (0.7 * 0.5 / (2 * width) ** (1 / 3)) ** 2
    assert_normal(params["embed"], variance)
    assert_normal(params["readout"]["weight"], variance)
    assert set(params["readout"]) == {"weight"}


@pytest.mark.parametrize(
    ("init", "variances"),
    [("lecun", (1 / 60, 1 / 40, 1 / 200)), ("grokking", ((0.5 / 400 ** (1 / 3)) ** 2,) * 3)],
)
def test_factors_of_embeddings_follow_their_own_fan_in(init, variances, seed):
    params = embedding_sum((2,), 60, vocabulary=60, width=200, embedding=40, init=init).init(jax.random.key(seed))
    assert (params["embed"].shape, params["mix"].shape) == ((60, 40), (2, 40, 200))
    for leaf, variance in zip((params["embed"], params["mix"], params["readout"]["weight"]), variances, strict=True):
        assert_normal(leaf, variance)
    assert not np.array_equal(params["mix"][0], params["mix"][1])


def test_embeddings_of_a_transformer_have_variance_one_over_width(seed):
    params = transformer((30,), 5, vocabulary=50, d_model=64, scale=0.5).init(jax.random.key(seed))
    assert_normal(params["embed"], 0.25 / 64)
    assert_normal(params["position"], 0.25 / 64)
    assert_normal(params["blocks"][0]["down"]["weight"], 0.25 / 512)


def test_each_gate_counts_as_a_matrix_of_its_own(seed):
    params = recurrent((5, 20), 2, cell="lstm", width=60, init="glorot").init(jax.random.key(seed))
    assert_normal(params["layers"][0]["input"], 2 / 80)
    assert_normal(params["layers"][0]["hidden"], 2 / 120)


def test_no_two_matrices_share_their_draws(seed):
    """Two matrices of eight times eight would share 64; of 2²³ floats, a thousand drawn ones share .06 by chance."""
    networks = (
        mlp((8,), 8, widths=(8, 8)),
        embedding_sum((2,), 8, vocabulary=8, width=8, embedding=8),
        recurrent((3, 8), 8, cell="gru", width=8, layers=2),
        transformer((8, 8), 8, d_model=8, heads=2, d_mlp=8, layers=2),
    )
    for network in networks:
        leaves = jax.tree.leaves(network.init(jax.random.key(seed)))
        entries = np.concatenate([np.asarray(leaf).ravel() for leaf in leaves])
        entries = entries[(entries != 0) & (entries != 1)]
        assert entries.size - np.unique(entries).size <= 4


@pytest.mark.parametrize("option", [{"scale": -1.0}, {"bias_scale": float("nan")}, {"scale": "big"}])
def test_scales_that_are_no_scales_are_refused(option):
    with pytest.raises(InputError, match=r"expected a finite number of 0 or more"):
        mlp((2,), 1, **option)


def test_unknown_rules_are_named():
    with pytest.raises(UnknownNameError, match="unknown init 'hee': did you mean 'he'"):
        Initialisation("hee", 1.0, "zero", 1.0)
    with pytest.raises(UnknownNameError, match="unknown bias 'zeros': did you mean 'zero'"):
        Initialisation("he", 1.0, "zeros", 1.0)
