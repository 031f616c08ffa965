"""``from_flax`` against Flax itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("flax", reason="Flax is an extra")

from flax import linen, nnx

from allroads.errors import InputError, NotDeterministicError
from allroads.networks.factory import as_network
from allroads.networks.from_flax import from_flax
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.precision import float64


def real(*shape):
    return lambda n: np.random.default_rng(n).normal(size=(n, *shape))


def tokens(*shape):
    return lambda n: np.random.default_rng(n).integers(0, 7, (n, *shape))


# ---- linen -------------------------------------------------------------------------------------------------


class LinenConvolutions(linen.Module):
    @linen.compact
    def __call__(self, x, train=False):
        x = linen.Conv(4, (3, 3))(x)
        x = linen.relu(linen.BatchNorm(use_running_average=not train)(x))
        x = linen.Dropout(0.5, deterministic=not train)(linen.max_pool(x, (2, 2), (2, 2)))
        return linen.Dense(3)(x.reshape(len(x), -1))


class LinenAttention(linen.Module):
    @linen.compact
    def __call__(self, ids):
        x = linen.Embed(7, 8)(ids)
        x = x + linen.MultiHeadDotProductAttention(2)(linen.LayerNorm()(x), mask=linen.make_causal_mask(ids))
        return linen.Dense(7)(x)


class LinenRecurrent(linen.Module):
    cell: type
    precision: type = jnp.float32

    @linen.compact
    def __call__(self, x):
        return linen.Dense(2)(linen.RNN(self.cell(5, param_dtype=self.precision))(x)[:, -1])


LINEN = {
    "mlp": (linen.Sequential([linen.Dense(6), linen.tanh, linen.Dense(2)]), real(3)),
    "convolutions with batch norm": (LinenConvolutions(), real(6, 6, 1)),
    "attention": (LinenAttention(), tokens(5)),
    "lstm": (LinenRecurrent(linen.LSTMCell), real(4, 3)),
    "gru": (LinenRecurrent(linen.GRUCell), real(4, 3)),
}


def trained_statistics(tree):
    """Other statistics than the zeros and ones of a fresh batch norm."""
    return jax.tree.map(lambda leaf: 1.5 + 0.3 * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)), tree)


def same_function(network, params, reference, batches):
    """Values and gradients of the network are those of ``reference(params, inputs)``."""
    for x in batches:
        np.testing.assert_allclose(network.apply(params, x), reference(params, x), rtol=1e-12, atol=1e-12)
    x = batches[0]
    ours, theirs = (jax.grad(lambda p, f=f: jnp.sum(jnp.sin(f(p, x))))(params) for f in (network.apply, reference))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), ours, theirs)


def quick(table):
    """Names of the modules; those that take longest to compile are left to `make test-all`."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in ("attention", "lstm", "gru"))) for name in table]


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(LINEN))
def test_a_linen_module_is_the_same_function_at_every_batch_size(name):
    module, inputs = LINEN[name]
    with float64():
        if hasattr(module, "precision"):  # Flax starts a cell's state in the precision that the cell names
            module = module.clone(precision=jnp.float64)
        variables = module.init(jax.random.key(1), jnp.asarray(inputs(3)))
        rest = trained_statistics({k: v for k, v in variables.items() if k != "params"})
        variables = {"params": jax.tree.map(lambda p: p.astype(float), variables["params"]), **rest}
        network, params = from_flax(module, inputs(3), variables)
        jax.tree.map(np.testing.assert_array_equal, params, variables["params"])

        def reference(p, x):
            return module.apply({"params": p, **rest}, jnp.asarray(x))

        same_function(network, params, reference, [inputs(3), inputs(5)])


@pytest.mark.parametrize("name", quick(LINEN))
def test_linen_draws_what_its_module_draws_under_jit_and_vmap(name):
    module, inputs = LINEN[name]
    network, params = from_flax(module, inputs(2))
    keys = jax.random.split(jax.random.key(0), 3)
    population = jax.jit(jax.vmap(network.init))(keys)
    expected = module.init(keys[1], jnp.asarray(inputs(2)))["params"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-5, atol=1e-6), population, expected)
    assert jax.tree.structure(population) == jax.tree.structure(params)
    outputs = jax.vmap(network.apply, (0, None))(population, inputs(2))
    np.testing.assert_allclose(outputs[2], network.apply(network.init(keys[2]), inputs(2)), rtol=1e-4, atol=1e-5)


def test_a_linen_module_in_training_mode_is_refused_with_the_remedy():
    dropout = linen.Sequential([linen.Dense(4), linen.Dropout(0.5, deterministic=False)])
    with pytest.raises(NotDeterministicError, match=r"no function of.*deterministic=True"):
        from_flax(
            dropout, jnp.ones((2, 3)), {"params": {"layers_0": {"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4)}}}
        )
    with pytest.raises(NotDeterministicError, match=r"no function of.*train=False"):
        variables = LinenConvolutions().init(jax.random.key(0), jnp.ones((2, 6, 6, 1)))
        from_flax(LinenConvolutions(), jnp.ones((2, 6, 6, 1)), variables, train=True)
    from_flax(LinenConvolutions(), jnp.ones((2, 6, 6, 1)), variables, train=False)


# ---- nnx ---------------------------------------------------------------------------------------------------


class Convolutions(nnx.Module):
    def __init__(self, rngs):
        self.conv, self.norm = nnx.Conv(1, 4, (3, 3), rngs=rngs), nnx.BatchNorm(4, rngs=rngs)
        self.drop, self.last = nnx.Dropout(0.5, rngs=rngs), nnx.Linear(36, 3, rngs=rngs)
        self.norm.mean[...], self.norm.var[...] = jnp.arange(4.0), 1 + jnp.arange(4.0)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.norm(self.conv(x))), (2, 2), (2, 2))
        return self.last(self.drop(x.reshape(len(x), -1)))


class Attention(nnx.Module):
    def __init__(self, rngs):
        self.embed, self.norm = nnx.Embed(7, 8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.last = nnx.Linear(8, 7, rngs=rngs)

    def __call__(self, ids):
        x = self.embed(ids)
        return self.last(x + self.attention(self.norm(x), mask=nnx.make_causal_mask(ids)))


class Recurrent(nnx.Module):
    def __init__(self, cell, rngs):
        self.rnn, self.last = nnx.RNN(cell(3, 5, rngs=rngs)), nnx.Linear(5, 2, rngs=rngs)

    def __call__(self, x):
        return self.last(self.rnn(x)[:, -1])


class Perceptron(nnx.Module):
    def __init__(self, rngs, outputs=2):
        self.layers = nnx.List([nnx.Linear(3, 6, rngs=rngs), nnx.Linear(6, outputs, rngs=rngs)])

    def __call__(self, x):
        return self.layers[1](jnp.tanh(self.layers[0](x)))


NNX = {
    "mlp": (Perceptron, real(3)),
    "convolutions with batch norm": (Convolutions, real(6, 6, 1)),
    "attention": (Attention, tokens(5)),
    "lstm": (lambda rngs: Recurrent(nnx.LSTMCell, rngs), real(4, 3)),
    "gru": (lambda rngs: Recurrent(nnx.GRUCell, rngs), real(4, 3)),
}


def made(name, key=0):
    module = NNX[name][0](rngs=nnx.Rngs(key))
    module.eval()
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", quick(NNX))
def test_an_nnx_module_is_the_same_function_at_every_batch_size(name):
    inputs = NNX[name][1]
    module = made(name)
    network, params = from_flax(module, inputs(3))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params))
    for n in (3, 5):
        np.testing.assert_allclose(network.apply(params, inputs(n)), module(jnp.asarray(inputs(n))), atol=1e-6)
    x = jnp.asarray(inputs(3))
    ours = jax.grad(lambda p: jnp.sum(jnp.sin(network.apply(p, x))))(params)
    theirs = nnx.to_pure_dict(nnx.grad(lambda m: jnp.sum(jnp.sin(m(x))))(module))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), ours, theirs)


@pytest.mark.parametrize("name", quick(NNX))
def test_an_nnx_population_is_drawn_by_a_rule_of_the_callers(name):
    inputs = NNX[name][1](2)
    network, _ = from_flax(made(name), inputs, init=lambda key: NNX[name][0](rngs=nnx.Rngs(key)))
    keys = jax.random.split(jax.random.key(0), 2)
    population = jax.jit(jax.vmap(network.init))(keys)
    outputs = jax.vmap(network.apply, (0, None))(population, inputs)
    np.testing.assert_allclose(outputs[1], made(name, keys[1])(jnp.asarray(inputs)), rtol=1e-4, atol=1e-5)
    assert not np.allclose(outputs[0], outputs[1])


def test_an_nnx_module_has_no_rule_of_its_own_and_a_wrong_one_is_refused():
    network, _ = from_flax(made("mlp"), np.ones((2, 3)))
    with pytest.raises(InputError, match=r"cannot be drawn anew.*init=lambda key"):
        network.init(jax.random.key(0))
    network, _ = from_flax(made("mlp"), np.ones((2, 3)), init=lambda key: Perceptron(nnx.Rngs(key), 5))
    with pytest.raises(InputError, match="the same architecture"):
        network.init(jax.random.key(0))


def test_an_nnx_module_in_training_mode_is_refused_with_the_remedy():
    with pytest.raises(NotDeterministicError, match=r"two answers.*module\.eval\(\)"):
        from_flax(NNX["convolutions with batch norm"][0](nnx.Rngs(0)), np.ones((2, 6, 6, 1)))
    norm = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
    with pytest.raises(NotDeterministicError, match=r"changes its variables.*module\.eval\(\)"):
        from_flax(norm, real(3)(4))
    norm.eval()
    from_flax(norm, real(3)(4))


def test_the_module_is_left_as_it_was():
    module = made("mlp")
    network, params = from_flax(module, np.ones((2, 3)))
    before = network.apply(params, np.ones((2, 3)))
    module.layers[0].kernel[...] = jnp.zeros((3, 6))
    np.testing.assert_array_equal(network.apply(params, np.ones((2, 3))), before)
    network.apply(jax.tree.map(lambda p: p + 1, params), np.ones((2, 3)))
    np.testing.assert_array_equal(network.apply(params, np.ones((2, 3))), before)


# ---- both --------------------------------------------------------------------------------------------------


def test_a_flax_network_makes_a_map_with_the_kernel_of_a_linear_layer():
    network, params = from_flax(linen.Dense(1), np.ones((2, 3)))
    x = real(3)(4)
    kernel = ParameterFunctionMap(network, x).kernel(params)
    np.testing.assert_allclose(np.squeeze(kernel), x @ x.T + 1, rtol=1e-4, atol=1e-4)  # weights and a bias


def test_of_several_outputs_the_logits_or_the_first_and_one_number_is_one_output():
    class Several(linen.Module):
        @linen.compact
        def __call__(self, x):
            return {"hidden": linen.Dense(4)(x), "logits": linen.Dense(1)(x)[:, 0]}

    network, params = from_flax(Several(), np.ones((2, 3)))
    assert network.apply(params, np.ones((5, 3))).shape == (5, 1)


def test_a_factory_may_give_a_flax_module():
    network, params = as_network("my:linen", LINEN["mlp"][0], np.ones((2, 3)))
    assert network.name == "Sequential" and network.apply(params, np.ones((5, 3))).shape == (5, 2)
    network, params = as_network("my:nnx", made("mlp"), np.ones((2, 3)), lambda key: Perceptron(nnx.Rngs(key)))
    expected = Perceptron(nnx.Rngs(jax.random.key(3)))(jnp.ones((5, 3)))
    np.testing.assert_allclose(network.apply(network.init(jax.random.key(3)), np.ones((5, 3))), expected, rtol=1e-5)


def test_tokens_outside_the_vocabulary_are_refused():
    network, params = from_flax(LINEN["attention"][0], tokens(5)(2), vocabulary=7)
    for refuse in (network.check, lambda ids: network.apply(params, ids)):
        with pytest.raises(InputError, match=r"example 1 holds the token 9; expected 0 … 6"):
            refuse(np.array([[0, 1, 2, 3, 4], [0, 9, 0, 0, 0]]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_flax(linen.Dense, np.ones((2, 3))), "expected a flax.linen.Module or"),
        (lambda: from_flax(3, np.ones((2, 3))), "got int"),
        (lambda: from_flax(made("mlp"), np.ones((2, 4))), r"does not take the example inputs \(\(2, 4\) float32\)"),
        (lambda: from_flax(linen.Dense(2), "text"), "expected an array"),
        (lambda: from_flax(linen.Dense(2), np.ones((2, 3)), {"kernel": np.ones((3, 2))}), r'give \{"params": params\}'),
        (lambda: from_flax(made("mlp"), np.ones((2, 3)), {"params": {}}), "holds its own variables"),
        (lambda: from_flax(linen.Sequential([linen.tanh]), np.ones((2, 3)), {"params": {}}), "nothing to move"),
    ],
)
def test_what_cannot_be_taken_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
