import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads.errors import InputError, NotDeterministicError
from allroads.networks.from_equinox import from_equinox
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.precision import float64

X = np.random.default_rng(0).normal(size=(5, 3))


def perceptron(key, out=2):
    return eqx.nn.MLP(3, out, width_size=4, depth=2, key=key)


class Counted(eqx.Module):
    """Has an integer array, a number and a string beside its weights."""

    weight: jax.Array
    order: jax.Array
    power: float
    label: str

    def __call__(self, x):
        return (self.weight @ x[self.order]) ** self.power


class NeedsKey(eqx.Module):
    weight: jax.Array

    def __call__(self, x, *, key):
        return self.weight * x + jax.random.normal(key, x.shape)


class WholeBatch(eqx.Module):
    weight: jax.Array

    def __call__(self, x):
        return (x - x.mean(0)) @ self.weight


class Dropped(eqx.Module):
    linear: eqx.nn.Linear
    dropout: eqx.nn.Dropout

    def __call__(self, x, key=None):
        return self.linear(self.dropout(x, key=key))


class Normed(eqx.Module):
    linear: eqx.nn.Linear
    norm: eqx.nn.BatchNorm

    def __call__(self, x, state):
        x, state = self.norm(x, state)
        return self.linear(x), state


def test_equals_the_module_example_by_example():
    with float64():
        module = perceptron(jax.random.key(0))
        network, params = from_equinox(module)
        expected = np.stack([module(jnp.asarray(x)) for x in X])
        np.testing.assert_allclose(jax.jit(network.apply)(params, X), expected, rtol=1e-12)
    assert network.name == "MLP"


def test_its_parameters_are_its_floating_arrays_and_make_a_map():
    module = Counted(jnp.ones((2, 3)), jnp.array([2, 0, 1]), 2.0, "squared")
    network, params = from_equinox(module)
    assert [leaf.shape for leaf in jax.tree.leaves(params)] == [(2, 3)]
    F = ParameterFunctionMap(network, X)
    np.testing.assert_allclose(F.values(params), np.repeat(X.sum(1, keepdims=True) ** 2, 2, axis=1), rtol=1e-5)
    # d f_c / d w = 2 f_c^(1/2) x, and two outputs share no weight.
    rows = 2 * X.sum(1, keepdims=True) * X
    np.testing.assert_allclose(F.kernel(params), np.kron(rows @ rows.T, np.eye(2)), rtol=1e-4, atol=1e-4)


def test_a_population_under_vmap_and_jit():
    network, _ = from_equinox(perceptron(jax.random.key(0)), init=perceptron)
    population = jax.jit(jax.vmap(network.init))(jax.random.split(jax.random.key(1), 3))
    values = jax.jit(jax.vmap(network.apply, (0, None)))(population, X)
    second = eqx.combine(
        jax.tree.map(lambda leaf: leaf[1], population),
        eqx.partition(perceptron(jax.random.key(0)), eqx.is_inexact_array)[1],
    )
    np.testing.assert_allclose(values[1], jax.vmap(second)(jnp.asarray(X)), rtol=1e-5, atol=1e-6)
    assert not np.allclose(values[0], values[1])


def test_a_scalar_output_counts_as_one_output():
    network, params = from_equinox(perceptron(jax.random.key(0), "scalar"))
    assert jax.eval_shape(network.apply, params, X).shape == (5, 1)


def test_a_batched_module_gets_the_whole_batch():
    network, params = from_equinox(WholeBatch(jnp.ones((3, 1))), batched=True)
    np.testing.assert_allclose(network.apply(params, X), (X - X.mean(0)).sum(1, keepdims=True), atol=1e-6)


def test_without_a_rule_it_cannot_be_drawn_anew():
    network, _ = from_equinox(perceptron(jax.random.key(0)))
    with pytest.raises(InputError, match=r"cannot be drawn anew.*from_equinox\(module, init="):
        network.init(jax.random.key(0))


@pytest.mark.parametrize("out", [5, "scalar"])
def test_a_rule_that_draws_another_architecture_is_refused(out):
    network, _ = from_equinox(perceptron(jax.random.key(0)), init=lambda key: perceptron(key, out))
    with pytest.raises(InputError, match="the same architecture"):
        network.init(jax.random.key(0))


def test_dropout_is_refused_in_training_and_taken_in_inference():
    dropped = Dropped(eqx.nn.Linear(3, 2, key=jax.random.key(0)), eqx.nn.Dropout(0.5))
    with pytest.raises(NotDeterministicError, match=r"dropout in training mode.*equinox\.nn\.inference_mode"):
        from_equinox(dropped)
    network, params = from_equinox(eqx.nn.inference_mode(dropped))
    np.testing.assert_allclose(network.apply(params, X), jax.vmap(dropped.linear)(jnp.asarray(X)), rtol=1e-6)


def test_a_call_that_needs_a_key_is_refused():
    with pytest.raises(NotDeterministicError, match="cannot be called without a random key"):
        from_equinox(NeedsKey(jnp.ones(3)))


def test_state_is_refused():
    norm = eqx.nn.BatchNorm(3, axis_name="batch", mode="ema")
    with pytest.raises(InputError, match=r"carries state.*inference_mode"):
        from_equinox(Normed(eqx.nn.Linear(3, 2, key=jax.random.key(0)), norm))


@pytest.mark.parametrize("thing", [perceptron, eqx.nn.MLP, 3])
def test_what_is_no_module_is_refused(thing):
    with pytest.raises(InputError, match=r"expected a callable equinox\.Module"):
        from_equinox(thing)


def test_a_module_without_parameters_is_refused():
    with pytest.raises(InputError, match="nothing to move"):
        from_equinox(eqx.nn.Identity())
